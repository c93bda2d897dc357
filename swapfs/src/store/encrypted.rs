//! A store whose blocks are encrypted (XTS-AES-256) with a key that nobody but this store ever has, and that
//! goes with it.
//!
//! What this protects and what not: `docs/decisions/encrypted-swap.md`.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use super::claims::{Claim, Claims, Use};
use super::xts::{KEY_BYTES, Xts};
use super::{BLOCK, Store, StoreError, Whence, around, within};

/// A store that encrypts what it puts into another one. That one is of whole blocks; its holes are holes
/// here.
pub struct EncryptedStore {
    inner: Box<dyn Store>,
    /// Its two keys are wiped when it is dropped.
    cipher: Xts,
    size_bytes: AtomicU64,
    /// A block is encrypted as a whole, so that a write to a part of it takes three steps.
    claims: Claims,
}

impl EncryptedStore {
    /// The size that the store below needs for one of `size_bytes`.
    pub fn inner_size_bytes(size_bytes: u64) -> u64 {
        size_bytes.next_multiple_of(BLOCK as u64)
    }

    /// Encrypts into `inner`, which is empty and has [`EncryptedStore::inner_size_bytes`], with a new key.
    ///
    /// # Errors
    /// [`StoreError::Key`] where the kernel gives no random numbers.
    pub fn new(inner: Box<dyn Store>, size_bytes: u64) -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0u8; 2 * KEY_BYTES]);
        getrandom::fill(key.as_mut_slice()).map_err(StoreError::Key)?;
        let (data_key, tweak_key) = key.as_chunks::<KEY_BYTES>().0.split_at(1);
        let cipher = Xts::new(&data_key[0], &tweak_key[0]);
        Ok(EncryptedStore {
            inner,
            cipher,
            size_bytes: AtomicU64::new(size_bytes),
            claims: Claims::default(),
        })
    }

    /// Claims the whole blocks around a range; returns where they start and end.
    fn claim(&self, offset: u64, bytes: u64, kind: Use) -> (Claim<'_>, u64, u64) {
        let Range { start, end } = around(offset, bytes);
        (self.claims.claim(start, end, kind), start, end)
    }

    /// Reads whole blocks. A hole is a block of zeros below; no block of data encrypts to that, but for one
    /// chance in 2^32768.
    fn read_blocks(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_at(buffer, offset)?;
        for (block, number) in buffer.as_chunks_mut::<BLOCK>().0.iter_mut().zip(offset / BLOCK as u64..) {
            if *block != [0; BLOCK] {
                self.cipher.decrypt(block, number);
            }
        }
        Ok(())
    }

    /// Writes whole blocks, which it makes unreadable on the way.
    fn write_blocks(&self, blocks: &mut [u8], offset: u64) -> io::Result<()> {
        for (block, number) in blocks.as_chunks_mut::<BLOCK>().0.iter_mut().zip(offset / BLOCK as u64..) {
            self.cipher.encrypt(block, number);
        }
        self.inner.write_at(blocks, offset)
    }

    /// Fills a part of a block, which is claimed, with zeros. A hole stays one.
    fn clear(&self, from: u64, to: u64) -> io::Result<()> {
        if from == to {
            return Ok(());
        }
        let start = from - from % BLOCK as u64;
        let mut block = [0; BLOCK];
        self.read_blocks(&mut block, start)?;
        if block == [0; BLOCK] {
            return Ok(());
        }
        block[(from - start) as usize..(to - start) as usize].fill(0);
        self.write_blocks(&mut block, start)
    }
}

impl fmt::Debug for EncryptedStore {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Store for EncryptedStore {
    fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    fn resize(&self, size_bytes: u64) -> io::Result<()> {
        let _all = self.claims.claim(0, u64::MAX, Use::Alone);
        if size_bytes < self.size_bytes() {
            self.clear(size_bytes, size_bytes.next_multiple_of(BLOCK as u64))?;
        }
        self.inner.resize(Self::inner_size_bytes(size_bytes))?;
        self.size_bytes.store(size_bytes, Ordering::Release);
        Ok(())
    }

