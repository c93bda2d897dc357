//! The FUSE protocol's own numbers and layouts (`include/uapi/linux/fuse.h`, version 7.31 and later), as far
//! as a ring needs them.
//!
//! A request is its header, its fixed arguments (`Fields`), and names or data. An answer is written from the
//! start of a buffer.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::filesystem::attr::Attr;
use crate::filesystem::{FileKind, Ino};
use crate::images::Space;
use crate::service::Entry;

/// Operations that are answered by name; all others are ENOSYS.
pub(super) mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const READLINK: u32 = 5;
    pub const SYMLINK: u32 = 6;
    pub const MKNOD: u32 = 8;
    pub const MKDIR: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const RMDIR: u32 = 11;
    pub const RENAME: u32 = 12;
    pub const LINK: u32 = 13;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const SETXATTR: u32 = 21;
    pub const GETXATTR: u32 = 22;
    pub const LISTXATTR: u32 = 23;
    pub const REMOVEXATTR: u32 = 24;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const CREATE: u32 = 35;
    pub const DESTROY: u32 = 38;
    pub const NOTIFY_REPLY: u32 = 41;
    pub const FALLOCATE: u32 = 43;
    pub const READDIRPLUS: u32 = 44;
    pub const RENAME2: u32 = 45;
    pub const LSEEK: u32 = 46;
}

/// Of `fuse_getattr_in`: a file handle is given.
pub(super) const GETATTR_FH: u32 = 1;
/// Of `fuse_setattr_in`: what is to be set.
pub(super) const FATTR_MODE: u32 = 1;
pub(super) const FATTR_UID: u32 = 2;
pub(super) const FATTR_GID: u32 = 4;
pub(super) const FATTR_SIZE: u32 = 8;

/// What is counted in for `statfs`, and told as the best size of reads.
const BLOCK_BYTES: u32 = 4096;
const LONGEST_NAME: u32 = 255;
const ATTR_BYTES: usize = 88;
const ENTRY_BYTES: usize = 40 + ATTR_BYTES;
const DIRENT_BYTES: usize = 24;

/// Numbers in the processor's own order at fixed places. Past the end there are zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn u32(self, at: usize) -> u32 {
        self.0.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
    }

    pub(super) fn u64(self, at: usize) -> u64 {
        self.0.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
    }
}

/// What is read of `struct fuse_in_header`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) opcode: u32,
    pub(super) ino: Ino,
    /// The client's thread.
    pub(super) tid: u32,
}

impl Header {
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let fields = Fields(bytes);
        Header { opcode: fields.u32(4), ino: Ino(fields.u64(16)), tid: fields.u32(32) }
    }
}

/// The name that stands first in what came with a request.
pub(super) fn name(input: &[u8]) -> &OsStr {
    OsStr::from_bytes(input.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// What is written to `/dev/fuse` to be sent a request of no effect (`NOTIFY_REPLY`): a wish for none of the
/// cached bytes of `file`, which must be a regular one that the kernel knows. Each call has a number of its
/// own, as the kernel finds requests by that.
pub(super) fn call(file: Ino, number: u64) -> [u8; 48] {
    const NOTIFY_RETRIEVE: u32 = 5;
    /// The kernel's own numbers count up from zero, by twos: the lowest bit marks interrupts.
    const FIRST: u64 = 1 << 62;
    let mut message = [0; 48];
    // `struct fuse_out_header`, whose unique 0 says that it is no answer, and
    // `struct fuse_notify_retrieve_out`.
    Answer::new(&mut message)
        .u32(48)
        .u32(NOTIFY_RETRIEVE)
        .u64(0)
        .u64(FIRST + 2 * number)
        .u64(file.0)
        .u64(0)
        .u32(0)
        .u32(0);
    message
}

/// Writes an answer from the start of `buffer`, which is longer than any that is written by fields.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    buffer: &'a mut [u8],
    bytes: usize,
}

impl<'a> Answer<'a> {
    pub(super) fn new(buffer: &'a mut [u8]) -> Self {
        Answer { buffer, bytes: 0 }
    }

    /// How many bytes it has.
    pub(super) fn len(self) -> usize {
        self.bytes
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.push(bytes);
        self
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.bytes + bytes.len();
        if let Some(place) = self.buffer.get_mut(self.bytes..end) {
            place.copy_from_slice(bytes);
            self.bytes = end;
        }
    }

    /// `struct fuse_attr_out`.
    pub(super) fn attr(self, entry: &Entry) -> Self {
        self.u64(entry.ttl.as_secs()).u32(entry.ttl.subsec_nanos()).u32(0).attributes(&entry.attr)
    }

    /// `struct fuse_entry_out`.
    pub(super) fn entry(self, entry: &Entry) -> Self {
        let Entry { attr, ttl } = entry;
        self.entry_head(attr.ino, *ttl).attributes(attr)
    }

    /// The same for a name that is not there: the kernel may believe that for so long.
    pub(super) fn no_entry(self, ttl: Duration) -> Self {
        self.entry_head(Ino(0), ttl).bytes(&[0; ATTR_BYTES])
    }

    fn entry_head(self, ino: Ino, ttl: Duration) -> Self {
        let (seconds, nanoseconds) = (ttl.as_secs(), ttl.subsec_nanos());
        self.u64(ino.0).u64(0).u64(seconds).u64(seconds).u32(nanoseconds).u32(nanoseconds)
    }

    /// `struct fuse_attr`.
    fn attributes(self, attr: &Attr) -> Self {
        let times = [attr.accessed, attr.modified, attr.changed].map(since_1970);
        let mode = kind_bits(attr.kind) | u32::from(attr.permissions);
        let head = self.u64(attr.ino.0).u64(attr.size_bytes).u64(attr.blocks_512);
        let seconds = times.iter().fold(head, |answer, (seconds, _)| answer.u64(*seconds as u64));
        let all = times.iter().fold(seconds, |answer, (_, nanoseconds)| answer.u32(*nanoseconds));
        all.u32(mode).u32(attr.links).u32(attr.uid).u32(attr.gid).u32(0).u32(BLOCK_BYTES).u32(0)
    }

    /// `struct fuse_open_out`.
    pub(super) fn opened(self, handle: u64, flags: u32) -> Self {
        self.u64(handle).u32(flags).u32(0)
    }

    /// `struct fuse_statfs_out`.
    pub(super) fn statfs(self, space: &Space) -> Self {
        let Space { total_bytes, free_bytes, files } = *space;
        let block = u64::from(BLOCK_BYTES);
        let (blocks, free) = (total_bytes.div_ceil(block), free_bytes / block);
        let counts = self.u64(blocks).u64(free).u64(free).u64(files).u64(0);
        counts.u32(BLOCK_BYTES).u32(LONGEST_NAME).u32(BLOCK_BYTES).bytes(&[0; 28])
    }
}

/// Writes names of a directory into `buffer` while there is room.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    buffer: &'a mut [u8],
    bytes: usize,
}

