//! What the supervisor does for a shared cap: it keeps the fair part, pokes who has too much and does not
//! fault by itself, and finds lost credit.
//!
//! It decides nothing that a process would wait for: without it every process keeps what it has, and what is
//! free goes to whoever comes first. All numbers are in memory that the programs could write over, so nothing
//! here trusts them to make sense.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use pager_core::pool::{self, Audit, LEAST_CREDIT, NO_CAP, NO_LEVEL};
use pager_core::shared::{Children, Control, POKE, Process};

use crate::members::{Mark, Membership};
use crate::stat::Stat;
use crate::sys;

/// Looks in a row at which somebody is short before the richest is poked: most pay at a fault of their own
/// before that.
const SHORT_LOOKS: u32 = 2;
/// Most processes that are poked at one look.
const POKES: usize = 4;
/// What part of the cap is left to those who come to want more: who wakes or starts while another takes all
/// it can would have to wait for it.
const RESERVE_PART: u64 = 32;
/// Looks for which a process that a poke changed nothing in is left alone. It may be stopped.
const SILENCE_LOOKS: u64 = 20;

/// What is remembered from look to look.
#[derive(Default)]
pub struct Balance {
    looks: u64,
    short: u32,
    audit: Audit,
    poked: Vec<Poked>,
    /// Processor time by process, as it was last seen, in clock ticks.
    used: HashMap<u32, u64>,
}

/// A process that was poked, and what it had then.
struct Poked {
    pid: u32,
    credit: u64,
    look: u64,
}

impl Balance {
    /// Looks at who has what. Every 10 ms.
    pub fn look(&mut self, control: &Control, mark: &Mark) {
        if !is_shared(control) {
            return;
        }
        self.looks += 1;
        // One walk over all slots: most are free.
        let members: Vec<&Process> = members(control).collect();
        set_level_for(control, &members);
        for process in &members {
            let _ = process.account.hungry.fetch_update(AcqRel, Relaxed, |looks| looks.checked_sub(1));
        }
        self.short = if control.pool.is_short() { self.short + 1 } else { 0 };
        if self.short >= SHORT_LOOKS {
            self.poke_richest(control, &members, mark);
        }
    }

    fn poke_richest(&mut self, control: &Control, members: &[&Process], mark: &Mark) {
        self.poked.retain(|poked| self.looks - poked.look < SILENCE_LOOKS);
        let spare = |process: &Process| credit(process).saturating_sub(control.pool.floor(&process.account));
        let mut rich: Vec<(u64, &Process)> =
            members.iter().map(|process| (spare(process), *process)).collect();
        rich.retain(|(spare, process)| *spare > 0 && !self.is_silent(process));
        rich.sort_by_key(|(spare, _)| Reverse(*spare));
        for (_, process) in rich.into_iter().take(POKES) {
            self.poked.push(Poked {
                pid: process.pid.load(Relaxed),
                credit: credit(process),
                look: self.looks,
            });
            poke(process, mark);
        }
    }

    fn is_silent(&self, process: &Process) -> bool {
        let (pid, credit) = (process.pid.load(Relaxed), credit(process));
        self.poked.iter().any(|poked| poked.pid == pid && poked.credit == credit)
    }

    /// Finds processes that have slept since the last time. Every 100 ms; only while somebody is hungry.
    pub fn find_idle(&mut self, control: &Control) {
        if !is_shared(control) || control.pool.fair.load(Relaxed) == NO_LEVEL {
            self.used.clear();
            return;
        }
        let before = std::mem::take(&mut self.used);
        for process in members(control).filter(|process| credit(process) > LEAST_CREDIT) {
            let Some((pid, stat)) = process.known_pid().and_then(|pid| Some((pid, Stat::of(pid)?))) else {
                continue;
            };
            self.used.insert(pid, stat.used);
            if before.get(&pid) == Some(&stat.used) && process.account.hungry.load(Relaxed) == 0 {
                process.account.idle.store(1, Relaxed);
            }
        }
    }

    /// Finds credit that was lost with killed processes. Every 100 ms.
    pub fn audit(&mut self, control: &Control) {
        if is_shared(control) {
            let sum =
                control.processes.iter().map(|process| process.account.total()).fold(0, u64::saturating_add);
            self.audit.look(&control.pool, control.settings.cap_pages.load(Relaxed), sum);
        }
    }
}

/// From now on nobody looks any more.
pub fn leave_alone(control: &Control) {
    control.pool.fair.store(NO_LEVEL, Relaxed);
    control.pool.asked.store(0, Relaxed);
}

/// Sets the fair part as it is now.
pub fn set_level(control: &Control) {
    set_level_for(control, &members(control).collect::<Vec<_>>());
}

