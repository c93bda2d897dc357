//! A run seen from outside: its control file, found by a process that has it open.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use pager_core::shared::{Control, MAGIC};
use thiserror::Error;

use crate::members::Mark;
use crate::report::{Report, Subject};
use crate::sampler::Residency;
use crate::stat::Stat;
use crate::swap::SwapKind;
use crate::sys::map::ControlMap;

/// How the control file shows among a process's descriptors.
const CONTROL_LINK: &str = "/memfd:pager-control";

/// Of the times in `/proc/PID/stat`: USER_HZ, which is part of the kernel's interface.
const TICKS_A_SECOND: f64 = 100.0;

/// Why a run cannot be looked at.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The process has no control file.
    #[error(
        "process {pid} is not part of a `pager run` of this version; give the process id of pager or of one of its programs (`pager top` shows all)"
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

/// A run that is under way, or was when it was found.
pub struct Attached {
    control: ControlMap,
    /// What its processes are known by.
    pub mark: Mark,
    identity: (u64, u64),
    /// Swap files, in the order of the control block.
    swap: Vec<(PathBuf, SwapKind)>,
    residency: Residency,
}

impl Attached {
    /// The run that process `pid` belongs to: the supervisor, or any of its programs.
    ///
    /// # Errors
    ///
    /// See [`AttachError`].
    pub fn to(pid: u32) -> Result<Attached, AttachError> {
        let inaccessible = |source| AttachError::Inaccessible { pid, source };
        let found = control_file(pid).map_err(inaccessible)?.ok_or(AttachError::NotPaged { pid })?;
        let control = ControlMap::new(&found.file).map_err(inaccessible)?;
        if control.magic.load(Relaxed) != MAGIC {
            return Err(AttachError::NotPaged { pid });
        }
        let mark = Mark::new(&found.file, found.number).map_err(inaccessible)?;
        let swap = swap_files(&control, pid);
        let identity = mark.identity();
        Ok(Attached { control, mark, identity, swap, residency: Residency::default() })
    }

    /// The run's control block.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Path of a swap file by its number; the folder of a temporary one.
    pub fn swap_path(&self, number: u8) -> String {
        self.swap.get(usize::from(number)).map_or("?".into(), |(path, _)| path.display().to_string())
    }

    /// What tells the run from others.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Whether its supervisor, or one of its processes, is still there.
    pub fn is_alive(&self) -> bool {
        let supervisor = self.control.settings.supervisor.load(SeqCst);
        let is_there = |pid: u32| Stat::of(pid).is_some_and(|stat| !stat.has_ended);
        is_there(supervisor) || self.control.processes.iter().filter_map(|one| one.known_pid()).any(is_there)
    }

    /// Its report as it stands. Means and peaks of all processes together are of the looks that were taken
    /// through this value: only the run's own supervisor samples all the time.
    pub fn report(&mut self) -> Report {
        self.residency.sample(&self.control);
        let settings = &self.control.settings;
        let rows = self.control.roster.taken();
        let first = settings.first.load(Relaxed);
        let program = rows.first().map(|row| crate::failure::printable(&row.program)).unwrap_or_default();
        let supervisor = settings.supervisor.load(Relaxed);
        let subject = Subject {
            program: program.into(),
            arguments: arguments(first),
            pid: first,
            swap: self.swap.clone(),
        };
        let elapsed = age(first).or_else(|| age(supervisor)).unwrap_or_default();
        let mut report = Report::new(&subject, &self.control, &self.residency, elapsed, None);
        report.supervisor_pid = supervisor;
        report
    }
}

/// All runs whose processes this user may look at, by their supervisor's number.
pub fn all() -> Vec<Attached> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let mut runs: Vec<Attached> = Vec::new();
    for pid in pids {
        if let Ok(run) = Attached::to(pid)
            && runs.iter().all(|known| known.identity != run.identity)
        {
            runs.push(run);
        }
    }
    runs.sort_by_key(|run| run.control.settings.supervisor.load(Relaxed));
    runs
}

/// A run's control file.
struct Found {
    file: File,
    number: OsString,
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
            return Ok(Some(Found { file, number: entry.file_name() }));
        }
    }
    Ok(None)
}

/// Paths of the swap files that the control block names by descriptor.
fn swap_files(control: &Control, pid: u32) -> Vec<(PathBuf, SwapKind)> {
    let count = control.settings.swap_count.load(Relaxed) as usize;
    let path = |slot: &pager_core::shared::SwapFile| {
        let link = format!("/proc/{pid}/fd/{}", slot.fd.load(Relaxed));
        let path = fs::read_link(link).unwrap_or_else(|_| PathBuf::from("?"));
        // A temporary file has no name any more.
        match path.to_string_lossy().strip_suffix(" (deleted)") {
            Some(name) => {
                (Path::new(name).parent().unwrap_or(Path::new("/")).to_owned(), SwapKind::Temporary)
            }
            None => (path, SwapKind::Named),
        }
    };
    control.settings.swap.iter().take(count).map(path).collect()
}

/// Arguments of a process, without its name.
fn arguments(pid: u32) -> Vec<OsString> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.skip(1).map(|word| OsString::from(String::from_utf8_lossy(word).into_owned())).collect()
}

/// How long a process has been there.
fn age(pid: u32) -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split(' ').next()?.parse().ok()?;
    let started = Stat::of(pid)?.started as f64 / TICKS_A_SECOND;
    Duration::try_from_secs_f64((seconds - started).max(0.0)).ok()
}
