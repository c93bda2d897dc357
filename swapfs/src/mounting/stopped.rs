//! A daemon that was stopped (SIGSTOP, Ctrl-Z) while its mount stands: it answers nothing, and whoever asks
//! it over io_uring cannot even be killed.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal};

/// Continues the stopped process that serves the connection with this number, if there is one that we may
/// look into: the kernel tells which connection a descriptor belongs to since Linux 6.16 (`fuse_connection`
/// in `/proc/PID/fdinfo`).
pub(super) fn continue_daemon(connection: u32) -> Option<Pid> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let is_daemon = |process: &Path| is_stopped(process) && serves(process, connection);
    let daemon = processes.map(|process| process.path()).find(|process| is_daemon(process))?;
    let pid = Pid::from_raw(daemon.file_name()?.to_str()?.parse().ok()?)?;
    rustix::process::kill_process(pid, Signal::CONT).ok()?;
    Some(pid)
}

/// The state stands behind the name, which may hold anything.
fn is_stopped(process: &Path) -> bool {
    let stat = fs::read(process.join("stat")).unwrap_or_default();
    let name_end = stat.iter().rposition(|byte| *byte == b')').unwrap_or(stat.len());
    stat.get(name_end..).is_some_and(|rest| rest.starts_with(b") T "))
}

fn serves(process: &Path, connection: u32) -> bool {
    let line = format!("fuse_connection:\t{connection}");
    let Ok(open) = fs::read_dir(process.join("fdinfo")) else { return false };
    let mut texts = open.flatten().filter_map(|file| fs::read_to_string(file.path()).ok());
    texts.any(|text| text.lines().any(|other| other == line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_is_not_stopped_and_serves_nothing() {
        let process = Path::new("/proc/self");
        assert!(!is_stopped(process) && !serves(process, 0) && !is_stopped(Path::new("/proc/no-such")));
    }
}
