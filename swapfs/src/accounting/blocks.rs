//! Which blocks of a file were touched: a sparse set of block numbers.

use std::collections::HashMap;

/// Size of a block, in bytes.
pub const BLOCK_BYTES: u64 = 4096;

const WORDS: usize = 64;
const BLOCKS_PER_CHUNK: u64 = WORDS as u64 * 64;

/// A set of block numbers. Takes half a KiB for each 16 MiB of the file in which something was touched.
#[derive(Debug, Default, Clone)]
pub struct BlockSet {
    chunks: HashMap<u64, Box<[u64; WORDS]>>,
    len: u64,
}

/// What a touch of some blocks came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched {
    /// Blocks touched for the first time.
    pub fresh: u64,
    /// Blocks touched before.
    pub repeated: u64,
}

impl BlockSet {
    /// Number of blocks in the set.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no block was touched.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds all blocks that `bytes` bytes at `offset` lie in, whole or in part.
    pub fn touch(&mut self, offset: u64, bytes: u64) -> Touched {
        let Some(last_byte) = bytes.checked_sub(1).map(|n| offset.saturating_add(n)) else { return Touched::default() };
        let (first, last) = (offset / BLOCK_BYTES, last_byte / BLOCK_BYTES);
        let fresh: u64 = (first / BLOCKS_PER_CHUNK..=last / BLOCKS_PER_CHUNK)
            .map(|chunk| self.touch_in_chunk(chunk, first, last))
            .sum();
        self.len += fresh;
        Touched { fresh, repeated: last - first + 1 - fresh }
    }

    /// The part of `first..=last` that lies in `chunk`.
    fn touch_in_chunk(&mut self, chunk: u64, first: u64, last: u64) -> u64 {
        let words = self.chunks.entry(chunk).or_insert_with(|| Box::new([0; WORDS]));
        let begin = first.max(chunk * BLOCKS_PER_CHUNK) % BLOCKS_PER_CHUNK;
        let end = last.min(chunk * BLOCKS_PER_CHUNK + BLOCKS_PER_CHUNK - 1) % BLOCKS_PER_CHUNK;
        let mut fresh = 0;
        for word in begin / 64..=end / 64 {
            let low = if word == begin / 64 { begin % 64 } else { 0 };
            let high = if word == end / 64 { end % 64 } else { 63 };
            let mask = (u64::MAX << low) & (u64::MAX >> (63 - high));
            let old = &mut words[word as usize];
            fresh += u64::from((mask & !*old).count_ones());
            *old |= mask;
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_byte_on_each_side_of_a_border_is_two_blocks() {
        let mut set = BlockSet::default();
        assert_eq!(set.touch(4095, 2), Touched { fresh: 2, repeated: 0 });
        assert_eq!(set.touch(0, 4096), Touched { fresh: 0, repeated: 1 });
        assert_eq!(set.touch(99, 0), Touched::default());
        assert_eq!(set.touch(u64::MAX, 1).fresh, 1);
        assert_eq!(set.len(), 3);
    }

    proptest! {
        #[test]
        fn like_a_set_of_numbers(touches in proptest::collection::vec((0u64..64 << 20, 0u64..3 << 20), 0..30)) {
            let (mut set, mut model) = (BlockSet::default(), HashSet::new());
            for (offset, bytes) in touches {
                let blocks: Vec<u64> =
                    if bytes == 0 { vec![] } else { (offset / 4096..=(offset + bytes - 1) / 4096).collect() };
                let fresh = blocks.iter().filter(|block| model.insert(**block)).count() as u64;
                let expected = Touched { fresh, repeated: blocks.len() as u64 - fresh };
                prop_assert_eq!(set.touch(offset, bytes), expected);
                prop_assert_eq!(set.len(), model.len() as u64);
            }
        }
    }
}
