//! Descriptors: the runtime's own are not the program's to close or replace.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use crate::call::{Call, raw};
use crate::control;
use crate::images::IMAGES;
use crate::lifeline;
use crate::own_descriptors;
use crate::program;
use crate::space;
use crate::swap;
use crate::sys::file::Fd;
use crate::sys::{Errno, nr};

const CLOSE_RANGE: u64 = 436;

/// Whether a call is about a descriptor of ours. To the program it is not there.
pub fn names_ours(number: u64, args: &[u64; 6]) -> bool {
    let named = |argument: &usize| is_ours(Fd(args[*argument] as i32));
    pager_core::calls::descriptors(number).iter().any(named)
}

/// Whether a descriptor is the runtime's.
pub fn is_ours(fd: Fd) -> bool {
    fd.0 >= own_descriptors::least()
        && (apart_from_images().any(|ours| ours == fd) || IMAGES.lock().holds(fd))
}

/// All of ours.
pub fn all() -> Vec<Fd> {
    let mut images = Vec::new();
    IMAGES.lock().descriptors(&mut images);
    apart_from_images().chain(images.into_iter().map(|fd| Fd(fd as i32))).collect()
}

fn apart_from_images() -> impl Iterator<Item = Fd> {
    of_the_run().chain([space::uffd()]).chain(lifeline::own()).chain(program::stand_in())
}

/// Descriptors that have the same number in all processes of the run.
pub fn of_the_run() -> impl Iterator<Item = Fd> {
    let runtime = Fd(control::settings().runtime_fd.load(Ordering::Relaxed) as i32);
    swap::descriptors()
        .chain([control::control_fd(), runtime])
        .chain(control::runtime_copy())
        .chain(control::userfault_device())
        .chain(lifeline::inherited())
}

/// close.
///
/// # Errors
/// EBADF for a descriptor of the runtime, as though it were not there.
pub fn close(fd: u64) -> Result<u64, Errno> {
    if is_ours(Fd(fd as i32)) {
        return Err(Errno::EBADF);
    }
    raw(nr::CLOSE, [fd, 0, 0, 0, 0, 0])
}

/// close_range, around the runtime's descriptors.
///
/// # Errors
/// As close_range(2).
pub fn close_range(first: u64, last: u64, flags: u64) -> Result<u64, Errno> {
    let (first, last) = (first as u32, last as u32);
    if first > last {
        return Err(Errno::EINVAL);
    }
    let mut ours: Vec<u32> = all().into_iter().map(|fd| fd.0 as u32).collect();
    ours.retain(|fd| (first..=last).contains(fd));
    ours.sort_unstable();
    let mut from = u64::from(first);
    for fd in ours.into_iter().map(u64::from).chain([u64::from(last) + 1]) {
        if from < fd {
            raw(CLOSE_RANGE, [from, fd - 1, flags, 0, 0, 0])?;
        }
        from = fd + 1;
    }
    Ok(0)
}

/// dup2 and dup3.
///
/// # Errors
/// EBADF where the new number is the runtime's.
pub fn duplicate(call: Call) -> Result<u64, Errno> {
    if is_ours(Fd(call.args[0] as i32)) || is_ours(Fd(call.args[1] as i32)) {
        return Err(Errno::EBADF);
    }
    raw(call.row.number.into(), call.args)
}
