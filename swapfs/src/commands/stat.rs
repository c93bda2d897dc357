//! `swapfs stat`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use swapfs::accounting::Snapshot;
use swapfs::table::{Selection, distributions, rates, totals};

use super::client::{Mount, Reader, print};
use crate::arguments::interval::interval;

/// `swapfs stat`.
#[derive(Debug, Args)]
pub struct StatArguments {
    /// Where it is mounted
    pub mountpoint: PathBuf,
    /// Only these files, or files below these directories, such as swap/swap0 or images/lib
    pub files: Vec<String>,
    /// Print the mount's .swapfs/stats.json
    #[arg(long)]
    pub json: bool,
    /// Show how long requests took and how large they were, by percentiles
    #[arg(long, conflicts_with_all = ["json", "interval"])]
    pub latency: bool,
    /// Show rates, again and again after so many seconds, until Ctrl-C (exit status 130, as of each program
    /// that it ends)
    #[arg(long, value_name = "SECONDS", value_parser = interval)]
    pub interval: Option<Duration>,
    /// With --interval: stop after so many times
    #[arg(long, value_name = "N", requires = "interval")]
    pub count: Option<u64>,
    /// Show only what came after this snapshot, saved by `swapfs stat --json`
    #[arg(long, value_name = "FILE.json", conflicts_with = "interval")]
    pub since: Option<PathBuf>,
    /// Set all counts to zero, and forget the rows of what is not open (shows nothing)
    #[arg(long, conflicts_with_all = ["json", "latency", "interval", "since", "files"])]
    pub reset: bool,
}

/// Shows the counts once, or again and again.
pub fn run(arguments: &StatArguments) -> anyhow::Result<()> {
    let mut mount = Mount::at(&arguments.mountpoint)?;
    if arguments.reset {
        return mount.command("reset").map(drop);
    }
    let selection = Selection(arguments.files.clone());
    let (mut text, mut taken) = (mount.stats_text()?, Instant::now());
    let mut snapshot = mount.parse_stats(&text)?;
    check_selection(&snapshot, &selection)?;
    if let Some(path) = &arguments.since {
        snapshot = snapshot.since(&saved(path, &snapshot)?);
        text = snapshot.to_json();
    }
    let first = match (arguments.json, arguments.latency) {
        (true, _) => json(&text, &snapshot, &selection),
        (_, true) => distributions(&snapshot, &selection),
        _ => totals(&snapshot, &selection),
    };
    if print(&first)? == Reader::Gone {
        return Ok(());
    }
    let Some(interval) = arguments.interval else { return Ok(()) };
    for _ in 1..arguments.count.unwrap_or(u64::MAX) {
        std::thread::sleep(interval);
        text = mount.stats_text()?;
        let (now, next) = (Instant::now(), mount.parse_stats(&text)?);
        let shown = match arguments.json {
            true => json(&text, &next, &selection),
            false => format!("\n{}", rates(&snapshot, &next, now - taken, &selection)),
        };
        (snapshot, taken) = (next, now);
        if print(&shown)? == Reader::Gone {
            break;
        }
    }
    Ok(())
}

fn saved(path: &Path, current: &Snapshot) -> anyhow::Result<Snapshot> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let earlier: Snapshot = serde_json::from_str(&text)
        .with_context(|| format!("{} is no snapshot; save one by `swapfs stat --json`", path.display()))?;
    if (earlier.pid, earlier.started_unix_ns) != (current.pid, current.started_unix_ns) {
        bail!(
            "{} is of another mount, or of an earlier one at this place; there is no difference",
            path.display()
        );
    }
    Ok(earlier)
}

fn check_selection(snapshot: &Snapshot, selection: &Selection) -> anyhow::Result<()> {
    let unused = selection
        .0
        .iter()
        .find(|path| !snapshot.files.iter().any(|file| Selection(vec![(*path).clone()]).holds(&file.path)));
    match unused {
        Some(path) => {
            bail!("no file at or below `{path}` was opened yet; paths look like images/ls or swap/swap0")
        }
        None => Ok(()),
    }
}

/// The mount's own text, byte for byte, unless only some files are wanted.
fn json(text: &str, snapshot: &Snapshot, selection: &Selection) -> String {
    if selection.0.is_empty() {
        return text.to_owned();
    }
    let mut chosen = snapshot.clone();
    chosen.files.retain(|file| selection.holds(&file.path));
    chosen.to_json()
}
