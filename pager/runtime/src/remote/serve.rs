//! The side that is asked for pages: by another process of the run, or by a call of this one.

use core::sync::atomic::{AtomicU64, Ordering};

use pager_core::addr::PageNum;
use pager_core::area::{Access, Holding};
use pager_core::remote::{Request, Right};

use crate::control;
use crate::memory::protect;
use crate::paging;
use crate::space::SPACE;
use pager_engine::work::Outcome;

/// A request that came in the middle of something, and its number; 0 for none. A later one takes its place:
/// who asked before asks again.
static KEPT: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Brings pages in, up to the first that cannot be had; whether the first one could. No lock may be held.
pub fn bring_in(request: &Request) -> bool {
    let is_there = |page: &PageNum| {
        if request.right == Right::Debugger && request.access == Access::Write && is_let_through(*page) {
            // Where the kernel cannot, the page stays as it is, and what was not to be written to is not.
            if protect::make_private_page(*page).is_err() {
                return false;
            }
        }
        paging::make_resident_by(page.start(), request.access, request.right) == Outcome::Resolved
    };
    request.pages.iter().take_while(is_there).count() > 0
}

/// Whether the page is one of a private mapping of a file, and the file's own.
fn is_let_through(page: PageNum) -> bool {
    SPACE.areas.read().find(page).is_some_and(|area| area.holding == Holding::MapThrough)
}

/// Answers a request. Called where the thread holds nothing of the runtime's.
pub fn answer(request: &Request, number: u64) {
    let is_there = bring_in(request);
    control::process().answered.store(number | u64::from(is_there), Ordering::SeqCst);
}

/// Keeps a request for [`answer_kept`].
pub fn keep(request: &Request, number: u64) {
    KEPT[0].store(request.pack(), Ordering::SeqCst);
    KEPT[1].store(number, Ordering::SeqCst);
}

/// Answers the request that was kept, if there is one: for threads that wait inside the runtime.
pub fn answer_kept() {
    let number = KEPT[1].swap(0, Ordering::SeqCst);
    if number != 0
        && let Some(request) = Request::unpack(KEPT[0].load(Ordering::SeqCst))
    {
        answer(&request, number);
    }
}
