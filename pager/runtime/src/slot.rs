//! This process's slot in the control file: claimed, kept for a child, handed over; and whose process numbers
//! it has.
//!
//! In a PID namespace of its own a process has other numbers than the supervisor. It locks its slot's byte of
//! the control file then, and the supervisor asks the kernel who has the lock.

use core::sync::atomic::{AtomicU32, Ordering};

use pager_core::hearing::Hearing;
use pager_core::shared::{CLAIMING, Children, Process, lock_byte};

use crate::control;
use crate::credit::{self, Opening};
use crate::die;
use crate::sys::file;
use crate::sys::task;

/// The process's claim to its slot, for the program that it executes. None in a lodger, whose slot is its
/// parent's.
pub fn ticket() -> Option<i64> {
    let index =
        control::must_control().processes.iter().position(|slot| core::ptr::eq(slot, control::process()));
    index.filter(|_| control::is_owner()).map(|index| control::process().ticket(index))
}

/// Takes up the slot that `ticket` names, which the program before had, or any; where all are taken, the last
/// one is shared.
pub fn claim(ticket: Option<i64>) {
    let slots = &control::must_control().processes;
    let own = ticket
        .map(Process::of_ticket)
        .and_then(|(index, generation)| slots.get(index).filter(|slot| slot.is_held(generation)));
    let holder = if space() == 0 { task::pid() } else { CLAIMING };
    let slot = match own.or_else(|| slots.iter().find(|slot| take_over(slot, 0, holder))) {
        Some(slot) => {
            credit::open(slot, Opening::Fresh);
            slot
        }
        None => &slots[slots.len() - 1],
    };
    renew(slot);
    control::use_slot(slot);
    lock_slot(slot);
}

/// A slot that is kept for a child about to be forked.
#[derive(Clone, Copy)]
pub struct Kept {
    slot: &'static Process,
    generation: u32,
}

/// Keeps a slot for a child about to be forked, with what was set aside for it: a child that is killed before
/// it runs any code is found there.
pub fn keep(endowment: u64) -> Option<Kept> {
    let slot = control::must_control().processes.iter().find(|slot| take_over(slot, 0, CLAIMING))?;
    credit::open(slot, Opening::Endowed(endowment));
    renew(slot);
    Some(Kept { slot, generation: slot.generation.load(Ordering::Relaxed) })
}

/// The forked child takes the slot that was kept for it, or any. It is after [`enter_space`].
pub fn take(kept: Option<Kept>) {
    let Some(Kept { slot, generation }) = kept else { return claim(None) };
    control::use_slot(slot);
    lock_slot(slot);
    // The supervisor gives a slot to others that nobody takes in time. It looks for the lock after it has
    // said so.
    if !slot.is_held(generation) {
        return claim(None);
    }
    if space() == 0 {
        slot.pid.store(task::pid(), Ordering::SeqCst);
    }
}

/// Notes for whom the slot was kept, unless the child has done so. Where this process has other numbers than
/// the supervisor, the child's lock tells.
pub fn hand_over(kept: Kept, pid: u32) {
    if space() == 0 && kept.slot.is_held(kept.generation) {
        take_over(kept.slot, CLAIMING, pid);
    }
}

/// There is no child for which the slot was kept.
pub fn free(kept: Kept) {
    if kept.slot.is_held(kept.generation) {
        credit::close(kept.slot);
        take_over(kept.slot, CLAIMING, 0);
    }
}

/// Makes `pid` the holder of a slot if that is `holder` now.
fn take_over(slot: &Process, holder: u32, pid: u32) -> bool {
    slot.pid.load(Ordering::Relaxed) == holder
        && slot.pid.compare_exchange(holder, pid, Ordering::SeqCst, Ordering::Relaxed).is_ok()
}

fn renew(slot: &Process) {
    slot.hearing.store(Hearing::Deaf as u32, Ordering::SeqCst);
    control::must_control()
        .counts
        .resident_peak
        .fetch_max(slot.peak.load(Ordering::Relaxed), Ordering::Relaxed);
    slot.generation.fetch_add(1, Ordering::SeqCst);
    slot.row.store(0, Ordering::Relaxed);
    slot.resident.store(0, Ordering::Relaxed);
    slot.settled.store(0, Ordering::Relaxed);
    slot.unanswered.store(0, Ordering::SeqCst);
    slot.peak.store(0, Ordering::Relaxed);
}

/// Has the kernel tell the supervisor who holds the slot, where this process has other numbers.
fn lock_slot(slot: &Process) {
    let index = control::must_control().processes.iter().position(|other| core::ptr::eq(other, slot));
    if let Some(index) = index.filter(|_| space() != 0)
        && let Err(errno) = file::lock_byte(control::control_fd(), lock_byte(index))
    {
        die::event!("the supervisor cannot be told of this process: {errno:?}");
    }
}

/// Which numbers processes have here: 0 for the supervisor's, else those of a PID namespace that one of the
/// run made or entered.
static SPACE: AtomicU32 = AtomicU32::new(0);

/// The PID namespace, as the run counts them; 0 for the supervisor's.
pub fn space() -> u32 {
    SPACE.load(Ordering::Relaxed)
}

/// Notes the PID namespace that the program before was in.
pub fn continue_in(space: u32) {
    SPACE.store(space, Ordering::Relaxed);
}

/// Notes the PID namespace of a process that was just forked in `before`'s, or into one of its own: then it
/// does not see its parent.
pub fn enter_space(before: u32) {
    SPACE.store(space_within(before), Ordering::Relaxed);
}

/// The PID namespace of this process, whose parent is in `before`.
pub fn space_within(before: u32) -> u32 {
    if task::parent() == 0 { control::settings().spaces.fetch_add(1, Ordering::Relaxed) + 1 } else { before }
}

/// Notes the first process of the run; whether it is this one, which was not known before.
pub fn note_first() -> bool {
    control::settings().first.compare_exchange(0, task::pid(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Whether this process is the first one of the run.
pub fn is_first() -> bool {
    space() == 0 && control::settings().first.load(Ordering::Relaxed) == task::pid()
}

/// Whether programs that this process executes run natively by the user's wish.
pub fn runs_natively() -> bool {
    control::settings().children.load(Ordering::Relaxed) == Children::Native as u32 && !is_first()
}
