//! What `stat` shows of a file, without FUSE's types.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An inode number, as clients see it. Never of two files at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);

/// The kinds of file that this file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// Attributes of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// Its inode number.
    pub ino: Ino,
    /// Its kind.
    pub kind: FileKind,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What it takes up, in units of 512 bytes.
    pub blocks_512: u64,
    /// Permission bits, without the kind.
    pub permissions: u16,
    /// Number of hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access.
    pub accessed: SystemTime,
    /// Last change of the contents.
    pub modified: SystemTime,
    /// Last change of the inode.
    pub changed: SystemTime,
}

impl Attr {
    /// A directory of ours, owned by the user who mounted.
    pub fn directory(ino: Ino, owner: Owner, when: SystemTime) -> Self {
        Attr { kind: FileKind::Directory, permissions: 0o755, links: 2, ..Attr::regular(ino, owner, when, 0) }
    }

    /// A regular file of ours, mode 0444.
    pub fn regular(ino: Ino, owner: Owner, when: SystemTime, size_bytes: u64) -> Self {
        Attr {
            ino,
            kind: FileKind::Regular,
            size_bytes,
            blocks_512: size_bytes.div_ceil(512),
            permissions: 0o444,
            links: 1,
            uid: owner.uid,
            gid: owner.gid,
            accessed: when,
            modified: when,
            changed: when,
        }
    }
}

/// Who owns the files that exist only here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A kernel timestamp as a `SystemTime`; times before 1970 count backwards.
pub fn system_time(seconds: i64, nanoseconds: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds >= 0 { UNIX_EPOCH.checked_add(whole) } else { UNIX_EPOCH.checked_sub(whole) };
    base.and_then(|time| time.checked_add(Duration::from_nanos(nanoseconds.into()))).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970() {
        assert_eq!(
            UNIX_EPOCH.duration_since(system_time(-2, 500_000_000)).unwrap(),
            Duration::from_millis(1500)
        );
        assert_eq!(system_time(i64::MIN, 0), system_time(i64::MIN, 0));
    }
}
