//! The counts in the OpenMetrics text format, version 1.0.0
//! (<https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>).

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::accounting::{Figures, LatencySummary, Snapshot};
use crate::faults::FaultCounts;

/// Picks a number out of a file's or process's figures.
type Pick = fn(&Figures) -> f64;

struct Counter {
    name: &'static str,
    help: &'static str,
    read: Pick,
    write: Pick,
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
        name: "swapfs_repeat_blocks",
        help: "4 KiB blocks touched that had been touched before.",
        read: |f| f.read_repeat_blocks as f64,
        write: |f| f.write_repeat_blocks as f64,
    },
    Counter {
        name: "swapfs_sequential_operations",
        help: "Requests that began where the one before ended.",
        read: |f| f.read_sequential_ops as f64,
        write: |f| f.write_sequential_ops as f64,
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

/// How many of [`COUNTERS`] are shown for processes too.
const FOR_PROCESSES: usize = 3;

/// The text of `.swapfs/metrics`.
pub fn open_metrics(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let files = by_label(
        snapshot.files.iter().map(|file| (format!("path=\"{}\"", escape(&file.path)), &file.figures)),
    );
    let processes = by_label(snapshot.processes.iter().map(|process| {
        (format!("pid=\"{}\",comm=\"{}\"", process.pid, escape(&process.comm)), &process.figures)
    }));
    COUNTERS.iter().for_each(|counter| counters(&mut text, counter.name, counter, &files));
    for counter in &COUNTERS[..FOR_PROCESSES] {
        let name = counter.name.replace("swapfs_", "swapfs_process_");
        counters(&mut text, &name, counter, &processes);
    }
    faults(&mut text, &snapshot.faults);
    let total = &snapshot.total;
    let name = "swapfs_service_time_seconds";
    family(&mut text, name, "summary", "Quantiles of the time at the source or store, all files.");
    quantiles(&mut text, name, "read", &total.read_service);
    quantiles(&mut text, name, "write", &total.write_service);
    let name = "swapfs_request_duration_seconds";
    family(&mut text, name, "histogram", "Time from a request to its answer, all files.");
    buckets(&mut text, name, "read", &total.read_total);
    buckets(&mut text, name, "write", &total.write_total);
    gauge(
        &mut text,
        "swapfs_waiting_requests",
        "Requests that the throttle holds back now.",
        snapshot.waiting_requests,
    );
    gauge(&mut text, "swapfs_requests_under_way", "Requests not yet answered.", total.queue_depth.now);
    gauge(&mut text, "swapfs_open_files", "Files open now.", snapshot.open_files);
    let (kept, data) = snapshot.kept_bytes();
    gauge(&mut text, "swapfs_swap_allocated_bytes", "Room that swap files take now.", kept);
    gauge(&mut text, "swapfs_swap_data_bytes", "Bytes of data in that room.", data);
    text.push_str("# EOF\n");
    text
}

/// Two files that had one name in turn are one set of samples, as labels must be unique.
fn by_label<'a>(all: impl Iterator<Item = (String, &'a Figures)>) -> BTreeMap<String, Vec<&'a Figures>> {
    let mut grouped: BTreeMap<String, Vec<&Figures>> = BTreeMap::new();
    all.for_each(|(label, figures)| grouped.entry(label).or_default().push(figures));
    grouped
}

fn counters(text: &mut String, name: &str, counter: &Counter, all: &BTreeMap<String, Vec<&Figures>>) {
    family(text, name, "counter", counter.help);
    for (labels, figures) in all {
        for (direction, value) in [("read", counter.read), ("write", counter.write)] {
            let sum: f64 = figures.iter().map(|figures| value(figures)).sum();
            line(text, &format!("{name}_total{{{labels},direction=\"{direction}\"}}"), sum);
        }
    }
}

fn faults(text: &mut String, counts: &FaultCounts) {
    let name = "swapfs_faults_made";
    family(text, name, "counter", "Faults made on purpose, by the rules of --fault; of corruption, bytes.");
    for (kind, count, _) in counts.kinds() {
        line(text, &format!("{name}_total{{kind=\"{kind}\"}}"), count as f64);
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# TYPE {name} {kind}");
    // The format wants the unit to be told where the name ends in one.
    if name.ends_with("_seconds") {
        let _ = writeln!(text, "# UNIT {name} seconds");
    }
    let _ = writeln!(text, "# HELP {name} {help}");
}

fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    family(text, name, "gauge", help);
    line(text, name, value as f64);
}

fn line(text: &mut String, sample: &str, value: f64) {
    let _ = writeln!(text, "{sample} {value}");
}

fn quantiles(text: &mut String, name: &str, direction: &str, summary: &LatencySummary) {
    for (quantile, ns) in [
        ("0.5", summary.p50_ns),
        ("0.9", summary.p90_ns),
        ("0.95", summary.p95_ns),
        ("0.99", summary.p99_ns),
        ("0.999", summary.p999_ns),
        ("0.9999", summary.p9999_ns),
    ] {
        line(text, &format!("{name}{{direction=\"{direction}\",quantile=\"{quantile}\"}}"), seconds(ns));
    }
    line(text, &format!("{name}_count{{direction=\"{direction}\"}}"), summary.count as f64);
    line(text, &format!("{name}_sum{{direction=\"{direction}\"}}"), seconds(summary.sum_ns));
}

/// Bounds are powers of four ns from about 1 us on (less one, as our own buckets end there): the same for
/// every mount.
fn buckets(text: &mut String, name: &str, direction: &str, summary: &LatencySummary) {
    for bound in (0..14).map(|power| (1024u64 << (2 * power)) - 1) {
        let up_to: u64 =
            summary.histogram_ns.iter().filter(|(ns, _)| *ns <= bound).map(|(_, count)| count).sum();
        let le = format!("{name}_bucket{{direction=\"{direction}\",le=\"{}\"}}", seconds(bound));
        line(text, &le, up_to as f64);
    }
    line(text, &format!("{name}_bucket{{direction=\"{direction}\",le=\"+Inf\"}}"), summary.count as f64);
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

    #[test]
    fn metrics_end_as_the_format_asks_and_escape_labels() {
        let figures = Figures { read_ops: 3, read_wait_ns: 1_500_000_000, ..Figures::default() };
        let text = open_metrics(&Snapshot::sample(&figures, &["images/a\"b\\c\nd"]));
        assert!(text.ends_with("# EOF\n"));
        assert!(
            text.contains(r#"swapfs_operations_total{path="images/a\"b\\c\nd",direction="read"} 3"#),
            "{text}"
        );
        assert!(text.contains(r#"direction="read"} 1.5"#));
    }

    #[test]
    fn two_files_of_one_name_are_one_sample() {
        let figures = Figures { write_bytes: 10, ..Figures::default() };
        let text = open_metrics(&Snapshot::sample(&figures, &["images/a", "images/a"]));
        assert_eq!(
            text.matches(r#"swapfs_bytes_total{path="images/a",direction="write"} 20"#).count(),
            1,
            "{text}"
        );
    }
}
