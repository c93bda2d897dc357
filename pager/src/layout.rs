//! Where things lie in the control file.

use pager_core::shared::{Control, SWAP_FILES};
use pager_core::trace::ring::Ring;

use crate::size::PAGE_BYTES;

/// Cells of the ring for recorded events: a second's worth of 10^5 faults.
pub const TRACE_CELLS: u64 = 1 << 17;

/// Offsets of one swap file's map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwapMap {
    /// Pages of the swap file.
    pub pages: u64,
    /// Offset of the owner counts, one byte a page.
    pub owners_offset: u64,
    /// Offset of the checksums, four bytes a page.
    pub checksums_offset: u64,
}

/// The control file: a [`Control`], then for each swap file its owners and its checksums, then the ring for
/// recorded events, each part starting on a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Offset of the ring for recorded events; 0 where nothing is recorded.
    pub trace_offset: u64,
    /// Length of the file.
    pub bytes: u64,
    /// By swap file.
    pub swap: Vec<SwapMap>,
}

impl Layout {
    /// Lays out a file for swap files with `capacities` pages, at most [`SWAP_FILES`] of them, and a ring
    /// with `trace_cells` cells.
    ///
    /// `None` if there are too many, or if they are so large that offsets overflow.
    pub fn new(capacities: &[u64], trace_cells: u64) -> Option<Layout> {
        if capacities.len() > SWAP_FILES {
            return None;
        }
        let mut end = page_aligned(size_of::<Control>() as u64)?;
        let mut swap = Vec::with_capacity(capacities.len());
        for &pages in capacities {
            let owners_offset = end;
            let checksums_offset = page_aligned(owners_offset.checked_add(pages)?)?;
            end = page_aligned(checksums_offset.checked_add(pages.checked_mul(4)?)?)?;
            swap.push(SwapMap { pages, owners_offset, checksums_offset });
        }
        let trace_offset = if trace_cells == 0 { 0 } else { end };
        if trace_cells > 0 {
            end = page_aligned(end.checked_add(Ring::bytes(trace_cells))?)?;
        }
        (end <= i64::MAX as u64).then_some(Layout { bytes: end, swap, trace_offset })
    }
}

fn page_aligned(offset: u64) -> Option<u64> {
    offset.checked_next_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_swap_there_is_only_the_block() {
        let layout = Layout::new(&[], 0).expect("fits");
        assert!(layout.bytes >= size_of::<Control>() as u64);
        assert!(layout.swap.is_empty());
    }

    #[test]
    fn too_many_or_too_large_is_refused() {
        assert_eq!(Layout::new(&[16; SWAP_FILES + 1], 0), None);
        assert_eq!(Layout::new(&[u64::MAX], 0), None);
        assert_eq!(Layout::new(&[u64::MAX / 5, u64::MAX / 5], 0), None);
    }

    proptest::proptest! {
        #[test]
        fn parts_are_aligned_in_order_and_long_enough(capacities in proptest::collection::vec(1_u64..1 << 40, 0..=SWAP_FILES), cells in 0_u64..1 << 20) {
            let layout = Layout::new(&capacities, cells).expect("fits");
            let mut free_from = size_of::<Control>() as u64;
            for (map, &pages) in layout.swap.iter().zip(&capacities) {
                proptest::prop_assert_eq!(map.pages, pages);
                proptest::prop_assert_eq!((map.owners_offset % 4096, map.checksums_offset % 4096), (0, 0));
                proptest::prop_assert!(map.owners_offset >= free_from);
                proptest::prop_assert!(map.checksums_offset >= map.owners_offset + pages);
                free_from = map.checksums_offset + 4 * pages;
            }
            proptest::prop_assert_eq!(layout.trace_offset == 0, cells == 0);
            if cells > 0 {
                proptest::prop_assert!(layout.trace_offset >= free_from && layout.trace_offset.is_multiple_of(4096));
                free_from = layout.trace_offset + Ring::bytes(cells);
            }
            proptest::prop_assert!(layout.bytes >= free_from);
        }
    }
}
