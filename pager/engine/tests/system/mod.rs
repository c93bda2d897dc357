//! The system's locks, for a model whose threads are the system's.

use std::sync::atomic::{AtomicUsize, Ordering};

pub type Mutex<T> = std::sync::Mutex<T>;
pub type RwLock<T> = std::sync::RwLock<T>;

pub fn lock<T, R>(mutex: &Mutex<T>, act: impl FnOnce(&mut T) -> R) -> R {
    act(&mut mutex.lock().expect("no test goes on after a panic"))
}

pub fn read<T, R>(lock: &RwLock<T>, look: impl FnOnce(&T) -> R) -> R {
    look(&lock.read().expect("no test goes on after a panic"))
}

pub fn write<T, R>(lock: &RwLock<T>, act: impl FnOnce(&mut T) -> R) -> R {
    act(&mut lock.write().expect("no test goes on after a panic"))
}

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
