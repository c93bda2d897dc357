//! A set of pages that grows and shrinks by ranges.

use std::collections::BTreeMap;

use pager_core::addr::{PageNum, PageRange};

/// Pages that one word holds.
const WORD: u64 = 64;

/// A set of pages, as words of 64.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageSet {
    words: BTreeMap<u64, u64>,
    count: u64,
}

impl PageSet {
    /// How many pages are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether `page` is in it.
    #[cfg(test)]
    fn contains(&self, page: PageNum) -> bool {
        self.words.get(&(page.0 / WORD)).is_some_and(|word| word >> (page.0 % WORD) & 1 != 0)
    }

    /// Adds a range.
    pub fn insert(&mut self, range: PageRange) {
        for (key, mask) in masks(range) {
            let word = self.words.entry(key).or_default();
            self.count += u64::from((mask & !*word).count_ones());
            *word |= mask;
        }
    }

    /// Takes a range away; how many of its pages were in the set.
    pub fn remove(&mut self, range: PageRange) -> u64 {
        let (first, last) = (range.start().0 / WORD, (range.end().0 - 1) / WORD);
        let before = self.count;
        // A range may be far longer than what there is of the set.
        let keys: Vec<u64> = self.words.range(first..=last).map(|(key, _)| *key).collect();
        for key in keys {
            let mask = mask_of(key, range);
            if let Some(word) = self.words.get_mut(&key) {
                self.count -= u64::from((*word & mask).count_ones());
                *word &= !mask;
                if *word == 0 {
                    self.words.remove(&key);
                }
            }
        }
        before - self.count
    }

    /// Moves what is in `range` so that its first page is `to`.
    pub fn shift(&mut self, range: PageRange, to: PageNum) {
        let (first, last) = (range.start().0 / WORD, (range.end().0 - 1) / WORD);
        let bits = |(key, word): (&u64, &u64)| {
            let (key, word) = (*key, *word);
            (0..WORD).filter(move |bit| word >> bit & 1 != 0).map(move |bit| PageNum(key * WORD + bit))
        };
        let moved: Vec<PageNum> = self.words.range(first..=last).flat_map(bits).collect();
        let moved: Vec<PageNum> = moved.into_iter().filter(|page| range.contains(*page)).collect();
        self.remove(range);
        if let Some(target) = PageRange::with_count(to, range.count()) {
            self.remove(target);
        }
        for page in moved {
            self.insert(PageRange::single(PageNum(to.0.saturating_add(page.0 - range.start().0))));
        }
    }
}

fn masks(range: PageRange) -> impl Iterator<Item = (u64, u64)> {
    let (first, last) = (range.start().0 / WORD, (range.end().0 - 1) / WORD);
    (first..=last).map(move |key| (key, mask_of(key, range)))
}

/// The pages of `range` in word `key`, which it meets.
fn mask_of(key: u64, range: PageRange) -> u64 {
    let from = range.start().0.saturating_sub(key * WORD);
    let upto = (range.end().0 - key * WORD).min(WORD);
    let low = if upto == WORD { u64::MAX } else { (1 << upto) - 1 };
    low & (u64::MAX << from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((0u8..3, 0u64..300, 1u64..200, 0u64..300), 1..60)) {
            let (mut set, mut naive) = (PageSet::default(), BTreeSet::new());
            for (what, start, count, to) in steps {
                let range = PageRange::with_count(PageNum(start), count).expect("not empty");
                match what {
                    0 => {
                        set.insert(range);
                        naive.extend(start..start + count);
                    }
                    1 => {
                        let removed = set.remove(range);
                        let before = naive.len();
                        naive.retain(|page| !(start..start + count).contains(page));
                        prop_assert_eq!(removed, (before - naive.len()) as u64);
                    }
                    _ => {
                        set.shift(range, PageNum(to));
                        let moved: Vec<u64> = naive.range(start..start + count).map(|page| page - start + to).collect();
                        naive.retain(|page| !(start..start + count).contains(page) && !(to..to + count).contains(page));
                        naive.extend(moved);
                    }
                }
                prop_assert_eq!(set.count(), naive.len() as u64);
                for page in 0..600 {
                    prop_assert_eq!(set.contains(PageNum(page)), naive.contains(&page));
                }
            }
        }
    }
}
