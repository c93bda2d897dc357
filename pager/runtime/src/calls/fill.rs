//! Making the memory of a call resident, and keeping it so until the call is done.

use pager_core::addr::{PageNum, PageRange, VirtAddr};
use pager_core::area::{Access, Holding};
use pager_core::calls::{Direction, Fault, Span, UserMemory};
use pager_core::entry::{Dirt, Entry};
use pager_core::shared::count;

use crate::arena;
use crate::control;
use crate::space::SPACE;
use crate::thread::Block;
use crate::touch;
use crate::user;
use pager_engine::work::Outcome;

/// The program's memory for the table's expansion.
pub struct Memory;

impl UserMemory for Memory {
    fn read(&mut self, addr: u64, into: &mut [u8]) -> Result<(), Fault> {
        user::read(addr, into).map_err(|_| Fault { addr })
    }
}

/// Whether pages stay put for the length of the call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Pinned,
    Loose,
}

/// Makes what lies in areas of ours ready for the kernel; how many pages were not so before. What the program
/// itself may not touch is left for the kernel to refuse.
pub fn ready(block: &'static Block, span: Span, hold: Hold) -> u64 {
    if arena::reserves(span.addr, span.len) {
        return 0;
    }
    let Some(range) = PageRange::touching(VirtAddr(span.addr), span.len) else { return 0 };
    if hold == Hold::Pinned {
        block.pin(range);
    }
    let (mut page, mut brought) = (range.start(), 0);
    while page < range.end() {
        page = ready_page(page, range.end(), span.direction, &mut brought);
    }
    brought
}

/// Readies one page, and counts it in `brought` if it was not so before; the next one to look at, `end` at
/// most unless an area of the kernel's reaches further.
fn ready_page(page: PageNum, end: PageNum, direction: Direction, brought: &mut u64) -> PageNum {
    let entry = SPACE.table.existing(page).map_or(Entry::Empty, pager_core::table::EntryCell::load);
    match entry {
        Entry::Resident(Dirt::Dirty, _) => return page.plus(1),
        Entry::Resident(Dirt::Clean, _) | Entry::Mapped(_) if !direction.writes() => return page.plus(1),
        Entry::Mapped(_) if is_shared_for_writing(page) => return page.plus(1),
        _ => {}
    }
    let access = if direction.writes() { Access::Write } else { Access::Read };
    let mut outcome = touch::make_resident(page.start(), access);
    if outcome == Outcome::Denied && access == Access::Write {
        if entry.is_resident() {
            return page.plus(1);
        }
        // The kernel may only read after all, or answers EFAULT by itself.
        outcome = touch::make_resident(page.start(), Access::Read);
    }
    match outcome {
        Outcome::Resolved | Outcome::Spurious => {
            count(&control::counts().pages_for_calls, 1);
            *brought += 1;
            page.plus(1)
        }
        Outcome::NotOurs | Outcome::NoArea => behind(page, end),
        Outcome::Denied | Outcome::Guarded | Outcome::Unreadable => page.plus(1),
    }
}

/// Whether a page of the file itself may be written to.
fn is_shared_for_writing(page: PageNum) -> bool {
    let areas = SPACE.areas.read();
    areas
        .find(page)
        .is_some_and(|area| area.holding == Holding::SharedThrough && area.protection.allows(Access::Write))
}

/// Where, up to `end`, the next area begins behind the kernel's area or the hole that `page` lies in.
fn behind(page: PageNum, end: PageNum) -> PageNum {
    let areas = SPACE.areas.read();
    if let Some(area) = areas.find(page) {
        return area.range.end();
    }
    let next = PageRange::new(page, end).and_then(|rest| areas.overlapping(rest).next());
    next.map_or(end, |area| area.range.start())
}
