//! The order in which a thread takes locks, as numbers that can be compared.
//!
//! A thread that takes each lock only while all that it holds come before it in one order cannot be part of a
//! deadlock of locks. [`Rank`] states the order; [`HeldRanks`] is a thread's own note of what it holds, which
//! the locks of the runtime ask on every acquisition in debug builds.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

/// The locks of the runtime, outermost first: a thread may take one only while all that it holds stand above
/// it here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Rank {
    /// Where the brk heap ends.
    Break,
    /// The area tree, for reading or writing. Readers must not nest, so it counts as one lock.
    Areas,
    /// The order of replacement.
    Queue,
    /// Files that pages come from.
    Images,
    /// Path of the program.
    Program,
    /// Limits kept for the program.
    Limits,
    /// Signal actions of a process.
    Actions,
    /// The list of threads.
    Threads,
    /// Bounce buffers that nobody uses.
    Buffers,
    /// The runtime's heap.
    Heap,
    /// Memory set aside for when the kernel gives no more.
    Spare,
}

impl Rank {
    /// All of them, in their order.
    pub const ALL: [Rank; 11] = [
        Rank::Break,
        Rank::Areas,
        Rank::Queue,
        Rank::Images,
        Rank::Program,
        Rank::Limits,
        Rank::Actions,
        Rank::Threads,
        Rank::Buffers,
        Rank::Heap,
        Rank::Spare,
    ];

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A lock was about to be taken out of order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfOrder {
    /// What was to be taken.
    pub wanted: Rank,
    /// The innermost lock that the thread holds.
    pub held: Rank,
}

impl fmt::Display for OutOfOrder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "lock order: {:?} was to be taken by a thread that holds {:?}", self.wanted, self.held)
    }
}

/// The ranks that one thread holds. Only its thread changes it, also from a signal handler, which leaves it
/// as it found it.
#[derive(Default, Debug)]
pub struct HeldRanks(AtomicU32);

impl HeldRanks {
    /// Nothing is held.
    pub const fn none() -> HeldRanks {
        HeldRanks(AtomicU32::new(0))
    }

    /// Notes that `rank` is about to be taken.
    ///
    /// # Errors
    /// If the thread holds it, or one that comes after it.
    pub fn take(&self, rank: Rank) -> Result<(), OutOfOrder> {
        let held = self.0.load(Ordering::Relaxed);
        let innermost = Rank::ALL.iter().rev().find(|other| held & other.bit() != 0);
        match innermost {
            Some(&innermost) if innermost >= rank => Err(OutOfOrder { wanted: rank, held: innermost }),
            _ => {
                self.0.store(held | rank.bit(), Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Notes that `rank` was given back, in whatever order.
    pub fn give_back(&self, rank: Rank) {
        self.0.store(self.0.load(Ordering::Relaxed) & !rank.bit(), Ordering::Relaxed);
    }

    /// Forgets everything: the thread is a new one.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_can_be_held_at_once_in_their_order() {
        let held = HeldRanks::none();
        Rank::ALL.iter().for_each(|rank| held.take(*rank).expect("in order"));
        Rank::ALL.iter().for_each(|rank| held.give_back(*rank));
        Rank::ALL.iter().for_each(|rank| held.take(*rank).expect("all were given back"));
    }

    #[test]
    fn every_reversed_pair_is_caught_and_every_lock_taken_twice() {
        for (at, first) in Rank::ALL.into_iter().enumerate() {
            for (behind, second) in Rank::ALL.into_iter().enumerate() {
                let held = HeldRanks::none();
                held.take(first).expect("nothing is held");
                let expected =
                    if behind > at { Ok(()) } else { Err(OutOfOrder { wanted: second, held: first }) };
                assert_eq!(held.take(second), expected);
            }
        }
    }

    #[test]
    fn the_innermost_lock_counts_whatever_was_given_back() {
        let held = HeldRanks::none();
        held.take(Rank::Areas).expect("in order");
        held.take(Rank::Images).expect("in order");
        held.give_back(Rank::Areas);
        assert_eq!(held.take(Rank::Queue), Err(OutOfOrder { wanted: Rank::Queue, held: Rank::Images }));
        held.give_back(Rank::Images);
        held.take(Rank::Queue).expect("nothing is held");
        held.clear();
        held.take(Rank::Break).expect("nothing is held");
    }

    #[test]
    fn what_is_said_names_both_locks() {
        let said = std::format!("{}", OutOfOrder { wanted: Rank::Break, held: Rank::Areas });
        assert_eq!(said, "lock order: Break was to be taken by a thread that holds Areas");
    }
}
