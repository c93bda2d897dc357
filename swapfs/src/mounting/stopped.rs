//! A daemon that was stopped (SIGSTOP, Ctrl-Z) while its mount stands: it answers nothing, and whoever asks
//! it over io_uring cannot even be killed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use super::place::resolve;
use crate::mountinfo::{self, FILE_SYSTEM};

/// What the daemon of a mount does, as far as its process tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonState {
    /// It runs, or waits for something.
    Running,
    /// A signal stopped it.
    Stopped,
    /// A debugger holds it.
    Traced,
}

impl fmt::Display for DaemonState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DaemonState::Running => "running",
            DaemonState::Stopped => "stopped (SIGSTOP or Ctrl-Z)",
            DaemonState::Traced => "held by a debugger",
        })
    }
}

/// The process that serves the swapfs at `mountpoint`, and what it does, without asking the mount. The kernel
/// tells since Linux 6.16 which connection a descriptor belongs to (`fuse_connection` in `/proc/PID/fdinfo`);
/// before that a process is found only if it is the only one that is stopped and serves a FUSE mount. None is
/// found that we may not look into.
pub fn daemon_of(mountpoint: &Path) -> Option<(Pid, DaemonState)> {
    let mount = mountinfo::on_top(&mountinfo::current(), &resolve(mountpoint).ok()?)?;
    let connection = mount.device_minor.filter(|_| mount.file_system == FILE_SYSTEM)?;
    if let Some(found) = servers().find(|(process, _)| serves(process, connection)) {
        return known(&found);
    }
    let mut stopped = servers().filter(|(process, state)| *state != DaemonState::Running && is_mute(process));
    match (stopped.next(), stopped.next()) {
        (Some(only), None) => known(&only),
        _ => None,
    }
}

/// Continues the stopped process that serves the connection with this number, if there is one that we may
/// look into: see [`daemon_of`].
pub(super) fn continue_daemon(connection: u32) -> Option<Pid> {
    let is_daemon = |(process, state): &(PathBuf, DaemonState)| {
        *state == DaemonState::Stopped && serves(process, connection)
    };
    let (pid, _) = known(&servers().find(is_daemon)?)?;
    rustix::process::kill_process(pid, Signal::CONT).ok()?;
    Some(pid)
}

fn known((process, state): &(PathBuf, DaemonState)) -> Option<(Pid, DaemonState)> {
    Some((Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?)?, *state))
}

/// All processes that could be one: those with a state.
fn servers() -> impl Iterator<Item = (PathBuf, DaemonState)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_one = |process: PathBuf| state(&process).map(|state| (process, state));
    processes.filter_map(move |process| of_one(process.path()))
}

/// The state stands behind the name, which may hold anything.
fn state(process: &Path) -> Option<DaemonState> {
    let stat = fs::read(process.join("stat")).ok()?;
    let rest = &stat[stat.iter().rposition(|byte| *byte == b')')?..];
    Some(match rest.get(2)? {
        b'T' => DaemonState::Stopped,
        b't' => DaemonState::Traced,
        _ => DaemonState::Running,
    })
}

fn serves(process: &Path, connection: u32) -> bool {
    let line = format!("fuse_connection:\t{connection}");
    open_files(process).any(|text| text.lines().any(|other| other == line))
}

/// Whether it serves a FUSE mount of which the kernel does not tell the number.
fn is_mute(process: &Path) -> bool {
    let Ok(open) = fs::read_dir(process.join("fd")) else { return false };
    let is_device = |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|to| to == *"/dev/fuse");
    open.flatten().any(is_device) && !open_files(process).any(|text| text.contains("fuse_connection:"))
}

fn open_files(process: &Path) -> impl Iterator<Item = String> {
    let open = fs::read_dir(process.join("fdinfo")).into_iter().flatten().flatten();
    open.filter_map(|file| fs::read_to_string(file.path()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_is_not_stopped_and_serves_nothing() {
        let process = Path::new("/proc/self");
        assert_eq!(state(process), Some(DaemonState::Running));
        assert_eq!(state(Path::new("/proc/no-such")), None);
        assert!(!serves(process, 0) && !is_mute(process));
        assert_eq!(daemon_of(Path::new("/")), None);
    }

    #[test]
    fn a_process_that_a_signal_stopped_is_told_from_one_that_runs() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = PathBuf::from(format!("/proc/{}", child.id()));
        let pid = Pid::from_child(&child);
        rustix::process::kill_process(pid, Signal::STOP).unwrap();
        let began = std::time::Instant::now();
        while state(&process) != Some(DaemonState::Stopped) && began.elapsed().as_secs() < 30 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(state(&process), Some(DaemonState::Stopped));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
