//! A store in memory whose blocks of 4 KiB are compressed one by one (LZ4).
//!
//! A block that repeats one 8-byte word, which most pages of a program that compress at all do, is kept as
//! that word; one of zeros not at all; one that does not shrink by an eighth as it is. Memory is taken from a
//! [`Budget`] that all stores of a mount share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use parking_lot::RwLock;
use rustix::io::Errno;

use super::{BLOCK, Store, Whence, within};

/// What a block takes besides its bytes: its place in the tree, and what the allocator rounds up.
const ENTRY_BYTES: u64 = 48;
/// A block that shrinks to no less than this is kept as it is.
const WORTH_BYTES: usize = BLOCK - BLOCK / 8;

thread_local! {
    static TABLE: RefCell<CompressTable> = RefCell::new(CompressTable::small());
}

/// How much memory compressed stores may take together.
#[derive(Debug)]
pub struct Budget {
    most_bytes: u64,
    used_bytes: AtomicU64,
}

impl Budget {
    /// At most so much; `None` for no limit.
    pub fn new(most_bytes: Option<u64>) -> Self {
        Budget { most_bytes: most_bytes.unwrap_or(u64::MAX), used_bytes: AtomicU64::new(0) }
    }

    /// How much is left.
    pub fn left_bytes(&self) -> u64 {
        self.most_bytes.saturating_sub(self.used_bytes.load(Ordering::Acquire))
    }

    /// Takes what a block grows by, or gives back what it shrinks by.
    fn exchange(&self, old_bytes: u64, new_bytes: u64) -> io::Result<()> {
        let changed = self.used_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            let next = (used + new_bytes).saturating_sub(old_bytes);
            (new_bytes <= old_bytes || next <= self.most_bytes).then_some(next)
        });
        changed.map(drop).map_err(|_| Errno::NOSPC.into())
    }
}

#[derive(Debug)]
enum Block {
    /// The same word again and again; not zero.
    Word(u64),
    Packed(Box<[u8]>),
    Plain(Box<[u8; BLOCK]>),
}

impl Block {
    /// `None` for zeros.
    fn pack(data: &[u8; BLOCK]) -> Option<Block> {
        let (words, _) = data.as_chunks::<8>();
        let first = words[0];
        if words.iter().all(|word| *word == first) {
            let word = u64::from_ne_bytes(first);
            return (word != 0).then_some(Block::Word(word));
        }
        let mut packed = [0; get_maximum_output_size(BLOCK)];
        let bytes = TABLE.with_borrow_mut(|table| compress_into_with_table(data, &mut packed, table));
        match bytes {
            Ok(bytes) if bytes < WORTH_BYTES => Some(Block::Packed(packed[..bytes].into())),
            _ => Some(Block::Plain(Box::new(*data))),
        }
    }

    fn unpack(&self) -> io::Result<[u8; BLOCK]> {
        match self {
            Block::Word(word) => {
                let mut data = [0; BLOCK];
                data.as_chunks_mut().0.fill(word.to_ne_bytes());
                Ok(data)
            }
            Block::Plain(data) => Ok(**data),
            Block::Packed(packed) => {
                let mut data = [0; BLOCK];
                match decompress_into(packed, &mut data) {
                    Ok(BLOCK) => Ok(data),
                    _ => Err(io::ErrorKind::InvalidData.into()),
                }
            }
        }
    }

    fn cost_bytes(&self) -> u64 {
        ENTRY_BYTES
            + match self {
                Block::Word(_) => 0,
                Block::Packed(packed) => packed.len() as u64,
                Block::Plain(_) => BLOCK as u64,
            }
    }
}

/// A block's number and the part of it that a request is for.
type Part = (u64, Range<usize>);

/// The parts of the blocks that a range covers.
fn parts(offset: u64, bytes: u64) -> impl Iterator<Item = Part> {
    let block = BLOCK as u64;
    let end = offset + bytes;
    (offset / block..end.div_ceil(block)).map(move |number| {
        let start = offset.max(number * block) - number * block;
        let stop = end.min((number + 1) * block) - number * block;
        (number, start as usize..stop as usize)
    })
}

#[derive(Debug, Default)]
struct Blocks {
    size_bytes: u64,
    /// By number; those that are not there are zeros.
    kept: BTreeMap<u64, Block>,
    cost_bytes: u64,
}

impl Blocks {
    fn unpack(&self, number: u64) -> io::Result<[u8; BLOCK]> {
        self.kept.get(&number).map_or(Ok([0; BLOCK]), Block::unpack)
    }

    /// Puts a block in the place of the one before; that one stays if there is no room.
    fn replace(&mut self, budget: &Budget, number: u64, block: Option<Block>) -> io::Result<()> {
        let old = self.kept.get(&number).map_or(0, Block::cost_bytes);
        let new = block.as_ref().map_or(0, Block::cost_bytes);
        budget.exchange(old, new)?;
        self.cost_bytes = self.cost_bytes + new - old;
        match block {
            Some(block) => self.kept.insert(number, block),
            None => self.kept.remove(&number),
        };
        Ok(())
    }

    /// Changes a part of a block.
    fn change(
        &mut self,
        budget: &Budget,
        number: u64,
        change: impl FnOnce(&mut [u8; BLOCK]),
    ) -> io::Result<()> {
        let mut data = self.unpack(number)?;
        change(&mut data);
        self.replace(budget, number, Block::pack(&data))
    }
}

/// A store in memory, compressed.
#[derive(Debug)]
pub struct CompressedStore {
    /// Held to copy and to unpack, and to pack what was changed in part; not while whole blocks are packed.
    blocks: RwLock<Blocks>,
    budget: Arc<Budget>,
}

