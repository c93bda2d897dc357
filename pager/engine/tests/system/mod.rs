//! The system's locks, for a model whose threads are the system's.

use std::sync::atomic::{AtomicUsize, Ordering};

pub type Mutex<T> = std::sync::Mutex<T>;
pub type RwLock<T> = std::sync::RwLock<T>;

/// Called at each look at the page table.
pub fn step() {}

pub fn give_way() {
    std::thread::yield_now();
}

/// A number of the calling thread's, from 0 on.
pub fn thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    OWN.with(|own| *own)
}
