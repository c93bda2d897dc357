//! Asking the kernel for what it can do, by doing it.
//!
//! Each probe leaves the process as it found it. They are for the start of a process with one thread.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

const PAGE: usize = 4096;
const UFFD_USER_MODE_ONLY: libc::c_int = 1;
const UFFD_API: u64 = 0xaa;
/// `_IO(0xAA, 0)`.
const USERFAULTFD_IOC_NEW: libc::c_ulong = 0xaa00;
const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const MADV_GUARD_INSTALL: libc::c_int = 102;
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
const PR_SET_SYSCALL_USER_DISPATCH: libc::c_int = 59;
const PR_SYS_DISPATCH_OFF: libc::c_ulong = 0;
const PR_SYS_DISPATCH_ON: libc::c_ulong = 1;

/// A page of our own, unmapped when dropped.
struct Page(*mut c_void);

impl Page {
    fn anonymous() -> io::Result<Page> {
        Page::map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    fn of_file(file: &File) -> io::Result<Page> {
        Page::map(libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd())
    }

    fn map(protection: i32, flags: i32, fd: i32) -> io::Result<Page> {
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        match unsafe { libc::mmap(ptr::null_mut(), PAGE, protection, flags, fd, 0) } {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            start => Ok(Page(start)),
        }
    }

    fn advise(&self, advice: i32) -> io::Result<()> {
        // SAFETY: the page is ours, and nobody reads or writes it.
        check(unsafe { libc::madvise(self.0, PAGE, advice) }.into()).map(drop)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the page is ours, and nobody reads or writes it.
        unsafe { libc::munmap(self.0, PAGE) };
    }
}

fn check(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The features (`UFFD_FEATURE_*`) of a userfaultfd for faults of user mode, which needs no privilege; from
/// `device` if that is given.
///
/// # Errors
///
/// `ENOSYS` or `EPERM` where there is none for us.
pub fn userfaultfd(device: Option<&File>) -> io::Result<u64> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | UFFD_USER_MODE_ONLY;
    // SAFETY: both make a descriptor, and touch no memory.
    let number = check(unsafe {
        match device {
            Some(device) => libc::ioctl(device.as_raw_fd(), USERFAULTFD_IOC_NEW, flags).into(),
            None => libc::syscall(libc::SYS_userfaultfd, flags),
        }
    })?;
    // SAFETY: the number was just made for us, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(number as i32) };
    let mut api = [UFFD_API, 0, 0];
    // SAFETY: the kernel reads and writes a `uffdio_api`: three 64-bit words.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_API, api.as_mut_ptr()) }.into())?;
    Ok(api[1])
}

/// A second thread, which ends at once.
///
/// # Errors
///
/// `EAGAIN` past a limit on processes, `EPERM` where a filter answers so.
pub fn thread() -> io::Result<()> {
    let thread = std::thread::Builder::new().spawn(|| ())?;
    // It does nothing that could panic.
    let _ = thread.join();
    Ok(())
}

/// Guard markers on private anonymous memory.
///
/// # Errors
///
/// `EINVAL` before Linux 6.13.
pub fn guard_anonymous() -> io::Result<()> {
    Page::anonymous()?.advise(MADV_GUARD_INSTALL)
}

/// Guard markers on a private mapping of a file.
///
/// # Errors
///
/// `EINVAL` before Linux 6.15.
pub fn guard_file() -> io::Result<()> {
    Page::of_file(&File::open("/proc/self/exe")?)?.advise(MADV_GUARD_INSTALL)
}

/// Dropping pages of several ranges in one call.
///
/// # Errors
///
/// `EBADF` or `EINVAL` before Linux 6.14.
pub fn process_madvise() -> io::Result<()> {
    const PIDFD_SELF_THREAD_GROUP: libc::c_long = -10001;
    let page = Page::anonymous()?;
    let range = libc::iovec { iov_base: page.0, iov_len: PAGE };
    let advice = libc::MADV_DONTNEED;
    // SAFETY: (1) one `iovec` is read; (2) it names a page of ours that nobody reads or writes.
    let done = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            PIDFD_SELF_THREAD_GROUP,
            &raw const range,
            1_usize,
            advice,
            0_u32,
        )
    };
    check(done).map(drop)
}

/// Trapping system calls in the thread that makes them.
///
/// # Errors
///
/// `EINVAL` before Linux 5.11 or where it is configured away.
pub fn syscall_user_dispatch() -> io::Result<()> {
    static ALLOW: u8 = 0;
    let set = |mode: libc::c_ulong, length: libc::c_ulong, selector: *const u8| {
        // SAFETY: (1) the selector is a static that always says "allow", so no call is trapped; (2) the
        // caller switches it off again.
        check(unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, 0_u64, length, selector) }.into())
    };
    set(PR_SYS_DISPATCH_ON, 0, &raw const ALLOW)?;
    set(PR_SYS_DISPATCH_OFF, 0, ptr::null()).map(drop)
}

/// Reading the state of page table entries in bulk.
///
/// # Errors
///
/// `ENOTTY` before Linux 6.7.
pub fn pagemap_scan() -> io::Result<()> {
    let page = Page::anonymous()?;
    let file = File::open("/proc/self/pagemap")?;
    let start = page.0 as u64;
    let mut scan = [0_u64; 12];
    scan[0] = size_of_val(&scan) as u64;
    scan[2] = start;
    scan[3] = start + PAGE as u64;
    // SAFETY: (1) the kernel reads and writes a `pm_scan_arg`: twelve 64-bit words; (2) its vector is null,
    // so nothing else is written.
    check(unsafe { libc::ioctl(file.as_raw_fd(), PAGEMAP_SCAN, scan.as_mut_ptr()) }.into()).map(drop)
}

/// Executing a file by its descriptor alone is asked for with a descriptor that is none.
///
/// # Errors
///
/// `ENOSYS` where there is no such call; `EBADF`, which shows that there is, is no error.
pub fn execveat() -> io::Result<()> {
    let vector: [*const libc::c_char; 1] = [ptr::null()];
    let vector = vector.as_ptr();
    // SAFETY: (1) the path is an empty C string, the vectors end in null; (2) with descriptor -1 nothing can
    // be executed.
    let result =
        unsafe { libc::syscall(libc::SYS_execveat, -1, c"".as_ptr(), vector, vector, libc::AT_EMPTY_PATH) };
    match check(result) {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(()),
        other => other.map(drop),
    }
}
