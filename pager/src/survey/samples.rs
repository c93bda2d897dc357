//! Events for tests.

use std::io::Write;

use pager_core::addr::{PageNum, PageRange};
use pager_core::area::{Access, Protection};
use pager_core::trace::format::{ChunkKind, Encoder, chunk_header, file_header};
use pager_core::trace::{Departure, Event, FaultKind, Use, What};

use super::model::Survey;
use crate::trace::reader::Trace;
use crate::trace::{Description, End};

pub fn range(start: u64, count: u64) -> PageRange {
    PageRange::with_count(PageNum(start), count).expect("not empty")
}

pub fn event(pid: u32, what: What) -> Event {
    Event { time_ns: 0, pid, tid: pid, what }
}

pub fn at(time_ns: u64, event: Event) -> Event {
    Event { time_ns, ..event }
}

/// A fault on the first of `count` pages that took 1000 ns.
pub fn fault(pid: u32, kind: FaultKind, start: u64, count: u64, instruction: u64) -> Event {
    let range = range(start, count);
    event(pid, What::Fault { kind, access: Access::Read, touched: 0, range, instruction, cost_ns: 1000 })
}

pub fn evict(pid: u32, how: Departure, start: u64, count: u64) -> Event {
    event(pid, What::Evict { how, range: range(start, count) })
}

pub fn map(pid: u32, start: u64, count: u64, image: Option<(u16, u64)>, purpose: Use) -> Event {
    event(pid, What::Map { range: range(start, count), protection: Protection::READ, purpose, image })
}

pub fn discard(pid: u32, start: u64, count: u64) -> Event {
    event(pid, What::Discard { range: range(start, count) })
}

pub fn fork(parent: u32) -> What {
    What::Fork { parent }
}

pub fn exec() -> What {
    What::Exec
}

/// A file with these events, read back.
pub fn trace(cap_pages: Option<u64>, events: impl IntoIterator<Item = Event>) -> Trace {
    let description = Description {
        program: "/usr/bin/sort".into(),
        arguments: vec!["-n".into(), "numbers".into()],
        cap_pages,
        fault_around_pages: 16,
        page_bytes: 4096,
        started_unix_ns: u64::MAX,
    };
    let rows =
        serde_json::json!([{ "pid": 1, "program": "/usr/bin/sort" }, { "pid": 2, "program": "/bin/<b>" }]);
    let report = serde_json::json!({ "elapsed_ns": 10_000_000, "process_table": rows });
    let mut file = file_header().to_vec();
    let mut put = |kind, payload: &[u8]| {
        file.extend(chunk_header(kind, payload));
        file.extend(payload);
    };
    put(ChunkKind::Description, &serde_json::to_vec(&description).expect("serializable"));
    let (mut encoder, mut count) = (Encoder::default(), 0);
    for event in events {
        encoder.push(&event);
        count += 1;
        if encoder.payload().len() > 1 << 16 {
            put(ChunkKind::Events, encoder.payload());
            encoder.clear();
        }
    }
    put(ChunkKind::Events, encoder.payload());
    let end = End { events: count, dropped: 0, report, images: vec!["/no/such/sort".into()] };
    put(ChunkKind::End, &serde_json::to_vec(&end).expect("serializable"));
    let mut target = tempfile::NamedTempFile::new().expect("a temporary file");
    target.write_all(&file).expect("written");
    Trace::open(target.path()).expect("a trace")
}

/// Two processes that fault in a program, a heap and for system calls, in 10 ms.
pub fn survey() -> Survey {
    let begin = [
        map(1, 100, 50, Some((0, 0)), Use::Text),
        map(1, 1000, 500, None, Use::Heap),
        map(2, 100, 50, Some((0, 0)), Use::Text),
        at(1_000_000, fault(1, FaultKind::MapThrough, 100, 16, 0)),
    ];
    let touch = |n: u64| {
        let kind = if n.is_multiple_of(3) { FaultKind::SwapIn } else { FaultKind::Zero };
        at(2_000_000 + n * 1000, fault(1 + (n % 2) as u32, kind, 1000 + n % 300, 1, (100 << 12) + n % 7 * 8))
    };
    let leave = (0..50).map(|n| at(8_000_000, evict(1, Departure::Written, 1000 + n, 1)));
    super::survey(&trace(Some(64), begin.into_iter().chain((0..600).map(touch)).chain(leave)))
}
