//! Both programs' counts of one run, side by side: what the pager says it did, what `swapfs` says it served.

use std::fmt;

use crate::report::Report;

const PAGE_BYTES: u64 = 4096;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    what: &'static str,
    pager: String,
    swapfs: String,
    meaning: &'static str,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    rows: Vec<Row>,
}

impl Comparison {
    /// The counts of the pager's `report` and the mount's `stats`.
    ///
    /// # Panics
    ///
    /// When either lacks a key.
    #[must_use]
    pub fn of(report: &Report, stats: &Report) -> Self {
        let mut rows = fault_rows(report);
        rows.extend(traffic_rows(report, stats));
        rows.extend(memory_rows(report));
        Self { rows }
    }
}

fn fault_rows(report: &Report) -> Vec<Row> {
    let row =
        |what, key, meaning| Row { what, pager: grouped(report.number(key)), swapfs: String::new(), meaning };
    vec![
        row("faults: image", "faults.image", "text or data first touched"),
        row("faults: zero", "faults.zero", "a page that never had contents"),
        row("faults: swap-in", "faults.swap_in", "a victim touched again"),
        row("faults: protection", "faults.protection", "first write to a clean page"),
        row("system calls trapped", "calls.trapped", "each one checked for pointers"),
    ]
}

fn traffic_rows(report: &Report, stats: &Report) -> Vec<Row> {
    let kind = |class: &str, key: &str| -> u64 {
        let files = stats.list("files");
        files.iter().filter(|file| file.text("class") == class).map(|file| file.number(key)).sum()
    };
    let row = |what, pager: u64, served: u64, meaning| Row {
        what,
        pager: grouped(pager),
        swapfs: grouped(served),
        meaning,
    };
    vec![
        row(
            "image bytes",
            report.number("pages.image") * PAGE_BYTES,
            kind("image", "read_bytes"),
            "pages from images / bytes served (cache misses)",
        ),
        row(
            "swapped out, bytes",
            report.number("pages.written") * PAGE_BYTES,
            kind("swap", "write_bytes"),
            "dirty victims / bytes stored",
        ),
        row(
            "swapped in, bytes",
            report.number("pages.swap_in") * PAGE_BYTES,
            kind("swap", "read_bytes"),
            "pages back / bytes served (cache misses)",
        ),
    ]
}

fn memory_rows(report: &Report) -> Vec<Row> {
    let row =
        |what, key, meaning| Row { what, pager: grouped(report.number(key)), swapfs: String::new(), meaning };
    vec![
        row("resident peak, bytes", "resident_peak_bytes", "most at one time in one process"),
        row("resident mean, bytes", "resident_mean_bytes", "over the whole run"),
        row("swap peak, bytes", "swap.peak_bytes", "most in the swap file at one time"),
        row("fault time p50, ns", "fault_time.p50_ns", "half of the faults took less"),
        row("fault time p99, ns", "fault_time.p99_ns", "all but one in a hundred took less"),
    ]
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<22} {:>15} {:>15}  meaning", "", "pager", "swapfs")?;
        for row in &self.rows {
            writeln!(f, "{:<22} {:>15} {:>15}  {}", row.what, row.pager, row.swapfs, row.meaning)?;
        }
        Ok(())
    }
}

/// A count with its thousands apart.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
