//! Which blocks of files were touched, and how often: a sparse table of block numbers.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use crate::filesystem::Ino;

/// Size of a block, in bytes.
pub const BLOCK_BYTES: u64 = 4096;

/// Few enough that a small file takes little, and enough that a large one takes no more for its chunks'
/// places than for its counts.
const BLOCKS_PER_CHUNK: u64 = 64;
type Chunk = [u16; BLOCKS_PER_CHUNK as usize];

/// How often each block was touched, up to 65535 times. Takes some 170 bytes for each 256 KiB of a file in
/// which something was touched.
#[derive(Debug, Default, Clone)]
pub struct BlockCounts {
    chunks: HashMap<(Ino, u64), Box<Chunk>>,
    distinct: u64,
    /// Where there is one: at most so many chunks are known. With one more all are forgotten, and blocks that
    /// come again count as new ones.
    most_chunks: Option<NonZeroUsize>,
}

/// What a touch of some blocks came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched {
    /// Blocks touched for the first time.
    pub fresh: u64,
    /// Blocks touched before.
    pub repeated: u64,
}

impl BlockCounts {
    /// Counts that take a bounded room.
    pub fn bounded(most_chunks: NonZeroUsize) -> Self {
        BlockCounts { most_chunks: Some(most_chunks), ..BlockCounts::default() }
    }

    /// Number of different blocks touched.
    pub fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Touches all blocks of the file `ino` that `bytes` bytes at `offset` lie in, whole or in part.
    pub fn touch(&mut self, ino: Ino, offset: u64, bytes: u64) -> Touched {
        let Some(last_byte) = bytes.checked_sub(1).map(|n| offset.saturating_add(n)) else {
            return Touched::default();
        };
        let (first, last) = (offset / BLOCK_BYTES, last_byte / BLOCK_BYTES);
        let mut fresh = 0;
        for chunk in first / BLOCKS_PER_CHUNK..=last / BLOCKS_PER_CHUNK {
            if self.most_chunks.is_some_and(|most| self.chunks.len() >= most.get())
                && !self.chunks.contains_key(&(ino, chunk))
            {
                self.chunks = HashMap::new();
            }
            let counts =
                self.chunks.entry((ino, chunk)).or_insert_with(|| Box::new([0; BLOCKS_PER_CHUNK as usize]));
            let begin = first.max(chunk * BLOCKS_PER_CHUNK) % BLOCKS_PER_CHUNK;
            let end = last.min(chunk * BLOCKS_PER_CHUNK + BLOCKS_PER_CHUNK - 1) % BLOCKS_PER_CHUNK;
            for count in &mut counts[begin as usize..=end as usize] {
                fresh += u64::from(*count == 0);
                *count = count.saturating_add(1);
            }
        }
        self.distinct += fresh;
        Touched { fresh, repeated: last - first + 1 - fresh }
    }

    /// How often the blocks of `ino` were touched, added up in `cells` equal parts of its first `blocks`
    /// blocks.
    pub fn heat(&self, ino: Ino, blocks: u64, cells: usize) -> Vec<u64> {
        let mut heat = vec![0u64; cells];
        if cells == 0 {
            return heat;
        }
        for ((_, chunk), counts) in self.chunks.iter().filter(|((file, _), _)| *file == ino) {
            let first = chunk * BLOCKS_PER_CHUNK;
            for (block, count) in (first..blocks).zip(counts.iter()).filter(|(_, count)| **count > 0) {
                let cell = u128::from(block) * cells as u128 / u128::from(blocks);
                heat[cell as usize] += u64::from(*count);
            }
        }
        heat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const FILE: Ino = Ino(9);

    #[test]
    fn a_byte_on_each_side_of_a_border_is_two_blocks() {
        let mut counts = BlockCounts::default();
        assert_eq!(counts.touch(FILE, 4095, 2), Touched { fresh: 2, repeated: 0 });
        assert_eq!(counts.touch(FILE, 0, 4096), Touched { fresh: 0, repeated: 1 });
        assert_eq!(counts.touch(FILE, 99, 0), Touched::default());
        assert_eq!(counts.touch(FILE, u64::MAX, 1).fresh, 1);
        assert_eq!(counts.touch(Ino(10), 0, 1).fresh, 1, "another file's block");
        assert_eq!(counts.distinct(), 4);
    }

    #[test]
    fn bounded_counts_forget_all_at_once() {
        let mut counts = BlockCounts::bounded(NonZeroUsize::new(10).unwrap());
        for file in 0..1000 {
            assert_eq!(counts.touch(Ino(file), 0, 4096).fresh, 1);
            assert!(counts.chunks.len() <= 10);
        }
        assert_eq!((counts.touch(Ino(999), 0, 1).repeated, counts.touch(Ino(1), 0, 1).repeated), (1, 0));
    }

    #[test]
    fn blocks_that_the_file_no_longer_has_are_left_out_of_its_heat() {
        let mut counts = BlockCounts::default();
        counts.touch(FILE, 0, 3 * BLOCK_BYTES);
        assert_eq!(counts.heat(FILE, 2, 2), [1, 1]);
        assert_eq!(counts.heat(FILE, 0, 2), [0, 0]);
        assert_eq!(counts.heat(FILE, 3, 0), [0u64; 0]);
    }

    proptest! {
        #[test]
        fn like_a_map_of_numbers(
            touches in proptest::collection::vec((0u64..64 << 20, 0u64..3 << 20), 0..30),
            cells in 1usize..200,
        ) {
            let (mut counts, mut model) = (BlockCounts::default(), BTreeMap::<u64, u64>::new());
            for (offset, bytes) in touches {
                let blocks: Vec<u64> =
                    if bytes == 0 { vec![] } else { (offset / 4096..=(offset + bytes - 1) / 4096).collect() };
                let fresh = blocks.iter().filter(|block| !model.contains_key(block)).count() as u64;
                blocks.iter().for_each(|block| *model.entry(*block).or_default() += 1);
                let expected = Touched { fresh, repeated: blocks.len() as u64 - fresh };
                prop_assert_eq!(counts.touch(FILE, offset, bytes), expected);
                prop_assert_eq!(counts.distinct(), model.len() as u64);
            }
            let blocks = 67 * 256;
            let mut heat = vec![0; cells];
            model.iter().for_each(|(block, count)| heat[(*block as usize * cells) / blocks] += count);
            prop_assert_eq!(counts.heat(FILE, blocks as u64, cells), heat);
        }
    }
}
