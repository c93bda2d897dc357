//! What a process has mapped where, as its recorded mappings tell it.

use std::collections::BTreeMap;

use pager_core::addr::{PageNum, PageRange};
use pager_core::trace::Use;

/// Pages by which a stack or a mapping may have grown past its recorded end without an event of its own.
const GROWTH: u64 = 16 << 8;

/// Memory mapped in one go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// First page after it.
    pub end: u64,
    /// Number of the file and its page at the area's start; `None` for zeros.
    pub image: Option<(u16, u64)>,
    /// What it is for.
    pub purpose: Use,
}

/// Where a page belongs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Place {
    /// To a file: its number, and the page in it.
    Image(u16, u64),
    /// To no file.
    Anonymous(Anonymous),
}

/// Memory without a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Anonymous {
    /// The brk heap.
    Heap,
    /// The first thread's stack.
    Stack,
    /// What a program's file brings of zeros.
    Bss,
    /// What the program mapped, by the first page.
    Mapping(u64),
    /// Mapped before the recording began, or its mapping was dropped.
    Unknown,
}

/// The areas of one process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    areas: BTreeMap<u64, Area>,
}

impl Layout {
    /// Maps `range`; what was there is gone.
    pub fn map(&mut self, range: PageRange, image: Option<(u16, u64)>, purpose: Use) {
        self.unmap(range);
        self.areas.insert(range.start().0, Area { end: range.end().0, image, purpose });
    }

    /// Moves what is in `range` so that its first page is `to`.
    pub fn shift(&mut self, range: PageRange, to: PageNum) {
        let moved = self.unmap(range);
        if let Some(target) = PageRange::with_count(to, range.count()) {
            self.unmap(target);
        }
        for (start, area) in moved {
            let start_there = to.0.saturating_add(start - range.start().0);
            self.areas
                .insert(start_there, Area { end: start_there.saturating_add(area.end - start), ..area });
        }
    }

    /// Where `page` belongs. A page that no recorded mapping covers belongs to the one that grew to it.
    pub fn place(&self, page: PageNum) -> Place {
        if let Some((start, area)) = self.below(page).filter(|(_, area)| page.0 < area.end) {
            return place_in(page, start, area);
        }
        let above = self.areas.range(page.0..).next().map(|(start, area)| (*start, *area));
        if above.is_some_and(|(start, area)| area.purpose == Use::Stack && start - page.0 < GROWTH) {
            return Place::Anonymous(Anonymous::Stack);
        }
        match self.below(page) {
            Some((start, area)) if page.0 - area.end < GROWTH && area.image.is_none() => {
                place_in(page, start, area)
            }
            _ => Place::Anonymous(Anonymous::Unknown),
        }
    }

    fn below(&self, page: PageNum) -> Option<(u64, Area)> {
        self.areas.range(..=page.0).next_back().map(|(start, area)| (*start, *area))
    }

    /// Takes a range away; the pieces of areas that were in it.
    fn unmap(&mut self, range: PageRange) -> Vec<(u64, Area)> {
        let (from, upto) = (range.start().0, range.end().0);
        let first = self.below(range.start()).filter(|(_, area)| area.end > from).map_or(from, |(at, _)| at);
        let met: Vec<(u64, Area)> =
            self.areas.range(first..upto).map(|(start, area)| (*start, *area)).collect();
        let mut pieces = Vec::new();
        for (start, area) in met {
            self.areas.remove(&start);
            if start < from {
                self.areas.insert(start, Area { end: from, ..area });
            }
            if area.end > upto {
                self.areas.insert(upto, later(start, area, upto));
            }
            let begin = start.max(from);
            pieces.push((begin, Area { end: area.end.min(upto), ..later(start, area, begin) }));
        }
        pieces
    }
}

/// The part of an area from `at` on.
fn later(start: u64, area: Area, at: u64) -> Area {
    Area { image: area.image.map(|(image, page)| (image, page.saturating_add(at - start))), ..area }
}

fn place_in(page: PageNum, start: u64, area: Area) -> Place {
    match (area.image, area.purpose) {
        (Some((image, first)), _) => Place::Image(image, first.saturating_add(page.0 - start)),
        (None, Use::Heap) => Place::Anonymous(Anonymous::Heap),
        (None, Use::Stack) => Place::Anonymous(Anonymous::Stack),
        (None, Use::Text | Use::Data) => Place::Anonymous(Anonymous::Bss),
        (None, Use::Mapping) => Place::Anonymous(Anonymous::Mapping(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, count: u64) -> PageRange {
        PageRange::with_count(PageNum(start), count).expect("not empty")
    }

    #[test]
    fn a_page_belongs_to_the_last_that_mapped_it() {
        let mut layout = Layout::default();
        layout.map(range(10, 10), Some((3, 100)), Use::Text);
        layout.map(range(14, 2), None, Use::Mapping);
        assert_eq!(layout.place(PageNum(12)), Place::Image(3, 102));
        assert_eq!(layout.place(PageNum(15)), Place::Anonymous(Anonymous::Mapping(14)));
        assert_eq!(
            layout.place(PageNum(17)),
            Place::Image(3, 107),
            "what is left behind a hole keeps its pages"
        );
        assert_eq!(layout.place(PageNum(5)), Place::Anonymous(Anonymous::Unknown));
    }

    #[test]
    fn what_moves_keeps_its_file() {
        let mut layout = Layout::default();
        layout.map(range(10, 4), Some((1, 7)), Use::Mapping);
        layout.shift(range(12, 2), PageNum(50));
        assert_eq!(layout.place(PageNum(51)), Place::Image(1, 10));
        assert_eq!(layout.place(PageNum(11)), Place::Image(1, 8));
        assert_ne!(layout.place(PageNum(13)), Place::Image(1, 10));
    }

    #[test]
    fn stacks_grow_down_and_heaps_up() {
        let mut layout = Layout::default();
        layout.map(range(1000, 4), None, Use::Heap);
        layout.map(range(1 << 20, 4), None, Use::Stack);
        assert_eq!(layout.place(PageNum((1 << 20) - 3)), Place::Anonymous(Anonymous::Stack));
        assert_eq!(layout.place(PageNum(1010)), Place::Anonymous(Anonymous::Heap));
    }
}
