//! The model checker's locks: it decides at each of them, and at each look at the page table, who runs on.

pub type Mutex<T> = shuttle::sync::Mutex<T>;
pub type RwLock<T> = shuttle::sync::RwLock<T>;

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
