//! The model checker's locks: it decides at each of them, and at each look at the page table, who runs on.

pub type Mutex<T> = shuttle::sync::Mutex<T>;
pub type RwLock<T> = shuttle::sync::RwLock<T>;

/// Called at each look at the page table.
pub fn step() {
    shuttle::thread::yield_now();
}

pub fn give_way() {
    shuttle::thread::yield_now();
}

/// A number of the calling thread's.
pub fn thread() -> usize {
    shuttle::current::me().into()
}
