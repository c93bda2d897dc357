//! Pictures of which parts of a file were touched how often: as text, SVG and PNG. Pure: heat goes in, a
//! picture comes out.
//!
//! Cells run like words on a page: left to right, then down. The scale is logarithmic, as few blocks are read
//! a thousand times and many once.

mod colour;
mod png;
mod svg;
mod text;

pub use colour::{Colour, colour};
pub use png::png;
pub use svg::svg;
pub use text::{strip, text};

use crate::accounting::Heat;

/// Cells in a row of a picture.
pub const COLUMNS: usize = 64;
/// Rows of a picture, at most.
pub const ROWS: usize = 48;

/// How warm a cell is, from 0 (never touched) to 1 (as often as any).
pub fn warmth(count: u64, most: u64) -> f64 {
    if count == 0 { 0.0 } else { (1.0 + count as f64).ln() / (1.0 + most.max(count) as f64).ln() }
}

fn most(heat: &Heat) -> u64 {
    heat.reads.iter().chain(&heat.writes).copied().max().unwrap_or(0)
}

/// `columns x rows` of a picture.
fn shape(heat: &Heat) -> (usize, usize) {
    let columns = heat.reads.len().clamp(1, COLUMNS);
    (columns, heat.reads.len().div_ceil(columns).max(1))
}

fn cells(heat: &Heat) -> impl Iterator<Item = Colour> {
    let most = most(heat);
    heat.reads
        .iter()
        .zip(&heat.writes)
        .map(move |(reads, writes)| colour(warmth(*reads, most), warmth(*writes, most)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn warmth_grows_with_counts(a in any::<u64>(), b in any::<u64>()) {
            let (less, more) = (a.min(b), a.max(b));
            prop_assert!(warmth(less, more) <= warmth(more, more));
            prop_assert!((0.0..=1.0).contains(&warmth(less, more)));
            prop_assert_eq!(warmth(less, more) == 0.0, less == 0);
        }

        #[test]
        fn any_heat_has_pictures(reads in proptest::collection::vec(0u64..1000, 0..300)) {
            let writes = reads.iter().rev().copied().collect();
            let heat = Heat { path: "a<&\"".into(), size_bytes: 4096 * reads.len() as u64, reads, writes };
            prop_assert!(text(&heat, 40).contains("a<&\""));
            prop_assert!(svg(&heat).contains("a&lt;&amp;&quot;"));
            prop_assert_eq!(&png(&heat)[1..4], b"PNG");
        }
    }
}