fn set_level_for(control: &Control, members: &[&Process]) {
    let accounts: Vec<(u64, bool)> = members.iter().map(|process| standing(process)).collect();
    let wanted = accounts.iter().any(|(_, hungry)| *hungry);
    if !wanted {
        control.pool.asked.store(0, Relaxed);
    }
    let cap = control.settings.cap_pages.load(Relaxed).min(NO_CAP);
    let reserve = if accounts.len() > 1 { cap / RESERVE_PART } else { 0 };
    let is_limit = wanted || control.pool.free.load(Relaxed) < 0;
    let level = if is_limit { pool::level(cap - reserve, accounts.iter().copied()) } else { NO_LEVEL };
    control.pool.fair.store(level, Relaxed);
}

/// What counts as a process's credit, and whether it is hungry: of an idle one the rest can be had.
fn standing(process: &Process) -> (u64, bool) {
    let idle = process.account.idle.load(Relaxed) != 0;
    let most = if idle { LEAST_CREDIT } else { u64::MAX };
    (credit(process).min(most), process.account.hungry.load(Relaxed) > 0)
}

/// Asks a process to keep to its cap now, if it is one of the run: no stranger is sent a signal on the word
/// of memory that programs can write to.
pub fn poke(process: &Process, mark: &Mark) {
    process.poke(|pid| {
        if let Ok(number) = i32::try_from(pid)
            && number > 0
            && mark.membership(pid) == Membership::Member
        {
            sys::signal::queue(number, libc::SIGSEGV, POKE);
        }
    });
}

fn is_shared(control: &Control) -> bool {
    control.settings.children.load(Relaxed) == Children::Share as u32
}

fn members(control: &Control) -> impl Iterator<Item = &Process> {
    control.processes.iter().filter(|process| process.known_pid().is_some())
}

fn credit(process: &Process) -> u64 {
    process.account.credit.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ControlFile;
    use crate::plan::Plan;

    fn control() -> ControlFile {
        let plan = Plan::for_tests(Some(1000), pager_core::shared::Children::Share);
        ControlFile::new(&plan, &[], -1).expect("made")
    }

    fn put(control: &Control, slot: usize, credit: u64, hungry: u32) {
        let process = &control.processes[slot];
        process.pid.store(1 << 30 | slot as u32, Relaxed);
        process.account.credit.store(credit, Relaxed);
        process.account.hungry.store(hungry, Relaxed);
    }

    #[test]
    fn the_fair_part_is_a_limit_only_while_somebody_wants_more() {
        let control = control();
        let mut balance = Balance::default();
        let mark = control.mark().expect("a mark");
        assert_eq!((control.pool.free.load(Relaxed), control.pool.fair.load(Relaxed)), (1000, NO_LEVEL));
        put(&control, 0, 900, 0);
        put(&control, 1, 100, 2);
        control.pool.free.store(0, Relaxed);
        control.pool.asked.store(64, Relaxed);
        balance.look(&control, &mark);
        assert_eq!(control.pool.fair.load(Relaxed), (1000 - 1000 / RESERVE_PART) / 2);
        balance.look(&control, &mark);
        balance.look(&control, &mark);
        assert_eq!((control.pool.fair.load(Relaxed), control.pool.asked.load(Relaxed)), (NO_LEVEL, 0));
    }

    #[test]
    fn a_process_that_does_not_answer_gives_way_to_the_next() {
        let control = control();
        let mut balance = Balance::default();
        let mark = control.mark().expect("a mark");
        for (slot, credit) in [(0, 500), (1, 480), (2, 20)] {
            put(&control, slot, credit, 0);
        }
        put(&control, 3, 0, u32::MAX);
        control.pool.free.store(0, Relaxed);
        control.pool.asked.store(64, Relaxed);
        (0..SHORT_LOOKS + 3).for_each(|_| balance.look(&control, &mark));
        let poked: Vec<u32> = balance.poked.iter().map(|poked| poked.pid & 0xff).collect();
        assert_eq!(poked, [0, 1], "then nobody is left");
    }

    #[test]
    fn nonsense_in_the_pool_hurts_nobody() {
        let control = control();
        let mut balance = Balance::default();
        let mark = control.mark().expect("a mark");
        for (slot, credit) in [u64::MAX, u64::MAX - 1, 1 << 63, 0].into_iter().enumerate() {
            put(&control, slot, credit, u32::MAX);
            control.processes[slot].account.moving.store(credit, Relaxed);
        }
        for free in [i64::MIN, i64::MAX, -1] {
            control.pool.free.store(free, Relaxed);
            control.pool.asked.store(u64::MAX, Relaxed);
            (0..10).for_each(|_| balance.look(&control, &mark));
            (0..10).for_each(|_| balance.audit(&control));
        }
    }
}
