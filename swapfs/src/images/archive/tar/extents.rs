//! Where the bytes of a member lie in its archive; between them are holes.

use std::io;

use rustix::io::Errno;

use crate::filesystem::extent::clip_read;
use crate::images::archive::Medium;
use crate::images::index::Leaf;
use crate::store::Whence;

/// A run of bytes that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// Where in the file.
    offset: u64,
    /// How many bytes, never zero.
    len: u64,
    /// Where in the archive.
    at: u64,
}

/// The whole of a file: segments in order that do not overlap and lie within its size.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extents {
    size_bytes: u64,
    segments: Box<[Segment]>,
}

impl Extents {
    /// A file of `size_bytes` that are all stored from `at` on.
    pub(super) fn plain(size_bytes: u64, at: u64) -> Self {
        let whole = Segment { offset: 0, len: size_bytes, at };
        Extents { size_bytes, segments: if size_bytes == 0 { Box::default() } else { Box::new([whole]) } }
    }

    /// A file of `size_bytes` with the stored pieces `map` (offset, length), which lie one after the other
    /// from `at` on and are `stored_bytes` together at most.
    ///
    /// # Errors
    /// What is wrong with the map.
    pub(super) fn sparse(
        size_bytes: u64,
        map: &[(u64, u64)],
        at: u64,
        stored_bytes: u64,
    ) -> Result<Self, &'static str> {
        if i64::try_from(size_bytes).is_err() {
            return Err("a file of an impossible size");
        }
        let (mut segments, mut end, mut used) = (Vec::new(), 0, 0u64);
        for &(offset, len) in map {
            let next = offset.checked_add(len).filter(|next| *next <= size_bytes && offset >= end);
            end = next.ok_or("a sparse map that is out of order or leaves its file")?;
            if len > 0 {
                segments.push(Segment { offset, len, at: at.saturating_add(used) });
            }
            used += len;
            if used > stored_bytes {
                return Err("a sparse map of more bytes than are stored");
            }
        }
        Ok(Extents { size_bytes, segments: segments.into() })
    }

    /// What it takes up in memory.
    pub(super) fn index_bytes(&self) -> usize {
        size_of_val(&*self.segments)
    }

    /// The segments that end after `offset`.
    fn after(&self, offset: u64) -> &[Segment] {
        let first = self.segments.partition_point(|segment| segment.offset + segment.len <= offset);
        &self.segments[first..]
    }

    /// Fills `buffer`, or as much of it as the file has left.
    pub(super) fn read_at(&self, medium: &dyn Medium, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = clip_read(self.size_bytes, offset, buffer.len()).len;
        if len == 0 {
            return Ok(0);
        }
        let (buffer, end) = (&mut buffer[..len], offset + len as u64);
        let mut filled = 0;
        for segment in self.after(offset).iter().take_while(|segment| segment.offset < end) {
            let from = segment.offset.max(offset);
            let to = (segment.offset + segment.len).min(end);
            let (start, stop) = ((from - offset) as usize, (to - offset) as usize);
            buffer[filled..start].fill(0);
            medium.read_exact_at(&mut buffer[start..stop], segment.at + (from - segment.offset))?;
            filled = stop;
        }
        buffer[filled..].fill(0);
        Ok(len)
    }

    /// The next data or hole at or after `offset`.
    pub(super) fn seek(&self, whence: Whence, offset: u64) -> io::Result<u64> {
        let past_end = || io::Error::from(Errno::NXIO);
        if offset >= self.size_bytes {
            return Err(past_end());
        }
        match whence {
            Whence::Data => {
                self.after(offset).first().map(|segment| segment.offset.max(offset)).ok_or_else(past_end)
            }
            Whence::Hole => {
                let grow = |at: u64, next: &Segment| {
                    if next.offset <= at { Ok(next.offset + next.len) } else { Err(at) }
                };
                let (Ok(at) | Err(at)) = self.after(offset).iter().try_fold(offset, grow);
                Ok(at)
            }
        }
    }
}

impl Leaf for Extents {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn allocated_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn maps_that_are_refused() {
        assert!(Extents::sparse(10, &[(4, 2), (3, 1)], 0, 100).is_err());
        assert!(Extents::sparse(10, &[(4, 7)], 0, 100).is_err());
        assert!(Extents::sparse(10, &[(u64::MAX, 7)], 0, 100).is_err());
        assert!(Extents::sparse(10, &[(0, 4), (6, 4)], 0, 7).is_err());
        assert!(Extents::sparse(u64::MAX, &[], 0, 0).is_err());
        assert!(Extents::sparse(10, &[(0, 4), (10, 0)], 0, 4).is_ok());
    }

    proptest! {
        /// Against the file written out in full.
        #[test]
        fn reads_and_seeks_are_those_of_the_whole_file(
            pieces in proptest::collection::vec((0u64..9, 0u64..9), 0..6),
            tail in 0u64..9,
            offset in 0u64..90,
            len in 0usize..90,
        ) {
            let (mut map, mut whole, mut stored) = (Vec::new(), Vec::new(), vec![0xee; 5]);
            for (gap, bytes) in pieces {
                whole.resize(whole.len() + gap as usize, 0u8);
                map.push((whole.len() as u64, bytes));
                for _ in 0..bytes {
                    stored.push(stored.len() as u8);
                    whole.push(*stored.last().unwrap());
                }
            }
            whole.resize(whole.len() + tail as usize, 0);
            let extents = Extents::sparse(whole.len() as u64, &map, 5, stored.len() as u64 - 5).unwrap();
            let mut buffer = vec![0xff; len];
            let got = extents.read_at(&stored, &mut buffer, offset).unwrap();
            let want = whole.get(offset as usize..).unwrap_or_default();
            prop_assert_eq!(&buffer[..got], &want[..want.len().min(len)]);

            let is_data = |at: usize| map.iter().any(|(start, bytes)| (*start..start + bytes).contains(&(at as u64)));
            let next = |wanted: bool| (offset as usize..whole.len()).find(|at| is_data(*at) == wanted);
            prop_assert_eq!(extents.seek(Whence::Data, offset).ok(), next(true).map(|at| at as u64));
            let hole = next(false).unwrap_or(whole.len()) as u64;
            prop_assert_eq!(extents.seek(Whence::Hole, offset).ok(), (offset < whole.len() as u64).then_some(hole));
        }
    }
}
