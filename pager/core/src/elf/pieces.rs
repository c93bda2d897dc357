//! What a segment becomes in memory, piece by piece, as `elf_load` of Linux (6.6 and later) maps it.
//!
//! ```text
//!   vaddr              +filesz             +memsz
//!     |-- from the file --|------ zeros -----|
//! |   .    |        |     .  |        |      .  |     pages
//! |<------ file piece ------>|<-- zero piece -->|
//! ```
//!
//! The last page of the file piece, where zeros begin inside it, is zeroed from there on if the segment is
//! writable. If it is not, the kernel's attempt to zero it fails and is ignored: what follows in the file
//! shows through. The zero piece is always readable and writable, whatever the segment says (`vm_brk_flags`),
//! and executable where the segment is.

use crate::addr::{PAGE_SIZE, PageNum, PageRange, USER_END, VirtAddr};
use crate::area::{Backing, ImageId, Protection};
use crate::elf::segment::Segment;

/// Where a piece's contents come from: [`Backing`] without the image's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PieceBacking {
    /// Zeros.
    Zero,
    /// The program's file, then zeros.
    File {
        /// File offset of the piece's first byte, page aligned.
        offset: u64,
        /// Bytes from the piece's start that come from the file.
        valid: u64,
    },
}

impl PieceBacking {
    /// The backing of an area, the file being `image`.
    pub const fn of(self, image: ImageId) -> Backing {
        match self {
            PieceBacking::Zero => Backing::Zero,
            PieceBacking::File { offset, valid } => Backing::Image { image, offset, valid },
        }
    }
}

/// A range of pages that becomes one area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The pages, bias included.
    pub range: PageRange,
    /// Where their contents come from.
    pub backing: PieceBacking,
    /// What the program may do with them.
    pub protection: Protection,
}

impl Piece {
    /// The part of the piece below `end`, if any.
    pub(super) fn below(self, end: PageNum) -> Option<Piece> {
        let range = PageRange::new(self.range.start(), self.range.end().min(end))?;
        let backing = match self.backing {
            PieceBacking::Zero => PieceBacking::Zero,
            PieceBacking::File { offset, valid } => {
                PieceBacking::File { offset, valid: valid.min(range.bytes()) }
            }
        };
        Some(Piece { range, backing, ..self })
    }
}

/// The one or two areas that `segment` becomes, ascending. `bias` is a multiple of [`PAGE_SIZE`]; nothing
/// comes out for one that moves the segment out of user space.
pub fn pieces(segment: &Segment, bias: u64) -> impl Iterator<Item = Piece> + use<> {
    file_piece(segment, bias).into_iter().chain(zero_piece(segment, bias))
}

fn file_piece(segment: &Segment, bias: u64) -> Option<Piece> {
    let range = biased(segment.vaddr, segment.filesz, bias)?;
    let lead = VirtAddr(segment.vaddr).page_offset();
    let offset = segment.offset.checked_sub(lead)?;
    let ends_in_zeros = segment.memsz > segment.filesz && segment.protection.contains(Protection::WRITE);
    let valid = if ends_in_zeros {
        lead + segment.filesz
    } else {
        segment.file_len.saturating_sub(offset).min(range.bytes())
    };
    Some(Piece { range, backing: PieceBacking::File { offset, valid }, protection: segment.protection })
}

fn zero_piece(segment: &Segment, bias: u64) -> Option<Piece> {
    let whole = biased(segment.vaddr, segment.memsz, bias)?;
    let start = match biased(segment.vaddr, segment.filesz, bias) {
        Some(from_file) => from_file.end(),
        None => whole.start(),
    };
    let executable = segment.protection & Protection::EXEC;
    Some(Piece {
        range: PageRange::new(start, whole.end())?,
        backing: PieceBacking::Zero,
        protection: Protection::READ | Protection::WRITE | executable,
    })
}

/// The pages of `len` bytes at `vaddr + bias`, if there are any and they lie in user space.
fn biased(vaddr: u64, len: u64, bias: u64) -> Option<PageRange> {
    debug_assert!(bias.is_multiple_of(PAGE_SIZE), "bias {bias:#x} is not page aligned");
    let range = PageRange::touching(VirtAddr(vaddr.checked_add(bias)?), len)?;
    (range.end() <= VirtAddr(USER_END).page()).then_some(range)
}
