//! What a sandbox around us forbids: seccomp filters of containers and services answer calls with an error of
//! their choice, or kill whoever makes them.

use std::fs;
use std::io;

use crate::sys;

/// What a filter that kills is told as.
pub const KILLS: &str = "a seccomp filter kills who makes this call";

/// Does `ask`, first in a child where a seccomp filter is in force that may kill whoever asks.
///
/// # Errors
///
/// What `ask` says.
pub fn probe<T>(ask: impl Fn() -> io::Result<T>) -> io::Result<T> {
    if is_filtered() && !sys::trial::survives(|| drop(ask())) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, KILLS));
    }
    ask()
}

/// What comes of `attempt` in a child, where a seccomp filter is in force; elsewhere it is taken to work.
///
/// # Errors
///
/// What `attempt` says.
pub fn probe_apart(attempt: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match is_filtered() {
        true => sys::trial::attempts(attempt)
            .unwrap_or_else(|| Err(io::Error::new(io::ErrorKind::PermissionDenied, KILLS))),
        false => Ok(()),
    }
}

/// Whether a seccomp filter is in force for this process. Where `/proc` does not say, one may be.
pub fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    says_filtered(&status)
}

/// `Seccomp:` in proc_pid_status(5): 0 for none, 1 for strict mode, 2 for a filter.
fn says_filtered(status: &str) -> bool {
    !status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_read_and_silence_is_taken_for_a_filter() {
        assert!(says_filtered("Name:\tpager\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!says_filtered("Name:\tpager\nSeccomp:\t0\nSeccomp_filters:\t0\n"));
        assert!(says_filtered(""));
    }

    #[test]
    fn who_dies_of_asking_is_told_from_who_is_refused() {
        assert!(sys::trial::survives(|| ()));
        assert!(!sys::trial::survives(|| std::process::abort()));
    }
}
