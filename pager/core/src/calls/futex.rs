//! futex(2): which words an operation touches, and how.
//!
//! A private futex that is only a key (woken, or requeued to) is never touched: its address alone names it. A
//! shared one is looked up in the page tables, so its page has to be there, and writable.

use super::expand::Walk;
use super::{Direction, Fault, Restart, Span, UserMemory};
use Direction::{In, InOut};

/// `SYS_futex`.
pub const CALL: u32 = 202;

/// `FUTEX_PRIVATE_FLAG`.
const PRIVATE: u32 = 128;
/// `FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME`.
const FLAGS: u32 = PRIVATE | 256;
/// `FUTEX_WAITV_MAX`.
const MAX_WAITERS: u64 = 128;
/// `sizeof(struct futex_waitv)`.
const WAITER: u64 = 24;

const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const LOCK_PI: u32 = 6;
const UNLOCK_PI: u32 = 7;
const TRYLOCK_PI: u32 = 8;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const WAIT_REQUEUE_PI: u32 = 11;
const CMP_REQUEUE_PI: u32 = 12;
const LOCK_PI2: u32 = 13;

/// How a futex word is used.
#[derive(Clone, Copy)]
enum Word {
    /// Not at all.
    Unused,
    /// As a name only.
    Key,
    /// Its value is compared.
    Read,
    /// Its value is changed.
    Changed,
}

/// Whether the timeout of the operation counts from the call's start; the others' are times of a clock.
pub(super) const fn waits_from_start(operation: u64) -> bool {
    operation as u32 & !FLAGS == WAIT
}

/// What a signal does to futex(2) with this operation and timeout.
pub(super) fn blocking(operation: u64, timeout: u64) -> Restart {
    match operation as u32 & !FLAGS {
        // With a timeout the kernel keeps the time left in a restart block, which a handler discards.
        WAIT | WAIT_BITSET if timeout != 0 => Restart::NeverAfterHandler,
        WAIT | WAIT_BITSET => Restart::Restartable,
        LOCK_PI | LOCK_PI2 | WAIT_REQUEUE_PI => Restart::Always,
        _ => Restart::Uninterruptible,
    }
}

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    /// futex(uaddr, op, val, timeout or val2, uaddr2, val3).
    pub(super) fn futex(&mut self) {
        let operation = self.int(1);
        let timed = matches!(operation & !FLAGS, WAIT | WAIT_BITSET | LOCK_PI | LOCK_PI2 | WAIT_REQUEUE_PI);
        let (first, second) = match operation & !FLAGS {
            WAIT | WAIT_BITSET => (Word::Read, Word::Unused),
            WAKE | WAKE_BITSET => (Word::Key, Word::Unused),
            REQUEUE => (Word::Key, Word::Key),
            CMP_REQUEUE => (Word::Read, Word::Key),
            WAKE_OP => (Word::Key, Word::Changed),
            LOCK_PI | LOCK_PI2 | TRYLOCK_PI | UNLOCK_PI => (Word::Changed, Word::Unused),
            WAIT_REQUEUE_PI | CMP_REQUEUE_PI => (Word::Read, Word::Changed),
            _ => (Word::Unused, Word::Unused),
        };
        let private = operation & PRIVATE != 0;
        self.futex_word(self.arg(0), first, private);
        self.futex_word(self.arg(4), second, private);
        if timed {
            self.touch(self.arg(3), 16, In);
        }
    }

    fn futex_word(&mut self, addr: u64, word: Word, private: bool) {
        match word {
            Word::Unused => {}
            Word::Key if private => {}
            Word::Read if private => self.touch(addr, 4, In),
            // A shared futex is looked up as though it were written to: a read-only anonymous page is refused
            // (get_futex_key).
            Word::Key | Word::Read | Word::Changed => self.touch(addr, 4, InOut),
        }
    }

    /// An array of `futex_waitv` {u64 value, u64 address, u32 flags, u32 reserved} and the words that it
    /// names.
    pub(super) fn futex_waiters(&mut self, addr: u64, waiters: u32) -> Result<(), Fault> {
        let waiters = u64::from(waiters);
        if waiters > MAX_WAITERS {
            return Ok(());
        }
        self.touch(addr, waiters * WAITER, In);
        for waiter in 0..waiters {
            let at = addr.saturating_add(waiter * WAITER);
            let word = self.u64_at(at.saturating_add(8))?;
            self.touch(word, 4, InOut);
        }
        Ok(())
    }
}