impl CompressedStore {
    /// A store of zeros, which takes nothing.
    pub fn new(size_bytes: u64, budget: Arc<Budget>) -> Self {
        CompressedStore { blocks: RwLock::new(Blocks { size_bytes, ..Blocks::default() }), budget }
    }
}

impl Store for CompressedStore {
    fn size_bytes(&self) -> u64 {
        self.blocks.read().size_bytes
    }

    fn resize(&self, size_bytes: u64) -> io::Result<()> {
        let mut blocks = self.blocks.write();
        let first_cut = size_bytes.div_ceil(BLOCK as u64);
        let partial = (size_bytes % BLOCK as u64) as usize;
        if partial > 0 && size_bytes < blocks.size_bytes {
            blocks.change(&self.budget, first_cut - 1, |data| data[partial..].fill(0))?;
        }
        let cut: u64 = blocks.kept.split_off(&first_cut).values().map(Block::cost_bytes).sum();
        blocks.cost_bytes -= cut;
        blocks.size_bytes = size_bytes;
        self.budget.exchange(cut, 0)
    }

    fn allocated_bytes(&self) -> u64 {
        self.blocks.read().cost_bytes
    }

    fn data_bytes(&self) -> u64 {
        self.blocks.read().kept.len() as u64 * BLOCK as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut rest = buffer;
        for (number, part) in parts(offset, rest.len() as u64) {
            let (now, later) = rest.split_at_mut(part.len());
            now.copy_from_slice(&self.blocks.read().unpack(number)?[part]);
            rest = later;
        }
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut rest = data;
        for (number, part) in parts(offset, data.len() as u64) {
            let (now, later) = rest.split_at(part.len());
            let packed = now.try_into().ok().map(Block::pack);
            let mut blocks = self.blocks.write();
            // The size may have shrunk since the range was checked.
            within(blocks.size_bytes, number * BLOCK as u64 + part.start as u64, part.len() as u64)?;
            match packed {
                Some(block) => blocks.replace(&self.budget, number, block)?,
                None => blocks.change(&self.budget, number, |data| data[part].copy_from_slice(now))?,
            }
            rest = later;
        }
        Ok(())
    }

    fn punch(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let (block, end) = (BLOCK as u64, offset + bytes);
        let mut blocks = self.blocks.write();
        let present: Vec<u64> =
            blocks.kept.range(offset / block..end.div_ceil(block)).map(|(number, _)| *number).collect();
        for number in present {
            let start = offset.saturating_sub(number * block) as usize;
            let stop = (end - number * block).min(block) as usize;
            blocks.change(&self.budget, number, |data| data[start..stop].fill(0))?;
        }
        Ok(())
    }

    /// What compressed data will take is not known before it is there.
    fn reserve(&self, _offset: u64, _bytes: u64) -> io::Result<()> {
        Err(Errno::OPNOTSUPP.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64> {
        let blocks = self.blocks.read();
        let (size_bytes, block) = (blocks.size_bytes, BLOCK as u64);
        let first = offset / block;
        let found = match whence {
            _ if offset >= size_bytes => None,
            Whence::Data => blocks.kept.range(first..).next().map(|(number, _)| number * block),
            Whence::Hole => {
                let run = blocks
                    .kept
                    .range(first..)
                    .zip(first..)
                    .take_while(|((number, _), wanted)| *number == wanted);
                Some(((first + run.count() as u64) * block).min(size_bytes))
            }
        };
        found.map(|at| at.max(offset)).ok_or_else(|| Errno::NXIO.into())
    }
}

impl Drop for CompressedStore {
    fn drop(&mut self) {
        let _ = self.budget.exchange(self.blocks.get_mut().cost_bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64) -> Vec<u8> {
        let mut random = crate::throttle::Random::new(seed);
        (0..BLOCK / 8).flat_map(|_| random.bits().to_le_bytes()).collect()
    }

    fn store(most_bytes: Option<u64>) -> (CompressedStore, Arc<Budget>) {
        let budget = Arc::new(Budget::new(most_bytes));
        (CompressedStore::new(1 << 40, budget.clone()), budget)
    }

    #[test]
    fn what_repeats_costs_next_to_nothing() {
        let (store, budget) = store(None);
        store.write_at(&[0; 1 << 20], 1 << 30).unwrap();
        assert_eq!((store.allocated_bytes(), store.data_bytes()), (0, 0));
        store.write_at(&[7; 4 * BLOCK], 1 << 30).unwrap();
        assert_eq!((store.allocated_bytes(), store.data_bytes()), (4 * ENTRY_BYTES, 4 * BLOCK as u64));
        let text: Vec<u8> = b"all work and no play ".iter().copied().cycle().take(BLOCK).collect();
        store.write_at(&text, 0).unwrap();
        assert!(store.allocated_bytes() < 1000, "{}", store.allocated_bytes());
        assert_eq!(budget.used_bytes.load(Ordering::Relaxed), store.allocated_bytes());
        drop(store);
        assert_eq!(budget.used_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let (store, _) = store(Some(2 * (BLOCK as u64 + ENTRY_BYTES)));
        store.write_at(&noise(1), 0).unwrap();
        store.write_at(&noise(2), 4096).unwrap();
        assert_eq!(store.write_at(&noise(3), 8192).unwrap_err().raw_os_error(), Some(28));
        store.write_at(&noise(4), 0).unwrap();
        store.punch(4096, 4096).unwrap();
        store.write_at(&noise(3), 8192).unwrap();
        let mut back = vec![0; BLOCK];
        store.read_at(&mut back, 8192).unwrap();
        assert_eq!(back, noise(3));
        assert_eq!(store.allocated_bytes(), 2 * (BLOCK as u64 + ENTRY_BYTES));
    }
}
