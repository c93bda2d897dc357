//! Changing the cap of a run that is under way.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use pager_core::shared::MAGIC;
use thiserror::Error;

use crate::balance;
use crate::cap::{LEAST_CAP_PAGES, Limit};
use crate::members::Mark;
use crate::size::ByteSize;
use crate::sys::map::ControlMap;

/// How the control file shows among a process's descriptors.
const CONTROL_LINK: &str = "/memfd:pager-control";

/// Why the cap stays as it is.
#[derive(Debug, Error)]
pub enum LimitError {
    /// Under [`LEAST_CAP_PAGES`].
    #[error(
        "{asked}: too small to run in; the smallest that works is {}",
        ByteSize::of_pages(LEAST_CAP_PAGES)
    )]
    TooSmall {
        /// What was asked for.
        asked: ByteSize,
    },
    /// The process has no control file.
    #[error(
        "process {pid} is not part of a `pager run`; give the process id of pager or of one of its programs"
    )]
    NotPaged {
        /// As given.
        pid: u32,
    },
    /// It cannot be looked at.
    #[error("process {pid} cannot be looked at; it must exist and be your own")]
    Inaccessible {
        /// As given.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

impl LimitError {
    /// 2 for wrong usage, else 1.
    pub const fn exit_code(&self) -> u8 {
        if matches!(self, LimitError::TooSmall { .. }) { 2 } else { 1 }
    }
}

/// Sets the cap of the run that process `pid` belongs to: the supervisor, or any of its programs. Each
/// process of the run keeps to it at once, or all together under `--children share`; one that sleeps with a
/// timeout may wake early, with EINTR.
///
/// # Errors
///
/// See [`LimitError`].
pub fn limit(pid: u32, limit: Limit) -> Result<(), LimitError> {
    let pages = match limit {
        Limit::Unlimited => u64::MAX,
        Limit::Cap(asked) if asked.pages() < LEAST_CAP_PAGES => return Err(LimitError::TooSmall { asked }),
        Limit::Cap(asked) => asked.pages(),
    };
    let inaccessible = |source| LimitError::Inaccessible { pid, source };
    let found = control_file(pid).map_err(inaccessible)?.ok_or(LimitError::NotPaged { pid })?;
    let control = ControlMap::new(&found.file).map_err(inaccessible)?;
    if control.magic.load(Relaxed) != MAGIC {
        return Err(LimitError::NotPaged { pid });
    }
    let before = control.settings.cap_pages.swap(pages, SeqCst);
    // Under a shared cap more may be lent than there is now: then the pool is in debt until the processes
    // have paid.
    control.pool.resize(before, pages);
    balance::set_level(&control);
    let used = control.processes.iter().filter(|process| process.pid.load(SeqCst) != 0);
    used.for_each(|process| balance::poke(process, &found.mark));
    Ok(())
}

/// A run's control file, and what its processes are known by.
struct Found {
    file: File,
    mark: Mark,
}

/// The control file that a process has open.
fn control_file(pid: u32) -> io::Result<Option<Found>> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let path: PathBuf = entry.path();
        let is_control =
            fs::read_link(&path).is_ok_and(|link| link.to_string_lossy().starts_with(CONTROL_LINK));
        if is_control {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let mark = Mark::new(&file, entry.file_name())?;
            return Ok(Some(Found { file, mark }));
        }
    }
    Ok(None)
}
