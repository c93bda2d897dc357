//! Counts as a table for people: totals since the mount, or rates between two snapshots as iostat shows them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use crate::accounting::{Figures, LatencySummary, ProcessSnapshot, Snapshot, Tally};
use crate::hints::hints;
pub use crate::selection::Selection;
use crate::units::{show_bytes, show_count, show_name, show_nanoseconds};

/// All counts since the mount: of files, and of the processes that used them.
pub fn totals(snapshot: &Snapshot, selection: &Selection) -> String {
    let mut text = header(snapshot);
    let mut rows = vec![TOTAL_COLUMNS.map(str::to_owned)];
    let chosen = snapshot.files.iter().filter(|file| selection.holds(&file.path));
    rows.extend(chosen.map(|file| total_row(&file.path, file.size_bytes, &file.figures)));
    if selection.0.is_empty() {
        rows.push(total_row("total", 0, &snapshot.total));
    }
    write_rows(&mut text, &rows);
    if selection.0.is_empty() && !snapshot.processes.is_empty() {
        text.push('\n');
        let mut rows =
            vec![TOTAL_COLUMNS.map(|name| if name == "file" { "process" } else { name }.to_owned())];
        let name = |process: &ProcessSnapshot| format!("{} ({})", process.comm, process.pid);
        rows.extend(snapshot.processes.iter().map(|process| total_row(&name(process), 0, &process.figures)));
        write_rows(&mut text, &rows);
    }
    let told = hints(snapshot, selection);
    if !told.is_empty() {
        text.push('\n');
        told.iter().for_each(|hint| text.push_str(&format!("{hint}\n")));
    }
    text
}

/// Rates of the files that were used between two snapshots that are `time` apart.
pub fn rates(before: &Snapshot, after: &Snapshot, time: Duration, selection: &Selection) -> String {
    let spent = after.since(before);
    let mut rows = vec![RATE_COLUMNS.map(str::to_owned)];
    let chosen = spent.files.iter().filter(|file| selection.holds(&file.path));
    let busy = chosen.filter(|file| file.figures.read_ops + file.figures.write_ops > 0);
    rows.extend(busy.map(|file| rate_row(&file.path, &file.figures, time)));
    rows.push(rate_row("total", &spent.total, time));
    let mut text = String::new();
    write_rows(&mut text, &rows);
    if let Some(made) = spent.faults.in_words() {
        let _ = writeln!(text, "faults made on purpose: {made}");
    }
    text
}

/// Distributions of times and sizes, of the chosen files or of all together.
pub fn distributions(snapshot: &Snapshot, selection: &Selection) -> String {
    let chosen: Vec<(&str, &Figures)> = match selection.0.is_empty() {
        true => vec![("total", &snapshot.total)],
        false => {
            let held = snapshot.files.iter().filter(|file| selection.holds(&file.path));
            held.map(|file| (file.path.as_str(), &file.figures)).collect()
        }
    };
    let mut rows = vec![TIME_COLUMNS.map(str::to_owned)];
    for (name, figures) in &chosen {
        for (kind, summary) in [
            ("read service", &figures.read_service),
            ("read wait", &figures.read_wait),
            ("read total", &figures.read_total),
            ("write service", &figures.write_service),
            ("write wait", &figures.write_wait),
            ("write total", &figures.write_total),
        ] {
            if summary.count > 0 {
                rows.push(time_row(&format!("{name}: {kind}"), summary));
            }
        }
    }
    let mut text = String::new();
    write_rows(&mut text, &rows);
    let mut rows = vec![["requests of at most".to_owned(), "reads".to_owned(), "writes".to_owned()]];
    for (name, figures) in &chosen {
        let all = figures.read_size_bytes.iter().chain(figures.write_size_bytes.iter());
        let sizes: BTreeSet<u64> = all.map(|(bytes, _)| bytes).collect();
        let of = |tally: &Tally, size| {
            show_count(tally.iter().find(|(bytes, _)| *bytes == size).map_or(0, |(_, n)| n))
        };
        rows.extend(sizes.into_iter().map(|size| {
            let (reads, writes) = (of(&figures.read_size_bytes, size), of(&figures.write_size_bytes, size));
            [format!("{name}: {}", show_bytes(size)), reads, writes]
        }));
    }
    text.push('\n');
    write_rows(&mut text, &rows);
    text
}

const TOTAL_COLUMNS: [&str; 14] = [
    "file", "size", "opens", "reads", "read", "seen", "again", "seq", "r p50", "r p99", "writes", "written",
    "waited", "depth",
];

