//! The pool: how the processes of a run share one cap (`--children share`).
//!
//! A page may be resident only against *credit*. The pool holds what is not lent; each process holds some on
//! its [`Account`], which is its cap for now. It takes more in batches before it fills, keeps it while it has
//! pages, and gives back what it does not need. A process that gets none evicts from its own. Nobody ever
//! waits for another process.
//!
//! | event | credit |
//! |---|---|
//! | fill | taken in batches; who gets too little evicts, is [`Account::hungry`] for a while, and asks for more up to its fair part |
//! | start, exec | [`LEAST_CREDIT`], on debt if need be (the pool goes below zero): that much every process may always have |
//! | fork | the child is charged in full before it exists: what the pool does not have comes from its parent, which evicts as much |
//! | fault, poke | who has more than a fair part pays debts, and some of what is asked for, once its pages are gone |
//! | exit | given back by the process |
//! | death, native exec | given back by the supervisor's sweep |
//! | other cap | the difference goes to the pool, which may be in debt then |
//!
//! So the sum of all credit, and with it of all resident pages, is at most the cap and the least of each
//! process that was started on debt. `free + sum(credit + moving) = cap` holds but for the instant in which
//! credit goes from one number to another; a process that is killed in that instant takes it along, and the
//! supervisor's [`Audit`] notices.
//!
//! The *fair part* ([`level()`]) is the water level: what each hungry process can have if the others keep
//! what they have up to the same. While nobody is hungry it is no limit. A process that sleeps is *idle*:
//! what it has beyond the least is there for the hungry. It gets its fair part again once it faults.

mod audit;
mod level;

pub use audit::Audit;
pub use level::level;

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// Credit that every process may have at any time: what one instruction, the buffers of a system call and a
/// batch to evict may need at once.
pub const LEAST_CREDIT: u64 = 64;
/// Processes that are started even where the cap has no room for the least of each. All together exceed a
/// small cap by what these have: 4 MiB.
pub const EXTRA_PROCESSES: u64 = 16;
/// The cap of a run without one, as far as the pool is concerned: no program gets there, and sums of it do
/// not overflow.
pub const NO_CAP: u64 = 1 << 40;
/// The fair part while nobody is hungry.
pub const NO_LEVEL: u64 = u64::MAX;
/// Looks of the supervisor (each 10 ms) for which a process counts as hungry after it got too little.
pub const HUNGRY_LOOKS: u32 = 20;

/// Credit that is nobody's.
#[repr(C)]
pub struct Pool {
    /// Pages; below zero, debts.
    pub free: AtomicI64,
    /// A process's fair part in pages. Kept by the supervisor.
    pub fair: AtomicU64,
    /// Pages that processes below their fair part ask for.
    pub asked: AtomicU64,
}

/// What a process has of the pool. Written by the process, and by the supervisor once it is dead.
#[derive(Default, Debug)]
#[repr(C)]
pub struct Account {
    /// Pages that it may have resident.
    pub credit: AtomicU64,
    /// Credit on its way: to the pool once pages are gone, or to a child about to be forked.
    pub moving: AtomicU64,
    /// Looks of the supervisor for which it still counts as hungry.
    pub hungry: AtomicU32,
    /// 1 once the supervisor saw it sleep, until it faults.
    pub idle: AtomicU32,
}

/// How much a process gives up at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// At a fault of its own: so much that the fault does not take long.
    Fault,
    /// When the supervisor asks, since it does not fault by itself: all that is wanted.
    Poke,
}

/// What part of its credit a process gives up at a fault, and keeps beyond what it needs.
const PART: u64 = 8;

