//! What faults cost, as the recording of a run tells it, and what another number of them would.

use pager_core::simulator::Misses;
use pager_core::trace::{Event, FaultKind, What};

/// Times of a recorded run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Costs {
    /// From its start to its end, in nanoseconds.
    pub elapsed_ns: u64,
    /// Faults by kind.
    pub faults: [u64; 5],
    /// Nanoseconds in them by kind, all threads together.
    pub fault_ns: [u64; 5],
    /// Threads that faulted.
    pub threads: usize,
}

/// What a fault costs beyond what the pager can see of it: the processor's exception, the signal, the return.
/// Measured once by the `faults` bench of `integration` as the time of a fault less what the pager counts.
const OUTSIDE_NS: u64 = 900;

impl Costs {
    /// The costs in `events` of a run that took `elapsed_ns`.
    pub fn of(events: impl Iterator<Item = Event>, elapsed_ns: u64) -> Costs {
        let (mut costs, mut threads) = (
            Costs { elapsed_ns, faults: [0; 5], fault_ns: [0; 5], threads: 0 },
            std::collections::HashSet::new(),
        );
        for event in events {
            if let What::Fault { kind, cost_ns, .. } = event.what {
                costs.faults[kind as usize] += 1;
                costs.fault_ns[kind as usize] += cost_ns + OUTSIDE_NS;
                threads.insert((event.pid, event.tid));
            }
        }
        costs.threads = threads.len();
        costs
    }

    /// Mean cost of a fault of `kind`, in nanoseconds.
    pub fn mean_ns(&self, kind: FaultKind) -> u64 {
        self.fault_ns[kind as usize].checked_div(self.faults[kind as usize]).unwrap_or(0)
    }

    /// What the run would have taken with `misses` instead of its own faults. The program's own time is what
    /// is left of the recorded run without its faults; where several threads fault at once they are taken to
    /// share the time evenly, which is a guess.
    pub fn elapsed_with(&self, misses: &Misses) -> u64 {
        let in_faults = |faults: &[u64; 5]| -> u64 {
            FaultKind::ALL.iter().map(|&kind| faults[kind as usize].saturating_mul(self.mean_ns(kind))).sum()
        };
        let share = self.threads.max(1) as u64;
        let own = self.elapsed_ns.saturating_sub(in_faults(&self.faults) / share);
        own + in_faults(&misses.by_kind) / share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pager_core::addr::{PageNum, PageRange};
    use pager_core::area::Access;

    fn swap_in(cost_ns: u64) -> Event {
        let range = PageRange::single(PageNum(1));
        let what = What::Fault {
            kind: FaultKind::SwapIn,
            access: Access::Read,
            touched: 0,
            range,
            instruction: 0,
            cost_ns,
        };
        Event { time_ns: 0, pid: 1, tid: 1, what }
    }

    #[test]
    fn fewer_faults_take_their_share_of_the_time_away() {
        let costs = Costs::of([9_100, 9_100].into_iter().map(swap_in), 100_000);
        assert_eq!((costs.mean_ns(FaultKind::SwapIn), costs.threads), (10_000, 1));
        let misses = |swap_ins| Misses { by_kind: [0, 0, swap_ins, 0, 0], ..Misses::default() };
        assert_eq!(costs.elapsed_with(&misses(2)), 100_000);
        assert_eq!(costs.elapsed_with(&misses(0)), 80_000);
        assert_eq!(costs.elapsed_with(&misses(5)), 130_000);
    }
}
