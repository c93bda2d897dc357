//! Talking to a live mount through its control files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use swapfs::accounting::Snapshot;

use super::messenger::{Answer, Errand, Messenger};

/// A mount that is asked, by a messenger: one that does not answer keeps no command from ending.
#[derive(Debug)]
pub struct Mount {
    point: PathBuf,
    messenger: Messenger,
}

/// A control file that is held open, to be read again and again.
#[derive(Debug)]
pub struct Followed(Mount);

impl Mount {
    /// The mount at `point`, which is not looked at yet.
    pub fn at(point: &Path) -> anyhow::Result<Self> {
        Ok(Mount { point: point.to_owned(), messenger: Messenger::start(point)? })
    }

    /// The text of `.swapfs/stats.json`.
    pub fn stats_text(&mut self) -> anyhow::Result<String> {
        self.read("stats.json")
    }

    /// All counts, now.
    pub fn stats(&mut self) -> anyhow::Result<Snapshot> {
        let text = self.stats_text()?;
        self.parse_stats(&text)
    }

    /// Reads the text of `.swapfs/stats.json`.
    pub fn parse_stats(&self, text: &str) -> anyhow::Result<Snapshot> {
        serde_json::from_str(text).with_context(|| {
            format!("{} is served by another version of swapfs; use that one's `stat`", self.point.display())
        })
    }

    /// The text of a control file.
    pub fn read(&mut self, name: &str) -> anyhow::Result<String> {
        let answer = self.send(Errand::Read, name, "")?;
        self.text(answer, name)
    }

    /// Opens a control file for reading.
    pub fn follow(mut self, name: &str) -> anyhow::Result<Followed> {
        let answer = self.send(Errand::Open, name, "")?;
        self.text(answer, name)?;
        Ok(Followed(self))
    }

    /// Has the mount do a command; returns its answer.
    pub fn command(&mut self, line: &str) -> anyhow::Result<String> {
        self.exchange("command", line)
    }

    /// Writes `text` to a control file; returns its answer.
    pub fn exchange(&mut self, name: &str, text: &str) -> anyhow::Result<String> {
        // Tells a dead mount from none.
        self.stats_text()?;
        let answer = self.send(Errand::Exchange, name, text)?;
        let complaint = String::from_utf8_lossy(&answer.bytes).trim().to_owned();
        if answer.errno != 0 && !complaint.is_empty() {
            bail!("{complaint}");
        }
        self.text(answer, name)
    }

    fn send(&mut self, errand: Errand, name: &str, text: &str) -> anyhow::Result<Answer> {
        let path = self.path(name);
        Ok(self.messenger.send(errand, &path, text.as_bytes())?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.point.join(".swapfs").join(name)
    }

    fn text(&self, answer: Answer, name: &str) -> anyhow::Result<String> {
        match answer.errno {
            0 => String::from_utf8(answer.bytes)
                .with_context(|| format!("{} is not UTF-8", self.path(name).display())),
            errno => Err(explain(&self.point, &self.path(name), io::Error::from_raw_os_error(errno))),
        }
    }
}

impl Followed {
    /// What there is now; nothing is not the end.
    pub fn next(&mut self) -> anyhow::Result<io::Result<Vec<u8>>> {
        let Answer { errno, bytes } = self.0.send(Errand::Next, "", "")?;
        Ok(if errno == 0 { Ok(bytes) } else { Err(io::Error::from_raw_os_error(errno)) })
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
