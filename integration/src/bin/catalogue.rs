//! Runs the catalogue and writes `integration/docs/catalogue.md`; with names as arguments, only those, and only to standard output.

use std::path::Path;
use std::process::ExitCode;

use integration::catalogue::{self, Entry, Measured, table};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let chosen = |entry: &Entry| names.is_empty() || names.contains(&entry.name);
    let mut rows: Vec<(Entry, Measured)> = Vec::new();
    for entry in catalogue::entry::all().into_iter().filter(chosen) {
        let measured = catalogue::measure(&entry);
        print!("{}", table::row(&entry, &measured));
        rows.push((entry, measured));
    }
    let document = table::document(&rows);
    println!("{}\n{}", document.split_once("## Why not").map_or("", |(_, why)| why), table::summary(&rows));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/catalogue.md");
    if names.is_empty() && std::fs::write(&path, document).is_err() {
        eprintln!("catalogue: {} cannot be written", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
