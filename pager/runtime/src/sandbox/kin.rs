//! What threads of one memory have of one another's filters.

use core::ptr;
use core::sync::atomic::Ordering;

use super::chain::Node;
use crate::thread::{self, Block, Threads};

/// Gives a new thread what its creator has.
pub fn inherit(new: &'static Block, creator: &'static Block, lineage: Lineage) {
    thread::under_lock(|_| {
        new.sandbox.copy(&creator.sandbox);
        new.sandbox
            .owes_privileges
            .store(creator.sandbox.owes_privileges.load(Ordering::Relaxed), Ordering::Relaxed);
        if lineage == Lineage::SameProcess {
            new.sandbox.process.store(creator.sandbox.process.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    });
}

/// What a new thread is to its creator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lineage {
    /// A thread of the same process.
    SameProcess,
    /// A process of its own in the same memory.
    OwnProcess,
}

/// Whether the process has no other thread of the program's.
pub fn is_only_thread(block: &'static Block) -> bool {
    thread::under_lock(|threads| siblings(block, threads).next().is_none())
}

/// The other threads of `block`'s process.
pub fn siblings<'a>(block: &'a Block, threads: &'a Threads) -> impl Iterator<Item = &'static Block> + 'a {
    let process = block.sandbox.process.load(Ordering::Relaxed);
    threads.live().filter(move |other| {
        other.sandbox.process.load(Ordering::Relaxed) == process && !ptr::eq(*other, block)
    })
}

/// Whether any thread has the filter, of whichever process in this memory.
pub fn is_in_use(node: *const Node, threads: &Threads) -> bool {
    threads.live().any(|block| block.sandbox.filters().any(|other| ptr::eq(other, node)))
}
