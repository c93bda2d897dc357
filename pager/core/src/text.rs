//! Text in shared memory.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// Longest image or program path kept, in bytes; longer ones keep their tail.
pub const PATH_BYTES: usize = 256;

/// Bytes of text with a length; written once, length last.
#[repr(C)]
pub struct Text {
    /// Number of valid bytes; 0 until written.
    pub len: AtomicU32,
    /// The bytes.
    pub bytes: [AtomicU8; PATH_BYTES],
}

impl Text {
    /// Stores `text`; of a longer one the tail.
    pub fn set(&self, text: &[u8]) {
        let tail = &text[text.len().saturating_sub(PATH_BYTES)..];
        for (cell, &byte) in self.bytes.iter().zip(tail) {
            cell.store(byte, Ordering::Relaxed);
        }
        self.len.store(tail.len() as u32, Ordering::Release);
    }

    /// The bytes stored so far.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        let len = self.len.load(Ordering::Acquire) as usize;
        self.bytes[..len.min(PATH_BYTES)].iter().map(|byte| byte.load(Ordering::Relaxed))
    }
}
