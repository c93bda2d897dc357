//! The five userfaultfd operations that the floors need (ioctl_userfaultfd(2)).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::region::{PAGE_BYTES, Region};

const UFFD_API: u64 = 0xaa;
const UFFDIO_API: u64 = 0xc018_aa3f;
const UFFDIO_REGISTER: u64 = 0xc020_aa00;
const UFFDIO_COPY: u64 = 0xc028_aa03;
const REGISTER_MODE_MISSING: u64 = 1;
const USER_MODE_ONLY: i32 = 1;
const FEATURE_SIGBUS: u64 = 1 << 7;

/// Who is told of a missing page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The toucher, by SIGBUS.
    Signal,
    /// Whoever reads the descriptor.
    Event,
}

#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
struct Copy {
    to: u64,
    from: u64,
    len: u64,
    mode: u64,
    copied: i64,
}

/// A userfaultfd, with `region` registered for missing pages.
///
/// # Panics
///
/// When the kernel refuses.
pub fn watch(region: &Region, notice: Notice) -> File {
    // SAFETY: the call takes flags only and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | USER_MODE_ONLY) };
    assert!(fd >= 0, "userfaultfd: {}", io::Error::last_os_error());
    // SAFETY: the descriptor is new and ours.
    let fd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor is an i32")) };
    let features = if notice == Notice::Signal { FEATURE_SIGBUS } else { 0 };
    let mut api = Api { api: UFFD_API, features, ioctls: 0 };
    // SAFETY: UFFDIO_API reads and writes one `Api`.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_API, &raw mut api) };
    assert_eq!(result, 0, "UFFDIO_API: {}", io::Error::last_os_error());
    let (start, len) = (region.address() as u64, region.bytes() as u64);
    let mut register = Register { start, len, mode: REGISTER_MODE_MISSING, ioctls: 0 };
    // SAFETY: UFFDIO_REGISTER reads and writes one `Register`; the range is a mapping of this process.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_REGISTER, &raw mut register) };
    assert_eq!(result, 0, "UFFDIO_REGISTER: {}", io::Error::last_os_error());
    File::from(fd)
}

/// Fills the page at `to` from the page at `from`. Async-signal-safe. Says whether it did.
///
/// # Safety
///
/// 1. `fd` is a userfaultfd with `to` registered for missing pages.
/// 2. `from` is the address of a readable page.
pub unsafe fn copy_page(fd: i32, to: usize, from: usize) -> bool {
    let mut copy = Copy { to: to as u64, from: from as u64, len: PAGE_BYTES as u64, mode: 0, copied: 0 };
    // SAFETY: (1) and (2): the kernel checks the rest, and reads and writes one `Copy`.
    unsafe { libc::ioctl(fd, UFFDIO_COPY, &raw mut copy) == 0 }
}
