//! The kernel's own paging, as a peer: a command in a memory control group with a limit, which swaps to
//! whatever swap the machine has on.
//!
//! Both hierarchies are understood. Owns the group that it makes, and no swap: to switch swap on is the
//! user's business, for it concerns the whole machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::processes;
use crate::run::Run;

/// Which of the two hierarchies controls memory here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hierarchy {
    /// Version 2.
    Unified,
    /// Version 1.
    Memory,
}

/// A control group, removed on drop; whatever runs in it must have ended by then.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    hierarchy: Hierarchy,
}

impl Group {
    /// Makes an empty group without a limit.
    ///
    /// # Errors
    ///
    /// In words, what is missing: control of memory, or the right to it.
    pub fn new() -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (hierarchy, root) = find()?;
        let name = format!("pager-peer-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = root.join(name);
        fs::create_dir(&folder)
            .map_err(|error| format!("{} cannot be made: {error}; be root", folder.display()))?;
        let group = Self { folder, hierarchy };
        if !group.limit_file().exists() {
            return Err(format!("{} has no limit on memory", group.folder.display()));
        }
        Ok(group)
    }

    /// Limits what is charged to the group: pages of its memory, pages of files that it was the first to
    /// read, and the kernel's own for it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn limit(&self, bytes: u64) -> io::Result<()> {
        fs::write(self.limit_file(), bytes.to_string())
    }

    /// The command that runs `program` in the group; arguments are added to it.
    #[must_use]
    pub fn command(&self, program: &Path) -> Run {
        let join = "echo $$ > \"$0\" && exec \"$@\"";
        Run::new("/bin/sh").args(["-c", join]).arg(self.folder.join("cgroup.procs")).arg(program)
    }

    /// Bytes of the kernel's own memory that are charged to the group now: page tables, stacks, what it knows
    /// of files.
    #[must_use]
    pub fn kernel_bytes(&self) -> u64 {
        match self.hierarchy {
            Hierarchy::Unified => value_of(&self.read("memory.stat"), "kernel"),
            Hierarchy::Memory => self.read("memory.kmem.usage_in_bytes").trim().parse().unwrap_or(0),
        }
    }

    /// Faults so far for which a page had to be read, from swap or from a file.
    #[must_use]
    pub fn major_faults(&self) -> u64 {
        value_of(&self.read("memory.stat"), "pgmajfault")
    }

    fn limit_file(&self) -> PathBuf {
        self.folder.join(match self.hierarchy {
            Hierarchy::Unified => "memory.max",
            Hierarchy::Memory => "memory.limit_in_bytes",
        })
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel lets go of a group some time after its last process has ended.
        processes::wait_until(Duration::from_secs(2), || fs::remove_dir(&self.folder).is_ok());
    }
}

/// The hierarchy that controls memory, and the folder for groups of ours.
fn find() -> Result<(Hierarchy, PathBuf), String> {
    let unified = Path::new("/sys/fs/cgroup");
    let controllers = fs::read_to_string(unified.join("cgroup.subtree_control")).unwrap_or_default();
    if controllers.split_whitespace().any(|controller| controller == "memory") {
        return Ok((Hierarchy::Unified, unified.to_owned()));
    }
    let first = unified.join("memory");
    if first.join("memory.limit_in_bytes").exists() {
        return Ok((Hierarchy::Memory, first));
    }
    Err("no control group here can limit memory (`echo +memory > /sys/fs/cgroup/cgroup.subtree_control` may help)"
        .to_owned())
}

/// The number behind `key` in a file of `key number` lines; 0 where there is none.
fn value_of(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// Pages that the kernel has read from swap since the machine started.
#[must_use]
pub fn pages_swapped_in() -> u64 {
    value_of(&fs::read_to_string("/proc/vmstat").unwrap_or_default(), "pswpin")
}

/// The swap that is on, in the kernel's words.
///
/// # Errors
///
/// Where there is none: how to switch some on.
pub fn swap() -> Result<Vec<String>, String> {
    let text = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let on: Vec<String> =
        text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    if on.is_empty() {
        return Err("no swap is on; on a disk, and never on tmpfs or FUSE: `fallocate -l 256M /var/tmp/swap && chmod 600 /var/tmp/swap \
                    && mkswap /var/tmp/swap && swapon /var/tmp/swap`, afterwards `swapoff /var/tmp/swap && rm /var/tmp/swap`"
            .to_owned());
    }
    Ok(on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_key() {
        let text = "pgmajfault_extra 4\nkernel_stack 3\nkernel 12\npgmajfault 7\n";
        assert_eq!(["kernel", "pgmajfault", "pswpin"].map(|key| value_of(text, key)), [12, 7, 0]);
    }
}
