//! Which faults belong to a sequential run, and how far ahead of it to fill.
//!
//! Pure: knows page numbers only. A fault right where a run was filled to doubles the run's window; a fault
//! anywhere else starts a new run with a window of one page, so random access costs nothing extra. Several
//! runs are followed at once, as a merge has several inputs.

use pager_core::addr::PageNum;

const RUNS: usize = 8;
/// Most pages filled by one fault.
pub const WINDOW: u64 = 16;
/// A fault this many pages behind the filled end still belongs to the run: the program skipped a little.
const SLACK: u64 = 2;

#[derive(Clone, Copy)]
struct Run {
    next: PageNum,
    window: u64,
}

/// The runs that one thread follows.
pub struct Streams {
    runs: [Run; RUNS],
    victim: usize,
}

impl Streams {
    /// No run yet.
    pub const fn none() -> Streams {
        Streams { runs: [Run { next: PageNum(u64::MAX), window: 0 }; RUNS], victim: 0 }
    }

    /// How many pages to fill from `page` on, the faulting one included.
    pub fn window(&mut self, page: PageNum) -> u64 {
        match self.runs.iter_mut().find(|run| page >= run.next && page.0 - run.next.0 <= SLACK) {
            Some(run) => {
                run.window = (run.window * 2).min(WINDOW);
                run.next = PageNum(u64::MAX);
                run.window
            }
            None => 1,
        }
    }

    /// Notes that `page` and what follows, up to `end`, was filled with `window`.
    pub fn filled(&mut self, end: PageNum, window: u64) {
        let slot = self.runs.iter().position(|run| run.next.0 == u64::MAX).unwrap_or_else(|| {
            self.victim = (self.victim + 1) % RUNS;
            self.victim
        });
        self.runs[slot] = Run { next: end, window: window.max(1) };
    }
}