    fn allocated_bytes(&self) -> u64 {
        self.inner.allocated_bytes()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (_claim, start, end) = self.claim(offset, buffer.len() as u64, Use::Shared);
        if (start, end) == (offset, offset + buffer.len() as u64) {
            return self.read_blocks(buffer, offset);
        }
        let mut blocks = vec![0; (end - start) as usize];
        self.read_blocks(&mut blocks, start)?;
        buffer.copy_from_slice(&blocks[(offset - start) as usize..][..buffer.len()]);
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let (_claim, start, end) = self.claim(offset, data.len() as u64, Use::Alone);
        // The size may have shrunk since the range was checked.
        within(self.size_bytes(), offset, data.len() as u64)?;
        let mut blocks = vec![0; (end - start) as usize];
        if offset > start {
            self.read_blocks(&mut blocks[..BLOCK], start)?;
        }
        if offset + (data.len() as u64) < end {
            let last = blocks.len() - BLOCK;
            self.read_blocks(&mut blocks[last..], end - BLOCK as u64)?;
        }
        blocks[(offset - start) as usize..][..data.len()].copy_from_slice(data);
        self.write_blocks(&mut blocks, start)
    }

    fn punch(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let block = BLOCK as u64;
        let end = offset + bytes;
        let _claim = self.claim(offset, bytes, Use::Alone);
        // The last block may end past the end of the file.
        let whole_end =
            if end == self.size_bytes() { end.next_multiple_of(block) } else { end - end % block };
        let whole_start = offset.next_multiple_of(block);
        if whole_start > whole_end {
            return self.clear(offset, end);
        }
        self.clear(offset, whole_start)?;
        if whole_start < whole_end {
            self.inner.punch(whole_start, whole_end - whole_start)?;
        }
        self.clear(whole_end.min(end), end)
    }

    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let blocks = around(offset, bytes);
        self.inner.reserve(blocks.start, blocks.end - blocks.start)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64> {
        let size_bytes = self.size_bytes();
        let found = if offset < size_bytes { self.inner.seek(whence, offset)? } else { size_bytes };
        match whence {
            _ if offset >= size_bytes => Err(rustix::io::Errno::NXIO.into()),
            Whence::Data if found >= size_bytes => Err(rustix::io::Errno::NXIO.into()),
            _ => Ok(found.min(size_bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SparseStore;
    use super::*;
    use std::io::Read;

    /// The medium holds nothing of what was written, not even that two blocks are equal, and another key
    /// reads other bytes.
    #[test]
    fn the_medium_shows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = || SparseStore::in_directory(directory.path(), "s", 1 << 20, Default::default()).unwrap();
        let store = EncryptedStore::new(Box::new(file()), 1 << 20).unwrap();
        let secret: Vec<u8> = b"correct horse battery staple....".repeat(4 * BLOCK / 32);
        store.write_at(&secret, 8192).unwrap();
        store.write_at(b"correct horse", 5).unwrap();
        store.sync().unwrap();
        let mut medium = vec![];
        std::fs::File::open(directory.path().join("s")).unwrap().read_to_end(&mut medium).unwrap();
        assert!(!medium.windows(7).any(|window| window == b"correct"));
        let blocks: Vec<_> = medium[8192..8192 + 4 * BLOCK].chunks(BLOCK).collect();
        assert!((1..4).all(|n| blocks[0] != blocks[n]));
        // Half of the bits of what is encrypted are set, whatever was written.
        let ones: u32 = medium[8192..8192 + 4 * BLOCK].iter().map(|byte| byte.count_ones()).sum();
        assert!((62_000..69_000).contains(&ones), "{ones}");
        drop(store);
        let other = EncryptedStore::new(Box::new(file()), 1 << 20).unwrap();
        let mut back = vec![0; BLOCK];
        other.read_at(&mut back, 8192).unwrap();
        assert!(back != secret[..BLOCK]);
    }

    #[test]
    fn the_key_is_not_shown() {
        let store = EncryptedStore::new(Box::new(SparseStore::in_memory("t", 4096).unwrap()), 4096).unwrap();
        assert!(!format!("{store:?}").contains("cipher"));
    }
}
