//! Reading a trace file: what is whole, and a word about what is not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pager_core::trace::Event;
use pager_core::trace::format::{ChunkKind, Chunks, Damage, Events, NotATrace};
use thiserror::Error;

use super::{Description, End};

/// A trace file, read.
pub struct Trace {
    bytes: Vec<u8>,
    /// What the run was.
    pub description: Description,
    /// How it ended; `None` if the recording was cut off.
    pub end: Option<End>,
    /// Where the file is not as it was written, in words.
    pub damage: Vec<String>,
}

/// Why there is no trace.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("{path}: cannot be read", path = path.display())]
    Read {
        /// As given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is none, or of another version.
    #[error("{path}: {reason}; `pager run --record FILE -- PROGRAM` makes one", path = path.display())]
    NotATrace {
        /// As given.
        path: PathBuf,
        /// Why.
        reason: NotATrace,
    },
    /// Its first chunk is damaged.
    #[error("{path}: the description of the run at its beginning is damaged, so nothing can be read", path = path.display())]
    NoDescription {
        /// As given.
        path: PathBuf,
    },
}

impl Trace {
    /// Reads `path`.
    ///
    /// # Errors
    ///
    /// See [`TraceError`]. A file that is damaged further on is read as far as it is whole.
    pub fn open(path: &Path) -> Result<Trace, TraceError> {
        let bytes = fs::read(path).map_err(|source| TraceError::Read { path: path.to_owned(), source })?;
        let chunks =
            Chunks::new(&bytes).map_err(|reason| TraceError::NotATrace { path: path.to_owned(), reason })?;
        let (mut description, mut end, mut damage) = (None, None, Vec::new());
        for chunk in chunks {
            match chunk {
                Ok((ChunkKind::Description, json)) => description = serde_json::from_slice(json).ok(),
                Ok((ChunkKind::End, json)) => end = serde_json::from_slice(json).ok(),
                Ok((ChunkKind::Events, payload)) => {
                    damage.extend(Events::new(payload).find_map(Result::err).map(|error| error.to_string()));
                }
                Err(damaged) => damage.push(in_words(damaged, bytes.len())),
            }
        }
        let description = description.ok_or_else(|| TraceError::NoDescription { path: path.to_owned() })?;
        if end.is_none() && damage.is_empty() {
            damage
                .push("the recording was cut off: the pager was killed, or the run still goes on".to_owned());
        }
        Ok(Trace { bytes, description, end, damage })
    }

    /// The events of all whole chunks, in the order in which they were noted.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let whole = Chunks::new(&self.bytes).into_iter().flatten().filter_map(Result::ok);
        let of_events = whole.filter(|(kind, _)| *kind == ChunkKind::Events);
        of_events.flat_map(|(_, payload)| Events::new(payload).map_while(Result::ok))
    }

    /// Events that are missing, as far as is known.
    pub fn dropped(&self) -> u64 {
        self.end.as_ref().map_or(0, |end| end.dropped)
    }

    /// Says on standard error what is wrong with the file, a line each.
    pub fn complain(&self, path: &Path) {
        for line in &self.damage {
            crate::say::line(format_args!("{}: {line}", path.display()));
        }
        if self.dropped() > 0 {
            crate::say::line(format_args!("{}: {} events are missing", path.display(), self.dropped()));
        }
    }
}

fn in_words(damage: Damage, length: usize) -> String {
    match damage {
        Damage::Cut(at) => {
            format!(
                "cut off at byte {length}, inside what begins at byte {at}; the events before it are whole"
            )
        }
        Damage::Checksum(at) => format!("damaged at byte {at}: the events of one chunk are left out"),
        Damage::Nonsense(at) => format!("not readable from byte {at} on; the events before it are whole"),
    }
}
