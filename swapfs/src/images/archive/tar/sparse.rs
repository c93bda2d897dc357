//! Where the data of sparse members lies: GNU's old header, and its pax formats 0.0, 0.1 and 1.0.
//! Source: the GNU tar manual, "Storing Sparse Files".

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::blocks::{BLOCK_BYTES, Blocks, NOT_A_NUMBER};
use super::extents::Extents;
use super::field::unsigned;
use super::pax::{PaxSparse, decimal};
use crate::images::archive::ArchiveError;

/// More pieces than any real file has; the map of one member is at most 24 MiB of memory.
const MOST_PIECES: usize = 1 << 20;
const TOO_MANY: &str = "a sparse map of too many pieces";
/// The longest number in a map of format 1.0.
const MOST_DIGITS: usize = 20;

/// A member of type `S` at `at`, whose data of `stored_bytes` begins after its extension headers: the second
/// result.
pub(super) fn old_gnu(
    blocks: &mut Blocks<'_>,
    header: &Header,
    at: u64,
    stored_bytes: u64,
) -> Result<(Extents, u64), ArchiveError> {
    let damaged = |why| ArchiveError::Damaged { at, why };
    let gnu = header.as_gnu().ok_or_else(|| damaged("a sparse member without a GNU header"))?;
    let real_bytes = unsigned(&gnu.realsize).ok_or_else(|| damaged(NOT_A_NUMBER))?;
    let mut map = Vec::new();
    push_pieces(&mut map, &gnu.sparse).map_err(damaged)?;
    let (mut more, mut data) = (gnu.is_extended(), at + BLOCK_BYTES);
    while more {
        let mut extension = GnuExtSparseHeader::new();
        *extension.as_mut_bytes() = *blocks.block(data)?;
        push_pieces(&mut map, extension.sparse()).map_err(damaged)?;
        more = extension.is_extended();
        data += BLOCK_BYTES;
    }
    let extents = Extents::sparse(real_bytes, &map, data, stored_bytes).map_err(damaged)?;
    Ok((extents, data))
}

fn push_pieces(map: &mut Vec<(u64, u64)>, pieces: &[GnuSparseHeader]) -> Result<(), &'static str> {
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        match (unsigned(&piece.offset), unsigned(&piece.numbytes)) {
            (Some(offset), Some(len)) => map.push((offset, len)),
            _ => return Err(NOT_A_NUMBER),
        }
    }
    if map.len() > MOST_PIECES { Err(TOO_MANY) } else { Ok(()) }
}

/// A regular member with `GNU.sparse` records, whose `stored_bytes` begin at `data`.
pub(super) fn pax(
    blocks: &mut Blocks<'_>,
    sparse: &PaxSparse,
    data: u64,
    stored_bytes: u64,
) -> Result<Extents, ArchiveError> {
    let damaged = |why| ArchiveError::Damaged { at: data, why };
    let real_bytes = sparse.real_bytes.ok_or_else(|| damaged("a sparse member without its size"))?;
    let (numbers, map_bytes) = match sparse.map_in_data {
        false => (sparse.map.clone(), 0),
        true => map_before_data(blocks, data, stored_bytes)?,
    };
    if numbers.len() % 2 != 0 {
        return Err(damaged("a sparse map of a wrong length"));
    }
    let map: Vec<_> = numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    Extents::sparse(real_bytes, &map, data + map_bytes, stored_bytes - map_bytes).map_err(damaged)
}

/// Decimal numbers, each on its line: how many pieces, then offset and length of each; filled up to a whole
/// block.
fn map_before_data(
    blocks: &mut Blocks<'_>,
    data: u64,
    stored_bytes: u64,
) -> Result<(Vec<u64>, u64), ArchiveError> {
    let mut map = MapText::default();
    let mut used = 0;
    while !map.is_whole() {
        if used + BLOCK_BYTES > stored_bytes {
            return Err(ArchiveError::Damaged { at: data, why: "a sparse map that does not end" });
        }
        let block = blocks.block(data + used)?;
        map.read(block).map_err(|why| ArchiveError::Damaged { at: data, why })?;
        used += BLOCK_BYTES;
    }
    Ok((map.numbers, used))
}

#[derive(Debug, Default)]
struct MapText {
    line: Vec<u8>,
    /// How many numbers there are to be, once known.
    wanted: Option<usize>,
    numbers: Vec<u64>,
}

impl MapText {
    fn is_whole(&self) -> bool {
        self.wanted == Some(self.numbers.len())
    }

    fn read(&mut self, block: &[u8]) -> Result<(), &'static str> {
        for byte in block {
            if self.is_whole() {
                break;
            }
            match byte {
                b'\n' => self.end_line()?,
                _ if self.line.len() == MOST_DIGITS => return Err(NOT_A_NUMBER),
                _ => self.line.push(*byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), &'static str> {
        let number = decimal(&self.line).ok_or(NOT_A_NUMBER)?;
        self.line.clear();
        if self.wanted.is_some() {
            self.numbers.push(number);
            return Ok(());
        }
        let pieces = usize::try_from(number).ok().filter(|pieces| *pieces <= MOST_PIECES);
        self.wanted = Some(2 * pieces.ok_or(TOO_MANY)?);
        Ok(())
    }
}
