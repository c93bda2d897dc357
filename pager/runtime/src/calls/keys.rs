//! Futexes of a private mapping of a file that is only read: to the kernel such a page is the file's, unless
//! it is anonymous memory, where it sees no use in a futex and says EFAULT. A page that the runtime has
//! copied in from the file is anonymous.

use pager_core::addr::{PAGE_SIZE, VirtAddr};
use pager_core::area::{Backing, Holding, ImageId, Protection};

use crate::call::Call;
use crate::images::IMAGES;
use crate::space::SPACE;
use crate::sys::futex::{
    FUTEX_COMMAND, FUTEX_PRIVATE, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE, FUTEX_WAKE_BITSET,
};
use crate::sys::{file, nr};
use crate::user;

/// What to ask the kernel instead, once it has said EFAULT: for the same futex, known by its address. Other
/// processes that have the file mapped do not meet it there.
pub fn by_address(call: &Call) -> Option<Call> {
    let [word, operation, ..] = call.args;
    let waits_or_wakes =
        matches!(operation & FUTEX_COMMAND, FUTEX_WAIT | FUTEX_WAKE | FUTEX_WAIT_BITSET | FUTEX_WAKE_BITSET);
    let asked = u64::from(call.row.number) == nr::FUTEX && operation & FUTEX_PRIVATE == 0 && waits_or_wakes;
    if !asked || !is_copied(VirtAddr(word)) {
        return None;
    }
    let mut call = *call;
    call.args[1] |= FUTEX_PRIVATE;
    Some(call)
}

/// Whether the page is one of a file's that lies there as a copy. That it was never written to is told by its
/// contents: pages that are brought in for writing, ahead of a write, count as written to.
fn is_copied(at: VirtAddr) -> bool {
    let Some((image, offset)) = file_page(at) else { return false };
    let Some(fd) = IMAGES.lock().fd(image) else { return false };
    let mut kept = alloc::vec![0; PAGE_SIZE as usize];
    let mut there = kept.clone();
    let kept_read = file::pread_all(fd, &mut kept, offset).is_ok();
    kept_read && user::read(at.page().start().0, &mut there).is_ok() && there == kept
}

/// The place in its file of a private page that may only be read.
fn file_page(at: VirtAddr) -> Option<(ImageId, u64)> {
    let areas = SPACE.areas.read();
    let area = areas.find(at.page())?;
    let Backing::Image { image, offset, valid } = area.backing else { return None };
    let into = at.page().start().0 - area.range.start().start().0;
    let is_only_read =
        area.protection.contains(Protection::READ) && !area.protection.contains(Protection::WRITE);
    (area.holding == Holding::Private && is_only_read && into < valid).then_some((image, offset + into))
}
