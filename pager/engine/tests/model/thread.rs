//! What a thread brings: its runs and its coin, and buffers that are used again.

use core::cell::RefCell;
use core::ops::{Deref, DerefMut};
use pager_core::addr::{PAGE_SIZE, PageNum};
use pager_engine::batch::BATCH;
use pager_engine::coin::Coin;
use pager_engine::host::Toucher;
use pager_engine::readahead::Streams;

use super::Model;
use super::locks::lock;
use crate::sync::Mutex;

/// Each thread's own, by [`crate::sync::thread`].
pub struct Owned(Vec<Mutex<(Streams, Coin)>>);

/// Most threads of a model.
const THREADS: usize = 8;

impl Owned {
    pub fn new() -> Owned {
        Owned((0..THREADS).map(|_| Mutex::new((Streams::none(), Coin::new()))).collect())
    }

    fn with<R>(&self, act: impl FnOnce(&mut (Streams, Coin)) -> R) -> R {
        lock(&self.0[crate::sync::thread() % THREADS], act)
    }
}

thread_local! {
    /// Buffers that nobody uses.
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that goes back to where it came from. Its contents are the last user's.
pub struct Buffer {
    memory: Option<Box<[u8]>>,
    len: usize,
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.memory.as_ref().expect("there until it is dropped")[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory.as_mut().expect("there until it is dropped")[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        POOL.with_borrow_mut(|pool| pool.extend(self.memory.take()));
    }
}

impl Toucher for Model {
    type Buffer = Buffer;

    fn buffer(&self, pages: usize) -> Buffer {
        assert!((1..=BATCH).contains(&pages));
        let pooled = POOL.with_borrow_mut(Vec::pop);
        let memory = pooled.unwrap_or_else(|| vec![0xaa; BATCH * PAGE_SIZE as usize].into_boxed_slice());
        Buffer { memory: Some(memory), len: pages * PAGE_SIZE as usize }
    }

    fn with_streams<R>(&self, act: impl FnOnce(&mut Streams) -> R) -> R {
        self.own.with(|own| act(&mut own.0))
    }

    fn one_in(&self, times: u64) -> bool {
        self.own.with(|own| own.1.one_in(times))
    }

    fn threads(&self) -> u64 {
        self.threads
    }

    fn is_alone(&self) -> bool {
        self.threads == 1
    }

    fn mark_pinned(&self, pages: &[PageNum], pinned: &mut [bool]) {
        lock(&self.pinned, |all| {
            for (page, pinned) in pages.iter().zip(pinned) {
                *pinned = all.contains(page);
            }
        });
    }

    fn fault_around(&self) -> u64 {
        self.fault_around
    }
}
