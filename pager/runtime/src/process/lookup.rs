//! Which file exec is to run: its name, whether it may be executed, and whether it can be paged. Errors are
//! those of execve(2), in its order.
//!
//! The kernel itself is asked whether a file may be executed (AT_EXECVE_CHECK, Linux 6.14): it knows of
//! permissions, of links that are not to be followed, and of files that somebody has open for writing. Older
//! kernels are asked in parts.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use pager_core::addr::PAGE_SIZE;
use pager_core::elf::{ElfError, HEADER_BYTES, Header, Program};

use crate::die::Line;
use crate::images;
use crate::memory::limits;
use crate::root;
use crate::sys::file::{self, AT_EMPTY_PATH, AT_EXECVE_CHECK, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Fd, Stat};
use crate::sys::{Errno, call, nr};

const FACCESSAT2: u64 = 439;
const FGETXATTR: u64 = 193;
const X_OK: u64 = 1;
const AT_EACCESS: u64 = 0x200;
const S_ISUID_OR_SGID: u16 = 0o6000;

/// Whether this kernel knows AT_EXECVE_CHECK, until it has said that it does not.
static CHECKS: AtomicBool = AtomicBool::new(true);

/// A file as execveat(2) names it: a directory, a path that ends in a zero byte and may be empty, and flags
/// about the path.
#[derive(Clone)]
pub struct Name {
    dir: i64,
    path: Vec<u8>,
    flags: u64,
}

/// What the kernel calls a process by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comm {
    /// The last part of the name that was executed.
    OfName,
    /// The name of the file itself: the program was named by a descriptor alone (Linux 6.14).
    OfFile,
}

impl Name {
    /// A name with what of `flags` is about the path. An absolute path has no directory, as for the kernel.
    pub fn new(dir: i64, path: Vec<u8>, flags: u64) -> Name {
        let dir = if path.first() == Some(&b'/') { AT_FDCWD } else { dir };
        Name { dir, path, flags: flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) }
    }

    /// A path, zero-terminated.
    pub fn of_path(path: Vec<u8>) -> Name {
        Name::new(AT_FDCWD, path, 0)
    }

    /// The path under the root that stands in its place, if something is there.
    pub fn under_root(self) -> Name {
        match root::under(self.text()) {
            Some(path) => Name { path, ..self },
            None => self,
        }
    }

    /// The path, without its zero byte.
    fn text(&self) -> &[u8] {
        &self.path[..self.path.len() - 1]
    }

    fn is_by_descriptor(&self) -> bool {
        self.dir != AT_FDCWD
    }

    /// What the program is told that it was executed by, and a script's interpreter finds it by;
    /// zero-terminated.
    pub fn filename(&self) -> Vec<u8> {
        if !self.is_by_descriptor() {
            return self.path.clone();
        }
        let line = Line::format(format_args!("/dev/fd/{}", self.dir));
        let slash: &[u8] = if self.text().is_empty() { b"" } else { b"/" };
        [line.as_bytes(), slash, &self.path].concat()
    }

    /// Where the file is, for messages and reports, zero-terminated; it is open as `fd`.
    pub fn place(&self, fd: Fd) -> Vec<u8> {
        if !self.is_by_descriptor() {
            return self.path.clone();
        }
        let mut path = images::path_of(fd);
        path.push(0);
        path
    }

    /// What the process is called by.
    pub fn comm(&self) -> Comm {
        let alone = self.is_by_descriptor() && self.text().is_empty();
        if alone && CHECKS.load(Ordering::Relaxed) { Comm::OfFile } else { Comm::OfName }
    }

    /// Whether an interpreter would not find a script of this name: the descriptor is closed when it is
    /// executed.
    pub fn closes(&self) -> bool {
        self.is_by_descriptor() && file::is_cloexec(Fd(self.dir as i32))
    }

    /// The call by which the kernel executes the file: execve where that is enough, as filters and tracers
    /// know it best.
    pub fn exec_call(&self, argv: *const u64, envp: *const u64) -> (u64, [u64; 6]) {
        let (path, argv, envp) = (self.path.as_ptr() as u64, argv as u64, envp as u64);
        if self.flags == 0 && (self.dir == AT_FDCWD || self.path.first() == Some(&b'/')) {
            (nr::EXECVE, [path, argv, envp, 0, 0, 0])
        } else {
            (nr::EXECVEAT, [self.dir as u64, path, argv, envp, self.flags, 0])
        }
    }

    /// Whether the file may be executed.
    ///
    /// # Errors
    /// As execve(2) up to the file's format: EACCES, ELOOP, ENOENT, ETXTBSY and so on.
    pub fn check(&self) -> Result<(), Errno> {
        if CHECKS.load(Ordering::Relaxed) {
            let argv = [self.path.as_ptr() as u64, 0];
            let flags = self.flags | AT_EXECVE_CHECK;
            match call!(
                nr::EXECVEAT,
                self.dir,
                self.path.as_ptr(),
                argv.as_ptr(),
                &argv[1] as *const u64,
                flags
            ) {
                Err(Errno::EINVAL) => CHECKS.store(false, Ordering::Relaxed),
                result => return result.map(drop),
            }
        }
        self.check_in_parts()
    }

    /// The same without AT_EXECVE_CHECK: for a thread whose tracer would take that call for exec, and for
    /// older kernels.
    ///
    /// # Errors
    /// As [`Name::check`].
    pub fn check_in_parts(&self) -> Result<(), Errno> {
        let stat = file::stat_at(self.dir, &self.path, self.flags)?;
        if stat.is_link() {
            return Err(Errno::ELOOP);
        }
        call!(FACCESSAT2, self.dir, self.path.as_ptr(), X_OK, AT_EACCESS | self.flags)?;
        if stat.is_regular() { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Opens the file, which [`Name::check`] has let pass, for reading.
    ///
    /// # Errors
    /// EACCES where it may be executed but not read, and what else open(2) says; ETXTBSY on kernels that have
    /// not been asked before.
    pub fn open(&self) -> Result<(Fd, Stat), Errno> {
        let open = || if self.text().is_empty() { self.reopen() } else { self.open_path() };
        // Without a lock first: the file may be one that this process serves.
        let fd = match open() {
            Err(Errno::EMFILE) => limits::with_descriptors(open),
            opened => opened,
        }?;
        let stat = file::stat_fd(fd);
        let busy = !CHECKS.load(Ordering::Relaxed) && file::is_open_for_writing(fd);
        match stat {
            Ok(stat) if !busy => Ok((fd, stat)),
            result => {
                file::close(fd);
                Err(result.err().unwrap_or(Errno::ETXTBSY))
            }
        }
    }

    fn open_path(&self) -> Result<Fd, Errno> {
        let nofollow = if self.flags & AT_SYMLINK_NOFOLLOW != 0 { file::O_NOFOLLOW } else { 0 };
        file::open_at(self.dir, &self.path, file::O_RDONLY | file::O_CLOEXEC | nofollow)
    }

    /// The file of a descriptor, which may be open for a path only.
    fn reopen(&self) -> Result<Fd, Errno> {
        let line = Line::format(format_args!("/proc/self/fd/{}\0", self.dir));
        match file::open(line.as_bytes(), file::O_RDONLY | file::O_CLOEXEC) {
            Err(Errno::ENOENT) => file::duplicate(Fd(self.dir as i32)),
            opened => opened,
        }
    }
}

/// Whether a file can be paged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// It can.
    Fit,
    /// It can only run natively: it is 32-bit, or gains privilege.
    Unfit,
    /// It is nothing that could run.
    NoProgram,
}

