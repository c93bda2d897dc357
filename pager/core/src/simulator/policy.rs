//! What every policy of the simulator is asked.

use alloc::vec::Vec;

use super::Page;
use crate::replacement::Install;

/// What a policy does. It holds at most as many pages as its capacity says, and knows nothing of what is in
/// them.
pub trait Policy {
    /// A thread used `page`, if it is in memory: whether it is.
    fn touch(&mut self, page: Page) -> bool;

    /// Makes room for `pages` more, one of which is `missed`; what has to go is appended to `out`.
    fn make_room(&mut self, pages: usize, missed: Page, out: &mut Vec<Page>);

    /// Brings in `page`, which is not in memory; there is room.
    fn insert(&mut self, page: Page, how: Install);

    /// The contents of `page` are of no use any more.
    fn forget(&mut self, page: Page);
}
