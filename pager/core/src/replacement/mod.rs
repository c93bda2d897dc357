//! Which resident page goes next.
//!
//! Private anonymous memory tells user space of no references, only of misses: a page that is in memory is
//! used unseen. So every policy here is made of first-in-first-out queues, and what tells a page in use from
//! one that is not is how soon it is missed after it went: a memory of pages that are gone, their *ghosts*.
//!
//! A policy holds page numbers and nothing else. It does not know areas, entries or slots, evicts nothing
//! itself and takes no lock; the caller asks for victims, and gives back those that cannot go. Tracked pages
//! cost at most 16 bytes each, ghosts included, and 32 KiB in all (see [`Policy::memory_bytes`]), every
//! operation is O(1) amortised for each page, and a page is tracked once, however often it is installed.

mod fifo;
mod ghosts;
mod ledger;
mod two_queue;

pub use fifo::Fifo;
pub use two_queue::TwoQueue;

use alloc::vec::Vec;

use crate::addr::{PageNum, PageRange};

/// How a page came into memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Install {
    /// A thread missed it, for the first time as far as the caller knows.
    First,
    /// A thread missed it, and it had been evicted before: it came from swap.
    Refault,
    /// Nobody missed it: it came along with one that was (fault-around, readahead).
    Around,
}

/// A replacement policy.
pub trait Policy {
    /// `page` is in memory now. A page that the policy still tracks counts as a new one.
    fn installed(&mut self, page: PageNum, how: Install);

    /// Appends up to `wanted` pages to `out`, those to go first first, aligned clusters together where that
    /// costs little. They are tracked no more: the caller evicts each or gives it back
    /// ([`Policy::put_back`]). Fewer come out only if fewer are tracked.
    ///
    /// Tracked pages for which `resident` is false are dropped on the way. It must be true for one that is
    /// just being changed but will stay in memory, or that page is never evicted again.
    fn victims(&mut self, wanted: usize, resident: impl Fn(PageNum) -> bool, out: &mut Vec<PageNum>);

    /// A victim that could not go (it is pinned, or busy) is tracked again, as one that is in use. A caller
    /// that finds every victim pinned gets the same ones again, and has to bound its attempts by
    /// [`Policy::len`].
    fn put_back(&mut self, page: PageNum);

    /// The pages of `range` are gone or changed their meaning: unmapped, discarded, mapped anew. O(pages of
    /// the range or pages tracked, whichever are fewer).
    fn forget(&mut self, range: PageRange);

    /// Whether so many more pages are tracked than can be resident that it is time to [`Policy::sweep`].
    /// Never so for callers that [`Policy::forget`] all that is unmapped; for others O(1) to ask after each
    /// installation, and amortised O(1) to act upon.
    fn overgrown(&self) -> bool;

    /// Drops every page for which `resident` is false, as [`Policy::victims`] does.
    fn sweep(&mut self, resident: impl Fn(PageNum) -> bool);

    /// Number of tracked pages.
    fn len(&self) -> usize;

    /// Whether no page is tracked.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of heap memory in use for queues, index and ghosts.
    fn memory_bytes(&self) -> usize;
}

/// The most pages that leave in one batch.
pub const LARGEST_BATCH: u64 = 64;

/// How many pages are asked for at once when `now` pages are resident, those that are about to come included,
/// and `cap` may be.
pub fn batch_of(now: u64, cap: u64) -> u64 {
    (cap / 16).clamp(1, LARGEST_BATCH).max(now.saturating_sub(cap).min(LARGEST_BATCH))
}

/// [`Policy::overgrown`] for `tracked` pages under a cap.
fn exceeds_twice(cap_pages: u64, tracked: usize) -> bool {
    tracked as u64 > cap_pages.saturating_mul(2).saturating_add(1024)
}

/// The policies by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum PolicyKind {
    /// [`Fifo`].
    Fifo = 0,
    /// [`TwoQueue`].
    TwoQueue = 1,
}

impl PolicyKind {
    /// The policy with this number; 2Q for any other.
    pub fn from_number(number: u32) -> PolicyKind {
        match number {
            0 => PolicyKind::Fifo,
            _ => PolicyKind::TwoQueue,
        }
    }
}

/// A policy chosen at run time.
#[derive(Debug)]
pub enum Replacement {
    /// First in, first out.
    Fifo(Fifo),
    /// Probation, protection and ghosts.
    TwoQueue(TwoQueue),
}

impl Replacement {
    /// A policy of `kind` for at most `cap_pages` resident pages.
    pub fn new(kind: PolicyKind, cap_pages: u64) -> Replacement {
        match kind {
            PolicyKind::Fifo => Replacement::Fifo(Fifo::new(cap_pages)),
            PolicyKind::TwoQueue => Replacement::TwoQueue(TwoQueue::new(cap_pages)),
        }
    }
}

/// Calls the same method of whichever policy it is.
macro_rules! delegate {
    ($self:ident, $policy:ident => $call:expr) => {
        match $self {
            Replacement::Fifo($policy) => $call,
            Replacement::TwoQueue($policy) => $call,
        }
    };
}

impl Policy for Replacement {
    fn installed(&mut self, page: PageNum, how: Install) {
        delegate!(self, policy => policy.installed(page, how))
    }

    fn victims(&mut self, wanted: usize, resident: impl Fn(PageNum) -> bool, out: &mut Vec<PageNum>) {
        delegate!(self, policy => policy.victims(wanted, resident, out))
    }

    fn put_back(&mut self, page: PageNum) {
        delegate!(self, policy => policy.put_back(page))
    }

    fn forget(&mut self, range: PageRange) {
        delegate!(self, policy => policy.forget(range))
    }

    fn overgrown(&self) -> bool {
        delegate!(self, policy => policy.overgrown())
    }

    fn sweep(&mut self, resident: impl Fn(PageNum) -> bool) {
        delegate!(self, policy => policy.sweep(resident))
    }

    fn len(&self) -> usize {
        delegate!(self, policy => policy.len())
    }

    fn memory_bytes(&self) -> usize {
        delegate!(self, policy => policy.memory_bytes())
    }
}
