//! `swapfs stat`.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use swapfs::accounting::Snapshot;
use swapfs::table::{Selection, rates, totals};

use crate::arguments::StatArguments;

/// Shows the counts once, or again and again.
pub fn run(arguments: &StatArguments) -> anyhow::Result<()> {
    let selection = Selection(arguments.files.clone());
    let (mut text, mut taken) = (read(&arguments.mountpoint)?, Instant::now());
    let mut snapshot = parse(&arguments.mountpoint, &text)?;
    check_selection(&snapshot, &selection)?;
    let first = if arguments.json { json(&text, &snapshot, &selection)? } else { totals(&snapshot, &selection) };
    if print(&first)? == Reader::Gone {
        return Ok(());
    }
    let Some(interval) = arguments.interval else { return Ok(()) };
    for _ in 1..arguments.count.unwrap_or(u64::MAX) {
        std::thread::sleep(interval);
        text = read(&arguments.mountpoint)?;
        let (now, next) = (Instant::now(), parse(&arguments.mountpoint, &text)?);
        let shown = if arguments.json {
            json(&text, &next, &selection)?
        } else {
            format!("\n{}", rates(&snapshot, &next, now - taken, &selection))
        };
        (snapshot, taken) = (next, now);
        if print(&shown)? == Reader::Gone {
            break;
        }
    }
    Ok(())
}

fn read(mountpoint: &Path) -> anyhow::Result<String> {
    let path = mountpoint.join(".swapfs/stats.json");
    std::fs::read_to_string(&path).map_err(|error| {
        let place = mountpoint.display();
        match error.raw_os_error() {
            Some(107) => {
                anyhow!("the swapfs on {place} is dead, its daemon is gone; clear it with `swapfs unmount {place}`")
            }
            Some(2 | 20) => anyhow!("no swapfs is mounted on {place}; see `swapfs mount --help`"),
            _ => anyhow!(error).context(format!("cannot read {}", path.display())),
        }
    })
}

fn parse(mountpoint: &Path, text: &str) -> anyhow::Result<Snapshot> {
    serde_json::from_str(text).with_context(|| {
        format!("{} is served by another version of swapfs; use that one's `stat`", mountpoint.display())
    })
}

fn check_selection(snapshot: &Snapshot, selection: &Selection) -> anyhow::Result<()> {
    let unused = selection
        .0
        .iter()
        .find(|path| !snapshot.files.iter().any(|file| Selection(vec![(*path).clone()]).holds(&file.path)));
    match unused {
        Some(path) => bail!("no file at or below `{path}` was opened yet; paths look like images/ls or swap/swap0"),
        None => Ok(()),
    }
}

/// The mount's own text, byte for byte, unless only some files are wanted.
fn json(text: &str, snapshot: &Snapshot, selection: &Selection) -> anyhow::Result<String> {
    if selection.0.is_empty() {
        return Ok(text.to_owned());
    }
    let mut chosen = snapshot.clone();
    chosen.files.retain(|file| selection.holds(&file.path));
    Ok(chosen.to_json())
}

#[derive(PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

fn print(text: &str) -> anyhow::Result<Reader> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error.into()),
    }
}
