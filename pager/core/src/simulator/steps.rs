//! From events to the steps of a reference string.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::addr::PageRange;
use crate::area::Access;
use crate::trace::{Event, FaultKind, What};

/// Bits of a page number within its process.
const PAGE_BITS: u32 = 40;

/// A page of a process of the run: the process's number in order of appearance, above the page number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Page(pub u64);

impl Page {
    /// The page `pages` further up.
    pub const fn plus(self, pages: u64) -> Page {
        Page(self.0 + pages)
    }
}

/// A step of a reference string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A thread needed `page`. Had it to be brought in, `count` pages from `first` on came together.
    Reference {
        /// The page.
        page: Page,
        /// First page of the run that was brought in.
        first: Page,
        /// Length of that run.
        count: u32,
        /// What it took when it was recorded.
        kind: FaultKind,
        /// What the thread wanted.
        access: Access,
    },
    /// The contents of these pages are of no use any more.
    Forget {
        /// First page.
        first: Page,
        /// How many.
        count: u64,
    },
    /// The contents of these pages have moved.
    Move {
        /// First page.
        first: Page,
        /// How many.
        count: u64,
        /// Where the first page is now.
        to: Page,
    },
    /// All that a process had is of no use any more.
    ForgetAll {
        /// Any page of the process.
        of: Page,
    },
}

/// Turns events into steps. Evictions and mappings are none: where a page is put is the policy's own matter.
#[derive(Default, Debug)]
pub struct Steps {
    processes: HashMap<u32, u64>,
}

impl Steps {
    /// The step that `event` is, if it is one.
    pub fn of(&mut self, event: &Event) -> Option<Step> {
        let known = self.processes.len() as u64;
        let base = *self.processes.entry(event.pid).or_insert(known) << PAGE_BITS;
        let first = |range: PageRange| Page(base | range.start().0);
        Some(match event.what {
            What::Fault { kind, access, touched, range, .. } => Step::Reference {
                page: first(range).plus(touched.into()),
                first: first(range),
                count: range.count() as u32,
                kind,
                access,
            },
            What::Discard { range } => Step::Forget { first: first(range), count: range.count() },
            What::Move { range, to } => {
                Step::Move { first: first(range), count: range.count(), to: Page(base | to.0) }
            }
            What::Exec => Step::ForgetAll { of: Page(base) },
            What::Evict { .. } | What::Map { .. } | What::Fork { .. } => return None,
        })
    }

    /// All steps of `events`.
    pub fn all(events: impl IntoIterator<Item = Event>) -> Vec<Step> {
        let mut steps = Steps::default();
        events.into_iter().filter_map(|event| steps.of(&event)).collect()
    }
}

/// Whether two pages are of the same process.
pub(super) fn same_process(a: Page, b: Page) -> bool {
    a.0 >> PAGE_BITS == b.0 >> PAGE_BITS
}
