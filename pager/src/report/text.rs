//! The report for people.

use std::fmt::{Display, Write};

use super::model::{Children, Image, Report};
use super::processes::{ProcessEnd, ProcessRow};
use crate::size::ByteSize;
use crate::units::duration;

/// Images shown; the rest is summed up in one line.
const IMAGES_SHOWN: usize = 20;
/// The same of processes.
const PROCESSES_SHOWN: usize = 20;

/// The report as lines of text, aligned, ending in a newline.
pub fn render(report: &Report) -> String {
    let mut text = headline(report);
    for (label, line) in lines(report) {
        row(&mut text, label, line);
    }
    for sentence in &report.unmanaged {
        row(&mut text, "unmanaged", sentence);
    }
    // After the end it has a line of its own before the report.
    if let Some(failure) = report.failure.as_ref().filter(|_| !report.complete) {
        row(&mut text, "failure", &failure.message);
    }
    processes_one_by_one(&mut text, &report.process_table);
    images(&mut text, &report.images);
    text
}

/// Writing to a `String` does not fail.
fn row(text: &mut String, label: &str, line: impl Display) {
    let _ = writeln!(text, "  {label:<12}{line}");
}

fn headline(report: &Report) -> String {
    let program = report.program.display();
    let elapsed = duration(report.elapsed_ns);
    match &report.exit {
        Some(exit) => format!("pager: {program} {exit} after {elapsed}\n"),
        None => format!("pager: {program} (pid {}) runs since {elapsed}\n", report.pid),
    }
}

fn lines(report: &Report) -> Vec<(&'static str, String)> {
    vec![
        ("resident", resident(report)),
        ("faults", faults(report)),
        ("fault time", fault_time(report)),
        ("pages in", pages_in(report)),
        ("pages out", pages_out(report)),
        ("swap", swap(report)),
        ("calls", calls(report)),
        ("processes", processes(report)),
    ]
}

fn resident(report: &Report) -> String {
    let resident = &report.resident;
    let is_shared = resident.children == Children::Share;
    let peak_pages = if is_shared { resident.resident_all_peak_pages } else { resident.resident_peak_pages };
    let cap = match (resident.cap_pages, resident.cap_bytes) {
        (Some(pages), Some(bytes)) => {
            let percent = peak_pages as f64 * 100.0 / pages as f64;
            format!(" of {} ({pages} pages): {percent:.1} %", ByteSize(bytes))
        }
        _ => ", no cap".to_owned(),
    };
    let others = match report.processes {
        0 | 1 => String::new(),
        _ if is_shared => {
            format!(", all processes together; the largest: peak {}", ByteSize(resident.resident_peak_bytes))
        }
        _ => format!("; all processes together: peak {}", ByteSize(resident.resident_all_peak_bytes)),
    };
    let (peak, mean) = (ByteSize::of_pages(peak_pages), ByteSize(resident.resident_mean_bytes));
    match is_shared {
        true => format!("peak {peak} ({peak_pages} pages){cap}{others}; mean {mean}"),
        false => format!("peak {peak} ({peak_pages} pages){cap}; mean {mean}{others}"),
    }
}

fn faults(report: &Report) -> String {
    let faults = &report.faults;
    format!(
        "{}: image {}, zero {}, swap-in {}, protection {}, waited {}, program's own {}",
        faults.total,
        faults.image,
        faults.zero,
        faults.swap_in,
        faults.protection,
        faults.waited,
        faults.program
    )
}

fn fault_time(report: &Report) -> String {
    let time = &report.fault_time;
    if time.count == 0 {
        return duration(time.total_ns);
    }
    format!(
        "{} in all; p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
        duration(time.total_ns),
        duration(time.p50_ns),
        duration(time.p90_ns),
        duration(time.p99_ns),
        duration(time.p999_ns),
        duration(time.max_ns)
    )
}

fn pages_in(report: &Report) -> String {
    let pages = &report.pages;
    format!(
        "{}: image {} (mapped {}, read {}), zero {}, swap-in {}; {} of them ahead of a touch, {} for system calls",
        pages.filled,
        pages.image,
        pages.image_mapped,
        pages.image_read,
        pages.zero,
        pages.swap_in,
        pages.ahead,
        pages.for_calls
    )
}

fn pages_out(report: &Report) -> String {
    let pages = &report.pages;
    format!(
        "{} evicted: {} written, {} dropped as zeros, the rest clean",
        pages.evicted, pages.written, pages.zero_dropped
    )
}

