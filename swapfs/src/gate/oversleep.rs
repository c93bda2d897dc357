//! How late a thread wakes, so that it can ask to be woken that much earlier.

use crate::throttle::Nanos;

/// Less is not worth a sleep.
const LEAST: u64 = 10_000;
/// More is a busy machine, and spinning would make it busier.
const MOST: u64 = 100_000;
/// How far one observation moves the estimate down; nine times as far up, which settles where nine of ten are
/// below.
const STEP: u64 = 200;

/// What nine of ten wake-ups lately were late by, at most.
#[derive(Debug)]
pub(super) struct Oversleep(u64);

impl Default for Oversleep {
    fn default() -> Self {
        Oversleep(25_000)
    }
}

impl Oversleep {
    /// How much before a time to ask to be woken.
    pub(super) fn early(&self) -> Nanos {
        Nanos(self.0)
    }

    /// The thread woke that late.
    pub(super) fn woke(&mut self, late: Nanos) {
        self.0 = match late.0 > self.0 {
            true => self.0 + 9 * STEP,
            false => self.0 - STEP,
        }
        .clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_of_ten_are_below_and_neither_end_is_passed() {
        let settle = |lates: &[u64]| {
            let mut sleep = Oversleep::default();
            lates.iter().cycle().take(5000).for_each(|late| sleep.woke(Nanos(*late)));
            sleep.early().0
        };
        let mixed =
            settle(&[20_000, 25_000, 30_000, 35_000, 40_000, 45_000, 50_000, 55_000, 60_000, 500_000]);
        assert!((50_000..=70_000).contains(&mixed), "{mixed}");
        assert_eq!((settle(&[1]), settle(&[9_000_000])), (LEAST, MOST));
    }
}
