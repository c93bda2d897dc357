//! What is mounted where, from the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The file system type under which our mounts are listed.
pub const FILE_SYSTEM: &str = "fuse.swapfs";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// The kernel's number for it; not given twice while it lasts.
    pub id: u64,
    /// The minor number of its device; of a FUSE mount, the number of its connection in
    /// `/sys/fs/fuse/connections`.
    pub device_minor: Option<u32>,
    /// Where it is.
    pub path: PathBuf,
    /// Its type, such as `ext4` or `fuse.swapfs`.
    pub file_system: String,
}

/// All mounts that this process sees; none if `/proc` is not there.
pub fn current() -> Vec<MountEntry> {
    parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default())
}

/// The mount that is on top at `path`, if `path` is a mount point.
pub fn on_top(mounts: &[MountEntry], path: &Path) -> Option<MountEntry> {
    mounts.iter().rev().find(|mount| mount.path == path).cloned()
}

/// Reads the text; lines that make no sense are left out.
pub fn parse(text: &[u8]) -> Vec<MountEntry> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = std::str::from_utf8(fields.nth(1)?).ok()?;
    let device_minor = device.split_once(':').and_then(|(_, minor)| minor.parse().ok());
    let path = PathBuf::from(OsString::from_vec(unescape(fields.nth(1)?)));
    let file_system = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(MountEntry {
        id,
        device_minor,
        path,
        file_system: String::from_utf8_lossy(file_system).into_owned(),
    })
}

/// Undoes the kernel's octal escapes (`\040` for a space).
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = (byte == b'\\').then(|| after.get(..3)).flatten();
        let value = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        text.push(value.unwrap_or(byte));
        rest = if value.is_some() { &after[3..] } else { after };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = b"22 1 8:1 / / rw,noatime - ext4 /dev/sda1 rw\n\
            30 22 0:5 / /mnt/a\\040b rw shared:7 master:2 - fuse.swapfs swapfs rw\nnonsense\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        let found = on_top(&mounts, Path::new("/mnt/a b")).unwrap();
        assert_eq!((found.id, found.device_minor, found.file_system.as_str()), (30, Some(5), "fuse.swapfs"));
        assert_eq!(on_top(&mounts, Path::new("/mnt")), None);
    }

    #[test]
    fn a_broken_escape_is_kept() {
        assert_eq!(unescape(b"a\\9x\\04"), b"a\\9x\\04");
    }
}
