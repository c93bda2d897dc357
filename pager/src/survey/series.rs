//! Values over time, in a fixed number of columns.

use super::model::{COLUMNS, KINDS, Series};

/// A series in the making.
pub struct SeriesCounter {
    series: Series,
    column_ns: u64,
    /// The last column with a known level, and the level.
    level: (usize, u32),
}

impl SeriesCounter {
    /// Nothing so far; a column stands for so much time.
    pub fn new(column_ns: u64) -> SeriesCounter {
        SeriesCounter { series: Series::default(), column_ns: column_ns.max(1), level: (0, 0) }
    }

    fn column(&self, time_ns: u64) -> usize {
        ((time_ns / self.column_ns) as usize).min(COLUMNS - 1)
    }

    /// A fault, and how many pages it read from a swap file.
    pub fn fault(&mut self, time_ns: u64, kind: usize, swapped_in: u64) {
        let column = self.column(time_ns);
        add(&mut self.series.faults[kind.min(KINDS - 1)], column, 1);
        add(&mut self.series.swapped_in, column, swapped_in);
    }

    /// Pages that left, and how many of them were written to a swap file.
    pub fn evicted(&mut self, time_ns: u64, pages: u64, written: u64) {
        let column = self.column(time_ns);
        add(&mut self.series.evicted, column, pages);
        add(&mut self.series.swapped_out, column, written);
    }

    /// So many pages are resident from now on. Threads note what they did when they are done, so time may
    /// step back a little.
    pub fn resident(&mut self, time_ns: u64, pages: u64) {
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let column = self.column(time_ns).max(self.level.0);
        self.hold_until(column);
        let values = &mut self.series.resident;
        if values.is_empty() && pages > 0 {
            values.resize(COLUMNS, 0);
        }
        if let Some(value) = values.get_mut(column) {
            *value = (*value).max(pages);
        }
        self.level = (column, pages);
    }

    fn hold_until(&mut self, column: usize) {
        let (from, level) = self.level;
        let between = self.series.resident.get_mut(from + 1..=column).unwrap_or_default();
        between.iter_mut().for_each(|value| *value = level);
        self.level.0 = column;
    }

    /// What was counted up to `last_ns`; after that nothing is resident.
    pub fn finish(mut self, last_ns: u64) -> Series {
        let last = self.column(last_ns);
        if last > self.level.0 {
            self.hold_until(last);
        }
        self.series
    }
}

fn add(values: &mut Vec<u32>, column: usize, count: u64) {
    if count == 0 {
        return;
    }
    if values.is_empty() {
        values.resize(COLUMNS, 0);
    }
    values[column] = values[column].saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_holds_until_it_changes_and_a_column_shows_its_peak() {
        let mut counter = SeriesCounter::new(10);
        for (time, pages) in [(5, 3), (7, 9), (8, 4), (35, 6), (31, 5)] {
            counter.resident(time, pages);
        }
        let series = counter.finish(59);
        assert_eq!(series.resident[..8], [9, 4, 4, 6, 5, 5, 0, 0]);
    }

    #[test]
    fn what_never_happened_takes_no_room() {
        let mut counter = SeriesCounter::new(10);
        counter.fault(9999, 2, 8);
        let series = counter.finish(10);
        assert!(series.faults[0].is_empty() && series.resident.is_empty());
        assert_eq!((series.faults[2][COLUMNS - 1], series.swapped_in[COLUMNS - 1]), (1, 8));
    }
}
