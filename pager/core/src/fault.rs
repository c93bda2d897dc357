//! What a fault asks for: the classification, as data.
//!
//! Decides from what is known about a page; does nothing about it. The runtime acts on the [`Plan`] and,
//! where that took I/O, classifies again, because area and entry may have changed meanwhile.

use crate::addr::{PAGE_SIZE, PageNum, PageRange};
use crate::area::{Access, Area, Backing, Holding, ImageId, PageSource};
use crate::entry::{Dirt, Entry, SwapSlot};

/// What to do about a fault.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Plan {
    /// The program asked for no memory there: its own SIGSEGV, `SEGV_MAPERR`.
    NoArea,
    /// The program guards the page: as where there is no area.
    Guarded,
    /// The area does not allow this: the program's own SIGSEGV, `SEGV_ACCERR`.
    Denied,
    /// Another thread has done it meanwhile: just return. Again and again on one page it means that entry and
    /// kernel disagree.
    AlreadyThere,
    /// First write to a clean private page: it becomes dirty, its slot (if any) is given up, its write
    /// protection is lifted.
    Unprotect,
    /// Install zeros.
    FillZero,
    /// Read a page of a file into private memory.
    FillImage {
        /// The file.
        image: ImageId,
        /// File offset of the page's first byte.
        offset: u64,
        /// Bytes to read, 1 to 4096; the rest of the page is zeros.
        valid_bytes: u32,
    },
    /// Let the page of the file itself through.
    MapThrough,
    /// Read the slot.
    SwapIn(SwapSlot),
    /// Another thread is filling or evicting the page: wait for its entry to change, then classify again.
    Wait,
    /// Not ours: what the kernel said stands.
    KernelOwned,
}

/// Classifies an `access` to `page`, given the `area` that holds it, if any, and the page's `entry`.
///
/// Whether the access is allowed at all comes before what state the page is in: nobody waits for, or reads, a
/// page only to be refused. An area that is left to the kernel comes before both.
pub fn classify(area: Option<&Area>, page: PageNum, entry: Entry, access: Access) -> Plan {
    let Some(area) = area else { return Plan::NoArea };
    if matches!(area.holding, Holding::Kernel(_)) {
        return Plan::KernelOwned;
    }
    if !area.protection.allows(access) {
        return Plan::Denied;
    }
    match entry {
        Entry::Busy(_) => Plan::Wait,
        Entry::Swapped(slot) => Plan::SwapIn(slot),
        Entry::Resident(Dirt::Clean, _) if access == Access::Write && area.holding == Holding::Private => {
            Plan::Unprotect
        }
        Entry::Resident(..) | Entry::Mapped(_) => Plan::AlreadyThere,
        Entry::Guard => Plan::Guarded,
        Entry::Zero => Plan::FillZero,
        Entry::Empty if area.holding.lets_through() => Plan::MapThrough,
        Entry::Empty => match area.backing_at(page) {
            PageSource::Zero => Plan::FillZero,
            PageSource::Image { image, offset, valid_bytes } => {
                Plan::FillImage { image, offset, valid_bytes }
            }
        },
    }
}

/// The pages worth bringing in together with `page`: those of its aligned chunk of `chunk_pages` that lie in
/// the area and come from the same source, the image or zeros. Always contains `page`.
///
/// # Panics
/// In debug builds, for a page outside the area.
pub fn around(area: &Area, page: PageNum, chunk_pages: u64) -> PageRange {
    debug_assert!(area.range.contains(page), "{page:?} is not in {:?}", area.range);
    let chunk_pages = chunk_pages.max(1);
    let start = PageNum(page.0 - page.0 % chunk_pages);
    let chunk = PageRange::with_count(start, chunk_pages).and_then(|chunk| chunk.intersect(area.range));
    let near = chunk.and_then(|chunk| chunk.intersect(same_source(area, page)));
    near.filter(|near| near.contains(page)).unwrap_or(PageRange::single(page))
}

/// The pages of the area that, as `page`, hold bytes of the image, or, as `page`, hold none.
fn same_source(area: &Area, page: PageNum) -> PageRange {
    let Backing::Image { valid, .. } = area.backing else { return area.range };
    let image_end = PageNum(area.range.start().0.saturating_add(valid.div_ceil(PAGE_SIZE)));
    let side = if page < image_end {
        PageRange::new(area.range.start(), image_end)
    } else {
        PageRange::new(image_end, area.range.end())
    };
    side.unwrap_or(area.range)
}
