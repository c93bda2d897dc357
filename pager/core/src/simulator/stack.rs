//! LRU's misses for all capacities in one pass, after Mattson, Gecsei, Slutz and Traiger, "Evaluation
//! techniques for storage hierarchies", IBM Systems Journal 1970: a reference hits in every memory larger
//! than the number of other pages used since its page was.
//!
//! A page that is given up leaves a hole: room in every memory that held the page, but not the pages that had
//! to leave for it before. The next page that comes from further down, or from nowhere, fills the uppermost
//! hole, and leaves one where it was.
//!
//! Pages that come along with a missed one count as used at that moment, in every capacity. In a memory where
//! the reference hit they would not have come; so with readahead the curve is a little better than LRU
//! itself.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::steps::same_process;
use super::{Page, Step};

/// How many references there are by stack distance.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Distances {
    /// `at[d]`: references that hit in a memory of more than `d` pages, and in no smaller one.
    at: Vec<u64>,
    /// References to pages that were never used before, or given up since.
    cold: u64,
}

impl Distances {
    /// The distances in `steps`.
    pub fn of(steps: &[Step]) -> Distances {
        let mut stack =
            Stack { last: HashMap::new(), marks: Marks::new(room(steps)), holes: BTreeSet::new(), now: 0 };
        let mut distances = Distances::default();
        for step in steps {
            stack.step(step, &mut distances);
        }
        distances
    }

    /// Misses of a memory of `capacity` pages.
    pub fn misses(&self, capacity: usize) -> u64 {
        self.cold + self.at.iter().skip(capacity).sum::<u64>()
    }

    /// The smallest capacity in which only first references miss.
    pub fn working_set(&self) -> usize {
        self.at.len()
    }

    fn count(&mut self, distance: usize) {
        if self.at.len() <= distance {
            self.at.resize(distance + 1, 0);
        }
        self.at[distance] += 1;
    }
}

/// Moments that can be needed: one for each page of each reference.
fn room(steps: &[Step]) -> usize {
    let pages = |step: &Step| match *step {
        Step::Reference { count, .. } => count as usize + 1,
        Step::Move { count, .. } => count as usize,
        _ => 0,
    };
    // A move renews what is in memory only, which a bound of the references' number covers.
    let references: usize =
        steps.iter().filter(|step| matches!(step, Step::Reference { .. })).map(pages).sum();
    let moves = steps.iter().filter(|step| matches!(step, Step::Move { .. })).map(pages);
    references + moves.map(|pages| pages.min(references)).sum::<usize>()
}

struct Stack {
    /// When each page was last used.
    last: HashMap<Page, usize>,
    /// Moments that are some page's last, and holes.
    marks: Marks,
    /// Those that are holes.
    holes: BTreeSet<usize>,
    now: usize,
}

impl Stack {
    fn step(&mut self, step: &Step, distances: &mut Distances) {
        match *step {
            Step::Reference { page, first, count, .. } => {
                match self.last.get(&page) {
                    Some(&then) => distances.count(self.marks.after(then)),
                    None => distances.cold += 1,
                }
                for other in (0..u64::from(count)).map(|i| first.plus(i)).filter(|other| *other != page) {
                    self.use_now(other);
                }
                self.use_now(page);
            }
            Step::Forget { first, count } => self.forget_where(|page| page.0.wrapping_sub(first.0) < count),
            Step::ForgetAll { of } => self.forget_where(|page| same_process(page, of)),
            Step::Move { first, count, to } => {
                let mut moved: Vec<(usize, Page)> = self
                    .last
                    .iter()
                    .filter(|(page, _)| page.0.wrapping_sub(first.0) < count)
                    .map(|(page, &then)| (then, *page))
                    .collect();
                moved.sort_unstable();
                for (_, page) in moved {
                    self.forget(page);
                    self.use_now(to.plus(page.0 - first.0));
                }
            }
        }
    }

    fn use_now(&mut self, page: Page) {
        let then = self.last.insert(page, self.now);
        match (self.holes.last().copied(), then) {
            (Some(hole), None) => {
                self.holes.remove(&hole);
                self.marks.clear(hole);
            }
            (Some(hole), Some(then)) if hole > then => {
                self.holes.remove(&hole);
                self.marks.clear(hole);
                self.holes.insert(then);
            }
            (_, Some(then)) => self.marks.clear(then),
            (None, None) => {}
        }
        self.marks.set(self.now);
        self.now += 1;
    }

    fn forget(&mut self, page: Page) {
        if let Some(then) = self.last.remove(&page) {
            self.holes.insert(then);
        }
    }

    fn forget_where(&mut self, gone: impl Fn(Page) -> bool) {
        let pages: Vec<Page> = self.last.keys().copied().filter(|page| gone(*page)).collect();
        pages.into_iter().for_each(|page| self.forget(page));
    }
}

/// Marks that can be counted from a place on: a Fenwick tree.
struct Marks {
    sums: Vec<u32>,
    set: usize,
}

impl Marks {
    fn new(places: usize) -> Marks {
        Marks { sums: alloc::vec![0; places + 1], set: 0 }
    }

    fn add(&mut self, place: usize, change: u32) {
        let mut at = place + 1;
        while at < self.sums.len() {
            self.sums[at] = self.sums[at].wrapping_add(change);
            at += at & at.wrapping_neg();
        }
    }

    fn set(&mut self, place: usize) {
        self.add(place, 1);
        self.set += 1;
    }

    fn clear(&mut self, place: usize) {
        self.add(place, u32::MAX);
        self.set -= 1;
    }

    /// Marks behind `place`.
    fn after(&self, place: usize) -> usize {
        let (mut at, mut before) = (place + 1, 0);
        while at > 0 {
            before += self.sums[at] as usize;
            at &= at - 1;
        }
        self.set - before
    }
}