impl Pool {
    /// Takes up to `wanted` pages of what there is; how many.
    pub fn take(&self, wanted: u64) -> u64 {
        let mut taken = 0;
        let _ = self.free.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |free| {
            taken = u64::try_from(free).unwrap_or(0).min(wanted);
            (taken > 0).then(|| free.wrapping_sub(taken as i64))
        });
        taken
    }

    /// Takes `pages`, whether there are any or not.
    pub fn charge(&self, pages: u64) {
        self.free.fetch_sub(pages as i64, Ordering::AcqRel);
    }

    /// Gives `pages` back.
    pub fn give(&self, pages: u64) {
        self.free.fetch_add(pages as i64, Ordering::AcqRel);
    }

    /// Changes the cap by the difference of two.
    pub fn resize(&self, before: u64, after: u64) {
        self.free
            .fetch_add((after.min(NO_CAP) as i64).wrapping_sub(before.min(NO_CAP) as i64), Ordering::AcqRel);
    }

    /// Most pages that a process with `credit` could have now.
    pub fn reach(&self, credit: u64) -> u64 {
        let free = u64::try_from(self.free.load(Ordering::Relaxed)).unwrap_or(0);
        credit.max(credit.saturating_add(free).min(self.fair.load(Ordering::Relaxed)))
    }

    /// Whether anybody should give up credit.
    pub fn is_short(&self) -> bool {
        self.free.load(Ordering::Relaxed) < 0 || self.asked.load(Ordering::Relaxed) > 0
    }

    /// Takes credit so that `account` has enough for `pages`, or as much as it may have; `batch` pages at
    /// least.
    pub fn raise(&self, account: &Account, pages: u64, batch: u64) {
        let held = account.credit.load(Ordering::Relaxed);
        if pages <= held {
            return;
        }
        let (need, fair) = (pages - held, self.fair.load(Ordering::Relaxed));
        let wanted = need.max(batch).max(LEAST_CREDIT.saturating_sub(held));
        let got = self.take(wanted.min(fair.saturating_sub(held)));
        let least = LEAST_CREDIT.saturating_sub(held + got);
        if least > 0 {
            self.charge(least);
        }
        if got + least > 0 {
            account.credit.fetch_add(got + least, Ordering::AcqRel);
        }
        if got + least < need {
            if account.hungry.load(Ordering::Relaxed) < HUNGRY_LOOKS {
                account.hungry.store(HUNGRY_LOOKS, Ordering::Relaxed);
            }
            let more = need.max(batch).max(held / 2).min(fair.saturating_sub(held + got));
            if more > 0 && fair != NO_LEVEL {
                self.asked.fetch_max(more, Ordering::Relaxed);
            }
        }
    }

    /// Takes off `account` what it owes to others now. It is moving until its pages are gone: then comes
    /// [`Pool::pay`].
    pub fn collect(&self, account: &Account, batch: u64, occasion: Occasion) -> u64 {
        if occasion == Occasion::Fault && account.is_idle() {
            account.idle.store(0, Ordering::Relaxed);
        }
        if !self.is_short() {
            return 0;
        }
        let mut owed = 0;
        let _ = account.credit.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            let most = match occasion {
                Occasion::Fault => (held / PART).max(batch),
                Occasion::Poke => u64::MAX,
            };
            owed = self.owed().min(held.saturating_sub(self.floor(account))).min(most);
            (owed > 0).then(|| held - owed)
        });
        if owed > 0 {
            account.moving.fetch_add(owed, Ordering::AcqRel);
        }
        owed
    }

    /// How much somebody should give up: debts, or what others ask for.
    fn owed(&self) -> u64 {
        let debt = u64::try_from(self.free.load(Ordering::Relaxed).saturating_neg()).unwrap_or(0);
        debt.max(self.asked.load(Ordering::Relaxed))
    }

    /// What nobody may take from `account`.
    pub fn floor(&self, account: &Account) -> u64 {
        if account.is_idle() { LEAST_CREDIT } else { self.fair.load(Ordering::Relaxed).max(LEAST_CREDIT) }
    }

    /// Pays what was collected, less the `kept` pages that would not go.
    pub fn pay(&self, account: &Account, owed: u64, kept: u64) {
        let kept = kept.min(owed);
        if kept > 0 {
            account.credit.fetch_add(kept, Ordering::AcqRel);
        }
        if owed > kept {
            self.give(owed - kept);
            let less = |asked: u64| Some(asked.saturating_sub(owed - kept));
            let _ = self.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        account.moving.fetch_sub(owed, Ordering::AcqRel);
    }

    /// Gives back what an account does not need for `pages`.
    pub fn lower(&self, account: &Account, pages: u64, batch: u64) {
        let mut over = 0;
        let _ = account.credit.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            let keep = (pages + (pages / PART).max(2 * batch)).max(LEAST_CREDIT);
            over = held.saturating_sub(keep);
            (over > 0).then(|| held - over)
        });
        if over > 0 {
            self.give(over);
        }
    }

    /// Sets credit for a child with `pages` aside, and says how much: what the pool does not have comes from
    /// `account`, down to half of what both have. Its pages have to go before the child is made.
    pub fn endow(&self, account: &Account, pages: u64) -> u64 {
        let wanted = pages.max(LEAST_CREDIT);
        let got = self.take(wanted);
        let mut shared = 0;
        if got < wanted {
            let _ = account.credit.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
                let half = ((held + got) / 2).max(LEAST_CREDIT).min(wanted);
                shared = half.saturating_sub(got).min(held.saturating_sub(LEAST_CREDIT));
                (shared > 0).then(|| held - shared)
            });
        }
        let debt = LEAST_CREDIT.saturating_sub(got + shared);
        if debt > 0 {
            self.charge(debt);
        }
        account.moving.fetch_add(got + shared + debt, Ordering::AcqRel);
        got + shared + debt
    }

    /// Starts an account anew with `credit` that was set aside for it, giving back what its last owner left;
    /// without any, with the least.
    pub fn open(&self, account: &Account, credit: Option<u64>) {
        let left = account.credit.swap(credit.unwrap_or(LEAST_CREDIT), Ordering::AcqRel);
        let left = left.wrapping_add(account.moving.swap(0, Ordering::AcqRel));
        account.hungry.store(0, Ordering::Relaxed);
        account.idle.store(0, Ordering::Relaxed);
        if credit.is_none() {
            self.charge(LEAST_CREDIT);
        }
        self.give(left);
    }

    /// Gives back all that an account has.
    pub fn close(&self, account: &Account) {
        self.give(
            account.credit.swap(0, Ordering::AcqRel).wrapping_add(account.moving.swap(0, Ordering::AcqRel)),
        );
        account.hungry.store(0, Ordering::Relaxed);
    }
}

