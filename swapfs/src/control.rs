//! The files below `.swapfs`: the counts as JSON and as OpenMetrics text.

use std::fmt::Write;

use crate::accounting::{Figures, LatencySummary, Snapshot};
use crate::filesystem::inode::ControlFile;

/// The text of a control file.
pub fn text(file: ControlFile, snapshot: &Snapshot) -> String {
    match file {
        ControlFile::Stats => snapshot.to_json(),
        ControlFile::Metrics => open_metrics(snapshot),
    }
}

struct Counter {
    name: &'static str,
    help: &'static str,
    read: fn(&Figures) -> f64,
    write: fn(&Figures) -> f64,
}

const COUNTERS: &[Counter] = &[
    Counter {
        name: "swapfs_operations",
        help: "Requests answered, failed ones too.",
        read: |f| f.read_ops as f64,
        write: |f| f.write_ops as f64,
    },
    Counter {
        name: "swapfs_bytes",
        help: "Bytes really transferred.",
        read: |f| f.read_bytes as f64,
        write: |f| f.write_bytes as f64,
    },
    Counter {
        name: "swapfs_errors",
        help: "Requests that failed.",
        read: |f| f.read_errors as f64,
        write: |f| f.write_errors as f64,
    },
    Counter {
        name: "swapfs_distinct_blocks",
        help: "Different 4 KiB blocks touched.",
        read: |f| f.read_distinct_blocks as f64,
        write: |f| f.write_distinct_blocks as f64,
    },
    Counter {
        name: "swapfs_service_seconds",
        help: "Time at the source or store.",
        read: |f| seconds(f.read_service_ns),
        write: |f| seconds(f.write_service_ns),
    },
    Counter {
        name: "swapfs_wait_seconds",
        help: "Time spent waiting for the throttle.",
        read: |f| seconds(f.read_wait_ns),
        write: |f| seconds(f.write_wait_ns),
    },
];

/// The counts in the OpenMetrics text format, version 1.0.0.
pub fn open_metrics(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for counter in COUNTERS {
        family(&mut text, counter.name, "counter", counter.help);
        for file in &snapshot.files {
            let path = escape(&file.path);
            for (direction, value) in
                [("read", (counter.read)(&file.figures)), ("write", (counter.write)(&file.figures))]
            {
                line(&mut text, &format!("{}_total{{path=\"{path}\",direction=\"{direction}\"}}", counter.name), value);
            }
        }
    }
    family(
        &mut text,
        "swapfs_service_time_seconds",
        "summary",
        "Quantiles of the time at the source or store, all files.",
    );
    for (direction, summary) in [("read", snapshot.total.read_service), ("write", snapshot.total.write_service)] {
        quantiles(&mut text, direction, &summary);
    }
    family(&mut text, "swapfs_waiting_requests", "gauge", "Requests that the throttle holds back now.");
    line(&mut text, "swapfs_waiting_requests", snapshot.waiting_requests as f64);
    family(&mut text, "swapfs_open_files", "gauge", "Files open now.");
    line(&mut text, "swapfs_open_files", snapshot.open_files as f64);
    text.push_str("# EOF\n");
    text
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(text, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
}

fn line(text: &mut String, sample: &str, value: f64) {
    let _ = writeln!(text, "{sample} {value}");
}

fn quantiles(text: &mut String, direction: &str, summary: &LatencySummary) {
    let name = "swapfs_service_time_seconds";
    for (quantile, ns) in
        [("0.5", summary.p50_ns), ("0.9", summary.p90_ns), ("0.99", summary.p99_ns), ("0.999", summary.p999_ns)]
    {
        line(text, &format!("{name}{{direction=\"{direction}\",quantile=\"{quantile}\"}}"), seconds(ns));
    }
    line(text, &format!("{name}_count{{direction=\"{direction}\"}}"), summary.count as f64);
    line(text, &format!("{name}_sum{{direction=\"{direction}\"}}"), seconds(summary.sum_ns));
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::{FileClass, FileSnapshot};

    fn snapshot(path: &str) -> Snapshot {
        let figures = Figures { read_ops: 3, read_bytes: 4096, read_wait_ns: 1_500_000_000, ..Figures::default() };
        let file = FileSnapshot { path: path.into(), class: FileClass::Image, size_bytes: 9, figures };
        Snapshot {
            version: 1,
            pid: 1,
            mountpoint: "/m".into(),
            started_unix_ns: 0,
            strict: true,
            counted_reads: "every read".into(),
            threads: 2,
            block_bytes: 4096,
            waiting_requests: 0,
            open_files: 1,
            total: figures,
            files: vec![file],
        }
    }

    #[test]
    fn metrics_end_as_the_format_asks_and_escape_labels() {
        let text = open_metrics(&snapshot("images/a\"b\\c\nd"));
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains(r#"swapfs_operations_total{path="images/a\"b\\c\nd",direction="read"} 3"#), "{text}");
        assert!(text.contains(r#"direction="read"} 1.5"#));
    }

    #[test]
    fn json_reads_back() {
        let snapshot = snapshot("images/x");
        let text = text(ControlFile::Stats, &snapshot);
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    }
}
