//! What a finished command must not leave behind.

use std::path::Path;
use std::time::Duration;

use crate::processes;
use crate::run::{End, Outcome};

/// What a command with bad input must end like: a code, and a message that names the culprit.
///
/// # Panics
///
/// When the code differs, the message is not one line, does not name `culprit`, or the command panicked or
/// hung.
pub fn refused(outcome: &Outcome, code: i32, culprit: &str) {
    let complaint = outcome.complaint();
    assert_eq!(outcome.end, End::Code(code), "it said: {complaint}");
    assert!(!complaint.contains("panicked"), "a panic instead of a message: {complaint}");
    assert!(complaint.contains(culprit), "{culprit:?} is not named: {complaint}");
    let lines = complaint.trim_end().lines().count();
    // A wrong command line is answered with the usage below the message; everything else is one line.
    assert!(lines == 1 || (code == 2 && lines > 1), "not one line: {complaint}");
}

/// Checks that no process mentions `folder` on its command line and nothing is mounted below it.
///
/// # Panics
///
/// When one is found that does not go within a second.
pub fn none_of(folder: &Path) {
    let folder = folder.to_string_lossy().into_owned();
    let mounted = || {
        let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        table.lines().filter(|line| line.contains(&folder)).map(str::to_owned).collect::<Vec<_>>()
    };
    let running =
        || processes::all().into_iter().filter(|process| mentions(process.pid, &folder)).collect::<Vec<_>>();
    processes::wait_until(Duration::from_secs(1), || running().is_empty());
    assert!(running().is_empty(), "processes left: {:?}", running());
    assert!(mounted().is_empty(), "mounts left: {:?}", mounted());
}

fn mentions(pid: i32, text: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pid != i32::try_from(std::process::id()).unwrap_or(0) && String::from_utf8_lossy(&line).contains(text)
}