impl Account {
    /// What it has, and what is on its way.
    pub fn total(&self) -> u64 {
        self.credit.load(Ordering::Acquire).saturating_add(self.moving.load(Ordering::Acquire))
    }

    fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed) != 0
    }
}

/// How many processes a run under `cap` may have.
pub const fn most_processes(cap: u64) -> u64 {
    cap / LEAST_CREDIT + EXTRA_PROCESSES
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: u64 = 32;

    fn pool(free: i64, fair: u64) -> Pool {
        Pool { free: AtomicI64::new(free), fair: AtomicU64::new(fair), asked: AtomicU64::new(0) }
    }

    fn account(credit: u64) -> Account {
        Account {
            credit: AtomicU64::new(credit),
            moving: AtomicU64::new(0),
            hungry: AtomicU32::new(0),
            idle: AtomicU32::new(0),
        }
    }

    fn credit(account: &Account) -> u64 {
        account.credit.load(Ordering::Relaxed)
    }

    fn free(pool: &Pool) -> i64 {
        pool.free.load(Ordering::Relaxed)
    }

    #[test]
    fn credit_comes_in_batches_as_long_as_there_is_some() {
        let (pool, account) = (pool(100, NO_LEVEL), account(64));
        pool.raise(&account, 65, BATCH);
        assert_eq!((credit(&account), free(&pool)), (96, 68));
        pool.raise(&account, 90, BATCH);
        assert_eq!(credit(&account), 96, "there is enough");
        pool.raise(&account, 300, BATCH);
        assert_eq!(
            (credit(&account), free(&pool), account.hungry.load(Ordering::Relaxed)),
            (164, 0, HUNGRY_LOOKS)
        );
    }

    #[test]
    fn the_least_is_there_even_on_debt() {
        let (pool, account) = (pool(10, NO_LEVEL), account(0));
        pool.raise(&account, 1, 1);
        assert_eq!((credit(&account), free(&pool)), (64, 10 - 64));
    }

    #[test]
    fn who_has_more_than_a_fair_part_pays_and_who_has_less_gets() {
        let (pool, rich, poor) = (pool(0, 500), account(936), account(64));
        pool.raise(&poor, 65, BATCH);
        assert_eq!((credit(&poor), pool.asked.load(Ordering::Relaxed)), (64, BATCH));
        assert_eq!(pool.collect(&poor, BATCH, Occasion::Fault), 0);
        let owed = pool.collect(&rich, BATCH, Occasion::Fault);
        assert_eq!((owed, credit(&rich), free(&pool)), (BATCH, 936 - BATCH, 0));
        pool.pay(&rich, owed, 0);
        assert!(!pool.is_short());
        pool.raise(&rich, 936, BATCH);
        assert_eq!(credit(&rich), 936 - BATCH, "it is not for those with more than a fair part");
        pool.raise(&poor, 65, BATCH);
        assert_eq!((credit(&poor), free(&pool)), (64 + BATCH, 0));
    }

    #[test]
    fn a_poke_asks_for_all_at_once_but_never_for_a_fair_part() {
        let (pool, rich) = (pool(-300, 500), account(936));
        assert_eq!(pool.collect(&rich, BATCH, Occasion::Fault), 936 / PART);
        assert_eq!(pool.collect(&rich, BATCH, Occasion::Poke), 300);
        assert_eq!(pool.collect(&rich, BATCH, Occasion::Poke), 936 - 936 / PART - 300 - 500);
        assert_eq!(pool.collect(&rich, BATCH, Occasion::Poke), 0);
    }

    #[test]
    fn an_idle_process_gives_up_all_but_the_least_until_it_faults() {
        let (pool, sleeper) = (pool(-1000, 500), account(600));
        sleeper.idle.store(1, Ordering::Relaxed);
        assert_eq!(pool.collect(&sleeper, BATCH, Occasion::Poke), 600 - LEAST_CREDIT);
        sleeper.credit.store(600, Ordering::Relaxed);
        assert_eq!(pool.collect(&sleeper, BATCH, Occasion::Fault), 600 / PART);
        assert_eq!(pool.floor(&sleeper), 500);
    }

    #[test]
    fn pages_that_would_not_go_keep_their_credit() {
        let (pool, rich) = (pool(-100, 500), account(700));
        let owed = pool.collect(&rich, BATCH, Occasion::Poke);
        pool.pay(&rich, owed, 30);
        assert_eq!((owed, credit(&rich), free(&pool), rich.total()), (100, 630, -30, 630));
    }

    #[test]
    fn a_child_has_as_much_as_its_parent_and_no_more_than_there_is() {
        let (plenty, parent) = (pool(1000, NO_LEVEL), account(400));
        assert_eq!((plenty.endow(&parent, 380), credit(&parent), free(&plenty)), (380, 400, 620));
        let (little, parent) = (pool(100, NO_LEVEL), account(400));
        assert_eq!((little.endow(&parent, 380), credit(&parent), free(&little)), (250, 250, 0));
        let (none, parent) = (pool(0, NO_LEVEL), account(64));
        assert_eq!((none.endow(&parent, 60), credit(&parent), free(&none)), (64, 64, -64));
    }

    #[test]
    fn an_account_starts_with_the_least_or_what_was_set_aside() {
        let (pool, account) = (pool(100, NO_LEVEL), account(7));
        pool.open(&account, None);
        assert_eq!((credit(&account), free(&pool)), (64, 43));
        pool.open(&account, Some(30));
        assert_eq!((credit(&account), free(&pool)), (30, 107));
        pool.close(&account);
        assert_eq!((credit(&account), free(&pool)), (0, 137));
    }

    proptest::proptest! {
        /// Whatever processes do, credit is neither made nor lost, nobody has less than was promised, and
        /// only starts go on debt.
        #[test]
        fn credit_is_conserved(steps in proptest::collection::vec((0_usize..4, 0_u64..600, 0_u8..6, 64_u64..500), 1..200)) {
            let pool = pool(1000, NO_LEVEL);
            let accounts = [0; 4].map(account);
            for (who, pages, step, fair) in steps {
                let own = &accounts[who];
                pool.fair.store(fair, Ordering::Relaxed);
                match step {
                    0 => pool.raise(own, pages, BATCH),
                    1 => {
                        let owed = pool.collect(own, BATCH, if pages % 2 == 0 { Occasion::Fault } else { Occasion::Poke });
                        pool.pay(own, owed, pages % 7);
                    }
                    2 => pool.lower(own, pages, BATCH),
                    3 => pool.close(own),
                    4 => pool.open(own, None),
                    _ => {
                        let child = pool.endow(own, credit(own));
                        own.moving.fetch_sub(child, Ordering::Relaxed);
                        pool.open(&accounts[(who + 1) % 4], Some(child));
                    }
                }
                let sum: u64 = accounts.iter().map(Account::total).sum();
                proptest::prop_assert_eq!(free(&pool) + sum as i64, 1000);
                proptest::prop_assert!(free(&pool) >= -4 * LEAST_CREDIT as i64);
            }
        }
    }
}
