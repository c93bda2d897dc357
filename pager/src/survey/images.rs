//! Which pages of which files came in, when, and how often.

use std::collections::HashMap;
use std::fs;

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};

use super::model::Image;
use super::pages::PageSet;

/// Cells of a strip.
const CELLS: u64 = 200;
/// Files with a strip.
const SHOWN: usize = 60;

struct Tally {
    image: Image,
    seen: PageSet,
}

/// Strips in the making.
pub struct Images {
    tallies: HashMap<u16, Tally>,
}

impl Images {
    /// A strip for each file that pages came from: as long as the file, or as what was seen of it.
    pub fn new(pages_seen: &HashMap<u16, u64>, path: impl Fn(u16) -> String) -> Images {
        let tally = |(&number, &seen): (&u16, &u64)| {
            let path = path(number);
            let data = fs::metadata(&path).ok().filter(fs::Metadata::is_file);
            let pages = data.map_or(0, |data| data.len().div_ceil(PAGE_SIZE)).max(seen);
            let pages_per_cell = pages.div_ceil(CELLS).max(1);
            let cells = pages.div_ceil(pages_per_cell) as usize;
            let image = Image {
                path,
                pages,
                pages_in: 0,
                fills: 0,
                faults: 0,
                evicted: 0,
                pages_per_cell,
                cells: vec![0; cells],
                first_ns: vec![None; cells],
            };
            (number, Tally { image, seen: PageSet::default() })
        };
        Images { tallies: pages_seen.iter().map(tally).collect() }
    }

    /// A fault brought pages of a file in.
    pub fn filled(&mut self, image: u16, first: u64, count: u64, at: u64) {
        let Some(Tally { image, seen }) = self.tallies.get_mut(&image) else { return };
        if let Some(range) = PageRange::with_count(PageNum(first), count) {
            seen.insert(range);
        }
        image.faults += 1;
        image.fills += count;
        for page in first..first.saturating_add(count) {
            let cell = (page / image.pages_per_cell) as usize;
            if let (Some(count), Some(first)) = (image.cells.get_mut(cell), image.first_ns.get_mut(cell)) {
                *count = count.saturating_add(1);
                first.get_or_insert(at);
            }
        }
    }

    /// Pages of a file were dropped to make room.
    pub fn evicted(&mut self, image: u16, count: u64) {
        if let Some(tally) = self.tallies.get_mut(&image) {
            tally.image.evicted += count;
        }
    }

    /// Those with the most pages, the busiest first.
    pub fn finish(self) -> Vec<Image> {
        let whole = |tally: Tally| Image { pages_in: tally.seen.count(), ..tally.image };
        let mut images: Vec<Image> = self.tallies.into_values().map(whole).collect();
        images.sort_by(|a, b| (b.fills, &a.path).cmp(&(a.fills, &b.path)));
        images.truncate(SHOWN);
        images
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_each_time_and_once() {
        let mut images = Images::new(&HashMap::from([(4, 1000)]), |_| "/no/such/file".into());
        images.filled(4, 0, 16, 50);
        images.filled(4, 8, 16, 70);
        images.filled(9, 0, 1, 1);
        images.evicted(4, 3);
        let image = images.finish().remove(0);
        assert_eq!(
            (image.pages, image.pages_in, image.fills, image.faults, image.evicted),
            (1000, 24, 32, 2, 3)
        );
        assert_eq!((image.pages_per_cell, image.cells.len()), (5, 200));
        assert_eq!(image.cells[..6], [5, 7, 10, 6, 4, 0]);
        assert_eq!((image.first_ns[0], image.first_ns[4], image.first_ns[5]), (Some(50), Some(70), None));
    }
}
