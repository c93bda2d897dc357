//! Processes seen from outside, through /proc: trees, names, liveness, and ending them by number.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One line of `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Who started it (or adopted it).
    pub parent: i32,
    /// The name that the kernel shows, 15 bytes at most.
    pub name: String,
    /// The state letter: R, S, D, Z, ...
    pub state: char,
}

/// The process `pid`, when there is one.
#[must_use]
pub fn look_up(pid: i32) -> Option<Process> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Every process of the machine.
#[must_use]
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(look_up).collect()
}

/// `root` and all its living descendants, parents first.
#[must_use]
pub fn tree(root: i32) -> Vec<Process> {
    let mut found: Vec<Process> = look_up(root).into_iter().collect();
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next].pid).into_iter().filter_map(look_up));
        next += 1;
    }
    found
}

/// The children of every thread of `pid`: far cheaper than a walk through all processes.
fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Kills `root` and all its descendants, children before they can be adopted.
pub fn kill_tree(root: i32) {
    for process in tree(root).iter().rev() {
        // It may have ended meanwhile: then there is nothing to kill.
        let _gone = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}

/// Whether `pid` runs (a zombie does not).
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    look_up(pid).is_some_and(|process| process.state != 'Z')
}

/// Waits until `condition` holds; says whether it did within `limit`.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The name may hold spaces and parentheses: it ends at the last one (proc_pid_stat(5)).
fn parse_stat(line: &str) -> Option<Process> {
    let (before, rest) = line.rsplit_once(')')?;
    let (pid, name) = before.split_once('(')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid: pid.trim().parse().ok()?, parent, name: name.to_owned(), state })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_kept_whole() {
        let process =
            parse_stat("12 (a) b (c) S 3 1 2").expect("a line of the form that proc_pid_stat(5) gives");
        assert_eq!(process, Process { pid: 12, parent: 3, name: "a) b (c".into(), state: 'S' });
    }

    #[test]
    fn the_tree_of_this_process_starts_with_it() {
        let own = i32::try_from(std::process::id()).expect("a process number is an i32");
        assert_eq!(tree(own)[0].pid, own);
        assert!(is_alive(own));
    }
}
