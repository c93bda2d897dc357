//! A process as `/proc/PID/stat` shows it.

use std::fs;

/// One look at a process. The time of its start tells it from a later one with the same number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Its number.
    pub pid: u32,
    /// Who started or adopted it.
    pub parent: u32,
    /// In clock ticks since the machine's start.
    pub started: u64,
    /// Processor time that its threads have used, in clock ticks.
    pub used: u64,
    /// Whether its first thread has ended, and perhaps all of it.
    pub has_ended: bool,
}

impl Stat {
    /// Looks at `pid`; `None` where there is no such process.
    pub fn of(pid: u32) -> Option<Stat> {
        parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// The name may hold spaces and parentheses: it ends at the last one (proc_pid_stat(5)).
fn parse(pid: u32, stat: &str) -> Option<Stat> {
    const USER_TIME: usize = 11;
    const SYSTEM_TIME: usize = 12;
    const STARTED: usize = 19;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| -> Option<u64> { fields.get(at)?.parse().ok() };
    Some(Stat {
        pid,
        parent: u32::try_from(number(1)?).ok()?,
        started: number(STARTED)?,
        used: number(USER_TIME)?.saturating_add(number(SYSTEM_TIME)?),
        has_ended: matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_by_its_start() {
        let stat =
            |state| format!("7 (a) b) {state} 3 7 7 0 -1 4194560 1 0 0 0 40 2 0 0 20 0 1 0 98765 1 1 1");
        let running = Stat { pid: 7, parent: 3, started: 98765, used: 42, has_ended: false };
        assert_eq!(parse(7, &stat("S")), Some(running));
        assert_eq!(parse(7, &stat("Z")), Some(Stat { has_ended: true, ..running }));
        assert_eq!(
            Stat::of(std::process::id()).map(|stat| stat.parent),
            Some(std::os::unix::process::parent_id())
        );
    }
}
