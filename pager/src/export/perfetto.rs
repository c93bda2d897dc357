//! Every fault as a slice on its thread's track, resident pages and evictions beside them: the trace event
//! format (JSON), which Perfetto's and Chromium's viewers open.

use std::collections::HashSet;
use std::io::{self, Write};

use pager_core::trace::{Event, What};
use serde_json::json;

use crate::survey::names::Names;
use crate::survey::replay::Replay;
use crate::trace::reader::Trace;

/// Writes all events, one by one.
///
/// # Errors
///
/// What the kernel said.
pub fn write(trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    let names = Names::of(trace);
    write_events(trace.events(), &|pid| names.program(pid), out)
}

fn write_events(
    events: impl Iterator<Item = Event>,
    program: &impl Fn(u32) -> String,
    out: &mut impl Write,
) -> io::Result<()> {
    let (mut replay, mut known) = (Replay::default(), HashSet::new());
    write!(out, "{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    let mut between = "\n";
    let mut put = |out: &mut dyn Write, value: serde_json::Value| -> io::Result<()> {
        write!(out, "{between}{value}")?;
        between = ",\n";
        Ok(())
    };
    for event in events {
        let (pid, tid) = (event.pid, event.tid);
        if known.insert(pid) {
            put(
                out,
                json!({ "ph": "M", "name": "process_name", "pid": pid, "args": { "name": program(pid) } }),
            )?;
        }
        let number = replay.step(&event);
        if let Some(slice) = slice(&event) {
            put(out, slice)?;
        }
        if matches!(event.what, What::Fault { .. } | What::Evict { .. } | What::Discard { .. } | What::Exec) {
            let pages = replay.resident_of(number);
            let ts = microseconds(event.time_ns);
            put(
                out,
                json!({ "ph": "C", "name": "resident", "pid": pid, "tid": tid, "ts": ts, "args": { "pages": pages } }),
            )?;
        }
    }
    writeln!(out, "\n]}}")
}

fn microseconds(ns: u64) -> f64 {
    ns as f64 / 1e3
}

/// A fault takes time, everything else happens at a moment.
fn slice(event: &Event) -> Option<serde_json::Value> {
    let (pid, tid, ts) = (event.pid, event.tid, microseconds(event.time_ns));
    Some(match event.what {
        What::Fault { kind, range, instruction, cost_ns, .. } => {
            let touched = event.what.touched().unwrap_or(range.start()).start().0;
            let begin = microseconds(event.time_ns.saturating_sub(cost_ns));
            json!({
                "ph": "X", "name": kind.name(), "cat": "fault", "pid": pid, "tid": tid,
                "ts": begin, "dur": microseconds(cost_ns),
                "args": {
                    "address": format!("{touched:#x}"), "pages": range.count(),
                    "instruction": format!("{instruction:#x}"),
                },
            })
        }
        What::Evict { how, range } => {
            let address = format!("{:#x}", range.start().start().0);
            json!({
                "ph": "i", "s": "t", "name": format!("evict {}", how.name()), "cat": "evict",
                "pid": pid, "tid": tid, "ts": ts, "args": { "address": address, "pages": range.count() },
            })
        }
        What::Fork { parent } => json!({
            "ph": "i", "s": "p", "name": "fork", "pid": pid, "tid": tid, "ts": ts, "args": { "parent": parent },
        }),
        What::Exec => json!({ "ph": "i", "s": "p", "name": "exec", "pid": pid, "tid": tid, "ts": ts }),
        What::Map { .. } | What::Discard { .. } | What::Move { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use pager_core::trace::{Departure, FaultKind};
    use serde_json::Value;

    use super::*;
    use crate::survey::samples::{at, event, evict, exec, fault};

    #[test]
    fn it_is_json_and_holds_every_fault() {
        let events = [
            at(5_000, fault(1, FaultKind::Zero, 10, 4, 7)),
            at(6_000, evict(1, Departure::Written, 10, 2)),
            at(9_500, fault(2, FaultKind::SwapIn, 11, 1, 0)),
            at(9_900, event(2, exec())),
        ];
        let mut text = Vec::new();
        write_events(events.into_iter(), &|pid| format!("program \"{pid}\""), &mut text)
            .expect("memory takes it");
        let file: Value = serde_json::from_slice(&text).expect("JSON");
        let all = file["traceEvents"].as_array().expect("events");
        let of = |ph: &str| all.iter().filter(|event| event["ph"] == ph).cloned().collect::<Vec<_>>();
        assert_eq!((of("X").len(), of("i").len(), of("M").len()), (2, 2, 2));
        assert_eq!((of("X")[0]["ts"].as_f64(), of("X")[0]["dur"].as_f64()), (Some(4.0), Some(1.0)));
        let levels: Vec<u64> = of("C").iter().filter_map(|event| event["args"]["pages"].as_u64()).collect();
        assert_eq!(levels, [4, 2, 1, 0]);
    }
}
