//! Pages that are handled together.

use pager_core::addr::PageNum;
use pager_core::entry::Entry;
use pager_core::replacement::LARGEST_BATCH;

/// Most pages that leave, or are brought in, in one go.
pub const BATCH: usize = LARGEST_BATCH as usize;

/// A page on its way out. Its entry is busy.
#[derive(Clone, Copy)]
pub(crate) struct Victim {
    pub page: PageNum,
    /// What its entry said before.
    pub was: Entry,
}
