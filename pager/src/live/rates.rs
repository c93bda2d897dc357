//! What happened between two looks at a run, by second.

use std::time::Duration;

use crate::report::Report;
use crate::size::ByteSize;

/// Events a second, and levels at the second look.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct Rates {
    pub resident_bytes: u64,
    pub swap_bytes: u64,
    pub image: f64,
    pub zero: f64,
    pub swap_in: f64,
    pub protection: f64,
    pub pages_in: f64,
    pub evicted: f64,
    pub written: f64,
    /// Threads' time in faults, in parts of the time between the looks.
    pub in_faults: f64,
}

impl Rates {
    /// Names above the columns of [`Rates::line`].
    pub const HEAD: &str =
        " resident     swap  image/s   zero/s swapin/s  protect/s  evict/s  write/s  in faults\n";

    /// Those between two reports of one run. Counters that went back, which only a program that writes over
    /// them can bring about, count as nothing.
    pub fn between(before: &Report, now: &Report, took: Duration) -> Rates {
        let seconds = took.as_secs_f64().max(1e-3);
        let rate = |of: fn(&Report) -> u64| of(now).saturating_sub(of(before)) as f64 / seconds;
        Rates {
            resident_bytes: now.resident.resident_now_bytes,
            swap_bytes: now.swap.used_bytes,
            image: rate(|report| report.faults.image),
            zero: rate(|report| report.faults.zero),
            swap_in: rate(|report| report.faults.swap_in),
            protection: rate(|report| report.faults.protection),
            pages_in: rate(|report| report.pages.filled),
            evicted: rate(|report| report.pages.evicted),
            written: rate(|report| report.pages.written),
            in_faults: rate(|report| report.fault_time.total_ns) / 1e9,
        }
    }

    /// Faults of all kinds.
    pub fn faults(&self) -> f64 {
        self.image + self.zero + self.swap_in + self.protection
    }

    /// A line of a table, ending in a newline.
    pub fn line(&self) -> String {
        format!(
            "{:>9} {:>8} {:>8.0} {:>8.0} {:>8.0} {:>10.0} {:>8.0} {:>8.0} {:>9.0}%\n",
            ByteSize(self.resident_bytes).to_string(),
            ByteSize(self.swap_bytes).to_string(),
            self.image,
            self.zero,
            self.swap_in,
            self.protection,
            self.evicted,
            self.written,
            self.in_faults * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::sample;

    #[test]
    fn rates_are_differences_by_second_and_levels_are_the_last() {
        let (before, mut now) = (sample(), sample());
        now.faults.zero += 100;
        now.fault_time.total_ns += 1_000_000_000;
        now.resident.resident_now_bytes = 5 << 20;
        now.pages.evicted -= 7;
        let rates = Rates::between(&before, &now, Duration::from_secs(2));
        assert_eq!((rates.zero, rates.in_faults, rates.evicted, rates.faults()), (50.0, 0.5, 0.0, 50.0));
        let line = rates.line();
        assert!(line.trim_start().starts_with("5M") && line.ends_with(" 50%\n"), "{line}");
        assert_eq!(line.len(), Rates::HEAD.len(), "columns stand below their names");
    }
}
