//! Recording: what happens to pages, handed to the supervisor through a ring in the control file.
//!
//! Off unless the run was started with `--record`; then an event costs a look at the time stamp counter and
//! some fifty bytes of stores. It never waits and never fails: what finds no room in the ring is dropped and
//! counted there.
//!
//! Order: an event is noted by the thread that caused it, a fault when it is done. Where several threads run,
//! an eviction may therefore be noted before the fault that brought the page in.

use core::slice;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{Area, Backing};
use pager_core::entry::{Dirt, Entry};
use pager_core::fault::Plan;
use pager_core::shared::Control;
use pager_core::trace::ring::{Cell, Head, Raw, Ring};
use pager_core::trace::{Departure, FaultKind, What};

use crate::clock;
use crate::control;
use crate::images::IMAGES;
use crate::thread::Block;
use pager_engine::work::Fill;

/// Where the ring lies in this process; null while nothing is recorded. Set before the process has a second
/// thread, never changed.
static HEAD: AtomicPtr<Head> = AtomicPtr::new(core::ptr::null_mut());
/// How many cells follow the head.
static CELLS: AtomicUsize = AtomicUsize::new(0);

/// Takes note of where the ring is, if there is one. `control` is the start of the mapped control file.
pub fn learn(control: &Control) {
    let cells = control.settings.trace_cells.load(Ordering::Relaxed);
    if cells == 0 {
        return;
    }
    let offset = control.settings.trace_offset.load(Ordering::Relaxed) as usize;
    let head = (control as *const Control).cast::<u8>().wrapping_add(offset);
    CELLS.store(cells as usize, Ordering::Relaxed);
    HEAD.store(head.cast::<Head>().cast_mut(), Ordering::Release);
}

/// The ring, if events are recorded.
fn ring() -> Option<Ring<'static>> {
    let head = HEAD.load(Ordering::Relaxed);
    if head.is_null() {
        return None;
    }
    // SAFETY: (1) `learn` took the place from the supervisor's layout, which has room for a head and `CELLS`
    // cells there, aligned to 64 bytes; (2) the control file is mapped for as long as the process lives and
    // cannot shrink; (3) all of it is atomics.
    let (head, cells) =
        unsafe { (&*head, slice::from_raw_parts(head.add(1).cast::<Cell>(), CELLS.load(Ordering::Relaxed))) };
    Some(Ring::new(head, cells))
}

/// Whether events are recorded.
pub fn is_on() -> bool {
    !HEAD.load(Ordering::Relaxed).is_null()
}

/// The counter where something begins whose cost will be recorded; 0 where nothing is.
pub fn begin() -> u64 {
    if is_on() { clock::ticks() } else { 0 }
}

fn note(what: What) {
    let Some(ring) = ring() else { return };
    let pid = control::process().pid.load(Ordering::Relaxed);
    ring.put(&Raw { ticks: clock::ticks(), pid, tid: Block::current().own().tid, what });
}

/// A fault that was resolved; it began when the counter stood at `begin`.
pub fn fault(work: &Fill, begin: u64) {
    if !is_on() {
        return;
    }
    let kind = match work.plan {
        Plan::FillImage { .. } => FaultKind::Image,
        Plan::FillZero => FaultKind::Zero,
        Plan::SwapIn(_) => FaultKind::SwapIn,
        Plan::MapThrough => FaultKind::MapThrough,
        Plan::Unprotect => FaultKind::Protection,
        _ => return,
    };
    note(What::Fault {
        kind,
        access: work.access,
        touched: (work.page.0 - work.run.start().0) as u16,
        range: work.run,
        instruction: Block::current().own().instruction,
        cost_ns: clock::ticks().saturating_sub(begin),
    });
}

/// A run of pages that leave memory. Their entries are still busy.
pub fn evicted(range: PageRange, how: Departure) {
    note(What::Evict { how, range });
}

/// How a private page leaves that was `was` and will be `next`.
pub fn departure(was: Entry, next: Entry) -> Departure {
    match (was, next) {
        (Entry::Resident(Dirt::Clean, _), _) => Departure::Clean,
        (_, Entry::Zero) => Departure::Zero,
        _ => Departure::Written,
    }
}

/// The program gave up what was in these pages.
pub fn discarded(range: PageRange) {
    note(What::Discard { range });
}

/// What was in `range` is at `to` now.
pub fn moved(range: PageRange, to: PageNum) {
    note(What::Move { range, to });
}

/// A new area. The lock of the images must not be held.
pub fn mapped(area: &Area) {
    if !is_on() {
        return;
    }
    let image = match area.backing {
        Backing::Image { image, offset, .. } => Some((IMAGES.lock().row_number(image).0, offset / PAGE_SIZE)),
        Backing::Zero => None,
    };
    let purpose = area.role.into();
    note(What::Map { range: area.range, protection: area.protection, purpose, image });
}

/// This process was forked off `parent`.
pub fn forked(parent: u32) {
    note(What::Fork { parent });
}

/// This process begins to execute a program.
pub fn executed() {
    note(What::Exec);
}