fn swap(report: &Report) -> String {
    let swap = &report.swap;
    let mut line = format!(
        "peak {} of {}, {} now; {} writes, {} reads",
        ByteSize(swap.peak_bytes),
        ByteSize(swap.capacity_bytes),
        ByteSize(swap.used_bytes),
        swap.writes,
        swap.reads
    );
    for (count, what) in
        [(report.checksum_errors, "checksum errors"), (report.io_errors, "failed reads or writes")]
    {
        if count != 0 {
            let _ = write!(line, "; {count} {what}");
        }
    }
    line
}

fn calls(report: &Report) -> String {
    let calls = &report.calls;
    format!(
        "{} trapped: managed {}, refused {}, unknown {}",
        calls.trapped, calls.managed, calls.refused, calls.unknown
    )
}

fn processes(report: &Report) -> String {
    format!(
        "{} started; threads {}, execs {} ({} native), signals handled {}",
        report.processes,
        report.threads,
        report.execs,
        report.execs_native + report.execs_native_children,
        report.signals_delivered
    )
}

/// A table where there is more than the first process to tell of.
fn processes_one_by_one(text: &mut String, rows: &[ProcessRow]) {
    if rows.len() < 2 {
        return;
    }
    let _ = writeln!(
        text,
        "  {:>8} {:>7} {:>9} {:>8} {:>8}  process",
        "pid", "started", "faults", "peak", "swap"
    );
    for row in rows.iter().take(PROCESSES_SHOWN) {
        let (peak, swap) = (ByteSize(row.resident_peak_bytes), ByteSize(row.swap_peak_bytes));
        let _ = write!(
            text,
            "  {:>8} {:>7} {:>9} {:>8} {:>8}  {} ",
            row.pid,
            row.started.word(),
            row.faults,
            peak.to_string(),
            swap.to_string(),
            row.program
        );
        let _ = match row.exit {
            None => write!(text, "runs"),
            Some(ProcessEnd::Seen(outcome)) => write!(text, "{outcome}"),
            Some(ProcessEnd::Unseen(_)) => write!(text, "ended, nobody saw how"),
        };
        let _ = match row.unmanaged() {
            Some(unmanaged) => writeln!(text, "; unmanaged: {unmanaged}"),
            None => writeln!(text),
        };
    }
    if let Some(more) = rows.len().checked_sub(PROCESSES_SHOWN).filter(|&more| more != 0) {
        let _ = writeln!(text, "  and {more} more processes: `--stats json` lists all");
    }
}

fn images(text: &mut String, images: &[Image]) {
    if images.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "  {:>8} {:>8} {:>12} {:>9} {:>8}  image",
        "mapped", "read", "bytes read", "headers", "evicted"
    );
    for image in images.iter().take(IMAGES_SHOWN) {
        let _ = writeln!(
            text,
            "  {:>8} {:>8} {:>12} {:>9} {:>8}  {}",
            image.pages_mapped,
            image.pages_read,
            image.bytes_read,
            image.bytes_headers,
            image.pages_evicted,
            image.path
        );
    }
    if let Some(more) = images.len().checked_sub(IMAGES_SHOWN).filter(|&more| more != 0) {
        let _ = writeln!(text, "  and {more} more images with fewer pages: `--stats json` lists all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::report::processes::{Started, Unseen};
    use crate::report::samples::{first, sample};

    #[test]
    fn a_finished_run() {
        insta::assert_snapshot!(render(&sample()));
    }

    #[test]
    fn a_run_that_goes_on() {
        let mut report = sample();
        report.exit = None;
        report.complete = false;
        report.processes = 3;
        report.resident.cap_pages = None;
        report.resident.cap_bytes = None;
        report.io_errors = 4;
        report.images.clear();
        report.process_table[0].exit = None;
        for (pid, started, exit) in [
            (4712, Started::Fork, ProcessEnd::Seen(Outcome::signal(9))),
            (4713, Started::Native, ProcessEnd::Unseen(Unseen::Unseen)),
        ] {
            report.process_table.push(ProcessRow {
                pid,
                started,
                exit: Some(exit),
                unmanaged_shared_bytes: 0,
                ..first()
            });
        }
        insta::assert_snapshot!(render(&report));
    }

    #[test]
    fn json_keys_stay() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&sample()).expect("keys are strings"));
    }
}
