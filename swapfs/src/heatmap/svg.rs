//! Heat as SVG.

use std::fmt::Write;

use super::{Colour, cells, colour, most, shape};
use crate::accounting::Heat;
use crate::units::{show_bytes, show_name};

const CELL: usize = 10;
const MARGIN: usize = 16;
const HEAD: usize = 44;
const FOOT: usize = 36;
const LEAST_WIDTH: usize = 480;

/// A picture with a title and a legend.
pub fn svg(heat: &Heat) -> String {
    let (columns, rows) = shape(heat);
    let (width, height) = ((columns * CELL + 2 * MARGIN).max(LEAST_WIDTH), HEAD + rows * CELL + FOOT);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
        hex(Colour::PAPER)
    );
    let each = heat.size_bytes.div_ceil(4096).div_ceil(heat.reads.len().max(1) as u64) * 4096;
    let title =
        format!("{}  {}, {} a cell", show_name(&heat.path), show_bytes(heat.size_bytes), show_bytes(each));
    let _ = writeln!(text, "<text x=\"{MARGIN}\" y=\"26\" font-size=\"15\">{}</text>", escape(&title));
    let all: Vec<Colour> = cells(heat).collect();
    for (row, line) in all.chunks(columns).enumerate() {
        write_row(&mut text, HEAD + row * CELL, line);
    }
    write_legend(&mut text, height - FOOT + 12, most(heat));
    text.push_str("</svg>\n");
    text
}

/// Neighbours of one colour are one rectangle.
fn write_row(text: &mut String, y: usize, line: &[Colour]) {
    let mut x = MARGIN;
    for run in line.chunk_by(|a, b| a == b) {
        let width = run.len() * CELL;
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{CELL}\" fill=\"{}\"/>",
            hex(run[0])
        );
        x += width;
    }
}

fn write_legend(text: &mut String, y: usize, most: u64) {
    let entries = [
        (Colour::COLD, "untouched".to_owned()),
        (colour(0.6, 0.0), "read".to_owned()),
        (colour(0.0, 0.6), "written".to_owned()),
        (colour(0.6, 0.6), "both".to_owned()),
    ];
    let mut x = MARGIN;
    for (fill, label) in entries {
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"{}\"/>",
            hex(fill)
        );
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">{label}</text>", x + CELL + 5, y + CELL);
        x += 24 + 7 * label.len();
    }
    let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">darkest: {most} blocks touched</text>", x + 6, y + CELL);
}

fn hex(Colour(red, green, blue): Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escape(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    // XML has no way to write control characters.
    escaped.replace(|c: char| c.is_control(), "?")
}
