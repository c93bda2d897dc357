//! The catalogue's table in Markdown.

use std::fmt::{self, Write};

use super::Entry;
use super::measure::{AtCap, Measured, PERCENTS, Verdict};

/// What stands in the document about one entry: its line of the table, and why it fails where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The entry's name.
    pub name: String,
    line: String,
    reasons: Vec<String>,
}

impl Row {
    /// What was measured with the program of `commit`.
    #[must_use]
    pub fn new(entry: &Entry, measured: &Measured, commit: &str) -> Self {
        let line = line(entry, measured, commit);
        Self { name: entry.name.clone(), line, reasons: reasons(entry, measured) }
    }

    /// What stands in `document` from now on: the last that was measured, where nothing was this time.
    #[must_use]
    pub fn after(document: &str, entry: &Entry, measured: &Measured, commit: &str) -> Self {
        match (measured, Self::find(document, &entry.name)) {
            (Measured::Skipped, Some(last)) => last,
            _ => Self::new(entry, measured, commit),
        }
    }

    /// The row of `name` in a document, when it has one.
    #[must_use]
    pub fn find(document: &str, name: &str) -> Option<Self> {
        let line = document.lines().find(|line| line.starts_with(&format!("| {name} |")))?;
        let is_reason =
            |line: &&str| [" at ", ": "].iter().any(|after| line.starts_with(&format!("- {name}{after}")));
        let reasons = document.lines().filter(is_reason).map(|line| format!("{line}\n")).collect();
        Some(Self { name: name.to_owned(), line: format!("{line}\n"), reasons })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.line)?;
        self.reasons.iter().try_for_each(|reason| out.write_str(reason))
    }
}

/// The whole document.
#[must_use]
pub fn document(rows: &[Row]) -> String {
    let mut text = String::from(HEAD);
    rows.iter().for_each(|row| text.push_str(&row.line));
    let why: Vec<&String> = rows.iter().flat_map(|row| &row.reasons).collect();
    if !why.is_empty() {
        text.push_str("\n## Why not\n\n");
        why.iter().for_each(|line| text.push_str(line));
    }
    text
}

const HEAD: &str = "\
# Catalogue of real programs

Written by `cargo run --release -p integration --bin catalogue [ROW...]`, which replaces the rows it is given: each command of
`integration/programs.toml` natively, and under `pager run` with a cap of 100, 50 and 25 % of its largest process's native peak (at least 256 KiB). A tick
means: same output, same exit code, and no process was seen to hold more private memory and file pages than the cap and the stated slack of 4 MiB.
`x` is the time as a multiple of the median of three warm native runs, which take turns with the paged ones, start of the pager included; then come the
faults. The last column is the commit that was measured; the machine has two cores, and others were at work on it.

| program | version | native peak | native time | at 100 % | at 50 % | at 25 % | commit |
|---|---|---|---|---|---|---|---|
";

fn line(entry: &Entry, measured: &Measured, commit: &str) -> String {
    let name = &entry.name;
    match measured {
        Measured::Skipped => {
            format!("| {name} | skipped: not installed (`{}`) | | | | | | |\n", entry.installation())
        }
        Measured::Unusable(_) => {
            format!(
                "| {name} | {} | not usable natively here, see below | | | | | {commit} |\n",
                entry.version()
            )
        }
        Measured::Ran { native_peak_bytes, native, caps } => {
            let (version, peak, time) = (entry.version(), native_peak_bytes >> 10, native.as_millis());
            let mut line = format!("| {name} | {version} | {peak} KiB | {time} ms |");
            caps.iter().for_each(|cap| line.push_str(&cell(cap)));
            line + &format!(" {commit} |\n")
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
    format!(
        "{} programs: {passed} the same at {PERCENTS:?} %, {} not, {skipped} skipped",
        rows.len(),
        ran - passed
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rows_are_found_again_in_the_document_with_their_reasons() {
        let entries = super::super::entry::all();
        let cap = |verdict| AtCap { percent: 50, cap_bytes: 1 << 20, verdict, ratio: 1.5, faults: Some(3) };
        let ran = |verdict| Measured::Ran {
            native_peak_bytes: 2 << 20,
            native: Duration::from_millis(5),
            caps: vec![cap(verdict)],
        };
        let rows = [
            Row::new(&entries[0], &ran(Verdict::Same), "abc"),
            Row::new(&entries[1], &ran(Verdict::Different("it differs".to_owned())), "abc"),
        ];
        let text = document(&rows);
        for row in &rows {
            assert_eq!(Row::find(&text, &row.name).as_ref(), Some(row));
        }
        assert_eq!((rows[0].reasons.len(), rows[1].reasons.len()), (0, 1));
        assert_eq!(Row::find(&text, "no such row"), None);
    }

    #[test]
    fn a_row_that_is_skipped_keeps_what_was_measured_last() {
        let entry = &super::super::entry::all()[0];
        let different = AtCap {
            percent: 50,
            cap_bytes: 1 << 20,
            verdict: Verdict::Different("it differs".to_owned()),
            ratio: 1.5,
            faults: None,
        };
        let ran = Measured::Ran {
            native_peak_bytes: 2 << 20,
            native: Duration::from_millis(5),
            caps: vec![different],
        };
        let first = Row::new(entry, &ran, "abc");
        let text = document(std::slice::from_ref(&first));
        assert_eq!(Row::after(&text, entry, &Measured::Skipped, "def"), first);
        assert_ne!(Row::after(&text, entry, &ran, "def"), first);
        assert!(Row::after("", entry, &Measured::Skipped, "def").to_string().contains("skipped"));
    }
}
