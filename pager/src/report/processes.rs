//! The processes of a run one by one, alive and gone.

use std::sync::atomic::Ordering::Relaxed;

use pager_core::roster::{End, Row, Start};
use pager_core::shared::Control;
use serde::Serialize;

use crate::failure::printable;
use crate::outcome::Outcome;
use crate::size::ByteSize;

/// A process of the run; see [`pager_core::roster::Row`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub struct ProcessRow {
    pub pid: u32,
    pub parent: u32,
    pub program: String,
    /// How it came to run that.
    pub started: Started,
    pub faults: u64,
    pub resident_peak_bytes: u64,
    pub swap_peak_bytes: u64,
    pub unmanaged_shared_bytes: u64,
    pub unmanaged_huge_bytes: u64,
    pub unmanaged_device_bytes: u64,
    /// `None` while it runs.
    pub exit: Option<ProcessEnd>,
}

/// How a process came to run its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Started {
    First,
    Fork,
    Exec,
    Native,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum ProcessEnd {
    /// Seen by itself, its parent or the supervisor.
    Seen(Outcome),
    /// It is gone, and nobody of the run saw how.
    Unseen(Unseen),
}

/// In JSON, `{"kind":"unseen"}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unseen {
    /// Nobody saw it.
    Unseen,
}

impl Started {
    /// As one word.
    pub const fn word(self) -> &'static str {
        match self {
            Started::First => "first",
            Started::Fork => "fork",
            Started::Exec => "exec",
            Started::Native => "native",
        }
    }
}

impl ProcessRow {
    /// What its memory outside of the cap is, in words; nothing where there is none.
    pub fn unmanaged(&self) -> Option<String> {
        let kinds = [
            (self.unmanaged_shared_bytes, "shared"),
            (self.unmanaged_huge_bytes, "huge"),
            (self.unmanaged_device_bytes, "device"),
        ];
        let parts: Vec<String> = kinds
            .iter()
            .filter(|(bytes, _)| *bytes != 0)
            .map(|(bytes, kind)| format!("{} {kind}", ByteSize(*bytes)))
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// All rows, in order of start; the end of process `first` is `exit`, which only the supervisor knows.
pub fn rows(control: &Control, first: u32, exit: Option<Outcome>) -> Vec<ProcessRow> {
    let known = control.roster.taken().iter().filter(|row| row.shown_pid() != 0);
    let mut rows: Vec<ProcessRow> = known.map(row).collect();
    if let (Some(exit), Some(row)) = (exit, rows.iter_mut().find(|row| row.pid == first)) {
        row.exit = Some(ProcessEnd::Seen(exit));
    }
    rows
}

fn row(row: &Row) -> ProcessRow {
    ProcessRow {
        pid: row.shown_pid(),
        parent: row.parent.load(Relaxed),
        program: printable(&row.program),
        started: match Start::from_number(row.start.load(Relaxed)) {
            Start::First => Started::First,
            Start::Fork => Started::Fork,
            Start::Exec => Started::Exec,
            Start::Native => Started::Native,
        },
        faults: row.faults.load(Relaxed),
        resident_peak_bytes: ByteSize::of_pages(row.resident_peak.load(Relaxed)).0,
        swap_peak_bytes: ByteSize::of_pages(row.swap_peak.load(Relaxed)).0,
        unmanaged_shared_bytes: row.unmanaged_shared.load(Relaxed),
        unmanaged_huge_bytes: row.unmanaged_huge.load(Relaxed),
        unmanaged_device_bytes: row.unmanaged_device.load(Relaxed),
        exit: match row.end() {
            End::None => None,
            End::Code(code) => Some(ProcessEnd::Seen(Outcome::code(code))),
            End::Signal(signal) => Some(ProcessEnd::Seen(Outcome::signal(signal.into()))),
            End::Unseen => Some(ProcessEnd::Unseen(Unseen::Unseen)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_tagged_by_kind_whether_seen_or_not() {
        let json = |end| serde_json::to_string(&end).expect("serializable");
        assert_eq!(json(ProcessEnd::Seen(Outcome::code(3))), r#"{"kind":"code","code":3}"#);
        assert_eq!(json(ProcessEnd::Unseen(Unseen::Unseen)), r#"{"kind":"unseen"}"#);
    }
}
