//! The areas of an address space, in order.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::addr::{PageNum, PageRange};
use crate::area::Area;

/// Why an area cannot be inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AreaError {
    /// Some of its pages belong to another area.
    #[error("pages {:#x}..{:#x} overlap the area {:#x}..{:#x}", wanted.start().0, wanted.end().0, existing.start().0, existing.end().0)]
    Overlap {
        /// The range of the area to be inserted.
        wanted: PageRange,
        /// The lowest area in its way.
        existing: PageRange,
    },
}

/// Disjoint areas by their first page.
///
/// Invariants, which every operation keeps:
/// 1. no two areas share a page;
/// 2. no area can be joined with the one that follows it: neighbours that can be one are one;
/// 3. no area has more valid bytes than it has bytes.
///
/// All operations are O(log n) in the number of areas plus the number of areas touched, except
/// [`AreaTree::free_gap`].
#[derive(Clone, Default, Debug)]
pub struct AreaTree {
    areas: BTreeMap<PageNum, Area>,
    pages: u64,
}

impl AreaTree {
    /// No areas. Does not allocate.
    pub const fn new() -> AreaTree {
        AreaTree { areas: BTreeMap::new(), pages: 0 }
    }

    /// The area that holds `page`.
    pub fn find(&self, page: PageNum) -> Option<&Area> {
        let (_, area) = self.areas.range(..=page).next_back()?;
        area.range.contains(page).then_some(area)
    }

    /// The nearest area that lies below `page` as a whole or holds it.
    pub fn below(&self, page: PageNum) -> Option<&Area> {
        self.areas.range(..=page).next_back().map(|(_, area)| area)
    }

    /// The parts of all areas that lie in `range`, ascending.
    pub fn overlapping(&self, range: PageRange) -> impl Iterator<Item = Area> + '_ {
        let first = self.find(range.start()).map_or(range.start(), |area| area.range.start());
        self.areas.range(first..range.end()).filter_map(move |(_, area)| area.clip(range))
    }

    /// Adds an area, joining it with its neighbours where they can be one.
    pub fn insert(&mut self, area: Area) -> Result<(), AreaError> {
        if let Some(existing) = self.first_whole(area.range) {
            return Err(AreaError::Overlap { wanted: area.range, existing: existing.range });
        }
        self.insert_free(area);
        Ok(())
    }

    /// Takes `range` away from whatever areas it meets, splitting them at its edges; the pieces taken away,
    /// ascending.
    pub fn remove(&mut self, range: PageRange) -> Vec<Area> {
        let mut taken = Vec::new();
        while let Some(whole) = self.first_whole(range) {
            self.take_whole(&whole);
            for rest in [
                PageRange::new(whole.range.start(), range.start()),
                PageRange::new(range.end(), whole.range.end()),
            ]
            .into_iter()
            .flatten()
            {
                // What is left beside the hole cannot be joined: the hole is on one side, the old neighbour
                // on the other.
                if let Some(piece) = whole.clip(rest) {
                    self.put(piece);
                }
            }
            taken.extend(whole.clip(range));
        }
        taken
    }

    /// Changes the attributes of all pages of `range` that belong to an area: `change` is called for each
    /// piece, ascending, and pieces are then joined again where they can be. Holes stay holes. The range of a
    /// piece is not `change`'s to alter: what it does to it is undone.
    pub fn update(&mut self, range: PageRange, mut change: impl FnMut(&mut Area)) {
        for mut piece in self.remove(range) {
            let range = piece.range;
            change(&mut piece);
            debug_assert_eq!(piece.range, range, "update must not move areas");
            piece.range = range;
            self.insert_free(piece);
        }
    }

    /// Whether every page of `range` belongs to an area.
    pub fn covers(&self, range: PageRange) -> bool {
        let mut reached = range.start();
        for piece in self.overlapping(range) {
            if piece.range.start() != reached {
                return false;
            }
            reached = piece.range.end();
        }
        reached == range.end()
    }

    /// The lowest `count` pages in a row inside `within` that belong to no area. O(log n + areas passed on
    /// the way up).
    pub fn free_gap(&self, count: u64, within: PageRange) -> Option<PageRange> {
        let mut start = within.start();
        for piece in self.overlapping(within) {
            if piece.range.start().0 - start.0 >= count {
                break;
            }
            start = piece.range.end();
        }
        PageRange::with_count(start, count).filter(|gap| gap.end() <= within.end())
    }

    /// Number of areas.
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Whether there is no area.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// Number of pages in all areas.
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// All areas, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Area> + '_ {
        self.areas.values()
    }

    /// The lowest area that meets `range`, unclipped.
    fn first_whole(&self, range: PageRange) -> Option<Area> {
        let last_below = self.find(range.start());
        last_below
            .or_else(|| self.areas.range(range.start()..range.end()).next().map(|(_, area)| area))
            .copied()
    }

    /// Adds an area where no page is taken, joining it with its neighbours.
    fn insert_free(&mut self, area: Area) {
        let Some(mut area) = area.clip(area.range) else { return };
        let below = self.areas.range(..area.range.start()).next_back().map(|(_, below)| *below);
        if let Some((below, joined)) = below.and_then(|below| Some((below, below.joined(&area)?))) {
            self.take_whole(&below);
            area = joined;
        }
        let above = self.areas.get(&area.range.end()).copied();
        if let Some((above, joined)) = above.and_then(|above| Some((above, area.joined(&above)?))) {
            self.take_whole(&above);
            area = joined;
        }
        self.put(area);
    }

    fn put(&mut self, area: Area) {
        self.pages += area.range.count();
        let before = self.areas.insert(area.range.start(), area);
        debug_assert!(before.is_none(), "two areas start at {:?}", area.range.start());
    }

    fn take_whole(&mut self, area: &Area) {
        if self.areas.remove(&area.range.start()).is_some() {
            self.pages -= area.range.count();
        }
    }
}
