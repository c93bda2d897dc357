//! Files and descriptors.

use super::{Errno, call, nr};

pub const AT_FDCWD: i64 = -100;
pub const AT_EMPTY_PATH: u64 = 0x1000;
pub const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
pub const AT_EXECVE_CHECK: u64 = 0x10000;
pub const O_RDONLY: u64 = 0;
pub const O_ACCMODE: u64 = 3;
pub const O_CREAT: u64 = 0o100;
pub const O_APPEND: u64 = 0o2000;
pub const O_NONBLOCK: u64 = 0o4000;
const O_ASYNC: u64 = 0o20000;
pub const O_NOFOLLOW: u64 = 0o400000;
pub const O_CLOEXEC: u64 = 0o2000000;
pub const O_PATH: u64 = 0o10000000;
const F_DUPFD: u64 = 0;
const F_GETFD: u64 = 1;
const F_SETFD: u64 = 2;
const F_GETFL: u64 = 3;
const F_SETFL: u64 = 4;
const F_SETLK: u64 = 6;
const F_SETOWN: u64 = 8;
const F_SETSIG: u64 = 10;
const F_DUPFD_CLOEXEC: u64 = 1030;
pub const RLIMIT_NOFILE: u64 = 7;
const RLIMIT_FSIZE: u64 = 1;
/// Where the limits do not reach up to where our descriptors belong, they are kept this close to them.
const HIGH_ROOM: u64 = 128;
/// The lowest number of our descriptors, where the limits let it.
pub const OWN_FROM: u64 = pager_core::shared::OWN_DESCRIPTORS as u64;

/// A descriptor number; not closed on drop, since some live as long as the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fd(pub i32);

/// What `statx` tells of a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    pub mode: u16,
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// Major number of the device that a special file stands for.
    pub special_major: u32,
}

/// What sort of file something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    Regular,
    Directory,
    Link,
    Pipe,
    Socket,
    Character,
    Block,
    /// Nothing of the file system's: a timer, a counter, a queue of events.
    Other,
}

impl Stat {
    pub fn kind(&self) -> Type {
        match self.mode & 0o170000 {
            0o010000 => Type::Pipe,
            0o020000 => Type::Character,
            0o040000 => Type::Directory,
            0o060000 => Type::Block,
            0o100000 => Type::Regular,
            0o120000 => Type::Link,
            0o140000 => Type::Socket,
            _ => Type::Other,
        }
    }

    pub fn is_regular(&self) -> bool {
        self.kind() == Type::Regular
    }

    pub fn is_link(&self) -> bool {
        self.kind() == Type::Link
    }

    /// Whether a read gives all that was asked for or the file's end, and never waits for somebody to write:
    /// files, block devices, `/dev/zero` and its like.
    pub fn reads_in_full(&self) -> bool {
        const MEMORY_DEVICES: u32 = 1;
        match self.kind() {
            Type::Regular | Type::Block => true,
            Type::Character => self.special_major == MEMORY_DEVICES,
            _ => false,
        }
    }
}

pub fn read(fd: Fd, into: &mut [u8]) -> Result<usize, Errno> {
    call!(nr::READ, fd.0, into.as_mut_ptr(), into.len()).map(|n| n as usize)
}

pub fn pread(fd: Fd, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
    call!(nr::PREAD64, fd.0, into.as_mut_ptr(), into.len(), offset).map(|n| n as usize)
}

