//! The textbook's description of demand paging, sentence by sentence: which code makes each true, which test
//! holds it to that, and what shows it. `docs/LIFE_OF_A_FAULT.md` is the same table.

use pager_core::area::{Area, Holding};
use pager_core::entry::Entry;
use pager_core::fault::Plan;
use serde::Serialize;

/// A sentence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Sentence {
    /// What the text says.
    pub text: &'static str,
    /// File of the code, and something that stands in it.
    pub code: (&'static str, &'static str),
    /// Test, as documents name it: `file::function`.
    pub test: &'static str,
    /// What shows it.
    pub command: &'static str,
}

const fn sentence(
    text: &'static str,
    code: (&'static str, &'static str),
    test: &'static str,
    command: &'static str,
) -> Sentence {
    Sentence { text, code, test, command }
}

/// The processor tells.
pub const REPORTED: Sentence = sentence(
    "The processor reports a page fault with the address and the kind of access.",
    ("pager/runtime/src/signals/arrive.rs", "fn page_fault"),
    "recording::every_event_says_who_when_and_where",
    "pager events FILE",
);
/// Areas are looked up.
pub const AREA: Sentence = sentence(
    "The area that covers the address is found in a balanced tree.",
    ("pager/core/src/area/tree.rs", "pub fn find"),
    "area_model::the_tree_says_what_the_model_says",
    "pager explain PID ADDRESS",
);
/// There is none.
pub const NO_AREA: Sentence = sentence(
    "There is no area: the address is illegal, and SIGSEGV is sent.",
    ("pager/core/src/fault.rs", "Plan::NoArea"),
    "guests::null_read",
    "pager explain PID 0",
);
/// The area forbids it.
pub const DENIED: Sentence = sentence(
    "There is an area, but the wrong kind of access: a memory error.",
    ("pager/core/src/fault.rs", "Plan::Denied"),
    "guests::write_text",
    "pager explain PID ADDRESS",
);
/// It is there.
pub const VALID: Sentence = sentence(
    "The page table entry is valid: the page is in memory, and the access simply succeeds.",
    ("pager/core/src/entry.rs", "Resident(Dirt, Option<SwapSlot>)"),
    "explain::answers_agree_with_the_kernel",
    "pager explain PID ADDRESS",
);
/// It was never there.
pub const EMPTY: Sentence = sentence(
    "The entry is empty: the page was never there, or can be made again from where it came from.",
    ("pager/core/src/entry.rs", "Empty,"),
    "explain::answers_agree_with_the_kernel",
    "pager explain PID ADDRESS",
);
/// It is in swap.
pub const SWAPPED: Sentence = sentence(
    "The entry is not empty but invalid: it says in which swap file the page is, and where.",
    ("pager/core/src/entry.rs", "Swapped(SwapSlot)"),
    "explain::answers_agree_with_the_kernel",
    "pager explain PID ADDRESS",
);
/// Areas differ.
pub const NOPAGE: Sentence = sentence(
    "Each kind of area has its own operation for a page that is not there.",
    ("pager/engine/src/fill.rs", "pub fn fill"),
    "guests::file_private",
    "pager run --stats text -- PROGRAM",
);
/// Zeros.
pub const ZEROS: Sentence = sentence(
    "The default operation makes a new page of zeros.",
    ("pager/engine/src/fill.rs", "fn fill_zero"),
    "recording::the_sums_of_the_events_are_those_of_the_report",
    "pager report FILE",
);
/// Images are mapped.
pub const IMAGE: Sentence = sentence(
    "An image is not read when a program starts: its pages come when they are touched.",
    ("pager/engine/src/fill.rs", "fn fill_image"),
    "report::every_form_tells_the_same_sums_as_the_run",
    "pager report FILE",
);
/// The page cache.
pub const PAGE_CACHE: Sentence = sentence(
    "A clean page of a file is the page cache's own, shared with everybody who uses the file.",
    ("pager/engine/src/map_through.rs", "map_through"),
    "guests::file_private",
    "pager run --stats text -- PROGRAM",
);
/// The swap cache.
pub const SWAP_CACHE: Sentence = sentence(
    "A page that came from swap keeps its slot until it is written to: evicted again it costs no write.",
    ("pager/core/src/entry.rs", "the swap cache"),
    "guests::random_access",
    "pager events FILE",
);
/// Write back.
pub const WRITE_BACK: Sentence = sentence(
    "A dirty page is written to the swap file before its frame is used again.",
    ("pager/engine/src/write_out.rs", "fn save"),
    "guests::random_access",
    "pager events FILE",
);
/// First write.
pub const UNPROTECT: Sentence = sentence(
    "A clean page is protected, so that the first write to it is seen; the write then makes it dirty.",
    ("pager/core/src/fault.rs", "Plan::Unprotect"),
    "recording::the_sums_of_the_events_are_those_of_the_report",
    "pager events FILE",
);
/// The instruction runs again.
pub const RESTART: Sentence = sentence(
    "The tables are updated, the translation is flushed, and the instruction is restarted.",
    ("pager/runtime/src/signals/arrive.rs", "None => clock::record_fault"),
    "guests::registers",
    "pager events FILE",
);

/// All of them, in the text's order.
pub const ALL: [Sentence; 15] = [
    REPORTED, AREA, NO_AREA, DENIED, VALID, EMPTY, SWAPPED, NOPAGE, ZEROS, IMAGE, PAGE_CACHE, SWAP_CACHE,
    WRITE_BACK, UNPROTECT, RESTART,
];

/// Those that apply to a touch of a page that is in this state, in order.
pub fn that_apply(area: Option<&Area>, entry: Entry, plan: Plan) -> Vec<Sentence> {
    if area.is_none() {
        return vec![REPORTED, NO_AREA];
    }
    let state = match entry {
        Entry::Resident(..) | Entry::Mapped(_) => VALID,
        Entry::Swapped(_) => SWAPPED,
        Entry::Empty | Entry::Zero | Entry::Guard | Entry::Busy(_) => EMPTY,
    };
    match plan {
        Plan::NoArea | Plan::Guarded => vec![REPORTED, AREA, NO_AREA],
        Plan::Denied => vec![REPORTED, AREA, DENIED],
        Plan::AlreadyThere if entry.slot().is_some() => vec![VALID, SWAP_CACHE],
        Plan::AlreadyThere if area.is_some_and(|area| area.holding != Holding::Private) => {
            vec![VALID, PAGE_CACHE]
        }
        Plan::AlreadyThere => vec![VALID, WRITE_BACK],
        Plan::KernelOwned => vec![],
        Plan::Unprotect => vec![REPORTED, AREA, state, UNPROTECT, RESTART],
        Plan::FillZero => vec![REPORTED, AREA, state, NOPAGE, ZEROS, RESTART],
        Plan::FillImage { .. } => vec![REPORTED, AREA, state, NOPAGE, IMAGE, RESTART],
        Plan::MapThrough => vec![REPORTED, AREA, state, NOPAGE, IMAGE, PAGE_CACHE, RESTART],
        Plan::SwapIn(_) => vec![REPORTED, AREA, state, SWAP_CACHE, RESTART],
        Plan::Wait => vec![REPORTED, AREA],
    }
}
