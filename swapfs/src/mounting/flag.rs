//! Mount options that the kernel keeps, whatever the file system.

use std::str::FromStr;

use rustix::mount::MountFlags;

/// One that can be asked for. `nosuid` and `nodev` hold in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountFlag {
    /// Nothing is executed from the mount.
    NoExec,
    /// Writes are through when they return. (Those to swap files are handed over as they come in any case.)
    Synchronous,
    /// The same for changes of directories.
    DirSync,
    /// Reading sets no times.
    NoAtime,
    /// The same for directories only.
    NoDirAtime,
    /// Reading sets times that are older than changes.
    RelAtime,
    /// Reading always sets times.
    StrictAtime,
    /// Times are kept in memory for a while.
    LazyTime,
    /// Symlinks are not followed.
    NoSymFollow,
}

/// Each with its name, by mount(8).
const NAMED: [(MountFlag, &str, MountFlags); 9] = [
    (MountFlag::NoExec, "noexec", MountFlags::NOEXEC),
    (MountFlag::Synchronous, "sync", MountFlags::SYNCHRONOUS),
    (MountFlag::DirSync, "dirsync", MountFlags::DIRSYNC),
    (MountFlag::NoAtime, "noatime", MountFlags::NOATIME),
    (MountFlag::NoDirAtime, "nodiratime", MountFlags::NODIRATIME),
    (MountFlag::RelAtime, "relatime", MountFlags::RELATIME),
    (MountFlag::StrictAtime, "strictatime", MountFlags::STRICTATIME),
    (MountFlag::LazyTime, "lazytime", MountFlags::LAZYTIME),
    // MS_NOSYMFOLLOW, Linux 5.10.
    (MountFlag::NoSymFollow, "nosymfollow", MountFlags::from_bits_retain(256)),
];

impl MountFlag {
    /// All of them.
    pub fn all() -> impl Iterator<Item = MountFlag> {
        NAMED.into_iter().map(|(flag, ..)| flag)
    }

    fn row(self) -> (&'static str, MountFlags) {
        // Each flag has a row: a test goes through them.
        NAMED
            .into_iter()
            .find(|(flag, ..)| *flag == self)
            .map_or(("", MountFlags::empty()), |(_, name, bits)| (name, bits))
    }

    /// What mount(8) calls it.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What mount(2) calls it.
    pub(super) fn bits(self) -> MountFlags {
        self.row().1
    }

    /// Whether `fusermount3` takes it from an ordinary user.
    pub(super) fn is_known_to_helper(self) -> bool {
        !matches!(self, MountFlag::LazyTime | MountFlag::RelAtime | MountFlag::StrictAtime)
    }
}

impl FromStr for MountFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = MountFlag::all().find(|flag| flag.name() == text);
        let known: Vec<&str> = MountFlag::all().map(MountFlag::name).collect();
        found.ok_or_else(|| format!("known are {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for flag in MountFlag::all() {
            assert_eq!(flag.name().parse(), Ok(flag));
            assert!(!flag.bits().is_empty());
        }
        assert!("exec".parse::<MountFlag>().is_err_and(|why| why.contains("noexec")));
    }
}
