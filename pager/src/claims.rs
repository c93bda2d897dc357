//! Slots that are claimed, by processes whose numbers are not the supervisor's.
//!
//! A process in a PID namespace of its own cannot say which process it is to us. It locks its slot's byte of
//! the control file instead, and the kernel says who has the lock, in our numbers. A slot that nobody has
//! locked in time was kept for a child that died before it could, or that was never made.

use std::collections::HashMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use pager_core::shared::{ABANDONED, CLAIMING, Control, Process};

/// Looks, each 10 ms, for which a slot is kept for a process that does not come. One that comes later takes
/// another.
const PATIENCE_LOOKS: u32 = 100;

/// What is remembered from look to look: generation of a claimed slot, and the looks at which nobody had its
/// lock.
#[derive(Default)]
pub struct Claims(HashMap<usize, (u32, u32)>);

impl Claims {
    /// Looks at all slots of `control`; `holder` says which process has the lock of one.
    pub fn look(&mut self, control: &Control, holder: impl Fn(usize) -> Option<u32>) {
        let before = std::mem::take(&mut self.0);
        for (index, slot) in
            control.processes.iter().enumerate().filter(|(_, slot)| slot.pid.load(Acquire) == CLAIMING)
        {
            if let Some(pid) = holder(index) {
                let _ = slot.pid.compare_exchange(CLAIMING, pid, SeqCst, Relaxed);
                continue;
            }
            let generation = slot.generation.load(Acquire);
            let looks =
                before.get(&index).filter(|(of, _)| *of == generation).map_or(1, |(_, looks)| looks + 1);
            if looks < PATIENCE_LOOKS || !abandon(control, slot, || holder(index).is_some()) {
                self.0.insert(index, (generation, looks));
            }
        }
        name_rows(control);
    }
}

/// Frees a claimed slot, unless its process has locked it after all: it looks whether the slot is still its
/// own after that.
fn abandon(control: &Control, slot: &Process, is_locked: impl Fn() -> bool) -> bool {
    if slot.pid.compare_exchange(CLAIMING, ABANDONED, SeqCst, Relaxed).is_err() {
        return false;
    }
    if is_locked() {
        slot.pid.store(CLAIMING, SeqCst);
        return false;
    }
    clear(control, slot);
    true
}

/// Empties a slot that is marked as abandoned: its pages leave the sum, its credit is for others.
pub fn clear(control: &Control, process: &Process) {
    let left = process.resident.swap(0, Relaxed);
    let _ = control.counts.resident_now.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_sub(left)));
    process.settled.store(0, Relaxed);
    control.pool.close(&process.account);
    process.pid.store(0, Release);
}

/// Notes in the roster the numbers of processes that did not know them.
fn name_rows(control: &Control) {
    for process in &control.processes {
        let row =
            (process.row.load(Acquire) as usize).checked_sub(1).and_then(|row| control.roster.rows.get(row));
        if let (Some(pid), Some(row)) = (process.known_pid(), row) {
            let _ = row.outer.compare_exchange(0, pid, SeqCst, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use pager_core::pool::NO_CAP;
    use pager_core::roster::Start;

    use super::*;
    use crate::control::ControlFile;
    use crate::plan::Plan;

    fn control() -> ControlFile {
        let plan = Plan::for_tests(None, pager_core::shared::Children::Share);
        ControlFile::new(&plan, &[], -1).expect("made")
    }

    fn claim(control: &Control, index: usize) -> &Process {
        let slot = &control.processes[index];
        slot.pid.store(CLAIMING, Relaxed);
        slot.account.credit.store(70, Relaxed);
        control.pool.free.store(NO_CAP as i64 - 70, Relaxed);
        slot
    }

    #[test]
    fn a_locked_slot_gets_the_number_that_the_kernel_says_and_its_row_too() {
        let control = control();
        let slot = claim(&control, 3);
        let row = control.roster.take(1, 2, 0, Start::Fork).expect("a free row");
        slot.row.store(row as u32 + 1, Relaxed);
        Claims::default().look(&control, |index| (index == 3).then_some(4711));
        assert_eq!(slot.known_pid(), Some(4711));
        let row = &control.roster.rows[row];
        assert_eq!((row.pid.load(Relaxed), row.shown_pid()), (1, 4711));
        assert!(
            control.roster.of(4711, 0).is_some() && control.roster.of(1, 0).is_none(),
            "1 is somebody else here"
        );
        assert!(control.roster.of(1, 2).is_some());
    }

    #[test]
    fn a_slot_that_nobody_takes_is_freed_with_its_credit() {
        let control = control();
        let slot = claim(&control, 0);
        let mut claims = Claims::default();
        (1..PATIENCE_LOOKS).for_each(|_| claims.look(&control, |_| None));
        assert_eq!(slot.pid.load(Relaxed), CLAIMING);
        claims.look(&control, |_| None);
        assert_eq!((slot.pid.load(Relaxed), control.pool.free.load(Relaxed)), (0, NO_CAP as i64));
    }

    #[test]
    fn who_locks_a_slot_at_the_last_moment_keeps_it() {
        let control = control();
        let slot = claim(&control, 0);
        let mut claims = Claims::default();
        (1..PATIENCE_LOOKS).for_each(|_| claims.look(&control, |_| None));
        let asked = std::cell::Cell::new(0);
        claims.look(&control, |_| {
            asked.set(asked.get() + 1);
            (asked.get() > 1).then_some(4711)
        });
        assert!(slot.is_held(slot.generation.load(Relaxed)) && slot.account.credit.load(Relaxed) == 70);
    }

    #[test]
    fn a_slot_claimed_again_has_its_time_again() {
        let control = control();
        let slot = claim(&control, 0);
        let mut claims = Claims::default();
        (1..PATIENCE_LOOKS).for_each(|_| claims.look(&control, |_| None));
        slot.generation.fetch_add(1, Relaxed);
        claims.look(&control, |_| None);
        assert_eq!(slot.pid.load(Relaxed), CLAIMING);
    }

    /// The kernel's side of it: a lock by another process, which ends with that.
    #[test]
    fn the_holder_of_a_lock_is_the_process_that_has_it() {
        use std::os::fd::AsRawFd;
        let control = control();
        assert_eq!(control.holder(5), None);
        let path = format!("/proc/{}/fd/{}", std::process::id(), control.number().as_raw_fd());
        // fcntl.lockf of Python: F_SETLK on length and start.
        let lock = format!(
            "import fcntl, time; f = open('{path}', 'r+b', 0); fcntl.lockf(f, fcntl.LOCK_EX, 1, {}); print('ok', flush=True); time.sleep(60)",
            pager_core::shared::lock_byte(5)
        );
        let mut child = std::process::Command::new("python3")
            .args(["-c", &lock])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3");
        let mut byte = [0];
        std::io::Read::read_exact(&mut child.stdout.take().expect("piped"), &mut byte)
            .expect("it has the lock");
        assert_eq!((control.holder(5), control.holder(4)), (Some(child.id()), None));
        child.kill().and_then(|()| child.wait()).expect("a child");
        assert_eq!(control.holder(5), None);
    }
}
