//! Heat as text.

use std::fmt::Write;

use super::{most, warmth};
use crate::accounting::Heat;
use crate::units::{show_bytes, show_name};

const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// One line of shades.
pub fn strip(counts: &[u64], most: u64) -> String {
    counts.iter().map(|count| SHADES[(warmth(*count, most) * 4.0).ceil() as usize]).collect()
}

/// A page of shades for what was read, and one for what was written, of those that there are.
pub fn text(heat: &Heat, columns: usize) -> String {
    let Heat { path, size_bytes, reads, writes } = heat;
    let (cells, most) = (reads.len().max(1), most(heat));
    let each = size_bytes.div_ceil(4096).div_ceil(cells as u64);
    let mut text =
        format!("{}  {}; a cell is {}\n", show_name(path), show_bytes(*size_bytes), show_bytes(each * 4096));
    for (name, counts) in [("read", reads), ("written", writes)] {
        let touched = counts.iter().filter(|count| **count > 0).count();
        if touched == 0 {
            let _ = writeln!(text, "\nnothing was {name}");
            continue;
        }
        let _ = writeln!(text, "\n{name}: {:.0}% of the cells", touched as f64 * 100.0 / cells as f64);
        for (row, line) in counts.chunks(columns.max(1)).enumerate() {
            let at = show_bytes((row * columns) as u64 * size_bytes / cells as u64);
            let _ = writeln!(text, "{at:>8} {}", strip(line, most));
        }
    }
    let _ = writeln!(
        text,
        "\n{} never  {} ... {} {most} blocks touched in a cell",
        SHADES[0], SHADES[1], SHADES[4]
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page() {
        let heat = Heat {
            path: "images/a".into(),
            size_bytes: 6 * 4096,
            reads: vec![0, 1, 1000, 0, 0, 40],
            writes: vec![0; 6],
        };
        let text = text(&heat, 4);
        assert!(text.contains("images/a  24.0K; a cell is 4.0K"), "{text}");
        assert!(text.contains("       0 ·░█·\n   16.0K ·▓\n"), "{text}");
        assert!(text.contains("read: 50% of the cells") && text.contains("nothing was written"), "{text}");
    }
}