const RATE_COLUMNS: [&str; 11] = [
    "file",
    "reads/s",
    "read/s",
    "r p99",
    "writes/s",
    "written/s",
    "w p99",
    "service",
    "wait",
    "seq",
    "depth",
];

const TIME_COLUMNS: [&str; 10] =
    ["time", "count", "mean", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"];

fn time_row(name: &str, summary: &LatencySummary) -> [String; 10] {
    let LatencySummary { mean_ns, p50_ns, p90_ns, p95_ns, p99_ns, p999_ns, p9999_ns, max_ns, .. } = *summary;
    let [mean, p50, p90, p95, p99, p999, p9999, max] =
        [mean_ns, p50_ns, p90_ns, p95_ns, p99_ns, p999_ns, p9999_ns, max_ns].map(show_nanoseconds);
    [name.to_owned(), show_count(summary.count), mean, p50, p90, p95, p99, p999, p9999, max]
}

fn header(snapshot: &Snapshot) -> String {
    let note = match snapshot.strict {
        true => "every read is counted",
        false => "counted reads are page-cache misses (mount with --strict to count every read)",
    };
    let waiting = match snapshot.waiting_requests {
        0 => String::new(),
        n => format!(", {n} requests held back by the throttle"),
    };
    let (place, pid, open) = (show_name(&snapshot.mountpoint), snapshot.pid, snapshot.open_files);
    format!("{place}  pid {pid}, {open} open files{waiting}; {note}\n")
}

fn total_row(path: &str, size_bytes: u64, figures: &Figures) -> [String; 14] {
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
        sequential(figures),
        show_nanoseconds(figures.read_service.p50_ns),
        show_nanoseconds(figures.read_service.p99_ns),
        with_errors(figures.write_ops, figures.write_errors),
        show_bytes(figures.write_bytes),
        show_nanoseconds(figures.read_wait_ns + figures.write_wait_ns),
        format!("{:.1}", figures.queue_depth.mean()),
    ]
}

fn with_errors(operations: u64, errors: u64) -> String {
    match errors {
        0 => show_count(operations),
        _ => format!("{} ({} failed)", show_count(operations), show_count(errors)),
    }
}

fn sequential(figures: &Figures) -> String {
    match figures.read_ops + figures.write_ops {
        0 => "-".to_owned(),
        all => {
            let part = (figures.read_sequential_ops + figures.write_sequential_ops) as f64 / all as f64;
            format!("{:.0}%", part * 100.0)
        }
    }
}

fn rate_row(path: &str, spent: &Figures, time: Duration) -> [String; 11] {
    let seconds = time.as_secs_f64().max(1e-9);
    let rate = |count: u64| (count as f64 / seconds).round() as u64;
    let each = |ns: u64| show_nanoseconds(ns / (spent.read_ops + spent.write_ops).max(1));
    [
        path.to_owned(),
        show_count(rate(spent.read_ops)),
        show_bytes(rate(spent.read_bytes)),
        show_nanoseconds(spent.read_total.p99_ns),
        show_count(rate(spent.write_ops)),
        show_bytes(rate(spent.write_bytes)),
        show_nanoseconds(spent.write_total.p99_ns),
        each(spent.read_service_ns + spent.write_service_ns),
        each(spent.read_wait_ns + spent.write_wait_ns),
        sequential(spent),
        format!("{:.1}", spent.queue_depth.mean()),
    ]
}

/// First column to the left, the others to the right.
fn write_rows<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| show_name(cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &rows {
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
    use crate::throttle::{Direction, Nanos, Request};

    fn snapshot(reads: u64) -> Snapshot {
        let read = crate::accounting::Answered {
            request: Request::sample(Direction::Read, 0, 4096, Nanos(0)),
            order: crate::accounting::Order::Sequential,
            errno: 0,
            service_ns: 2000,
            wait_ns: None,
        };
        let mut counters = crate::accounting::Counters::default();
        (0..reads).for_each(|_| counters.record(&read));
        Snapshot::sample(&counters.figures(), &["images/a", "images/ab"])
    }

    #[test]
    fn distributions_show_times_and_sizes() {
        let text = distributions(&snapshot(3), &Selection::default());
        assert!(
            text.contains("total: read total") && text.contains("2.0us") && text.contains("4.0K"),
            "{text}"
        );
        assert!(!text.contains("write total"), "{text}");
    }

    #[test]
    fn selections_are_paths_not_prefixes_of_names() {
        let selection = Selection(vec!["images/a".into()]);
        assert!(
            selection.holds("images/a") && selection.holds("images/a/b") && !selection.holds("images/ab")
        );
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
