//! The catalogue's table in Markdown.

use std::fmt::Write;

use super::Entry;
use super::measure::{AtCap, Measured, PERCENTS, Verdict};

/// The whole document.
#[must_use]
pub fn document(rows: &[(Entry, Measured)]) -> String {
    let mut text = String::from(HEAD);
    for (entry, measured) in rows {
        text.push_str(&row(entry, measured));
    }
    let why: Vec<String> = rows.iter().flat_map(|(entry, measured)| reasons(entry, measured)).collect();
    if !why.is_empty() {
        text.push_str("\n## Why not\n\n");
        why.iter().for_each(|line| text.push_str(line));
    }
    text
}

const HEAD: &str = "\
# Catalogue of real programs

Written by `cargo run --release -p integration --bin catalogue`: each command of `integration/programs.toml` natively, and under `pager run`
with a cap of 100, 50 and 25 % of its largest process's native peak. A tick means: same output, same exit code, and no process was seen to hold
more than the cap and the stated slack. `x` is the time as a multiple of the native one, start of the pager included; then come the faults.

| program | native peak | native time | at 100 % | at 50 % | at 25 % |
|---|---|---|---|---|---|
";

/// One line of the table.
#[must_use]
pub fn row(entry: &Entry, measured: &Measured) -> String {
    let name = &entry.name;
    match measured {
        Measured::Skipped => {
            format!("| {name} | skipped: not installed (`apt-get install {}`) | | | | |\n", entry.package)
        }
        Measured::Unusable(_) => format!("| {name} | not usable natively here, see below | | | | |\n"),
        Measured::Ran { native_peak_bytes, native, caps } => {
            let mut line = format!("| {name} | {} KiB | {} ms |", native_peak_bytes >> 10, native.as_millis());
            caps.iter().for_each(|cap| line.push_str(&cell(cap)));
            line.push('\n');
            line
        }
    }
}

fn cell(cap: &AtCap) -> String {
    let mark = if cap.verdict == Verdict::Same { "✓" } else { "**fails**" };
    let mut text = format!(" {mark} {:.1} x", cap.ratio);
    if let Some(faults) = cap.faults {
        let _ = write!(text, ", {faults}");
    }
    text.push_str(" |");
    text
}

fn reasons(entry: &Entry, measured: &Measured) -> Vec<String> {
    match measured {
        Measured::Skipped => Vec::new(),
        Measured::Unusable(why) => vec![format!("- {}: {why}\n", entry.name)],
        Measured::Ran { caps, .. } => {
            let failed = caps.iter().filter_map(|cap| match &cap.verdict {
                Verdict::Same => None,
                Verdict::Different(why) => Some(format!("- {} at {} %: {why}\n", entry.name, cap.percent)),
            });
            failed.collect()
        }
    }
}

/// In words: how many passed at all caps, failed, were skipped.
#[must_use]
pub fn summary(rows: &[(Entry, Measured)]) -> String {
    let ran = |measured: &Measured| matches!(measured, Measured::Ran { .. });
    let passed = |measured: &Measured| match measured {
        Measured::Ran { caps, .. } => caps.iter().all(|cap| cap.verdict == Verdict::Same),
        _ => false,
    };
    let count = |test: &dyn Fn(&Measured) -> bool| rows.iter().filter(|(_, measured)| test(measured)).count();
    let (ran, passed, skipped) =
        (count(&ran), count(&passed), count(&|measured| matches!(measured, Measured::Skipped)));
    format!("{} programs: {passed} the same at {PERCENTS:?} %, {} not, {skipped} skipped", rows.len(), ran - passed)
}
