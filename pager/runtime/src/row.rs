//! This process's row of the roster: what the report tells of it, see [`pager_core::roster`].
//!
//! A process without a row (all were taken) goes uncounted. A forked child takes a row of its own; a program
//! that is executed goes on with the row of the one before, whose number it finds in its passport.

use core::sync::atomic::{AtomicUsize, Ordering};

use pager_core::area::{AreaTree, Holding, KernelReason, Role};
use pager_core::roster::{End, Row, Start};
use pager_core::shared::count;

use crate::control;
use crate::program;
use crate::slot;
use crate::sys::task;

const NONE: usize = usize::MAX;

/// Number of this process's row.
static ROW: AtomicUsize = AtomicUsize::new(NONE);

/// This process's row. In a vfork child its parent's.
pub fn own() -> Option<&'static Row> {
    control::roster().rows.get(ROW.load(Ordering::Relaxed))
}

/// Number of the row, for the next program.
pub fn number() -> Option<usize> {
    Some(ROW.load(Ordering::Relaxed)).filter(|row| *row != NONE)
}

/// Goes on with the row that the program before had, or takes one.
pub fn take_up(left: Option<usize>) {
    let start = if slot::is_first() { Start::First } else { Start::Exec };
    let row = left.or_else(|| control::roster().take(task::pid(), slot::space(), task::parent(), start));
    keep(row);
    if let Some(row) = own() {
        row.start.store(start as u32, Ordering::Relaxed);
        row.swap_now.store(0, Ordering::Relaxed);
    }
}

/// Notes this process's row, in its slot too: by that the supervisor finds the row of a process whose number
/// it has learnt.
fn keep(row: Option<usize>) {
    ROW.store(row.unwrap_or(NONE), Ordering::Relaxed);
    control::process().row.store(row.map_or(0, |row| row as u32 + 1), Ordering::Release);
}

/// Takes a row for a forked child, which runs what its parent runs and has its kernel-held areas.
pub fn fork(areas: &AreaTree) {
    keep(control::roster().take(task::pid(), slot::space(), task::parent(), Start::Fork));
    if let Some(row) = own() {
        row.program.set(&program::PATH.lock());
        // The texts of the arguments are the kernel's too, and not worth a word.
        let told = areas.iter().filter(|area| area.role != Role::Stack);
        told.for_each(|area| count_unmanaged(area.holding, area.range.bytes()));
    }
}

/// Counts memory that is left to the kernel.
pub fn count_unmanaged(holding: Holding, bytes: u64) {
    let (Some(row), Holding::Kernel(reason)) = (own(), holding) else { return };
    let counter = match reason {
        KernelReason::Shared => &row.unmanaged_shared,
        KernelReason::Huge => &row.unmanaged_huge,
        KernelReason::Device | KernelReason::Other => &row.unmanaged_device,
    };
    count(counter, bytes);
}

/// A row as it was before its process executed natively.
pub struct Before {
    row: &'static Row,
    start: u32,
    pid: u32,
    swap: u64,
}

/// Notes that this process becomes the native program `path`. A vfork child gets a row now.
pub fn become_native(path: &[u8]) -> Option<Before> {
    let (roster, pid) = (control::roster(), task::pid());
    let own = own().filter(|_| control::is_owner());
    let before = match own {
        Some(row) => Before {
            row,
            start: row.start.load(Ordering::Relaxed),
            pid,
            swap: row.swap_now.swap(0, Ordering::Relaxed),
        },
        None => Before {
            row: &roster.rows[roster.take(0, slot::space(), task::parent(), Start::Native)?],
            start: 0,
            pid: 0,
            swap: 0,
        },
    };
    before.row.program.set(path);
    before.row.start.store(Start::Native as u32, Ordering::Relaxed);
    // Of one with a slot the supervisor may know another number by now.
    if own.is_none() {
        before.row.name(pid, slot::space_within(slot::space()));
    }
    Some(before)
}

impl Before {
    /// It could not be executed.
    pub fn restore(self) {
        self.row.program.set(&program::PATH.lock());
        self.row.start.store(self.start, Ordering::Relaxed);
        self.row.swap_now.store(self.swap, Ordering::Relaxed);
        if self.pid == 0 {
            self.row.name(0, 0);
        }
    }
}

/// Notes this process's end, known to itself. A vfork child's is not its parent's.
pub fn note_own_end(end: End) {
    if let Some(row) = own()
        && control::is_owner()
    {
        row.note_end(end);
    }
}