/// Whether the file that begins with `first` can be paged.
pub fn fitness(fd: Fd, stat: &Stat, first: &[u8]) -> Fitness {
    match Header::parse(&first[..first.len().min(HEADER_BYTES)], stat.size) {
        Ok(_) if gains_privilege(fd, stat) => Fitness::Unfit,
        Ok(_) => Fitness::Fit,
        Err(ElfError::Class32) => Fitness::Unfit,
        Err(_) => Fitness::NoProgram,
    }
}

/// By its mode or by file capabilities.
fn gains_privilege(fd: Fd, stat: &Stat) -> bool {
    let mut capability = [0u8; 64];
    let name = b"security.capability\0";
    let mut is_capable =
        || call!(FGETXATTR, fd.0, name.as_ptr(), capability.as_mut_ptr(), capability.len()).is_ok();
    stat.mode & S_ISUID_OR_SGID != 0 || is_capable()
}

/// Whether the program open at `fd`, `file_len` bytes long, which begins with `first`, has an interpreter
/// that could load it. What else is wrong with a program is found when it is loaded, as by the kernel.
///
/// # Errors
/// As execve(2) for the interpreter; ELIBBAD where it is no program.
pub fn check_interpreter(fd: Fd, first: &[u8], file_len: u64) -> Result<(), Errno> {
    let Ok(header) = Header::parse(&first[..first.len().min(HEADER_BYTES)], file_len) else { return Ok(()) };
    let table = part_of(fd, first, header.phoff, header.table_bytes())?;
    let interpreter = match Program::parse(header, &table, file_len) {
        Ok(program) => program.interpreter,
        Err(ElfError::Interpreter { .. } | ElfError::TableShort { .. }) => return Err(Errno::ENOEXEC),
        Err(_) => None,
    };
    let Some(place) = interpreter else { return Ok(()) };
    let path = part_of(fd, first, place.offset, place.len)?;
    if path.last() != Some(&0) {
        return Err(Errno::ENOEXEC);
    }
    let end = path.iter().position(|byte| *byte == 0).map_or(path.len(), |zero| zero + 1);
    let name = Name::of_path(path[..end].to_vec()).under_root();
    name.check()?;
    let Ok((interpreter, stat)) = name.open() else { return Ok(()) };
    let header = part_of(interpreter, &[], 0, HEADER_BYTES as u64);
    file::close(interpreter);
    let header = header?;
    if header.len() < HEADER_BYTES {
        return Err(Errno::EIO);
    }
    Header::parse(&header, stat.size).map(drop).map_err(|_| Errno::ELIBBAD)
}

/// `len` bytes of the file at `offset`, or up to its end; `first` are its first ones.
fn part_of(fd: Fd, first: &[u8], offset: u64, len: u64) -> Result<Vec<u8>, Errno> {
    let end = offset.saturating_add(len);
    if let Some(part) = first.get(offset as usize..end as usize) {
        return Ok(part.to_vec());
    }
    let mut part = alloc::vec![0u8; len.min(16 * PAGE_SIZE) as usize];
    let got = file::pread_all(fd, &mut part, offset)?;
    part.truncate(got);
    Ok(part)
}
