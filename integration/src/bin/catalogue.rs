//! Runs the catalogue and writes `integration/docs/catalogue.md`: all of it, or just the rows given as
//! arguments, the others as they stand there. A program that is not installed keeps the row that was measured
//! last.

use std::path::Path;
use std::process::{Command, ExitCode};

use integration::catalogue::table::{self, Row};
use integration::catalogue::{self, Entry, Measured};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let entries = catalogue::entry::all();
    if let Some(unknown) = names.iter().find(|name| !entries.iter().any(|entry| entry.name == **name)) {
        eprintln!("catalogue: integration/programs.toml has no program {unknown:?}");
        return ExitCode::FAILURE;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/catalogue.md");
    let commit = commit();
    let mut measured: Vec<(Entry, Measured)> = Vec::new();
    for entry in entries.iter().filter(|entry| names.is_empty() || names.contains(&entry.name)) {
        measured.push((entry.clone(), catalogue::measure(entry)));
        let Some((entry, result)) = measured.last() else { continue };
        print!("{}", Row::new(entry, result, &commit));
        // After each row: a run of the whole list takes long, and may be ended.
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        let new = Row::after(&old, entry, result, &commit);
        let row = |name: &str| if name == new.name { Some(new.clone()) } else { Row::find(&old, name) };
        let rows: Vec<Row> = entries.iter().filter_map(|entry| row(&entry.name)).collect();
        if let Err(error) = std::fs::write(&path, table::document(&rows)) {
            eprintln!("catalogue: {} cannot be written: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{}", table::summary(&measured));
    ExitCode::SUCCESS
}

/// The commit that is checked out, with a plus sign where files were changed since.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let changed = !git(&["status", "--porcelain", "--untracked-files=no", "--", ":/pager"]).is_empty();
    git(&["rev-parse", "--short", "HEAD"]) + if changed { "+" } else { "" }
}
