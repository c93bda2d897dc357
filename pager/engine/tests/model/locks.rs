//! Work under a lock, whoever's it is.

use crate::sync::{Mutex, RwLock};

pub fn lock<T, R>(mutex: &Mutex<T>, act: impl FnOnce(&mut T) -> R) -> R {
    act(&mut mutex.lock().expect("no test goes on after a panic"))
}

pub fn read<T, R>(lock: &RwLock<T>, look: impl FnOnce(&T) -> R) -> R {
    look(&lock.read().expect("no test goes on after a panic"))
}

pub fn write<T, R>(lock: &RwLock<T>, act: impl FnOnce(&mut T) -> R) -> R {
    act(&mut lock.write().expect("no test goes on after a panic"))
}
