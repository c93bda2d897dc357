//! userfaultfd, as far as the runtime needs it.
//!
//! A module of our own because the `userfaultfd` crate (0.9) lacks WP of ranges without a copy, mis-decodes
//! EAGAIN and needs std. Contract: ioctl_userfaultfd(2) and Documentation/admin-guide/mm/userfaultfd.rst.

use pager_core::addr::PAGE_SIZE;

use pager_engine::host::Install;

use super::file::{self, Fd};
use super::{Errno, call, nr};

const UFFD_API: u64 = 0xaa;
const UFFD_USER_MODE_ONLY: u64 = 1;
const UFFD_FEATURE_PAGEFAULT_FLAG_WP: u64 = 1;
const UFFD_FEATURE_SIGBUS: u64 = 1 << 7;
/// `_IO(0xAA, 0)` on the device.
const USERFAULTFD_IOC_NEW: u64 = 0xaa00;
const UFFDIO_API: u64 = 0xc018_aa3f;
const UFFDIO_REGISTER: u64 = 0xc020_aa00;
const UFFDIO_COPY: u64 = 0xc028_aa03;
const UFFDIO_WRITEPROTECT: u64 = 0xc018_aa06;
const UFFDIO_WAKE: u64 = 0x8010_aa02;
const UFFDIO_POISON: u64 = 0xc020_aa08;
const EVENT_PAGEFAULT: u8 = 0x12;
const PAGEFAULT_FLAG_WRITE: u64 = 1;
const PAGEFAULT_FLAG_WP: u64 = 2;
const REGISTER_MODE_MISSING: u64 = 1;
const REGISTER_MODE_WP: u64 = 2;
const COPY_MODE_DONTWAKE: u64 = 1;
const COPY_MODE_WP: u64 = 2;
const WRITEPROTECT_MODE_WP: u64 = 1;
const WRITEPROTECT_MODE_DONTWAKE: u64 = 2;

/// How a copy ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copied {
    /// All bytes are in place.
    All,
    /// A page was there already, after this many bytes.
    Present(u64),
}

/// How a fault makes itself known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// As SIGBUS to the thread that touched the page.
    Signal,
    /// As a message to be read from the descriptor; the thread sleeps until it is woken.
    Message,
}

/// A fault that was delivered as a message.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    pub address: u64,
    pub is_write: bool,
}

/// Opens a userfaultfd: from `device`, an open `/dev/userfaultfd`, if there is one.
///
/// # Errors
/// ENOSYS, EPERM or EINVAL where the kernel has no userfaultfd, denies it, or lacks a feature (Linux 5.7 for
/// write protection).
pub fn open(delivery: Delivery, device: Option<Fd>) -> Result<Fd, Errno> {
    let flags = file::O_CLOEXEC | UFFD_USER_MODE_ONLY;
    let fd = Fd(match device {
        Some(device) => call!(nr::IOCTL, device.0, USERFAULTFD_IOC_NEW, flags)?,
        None => call!(nr::USERFAULTFD, flags)?,
    } as i32);
    let signal = if delivery == Delivery::Signal { UFFD_FEATURE_SIGBUS } else { 0 };
    let mut api = [UFFD_API, signal | UFFD_FEATURE_PAGEFAULT_FLAG_WP, 0];
    if let Err(errno) = call!(nr::IOCTL, fd.0, UFFDIO_API, api.as_mut_ptr()) {
        file::close(fd);
        return Err(errno);
    }
    file::move_high(fd)
}

/// Puts a range of anonymous private memory under our care: missing pages and writes to protected ones fault.
pub fn register(fd: Fd, addr: u64, len: u64) -> Result<(), Errno> {
    let mut arg = [addr, len, REGISTER_MODE_MISSING | REGISTER_MODE_WP, 0];
    call!(nr::IOCTL, fd.0, UFFDIO_REGISTER, arg.as_mut_ptr()).map(drop)
}

