//! What is to be done about a fault, and how it ended.

use pager_core::addr::{PageNum, PageRange};
use pager_core::area::{Access, Area};
use pager_core::fault::Plan;

/// How a fault ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The page is there now: run the instruction again.
    Resolved,
    /// It had been there already.
    Spurious,
    /// The program has nothing at that address.
    NoArea,
    /// The program has laid a guard there.
    Guarded,
    /// The program may not do that.
    Denied,
    /// The contents cannot be had: past the end of the file, or an I/O error.
    Unreadable,
    /// An area of the kernel's.
    NotOurs,
}

/// What a fill is about. All pages of `run` are busy and owned by this thread.
pub struct Fill {
    /// What is to be done.
    pub plan: Plan,
    /// What the touch wants.
    pub access: Access,
    /// The area that the pages lie in.
    pub area: Area,
    /// The page that was touched.
    pub page: PageNum,
    /// The pages to bring in, `page` among them.
    pub run: PageRange,
}
