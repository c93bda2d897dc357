//! Between the file system's types and fuser's.

use std::time::UNIX_EPOCH;

use fuser::{Errno, FileAttr, FileType, FopenFlags, INodeNo, OpenAccMode, OpenFlags};

use crate::filesystem::caching::OpenCaching;
use crate::filesystem::{Attr, FileKind, FsError};
use crate::service::{Access, DirectoryEntry};
use crate::store::Whence;

const BLOCK_BYTES: u32 = 4096;
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

pub(super) fn errno(error: &FsError) -> Errno {
    Errno::from_i32(error.errno())
}

pub(super) fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::Regular => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
    }
}

pub(super) fn file_attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino.0),
        size: attr.size_bytes,
        blocks: attr.blocks_512,
        atime: attr.accessed,
        mtime: attr.modified,
        ctime: attr.changed,
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: attr.permissions,
        nlink: attr.links,
        uid: attr.uid,
        gid: attr.gid,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

/// Number 0 tells the kernel that the name is not there, and that it may believe so for a while.
pub(super) fn no_such_file() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

/// A name in a listing whose attributes cannot be had now. A size beyond what a file can have makes the
/// kernel take over the name and the kind only (`fuse_invalid_attr`, since Linux 5.5), so that who asks for
/// the file looks it up, and gets the error. Number 0, which would say as much, cannot be given: fuser puts
/// the one number in both places, and programs pass over a name with that number.
pub(super) fn only_listed(entry: &DirectoryEntry) -> FileAttr {
    FileAttr { ino: INodeNo(entry.ino.0), kind: file_type(entry.kind), size: u64::MAX, ..no_such_file() }
}

const DIRECT: FopenFlags = FopenFlags::FOPEN_DIRECT_IO.union(FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES);

pub(super) fn fopen_flags(caching: OpenCaching) -> FopenFlags {
    match caching {
        OpenCaching::Direct => DIRECT,
        OpenCaching::DirectKeep => DIRECT | FopenFlags::FOPEN_KEEP_CACHE,
        OpenCaching::Keep => FopenFlags::FOPEN_KEEP_CACHE,
        OpenCaching::Drop => FopenFlags::empty(),
    }
}

pub(super) fn access(flags: OpenFlags) -> Access {
    match flags.acc_mode() {
        OpenAccMode::O_RDONLY => Access::Read,
        OpenAccMode::O_WRONLY | OpenAccMode::O_RDWR => Access::Write,
    }
}

/// The same of the flags as the kernel has them.
pub(super) fn open_access(flags: u32) -> Access {
    access(OpenFlags(flags as i32))
}

pub(super) fn whence(how: i32, offset: i64) -> Result<(Whence, u64), FsError> {
    let offset = u64::try_from(offset).map_err(|_| FsError::Invalid)?;
    match how {
        SEEK_DATA => Ok((Whence::Data, offset)),
        SEEK_HOLE => Ok((Whence::Hole, offset)),
        _ => Err(FsError::Invalid),
    }
}