/// Installs `len` bytes from `from` at `to` (both page-aligned lengths), atomically page by page.
///
/// # Errors
/// ENOENT where the range is not registered; ENOMEM.
pub fn copy(fd: Fd, to: u64, from: *const u8, len: u64, install: Install) -> Result<Copied, Errno> {
    match copy_once(fd, to, from, len, install) {
        // One area of ours may be several mappings of the kernel's, which a copy cannot cross.
        Err(Errno::ENOENT) if len > PAGE_SIZE => (0..len / PAGE_SIZE)
            .map(|page| {
                let at = page * PAGE_SIZE;
                copy_once(fd, to + at, from.wrapping_add(at as usize), PAGE_SIZE, install).map(|copied| {
                    match copied {
                        Copied::All => Copied::All,
                        Copied::Present(done) => Copied::Present(at + done),
                    }
                })
            })
            .find(|result| *result != Ok(Copied::All))
            .unwrap_or(Ok(Copied::All)),
        other => other,
    }
}

fn copy_once(fd: Fd, to: u64, from: *const u8, len: u64, install: Install) -> Result<Copied, Errno> {
    let mode = COPY_MODE_DONTWAKE | if install == Install::Protected { COPY_MODE_WP } else { 0 };
    let mut done = 0;
    while done < len {
        let mut arg = [to + done, from as u64 + done, len - done, mode, 0];
        let result = call!(nr::IOCTL, fd.0, UFFDIO_COPY, arg.as_mut_ptr());
        let copied = arg[4] as i64;
        match result {
            Ok(_) => return Ok(Copied::All),
            Err(Errno::EAGAIN) => done += copied.max(0) as u64,
            Err(Errno::EEXIST) => return Ok(Copied::Present(done)),
            Err(errno) => return Err(errno),
        }
    }
    Ok(Copied::All)
}

/// Sets or lifts the write protection of a range, all of it registered.
///
/// # Errors
/// ENOENT where a page of it is not registered.
pub fn protect(fd: Fd, addr: u64, len: u64, install: Install) -> Result<(), Errno> {
    match protect_once(fd, addr, len, install) {
        // Before Linux 6.4 a call must not cross from one mapping of the kernel's to the next: halves find
        // where the mappings end.
        Err(Errno::ENOENT) if len > PAGE_SIZE => {
            let half = (len / PAGE_SIZE / 2) * PAGE_SIZE;
            protect(fd, addr, half, install)?;
            protect(fd, addr + half, len - half, install)
        }
        other => other,
    }
}

fn protect_once(fd: Fd, addr: u64, len: u64, install: Install) -> Result<(), Errno> {
    // The kernel refuses DONTWAKE together with protecting, where nobody is woken anyway.
    let mode = if install == Install::Protected { WRITEPROTECT_MODE_WP } else { WRITEPROTECT_MODE_DONTWAKE };
    loop {
        let mut arg = [addr, len, mode];
        match call!(nr::IOCTL, fd.0, UFFDIO_WRITEPROTECT, arg.as_mut_ptr()) {
            Err(Errno::EAGAIN) => {}
            other => return other.map(drop),
        }
    }
}

/// Waits for a fault; `None` for a message about something else.
///
/// # Errors
/// What the read says.
pub fn next(fd: Fd) -> Result<Option<Message>, Errno> {
    // struct uffd_msg: event in the first byte, then flags and address of a page fault at 8 and 16.
    let mut message = [0u64; 4];
    call!(nr::READ, fd.0, message.as_mut_ptr(), size_of_val(&message))?;
    let is_fault = message[0] as u8 == EVENT_PAGEFAULT;
    let is_write = message[1] & (PAGEFAULT_FLAG_WRITE | PAGEFAULT_FLAG_WP) != 0;
    Ok(is_fault.then_some(Message { address: message[2], is_write }))
}

/// Lets the threads go on that sleep on a page.
pub fn wake(fd: Fd, page: u64) {
    let mut range = [page, PAGE_SIZE];
    let _ = call!(nr::IOCTL, fd.0, UFFDIO_WAKE, range.as_mut_ptr());
}

/// Makes touching a page a SIGBUS from now on.
///
/// # Errors
/// EINVAL before Linux 6.6; EEXIST, ENOENT and the like where the page is there after all, or its mapping is
/// gone.
pub fn poison(fd: Fd, page: u64) -> Result<(), Errno> {
    let mut arg = [page, PAGE_SIZE, 0, 0];
    call!(nr::IOCTL, fd.0, UFFDIO_POISON, arg.as_mut_ptr()).map(drop)
}
