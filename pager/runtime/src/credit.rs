//! This process's part of a cap that all processes of the run share: the [`Pool`], as the rest of the runtime
//! uses it.
//!
//! Nothing here waits and no lock is needed. Where every process has the cap to itself, nothing here does
//! anything.

use core::sync::atomic::Ordering;

use pager_core::pool::{self, Account, NO_CAP, Occasion, Pool};
use pager_core::shared::{Children, PROCESSES, Process};

use crate::control;
use crate::sys::task;

/// Most credit taken ahead of need, in pages.
const BATCH: u64 = 64;
/// What part of the cap that may be.
const BATCH_PART: u64 = 64;
/// How long the supervisor may need to find a dead process on a busy machine: it looks every 100 ms.
const SWEEP_NS: u64 = 1_000_000_000;
const PAUSE_NS: u64 = 5_000_000;

/// What becomes of the account of a slot that is claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// A program starts: it has the least.
    Fresh,
    /// A child is about to be forked: this was set aside for it by [`endow`].
    Endowed(u64),
}

/// Whether the processes of the run share their cap.
pub fn shared() -> bool {
    control::settings().children.load(Ordering::Relaxed) == Children::Share as u32
}

fn common() -> &'static Pool {
    control::pool()
}

fn account() -> &'static Account {
    &control::process().account
}

fn batch() -> u64 {
    (control::cap() / BATCH_PART).clamp(1, BATCH)
}

/// Pages that this process may have resident now.
pub fn held() -> u64 {
    account().credit.load(Ordering::Relaxed)
}

/// Pages that it could have if it asked for them now.
pub fn reach() -> u64 {
    common().reach(held())
}

/// Opens the account of a slot that was just claimed.
pub fn open(slot: &Process, opening: Opening) {
    if shared() {
        let credit = match opening {
            Opening::Fresh => None,
            Opening::Endowed(pages) => Some(pages),
        };
        common().open(&slot.account, credit);
        if let Opening::Endowed(pages) = opening {
            account().moving.fetch_sub(pages, Ordering::AcqRel);
        }
    }
}

/// Takes credit for `pages` as far as there is some, and takes off what is owed to others: how much. The
/// caller evicts down to what is left, then calls [`pay`].
pub fn settle(pages: u64, occasion: Occasion) -> u64 {
    if !shared() {
        return 0;
    }
    common().raise(account(), pages, batch());
    common().collect(account(), batch(), occasion)
}

/// Gives the others what was collected, except for `kept` pages that would not go.
pub fn pay(owed: u64, kept: u64) {
    if owed > 0 {
        common().pay(account(), owed, kept);
    }
}

/// Gives back what a process that needs credit for `pages` has too much.
pub fn lower(pages: u64) {
    if shared() {
        common().lower(account(), pages, batch());
    }
}

/// Sets credit for a child with `pages` aside: how much. What the pool did not have was taken from this
/// process, which has to evict down to what is left before it forks.
pub fn endow(pages: u64) -> u64 {
    if shared() { common().endow(account(), pages) } else { 0 }
}

/// Gives back what the account of a slot has that nobody takes.
pub fn close(slot: &Process) {
    if shared() {
        common().close(&slot.account);
    }
}

/// There is no child for which `endowment` was set aside.
pub fn take_back(endowment: u64) {
    account().moving.fetch_sub(endowment, Ordering::AcqRel);
    common().give(endowment);
}

/// Charges a forked child for what it has beyond its endowment: what other threads of its parent brought in
/// meanwhile.
pub fn adopt(pages: u64) {
    if shared() {
        let more = pages.saturating_sub(held());
        if more > 0 {
            common().charge(more);
            account().credit.fetch_add(more, Ordering::AcqRel);
        }
        lower(pages);
    }
}

/// Gives all back, at this process's end. A vfork child has none of its own.
pub fn leave() {
    let process = control::process();
    if shared() && control::is_owner() {
        process.settled.store(0, Ordering::Relaxed);
        common().close(&process.account);
    }
}

/// Whether the cap has no room for one more process, or the run none for its account. Those that were just
/// killed take up room until the supervisor finds out, for which there is some time.
pub fn is_full() -> bool {
    if !shared() {
        return false;
    }
    let most = pool::most_processes(control::cap().min(NO_CAP)).min(PROCESSES as u64) as usize;
    let has_account = |slot: &Process| slot.pid.load(Ordering::Relaxed) != 0 && slot.account.total() > 0;
    // Without one more than these it is: where the cap is large, the first slots tell.
    let spare = PROCESSES - most;
    let is_full = || control::slots().filter(|slot| !has_account(slot)).nth(spare).is_none();
    for _ in 0..SWEEP_NS / PAUSE_NS {
        if !is_full() {
            return false;
        }
        task::pause(PAUSE_NS);
    }
    is_full()
}
