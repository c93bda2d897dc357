//! Counts as a table for people: totals since the mount, or rates between two snapshots as iostat shows them.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use crate::accounting::{Figures, FileSnapshot, Snapshot};
use crate::units::{show_bytes, show_count, show_nanoseconds};

/// Which files to show: all, or those with one of these paths or below one of them.
#[derive(Debug, Clone, Default)]
pub struct Selection(pub Vec<String>);

impl Selection {
    /// Whether `path` is chosen.
    pub fn holds(&self, path: &str) -> bool {
        let below = |chosen: &String| {
            let chosen = chosen.trim_end_matches('/');
            path.strip_prefix(chosen).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.is_empty() || self.0.iter().any(below)
    }
}

/// All counts since the mount.
pub fn totals(snapshot: &Snapshot, selection: &Selection) -> String {
    let mut text = header(snapshot);
    let mut rows = vec![TOTAL_COLUMNS.map(str::to_owned)];
    let chosen = snapshot.files.iter().filter(|file| selection.holds(&file.path));
    rows.extend(chosen.map(|file| total_row(&file.path, file.size_bytes, &file.figures)));
    if selection.0.is_empty() {
        rows.push(total_row("total", 0, &snapshot.total));
    }
    write_rows(&mut text, &rows);
    text
}

/// Rates of the files that were used between two snapshots that are `time` apart.
pub fn rates(before: &Snapshot, after: &Snapshot, time: Duration, selection: &Selection) -> String {
    let old: HashMap<&str, &FileSnapshot> = before.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut rows = vec![RATE_COLUMNS.map(str::to_owned)];
    for file in after.files.iter().filter(|file| selection.holds(&file.path)) {
        let earlier = old.get(file.path.as_str()).map(|file| file.figures).unwrap_or_default();
        rows.extend(rate_row(&file.path, &earlier, &file.figures, time));
    }
    let quiet = ["total"].map(|path| rate_row(path, &before.total, &after.total, time));
    rows.extend(quiet.into_iter().flatten());
    let mut text = String::new();
    write_rows(&mut text, &rows);
    text
}

const TOTAL_COLUMNS: [&str; 12] =
    ["file", "size", "opens", "reads", "read", "seen", "again", "r p50", "r p99", "writes", "written", "waited"];

const RATE_COLUMNS: [&str; 7] = ["file", "reads/s", "read/s", "writes/s", "written/s", "service", "wait"];

fn header(snapshot: &Snapshot) -> String {
    let note = match snapshot.strict {
        true => "every read is counted",
        false => "counted reads are page-cache misses (mount with --strict to count every read)",
    };
    let waiting = match snapshot.waiting_requests {
        0 => String::new(),
        n => format!(", {n} requests held back by the throttle"),
    };
    format!("{}  pid {}, {} open files{waiting}; {note}\n", snapshot.mountpoint, snapshot.pid, snapshot.open_files)
}

fn total_row(path: &str, size_bytes: u64, figures: &Figures) -> [String; 12] {
    let blocks = size_bytes.div_ceil(4096);
    let seen = match blocks {
        0 => show_bytes(figures.read_distinct_blocks * 4096),
        _ => format!("{:.0}%", figures.read_distinct_blocks as f64 * 100.0 / blocks as f64),
    };
    [
        path.to_owned(),
        if size_bytes == 0 { "-".to_owned() } else { show_bytes(size_bytes) },
        show_count(figures.open_ops),
        with_errors(figures.read_ops, figures.read_errors),
        show_bytes(figures.read_bytes),
        seen,
        show_count(figures.read_repeat_blocks),
        show_nanoseconds(figures.read_service.p50_ns),
        show_nanoseconds(figures.read_service.p99_ns),
        with_errors(figures.write_ops, figures.write_errors),
        show_bytes(figures.write_bytes),
        show_nanoseconds(figures.read_wait_ns + figures.write_wait_ns),
    ]
}

fn with_errors(operations: u64, errors: u64) -> String {
    match errors {
        0 => show_count(operations),
        _ => format!("{} ({} failed)", show_count(operations), show_count(errors)),
    }
}

fn rate_row(path: &str, before: &Figures, after: &Figures, time: Duration) -> Option<[String; 7]> {
    let seconds = time.as_secs_f64().max(1e-9);
    let rate = |of: fn(&Figures) -> u64| (of(after).saturating_sub(of(before)) as f64 / seconds).round() as u64;
    let spent = |of: fn(&Figures) -> u64| of(after).saturating_sub(of(before));
    let operations = spent(|f| f.read_ops + f.write_ops);
    if operations == 0 && path != "total" {
        return None;
    }
    let each = |ns: u64| show_nanoseconds(ns / operations.max(1));
    Some([
        path.to_owned(),
        show_count(rate(|f| f.read_ops)),
        show_bytes(rate(|f| f.read_bytes)),
        show_count(rate(|f| f.write_ops)),
        show_bytes(rate(|f| f.write_bytes)),
        each(spent(|f| f.read_service_ns + f.write_service_ns)),
        each(spent(|f| f.read_wait_ns + f.write_wait_ns)),
    ])
}

/// First column to the left, the others to the right.
fn write_rows<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let _ = write!(text, "{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::FileClass;

    fn snapshot(reads: u64) -> Snapshot {
        let figures =
            Figures { read_ops: reads, read_bytes: reads * 4096, read_distinct_blocks: 1, ..Figures::default() };
        let file = |path: &str| FileSnapshot { path: path.into(), class: FileClass::Image, size_bytes: 8192, figures };
        Snapshot {
            version: 1,
            pid: 7,
            mountpoint: "/m".into(),
            started_unix_ns: 0,
            strict: false,
            counted_reads: String::new(),
            threads: 2,
            block_bytes: 4096,
            waiting_requests: 0,
            open_files: 0,
            total: figures,
            files: vec![file("images/a"), file("images/ab")],
        }
    }

    #[test]
    fn selections_are_paths_not_prefixes_of_names() {
        let selection = Selection(vec!["images/a".into()]);
        assert!(selection.holds("images/a") && selection.holds("images/a/b") && !selection.holds("images/ab"));
        assert!(Selection::default().holds("anything"));
    }

    #[test]
    fn totals_say_what_a_counted_read_is() {
        let text = totals(&snapshot(3), &Selection(vec!["images/a".into()]));
        assert!(text.contains("page-cache misses"), "{text}");
        assert!(text.contains("12.0K") && text.contains("50%") && !text.contains("images/ab"), "{text}");
    }

    #[test]
    fn rates_leave_idle_files_out() {
        let text = rates(&snapshot(1), &snapshot(1), Duration::from_secs(1), &Selection::default());
        assert_eq!(text.lines().count(), 2, "{text}");
        let text = rates(&snapshot(1), &snapshot(3), Duration::from_secs(2), &Selection::default());
        assert!(text.contains("4.0K"), "{text}");
    }
}