/// Whether a name went into a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    None,
}

/// One name as `struct fuse_dirent` has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) ino: Ino,
    pub(super) kind: FileKind,
    /// Where the listing goes on after it.
    pub(super) next: u64,
    pub(super) name: &'a OsStr,
}

impl<'a> Listing<'a> {
    pub(super) fn new(buffer: &'a mut [u8]) -> Self {
        Listing { buffer, bytes: 0 }
    }

    pub(super) fn len(self) -> usize {
        self.bytes
    }

    /// Adds a name without attributes.
    pub(super) fn add(&mut self, name: &Name) -> Room {
        self.put(name, 0, |answer| answer)
    }

    /// Adds a name with what a look-up of it says (`struct fuse_direntplus`); `None` says that it was not
    /// looked up.
    pub(super) fn add_plus(&mut self, name: &Name, entry: Option<&Entry>) -> Room {
        self.put(name, ENTRY_BYTES, |answer| match entry {
            Some(entry) => answer.entry(entry),
            None => answer.no_entry(Duration::ZERO),
        })
    }

    fn put(&mut self, name: &Name, head_bytes: usize, head: impl FnOnce(Answer) -> Answer) -> Room {
        let bytes = name.name.as_bytes();
        let end = self.bytes + (head_bytes + DIRENT_BYTES + bytes.len()).next_multiple_of(8);
        let Some(place) = self.buffer.get_mut(self.bytes..end) else { return Room::None };
        place.fill(0);
        let dirent = head(Answer::new(place)).u64(name.ino.0).u64(name.next);
        dirent.u32(bytes.len() as u32).u32(kind_bits(name.kind) >> 12).bytes(bytes);
        self.bytes = end;
        Room::Enough
    }
}

/// The file type as `st_mode` has it.
fn kind_bits(kind: FileKind) -> u32 {
    match kind {
        FileKind::Regular => 0o100_000,
        FileKind::Directory => 0o040_000,
        FileKind::Symlink => 0o120_000,
    }
}

/// Whole seconds, rounded down, and what is left.
fn since_1970(time: SystemTime) -> (i64, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = -i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanoseconds => (seconds - 1, 1_000_000_000 - nanoseconds),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_have_nanoseconds_that_count_upwards() {
        assert_eq!(since_1970(UNIX_EPOCH + Duration::new(5, 7)), (5, 7));
        assert_eq!(since_1970(UNIX_EPOCH - Duration::new(5, 0)), (-5, 0));
        assert_eq!(since_1970(UNIX_EPOCH - Duration::new(5, 7)), (-6, 999_999_993));
    }

    #[test]
    fn a_listing_stops_where_a_name_does_not_fit() {
        let mut buffer = [0xff; 72];
        let mut listing = Listing::new(&mut buffer);
        let name = |name| Name { ino: Ino(9), kind: FileKind::Directory, next: 1, name: OsStr::new(name) };
        assert_eq!(listing.add(&name("12345678")), Room::Enough);
        assert_eq!(listing.add(&name("123456789")), Room::Enough);
        assert_eq!(listing.add(&name("")), Room::None);
        assert_eq!(listing.len(), 72);
        assert_eq!(buffer[16..32], [[8, 0, 0, 0, 4, 0, 0, 0], *b"12345678"].concat()[..]);
        assert_eq!(buffer[64..], [b'9', 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn lengths_are_those_of_the_kernel() {
        let attr = Attr::regular(Ino(2), crate::filesystem::Owner { uid: 0, gid: 0 }, UNIX_EPOCH, 5);
        let entry = Entry { attr, ttl: Duration::from_secs(1) };
        let mut buffer = [0; 256];
        assert_eq!(Answer::new(&mut buffer).attr(&entry).len(), 104);
        assert_eq!(Answer::new(&mut buffer).entry(&entry).len(), 128);
        assert_eq!(Answer::new(&mut buffer).no_entry(Duration::ZERO).len(), 128);
        let space = Space { total_bytes: 1, free_bytes: 1, files: 1 };
        assert_eq!(Answer::new(&mut buffer).statfs(&space).len(), 80);
    }
}
