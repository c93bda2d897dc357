//! A thread's filters: each on top of the ones before it.

use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use pager_core::seccomp::{Entry, Filter, Made};

/// `PR_GET_SECCOMP` of a thread: no seccomp, strict, filters.
pub const DISABLED: u32 = 0;

pub const STRICT: u32 = 1;

pub const FILTERED: u32 = 2;

/// A thread's part: its mode and its newest filter. Written by the owner, or by a thread of the same process
/// (TSYNC), under the lock of the threads' list; read by the owner without it.
pub struct Sandbox {
    pub(super) mode: AtomicU32,
    pub(super) newest: AtomicPtr<Node>,
    /// The process that the thread belongs to: vfork children run in the same memory, with blocks in the same
    /// list. Zero for the thread that resolves faults, and for a vfork child until it runs.
    pub(super) process: AtomicU32,
    /// The thread's number, once it runs.
    pub(super) thread: AtomicU32,
    /// Whether another thread of the process gave this one `no_new_privs` with its filters: a flag of the
    /// kernel's that each thread sets itself.
    pub(super) owes_privileges: AtomicU32,
}

/// A filter, on top of the ones before it. Nodes live as long as the process: threads look at them without a
/// lock. Which node it is tells installations of equal filters apart (TSYNC asks for that); one that no
/// thread has any more is used again, so that threads that come and go with the same filters take no more
/// memory.
pub struct Node {
    pub(super) entry: Entry,
    pub(super) before: *const Node,
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
    pub fn number(&self) -> u32 {
        self.thread.load(Ordering::Relaxed)
    }

    /// The filters, the newest first.
    pub fn filters(&self) -> Filters {
        Filters(self.newest.load(Ordering::Acquire))
    }

    /// Takes over what `from` has. The lock of the threads' list must be held.
    pub fn copy(&self, from: &Sandbox) {
        self.newest.store(from.newest.load(Ordering::Relaxed), Ordering::Release);
        self.mode.store(from.mode.load(Ordering::Relaxed), Ordering::Release);
    }
}

/// Nodes from one on, each before the last.
pub struct Filters(pub(super) *const Node);

impl Iterator for Filters {
    type Item = &'static Node;

    fn next(&mut self) -> Option<&'static Node> {
        // SAFETY: nodes are leaked when they are made, and immutable.
        let node = unsafe { self.0.as_ref() }?;
        self.0 = node.before;
        Some(node)
    }
}

/// A node of this filter on top of `before`, that no thread has: `is_in_use` says of a node whether one does.
/// The lock of the threads' list must be held.
pub fn node(entry: Entry, before: *const Node, is_in_use: impl Fn(*const Node) -> bool) -> *const Node {
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
    pub fn filter(&self) -> &Filter {
        &self.entry.filter
    }

    pub fn made(&self) -> Made {
        self.entry.made
    }
}
