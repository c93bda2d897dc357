//! Locks of the runtime: sleeping, without thread-local state, and able to be held all at once.
//!
//! **Order**: that of [`Rank`], which each lock is made with. With the feature `lock-order`, which `pager`
//! built for debugging has its image built with, each acquisition is checked against what the thread holds,
//! and one out of order ends the process. No lock is held while a file is read or written or while the
//! program's memory is touched.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

pub use pager_core::rank::Rank;

use crate::die;
use crate::sys::futex;

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;
const SPINS: u32 = 100;

/// A word that one thread holds at a time.
pub struct RawMutex {
    word: AtomicU32,
    rank: Rank,
}

impl RawMutex {
    pub const fn free(rank: Rank) -> RawMutex {
        RawMutex { word: AtomicU32::new(FREE), rank }
    }

    pub fn acquire(&self) {
        order::take(self.rank);
        self.wait_for_it();
    }

    pub fn release(&self) {
        self.hand_on();
        order::give_back(self.rank);
    }

    fn wait_for_it(&self) {
        for _ in 0..SPINS {
            if self.word.compare_exchange_weak(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return;
            }
            core::hint::spin_loop();
        }
        loop {
            match self.word.swap(CONTENDED, Ordering::Acquire) {
                FREE => return,
                HELD | CONTENDED => futex::wait(&self.word, CONTENDED),
                state => overwritten(state),
            }
        }
    }

    fn hand_on(&self) {
        if self.word.swap(FREE, Ordering::Release) == CONTENDED {
            futex::wake(&self.word, 1);
        }
    }
}

/// What each thread holds. Threads are known further up, so they say where their note is.
#[cfg(feature = "lock-order")]
pub mod order {
    use core::sync::atomic::{AtomicPtr, Ordering};

    use pager_core::rank::{HeldRanks, Rank};

    use crate::die;

    /// The note of the thread that asks; none for one that is not known as a thread yet, which is alone.
    pub type Notes = fn() -> Option<&'static HeldRanks>;

    /// A [`Notes`], or null before there is one.
    static NOTES: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

    /// From now on acquisitions are checked.
    pub fn check_by(notes: Notes) {
        NOTES.store(notes as *mut (), Ordering::Release);
    }

    fn held() -> Option<&'static HeldRanks> {
        let notes = NOTES.load(Ordering::Acquire);
        if notes.is_null() {
            return None;
        }
        // SAFETY: only `check_by` stores here, and what it stores is a function of this type.
        let notes = unsafe { core::mem::transmute::<*mut (), Notes>(notes) };
        notes()
    }

    pub fn take(rank: Rank) {
        if let Some(held) = held()
            && let Err(error) = held.take(rank)
        {
            die::internal(format_args!("{error}"));
        }
    }

    pub fn give_back(rank: Rank) {
        if let Some(held) = held() {
            held.give_back(rank);
        }
    }
}

#[cfg(not(feature = "lock-order"))]
mod order {
    use pager_core::rank::Rank;

    pub fn take(_: Rank) {}

    pub fn give_back(_: Rank) {}
}

/// No thread will ever release a lock that the program has written over: better to end than to wait for that.
fn overwritten(state: u32) -> ! {
    die::internal(format_args!("a lock of the runtime was written over: it says {state:#x}"))
}

/// Data that one thread uses at a time.
pub struct Mutex<T> {
    raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only reached through a guard, and there is one guard at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    pub const fn new(rank: Rank, value: T) -> Mutex<T> {
        Mutex { raw: RawMutex::free(rank), value: UnsafeCell::new(value) }
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.raw.acquire();
        MutexGuard(self)
    }

    /// The word itself, for holding it across a fork.
    pub fn raw(&self) -> &RawMutex {
        &self.raw
    }
}

/// The right to use what a [`Mutex`] guards.
pub struct MutexGuard<'a, T>(&'a Mutex<T>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard's existence means that this thread holds the lock.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.0.raw.release();
    }
}

const WRITER: u32 = 1 << 31;
/// More than there can be threads.
const MOST_READERS: u32 = 1 << 23;

/// Data that many threads read or one writes; a waiting writer keeps new readers out, so readers must not
/// nest.
pub struct RwLock<T> {
    writer: RawMutex,
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: shared references are handed out only while no writer is in, a unique one only while nobody else
// is.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    pub const fn new(rank: Rank, value: T) -> RwLock<T> {
        RwLock { writer: RawMutex::free(rank), state: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    pub fn read(&self) -> ReadGuard<'_, T> {
        order::take(self.writer.rank);
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & !WRITER > MOST_READERS {
                overwritten(state);
            } else if state & WRITER != 0 {
                futex::wait(&self.state, state);
            } else if self
                .state
                .compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return ReadGuard(self);
            }
        }
    }

    pub fn write(&self) -> WriteGuard<'_, T> {
        self.writer.acquire();
        let mut state = self.state.fetch_or(WRITER, Ordering::Acquire) | WRITER;
        while state != WRITER {
            if state & !WRITER > MOST_READERS {
                overwritten(state);
            }
            futex::wait(&self.state, state);
            state = self.state.load(Ordering::Acquire);
        }
        WriteGuard(self)
    }
}

/// The right to read.
pub struct ReadGuard<'a, T>(&'a RwLock<T>);

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: readers are counted in, so no writer is.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, Ordering::Release) & WRITER != 0 {
            futex::wake(&self.0.state, u32::MAX >> 1);
        }
        order::give_back(self.0.writer.rank);
    }
}

/// The right to change.
pub struct WriteGuard<'a, T>(&'a RwLock<T>);

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the writer is alone.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the writer is alone, and the guard is borrowed uniquely.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        self.0.state.store(0, Ordering::Release);
        futex::wake(&self.0.state, u32::MAX >> 1);
        self.0.writer.release();
    }
}
