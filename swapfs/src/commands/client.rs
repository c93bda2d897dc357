//! Talking to a live mount through its control files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use swapfs::accounting::Snapshot;

/// The longest answer that is shown of a command that failed.
const LONGEST_COMPLAINT: usize = 4096;

/// The text of `.swapfs/stats.json`.
pub fn stats_text(mountpoint: &Path) -> anyhow::Result<String> {
    let path = mountpoint.join(".swapfs/stats.json");
    std::fs::read_to_string(&path).map_err(|error| explain(mountpoint, &path, error))
}

/// All counts, now.
pub fn stats(mountpoint: &Path) -> anyhow::Result<Snapshot> {
    parse_stats(mountpoint, &stats_text(mountpoint)?)
}

/// Reads the text of `.swapfs/stats.json`.
pub fn parse_stats(mountpoint: &Path, text: &str) -> anyhow::Result<Snapshot> {
    serde_json::from_str(text).with_context(|| {
        format!("{} is served by another version of swapfs; use that one's `stat`", mountpoint.display())
    })
}

/// Opens a control file for reading.
pub fn open(mountpoint: &Path, name: &str) -> anyhow::Result<File> {
    let path = mountpoint.join(".swapfs").join(name);
    File::open(&path).map_err(|error| explain(mountpoint, &path, error))
}

/// Has the mount do a command; returns its answer.
pub fn command(mountpoint: &Path, line: &str) -> anyhow::Result<String> {
    exchange(mountpoint, "command", line)
}

/// Writes `text` to a control file; returns its answer.
pub fn exchange(mountpoint: &Path, name: &str, text: &str) -> anyhow::Result<String> {
    // Tells a dead mount from none.
    stats_text(mountpoint)?;
    let path = mountpoint.join(".swapfs").join(name);
    let opened = OpenOptions::new().read(true).write(true).open(&path);
    let mut file = opened.map_err(|error| explain(mountpoint, &path, error))?;
    if let Err(error) = file.write_all(text.as_bytes()) {
        let mut buffer = [0; LONGEST_COMPLAINT];
        let bytes = file.read_at(&mut buffer, 0).unwrap_or(0);
        match String::from_utf8_lossy(&buffer[..bytes]).trim() {
            "" => return Err(explain(mountpoint, &path, error)),
            complaint => bail!("{complaint}"),
        }
    }
    read_answer(&file).with_context(|| format!("cannot read the answer from {}", path.display()))
}

fn read_answer(file: &File) -> io::Result<String> {
    let (mut answer, mut buffer) = (vec![], vec![0; 1 << 20]);
    loop {
        match file.read_at(&mut buffer, answer.len() as u64)? {
            0 => return String::from_utf8(answer).map_err(io::Error::other),
            bytes => answer.extend_from_slice(&buffer[..bytes]),
        }
    }
}

fn explain(mountpoint: &Path, path: &Path, error: io::Error) -> anyhow::Error {
    let place = mountpoint.display();
    match error.raw_os_error() {
        // ENOTCONN; ECONNABORTED from a daemon that is just being killed.
        Some(107 | 103) => {
            anyhow!(
                "the swapfs on {place} is dead: its daemon was killed or crashed, and its counts are lost; `swapfs mount` there mounts \
                 anew (swap files in a directory are kept), `swapfs unmount {place}` clears it"
            )
        }
        Some(2 | 20) => anyhow!("no swapfs is mounted on {place}; see `swapfs mount --help`"),
        _ => anyhow!(error).context(format!("cannot use {}", path.display())),
    }
}

/// Whether who reads our output is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// It is.
    There,
    /// It has closed its end of the pipe.
    Gone,
}

/// Prints to the standard output, at once.
pub fn print(text: &str) -> anyhow::Result<Reader> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error.into()),
    }
}