/// Reads until `into` is full or the file ends; the bytes read.
pub fn pread_all(fd: Fd, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut done = 0;
    while done < into.len() {
        match pread(fd, &mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

pub fn pwrite_all(fd: Fd, from: &[u8], offset: u64) -> Result<(), Errno> {
    let mut done = 0;
    while done < from.len() {
        match call!(nr::PWRITE64, fd.0, from[done..].as_ptr(), from.len() - done, offset + done as u64) {
            Ok(0) => return Err(Errno::EIO),
            Ok(n) => done += n as usize,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

pub fn write(fd: Fd, from: &[u8]) -> Result<usize, Errno> {
    call!(nr::WRITE, fd.0, from.as_ptr(), from.len()).map(|n| n as usize)
}

/// Opens `path`, which must end in a zero byte.
pub fn open(path: &[u8], flags: u64) -> Result<Fd, Errno> {
    open_at(AT_FDCWD, path, flags)
}

/// Opens `path`, which must end in a zero byte, from directory `dir`.
pub fn open_at(dir: i64, path: &[u8], flags: u64) -> Result<Fd, Errno> {
    debug_assert_eq!(path.last(), Some(&0));
    call!(nr::OPENAT, dir, path.as_ptr(), flags, 0).map(|fd| Fd(fd as i32))
}

pub fn close(fd: Fd) {
    let _ = call!(nr::CLOSE, fd.0);
}

/// Reads a symbolic link; `path` must end in a zero byte.
pub fn readlink(path: &[u8], into: &mut [u8]) -> Result<usize, Errno> {
    call!(nr::READLINKAT, AT_FDCWD, path.as_ptr(), into.as_mut_ptr(), into.len()).map(|n| n as usize)
}

pub fn stat_fd(fd: Fd) -> Result<Stat, Errno> {
    statx(fd.0.into(), b"\0", AT_EMPTY_PATH)
}

/// `path` must end in a zero byte.
pub fn stat_path(path: &[u8]) -> Result<Stat, Errno> {
    statx(AT_FDCWD, path, 0)
}

/// `path` must end in a zero byte; `flags` are those of statx(2).
pub fn stat_at(dir: i64, path: &[u8], flags: u64) -> Result<Stat, Errno> {
    statx(dir, path, flags)
}

fn statx(dir: i64, path: &[u8], flags: u64) -> Result<Stat, Errno> {
    let mut buf = [0u64; 32];
    call!(nr::STATX, dir, path.as_ptr(), flags, 0x7ff, buf.as_mut_ptr())?;
    // Layout of struct statx: mode at 28, ino at 32, size at 40, rdev_major at 128, dev_major at 136,
    // dev_minor at 140.
    Ok(Stat {
        mode: (buf[3] >> 32) as u16,
        inode: buf[4],
        size: buf[5],
        device: buf[17],
        special_major: buf[16] as u32,
    })
}

/// Whether a descriptor is one of a `/proc`.
pub fn is_in_proc(fd: Fd) -> bool {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    of_file_system(fd) == Some(PROC_SUPER_MAGIC)
}

/// The kind of the file system that a descriptor is of, by its magic number.
fn of_file_system(fd: Fd) -> Option<u64> {
    const FSTATFS: u64 = 138;
    let mut told = [0u64; 15];
    call!(FSTATFS, fd.0, told.as_mut_ptr()).ok().map(|_| told[0])
}

/// Whether a descriptor is of a file in memory (tmpfs, memfd), which has its pages nowhere else.
pub fn is_in_memory(fd: Fd) -> bool {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    of_file_system(fd) == Some(TMPFS_MAGIC)
}

pub fn is_terminal(fd: Fd) -> bool {
    const TCGETS: u64 = 0x5401;
    let mut settings = [0u64; 8];
    call!(nr::IOCTL, fd.0, TCGETS, settings.as_mut_ptr()).is_ok()
}

pub fn status_flags(fd: Fd) -> Result<u64, Errno> {
    call!(nr::FCNTL, fd.0, F_GETFL, 0)
}

/// Locks one byte of a file for this process, which keeps it until it ends or closes any descriptor of the
/// file.
///
/// # Errors
/// What fcntl says.
pub fn lock_byte(fd: Fd, offset: u64) -> Result<(), Errno> {
    const F_WRLCK: u64 = 1;
    let lock = [F_WRLCK, offset, 1, 0];
    call!(nr::FCNTL, fd.0, F_SETLK, lock.as_ptr()).map(drop)
}

/// Locks all of a file for this process alone: until it closes the file, executes or ends.
///
/// # Errors
/// What fcntl says.
pub fn lock_for_writing(fd: Fd) -> Result<(), Errno> {
    const F_WRLCK: u64 = 1;
    // struct flock: kind and whence, start, length, process.
    let lock = [F_WRLCK, 0, 0, 0];
    call!(nr::FCNTL, fd.0, F_SETLK, lock.as_ptr()).map(drop)
}

pub fn empty(fd: Fd) {
    let _ = call!(nr::FTRUNCATE, fd.0, 0);
}

/// Has process `pid` get `signal` when `fd`, opened with O_NONBLOCK and nothing else, changes its state.
///
/// # Errors
/// What fcntl says.
pub fn signal_on_change(fd: Fd, pid: u32, signal: u32) -> Result<(), Errno> {
    call!(nr::FCNTL, fd.0, F_SETOWN, pid)?;
    call!(nr::FCNTL, fd.0, F_SETSIG, signal)?;
    call!(nr::FCNTL, fd.0, F_SETFL, O_NONBLOCK | O_ASYNC).map(drop)
}

/// Whether somebody has the file open for writing, which is open at `fd` for reading. Not known of files of
/// other users.
pub fn is_open_for_writing(fd: Fd) -> bool {
    const F_SETLEASE: u64 = 1024;
    const F_RDLCK: u64 = 0;
    const F_UNLCK: u64 = 2;
    match call!(nr::FCNTL, fd.0, F_SETLEASE, F_RDLCK) {
        Ok(_) => {
            let _ = call!(nr::FCNTL, fd.0, F_SETLEASE, F_UNLCK);
            false
        }
        Err(errno) => errno == Errno::EAGAIN,
    }
}

/// Whether exec closes it.
pub fn is_cloexec(fd: Fd) -> bool {
    call!(nr::FCNTL, fd.0, F_GETFD).is_ok_and(|flags| flags & 1 != 0)
}

pub fn set_cloexec(fd: Fd, on: u64) {
    let _ = call!(nr::FCNTL, fd.0, F_SETFD, on);
}

/// Moves a descriptor up to where programs do not look, closed on exec; the old number is free afterwards,
/// also where that fails. The limit is to be wide: see `memory::limits`.
pub fn move_high(fd: Fd) -> Result<Fd, Errno> {
    let high = duplicate_high(fd);
    close(fd);
    high
}

/// A high, close-on-exec duplicate. The limit is to be wide: see `memory::limits`.
pub fn duplicate_high(fd: Fd) -> Result<Fd, Errno> {
    duplicate_up(fd, F_DUPFD_CLOEXEC)
}

/// A high duplicate that exec inherits. The limit is to be wide: see `memory::limits`.
pub fn duplicate_inherited(fd: Fd) -> Result<Fd, Errno> {
    duplicate_up(fd, F_DUPFD)
}

fn duplicate_up(fd: Fd, command: u64) -> Result<Fd, Errno> {
    let limit = limit(RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft).min(1 << 20);
    let places = [OWN_FROM, limit.saturating_sub(HIGH_ROOM), limit / 2, 3];
    let mut result = Err(Errno::EMFILE);
    for least in places {
        result = call!(nr::FCNTL, fd.0, command, least).map(|fd| Fd(fd as i32));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// The lowest free duplicate, closed on exec.
pub fn duplicate(fd: Fd) -> Result<Fd, Errno> {
    call!(nr::FCNTL, fd.0, F_DUPFD_CLOEXEC, 0).map(|fd| Fd(fd as i32))
}

/// Makes `to` the same as `from`, closed on exec.
pub fn duplicate_onto(from: Fd, to: Fd) -> Result<(), Errno> {
    call!(292, from.0, to.0, O_CLOEXEC).map(drop)
}

/// Soft and hard limit.
///
/// # Errors
/// What prlimit64 says.
pub fn limit(which: u64) -> Result<(u64, u64), Errno> {
    let mut pair = [0u64; 2];
    call!(nr::PRLIMIT64, 0, which, 0, pair.as_mut_ptr())?;
    Ok((pair[0], pair[1]))
}

/// Sets both.
///
/// # Errors
/// What prlimit64 says.
pub fn set_limit(which: u64, (soft, hard): (u64, u64)) -> Result<(), Errno> {
    let pair = [soft, hard];
    call!(nr::PRLIMIT64, 0, which, pair.as_ptr(), 0).map(drop)
}

/// Soft limit on the size of files in bytes.
pub fn file_size_limit() -> u64 {
    limit(RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft)
}
