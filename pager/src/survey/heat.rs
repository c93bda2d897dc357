//! Faults by place and time: which rows a heat map has, and how they are counted.

use std::collections::BTreeMap;

use super::model::{Heat, Row};
use super::scan::{CHUNK_BITS, Region, Seen};

/// Rows of a heat map, about.
const ROWS: usize = 160;
/// Columns of a heat map.
const COLUMNS: u64 = 240;
/// Chunks without a touch between two areas that are one to a reader.
const GAP: u64 = 64;

/// A heat map in the making.
pub struct HeatCounter {
    /// First chunk of each row, ascending.
    starts: Vec<u64>,
    rows: Vec<Row>,
    cells: BTreeMap<(u32, u32), u32>,
    column_ns: u64,
}

impl HeatCounter {
    /// Rows for what was touched in a process; columns for a run of `elapsed_ns`. `name` says what a region
    /// is called.
    pub fn new(seen: &Seen, elapsed_ns: u64, name: impl Fn(Region) -> String) -> HeatCounter {
        let mut chunks: Vec<(u64, Option<Region>)> =
            seen.chunks.iter().map(|(chunk, (_, region))| (*chunk, *region)).collect();
        chunks.sort_unstable_by_key(|(chunk, _)| *chunk);
        let segments = segments(&chunks);
        let per_row = chunks.len().div_ceil(ROWS).max(1);
        let (mut starts, mut rows) = (Vec::new(), Vec::new());
        for segment in segments {
            for row in segment.chunks(per_row) {
                let (Some((first, region)), Some((last, _))) = (row.first(), row.last()) else { continue };
                starts.push(*first);
                rows.push(Row {
                    first_page: first << CHUNK_BITS,
                    pages: (last - first + 1) << CHUNK_BITS,
                    area: region.map_or_else(String::new, &name),
                });
            }
        }
        HeatCounter { starts, rows, cells: BTreeMap::new(), column_ns: (elapsed_ns / COLUMNS).max(1) }
    }

    /// Counts a fault in a chunk that was seen when the rows were made.
    pub fn add(&mut self, chunk: u64, time_ns: u64) {
        let Some(row) = self.starts.partition_point(|start| *start <= chunk).checked_sub(1) else { return };
        let column = (time_ns / self.column_ns).min(COLUMNS - 1);
        *self.cells.entry((row as u32, column as u32)).or_default() += 1;
    }

    /// What was counted.
    pub fn finish(self) -> Heat {
        let cells = self.cells.into_iter().flat_map(|((row, column), count)| [row, column, count]);
        Heat { columns: COLUMNS as usize, rows: self.rows, cells: cells.collect() }
    }
}

/// Runs of chunks that belong together; where these are too many for a row each, longer ones.
fn segments(chunks: &[(u64, Option<Region>)]) -> Vec<&[(u64, Option<Region>)]> {
    let whole = |a: &(u64, Option<Region>), b: &(u64, Option<Region>)| a.1 == b.1 && b.0 - a.0 <= GAP;
    let by_area: Vec<_> = chunks.chunk_by(whole).collect();
    if by_area.len() <= ROWS { by_area } else { vec![chunks] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::layout::Anonymous;

    fn seen(chunks: impl IntoIterator<Item = (u64, Region)>) -> Seen {
        let chunks = chunks.into_iter().map(|(chunk, region)| (chunk, (1, Some(region)))).collect();
        Seen { chunks, ..Seen::default() }
    }

    #[test]
    fn an_area_has_rows_of_its_own_and_every_fault_a_cell() {
        let heap = (0..400).map(|chunk| (chunk, Region::Anonymous(Anonymous::Heap)));
        let seen = seen(heap.chain([(400, Region::Image(3))]));
        let mut counter = HeatCounter::new(&seen, 1000, |region| format!("{region:?}"));
        (0..=400).for_each(|chunk| counter.add(chunk, chunk));
        counter.add(400, 5000);
        let heat = counter.finish();
        assert!(heat.rows.len() <= ROWS + 2, "{}", heat.rows.len());
        assert_eq!(heat.rows.last().map(|row| (row.first_page, row.area.as_str())), Some((6400, "Image(3)")));
        let counted: u32 = heat.cells.chunks(3).map(|cell| cell[2]).sum();
        assert_eq!(counted, 402);
        assert!(heat.cells.chunks(3).all(|cell| (cell[1] as u64) < COLUMNS));
    }

    #[test]
    fn many_small_areas_share_rows() {
        let seen = seen((0..5000).map(|at| (at * 1000, Region::Image(at as u16))));
        let heat = HeatCounter::new(&seen, 1, |_| String::new()).finish();
        assert!(heat.rows.len() <= ROWS, "{}", heat.rows.len());
    }
}
