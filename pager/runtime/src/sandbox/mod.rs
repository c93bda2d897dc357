//! Seccomp for the program: its filters are kept and run here, because the kernel would apply them to the runtime's own calls.
//!
//! Owned: which thread has which filters ([`Sandbox`], in the thread's block), how they are installed (`install`), what is done about a call
//! (`admit`), how the next program gets them (`succession`), and what of it
//! `/proc` shows ([`status`]). What a filter means is [`pager_core::seccomp`]'s. Not here: any protection of the
//! runtime from the program; `docs/NOT_A_SANDBOX.md` says what that means for filters.

mod admit;
mod install;
pub mod status;
mod succession;

pub use admit::{Admission, admit};
pub use install::{prctl, seccomp};
pub use succession::{adopt, give_to_kernel, hand_over};

use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use pager_core::seccomp::{Entry, Filter, Made};

use crate::thread::{self, Block, Threads};

/// `PR_GET_SECCOMP` of a thread: no seccomp, strict, filters.
const DISABLED: u32 = 0;
const STRICT: u32 = 1;
const FILTERED: u32 = 2;

/// A thread's part: its mode and its newest filter. Written by the owner, or by a thread of the same process (TSYNC), under the lock of the
/// threads' list; read by the owner without it.
pub struct Sandbox {
    mode: AtomicU32,
    newest: AtomicPtr<Node>,
    /// The process that the thread belongs to: vfork children run in the same memory, with blocks in the same list. Zero for the thread that
    /// resolves faults, and for a vfork child until it runs.
    process: AtomicU32,
    /// The thread's number, once it runs.
    thread: AtomicU32,
    /// Whether another thread of the process gave this one `no_new_privs` with its filters: a flag of the kernel's that each thread sets itself.
    owes_privileges: AtomicU32,
}

/// A filter, on top of the ones before it. Nodes live as long as the process: threads look at them without a lock. Which node it is tells installations
/// of equal filters apart (TSYNC asks for that); one that no thread has any more is used again, so that threads that come and go with the same filters
/// take no more memory.
pub struct Node {
    entry: Entry,
    before: *const Node,
    /// The next in the list of all nodes.
    next: *const Node,
}

/// Every node, for finding an equal one. Only ever pushed to.
static NODES: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

impl Sandbox {
    pub const fn none() -> Sandbox {
        Sandbox {
            mode: AtomicU32::new(DISABLED),
            newest: AtomicPtr::new(ptr::null_mut()),
            process: AtomicU32::new(0),
            thread: AtomicU32::new(0),
            owes_privileges: AtomicU32::new(0),
        }
    }

    /// Whether the thread's calls have to be looked at: one load where there is no seccomp.
    pub fn confines(&self) -> bool {
        self.mode.load(Ordering::Relaxed) != DISABLED
    }

    /// Says which thread of which process it is.
    pub fn belong(&self, process: u32, thread: u32) {
        self.process.store(process, Ordering::Relaxed);
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// The thread's number.
    fn number(&self) -> u32 {
        self.thread.load(Ordering::Relaxed)
    }

    /// The filters, the newest first.
    fn filters(&self) -> Filters {
        Filters(self.newest.load(Ordering::Acquire))
    }

    /// Takes over what `from` has. The lock of the threads' list must be held.
    fn copy(&self, from: &Sandbox) {
        self.newest.store(from.newest.load(Ordering::Relaxed), Ordering::Release);
        self.mode.store(from.mode.load(Ordering::Relaxed), Ordering::Release);
    }
}

/// Gives a new thread what its creator has.
pub fn inherit(new: &'static Block, creator: &'static Block, lineage: Lineage) {
    thread::under_lock(|_| {
        new.sandbox.copy(&creator.sandbox);
        new.sandbox.owes_privileges.store(creator.sandbox.owes_privileges.load(Ordering::Relaxed), Ordering::Relaxed);
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
fn is_only_thread(block: &'static Block) -> bool {
    thread::under_lock(|threads| siblings(block, threads).next().is_none())
}

/// Whether any thread has the filter, of whichever process in this memory.
fn is_in_use(node: *const Node, threads: &Threads) -> bool {
    threads.live().any(|block| block.sandbox.filters().any(|other| ptr::eq(other, node)))
}

/// The other threads of `block`'s process.
fn siblings<'a>(block: &'a Block, threads: &'a Threads) -> impl Iterator<Item = &'static Block> + 'a {
    let process = block.sandbox.process.load(Ordering::Relaxed);
    threads
        .live()
        .filter(move |other| other.sandbox.process.load(Ordering::Relaxed) == process && !ptr::eq(*other, block))
}

/// Nodes from one on, each before the last.
struct Filters(*const Node);

impl Iterator for Filters {
    type Item = &'static Node;

    fn next(&mut self) -> Option<&'static Node> {
        // SAFETY: nodes are leaked when they are made, and immutable.
        let node = unsafe { self.0.as_ref() }?;
        self.0 = node.before;
        Some(node)
    }
}

/// A node of this filter on top of `before`, that no thread has: `is_in_use` says of a node whether one does. The lock of the threads' list must be held.
fn node(entry: Entry, before: *const Node, is_in_use: impl Fn(*const Node) -> bool) -> *const Node {
    let mut at: *const Node = NODES.load(Ordering::Acquire);
    // SAFETY: nodes are leaked when they are made, and immutable.
    while let Some(known) = unsafe { at.as_ref() } {
        if known.before == before && known.entry == entry && !is_in_use(known) {
            return known;
        }
        at = known.next;
    }
    let new = Box::leak(Box::new(Node { entry, before, next: ptr::null() }));
    loop {
        let head = NODES.load(Ordering::Acquire);
        new.next = head;
        if NODES.compare_exchange(head, new, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return new;
        }
    }
}

impl Node {
    fn filter(&self) -> &Filter {
        &self.entry.filter
    }

    fn made(&self) -> Made {
        self.entry.made
    }
}
