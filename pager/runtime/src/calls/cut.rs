//! Files that are cut under their mappings: what lay past the new end is gone, copies of the program's own
//! among it. Of a hole, or what is zeroed, those copies stay.
//!
//! Called after calls of this process that make a file shorter or punch holes into it. What another process
//! does to a file is seen in pages that are mapped through, and in pages that come in later.

use alloc::vec::Vec;

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange, VirtAddr};
use pager_core::area::{Area, Backing, Holding};
use pager_core::entry::{Dirt, Entry};

use crate::call::Call;
use crate::engine;
use crate::images::IMAGES;
use crate::memory::range::page_align;
use crate::memory::{discard_where, drop_contents};
use crate::space::SPACE;
use crate::sys::file::{self, Fd, Stat};
use crate::user;

const OPEN: u32 = 2;
const TRUNCATE: u32 = 76;
const FTRUNCATE: u32 = 77;
const CREAT: u32 = 85;
const OPENAT: u32 = 257;
const FALLOCATE: u32 = 285;
const O_TRUNC: u64 = 0o1000;
const FALLOC_FL_PUNCH_HOLE: u64 = 2;
const FALLOC_FL_COLLAPSE_RANGE: u64 = 8;
const FALLOC_FL_ZERO_RANGE: u64 = 16;
const FALLOC_FL_INSERT_RANGE: u64 = 32;

/// What a call did to a file.
struct Cut {
    file: Stat,
    /// Bytes that are no longer what they were.
    gone: core::ops::Range<u64>,
    copies: Copies,
}

/// What becomes of pages that the program has written to in a private mapping, as the kernel has it
/// (`even_cows` of `unmap_mapping_range`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    /// They go with the file's pages.
    Gone,
    /// They are the program's own.
    Kept,
}

/// Called when `call` has come back with `result`.
pub fn after(call: Call, result: u64) {
    let Some(cut) = cut_by(call, result) else { return };
    let image = IMAGES.lock().find(&cut.file);
    let Some(image) = image else { return };
    // For writing, so that nobody fills meanwhile.
    let areas = SPACE.areas.write();
    let pieces: Vec<Area> = areas
        .iter()
        .filter(|area| matches!(area.backing, Backing::Image { image: of, .. } if of == image))
        .filter_map(|area| area.clip(meeting(area, &cut.gone)?))
        .collect();
    pieces.iter().for_each(|piece| forget(piece, &cut));
    drop(areas);
}

fn cut_by(call: Call, result: u64) -> Option<Cut> {
    let [a, b, c, d, ..] = call.args;
    let by_descriptor = |fd: u64| file::stat_fd(Fd(fd as i32)).ok();
    let mut copies = Copies::Gone;
    let (file, gone) = match call.row.number {
        FTRUNCATE => (by_descriptor(a)?, b..u64::MAX),
        TRUNCATE => {
            let mut path = user::read_string(a, 4096).ok()?;
            path.push(0);
            (file::stat_path(&path).ok()?, b..u64::MAX)
        }
        OPEN if b & O_TRUNC != 0 => (by_descriptor(result)?, 0..u64::MAX),
        OPENAT if c & O_TRUNC != 0 => (by_descriptor(result)?, 0..u64::MAX),
        CREAT => (by_descriptor(result)?, 0..u64::MAX),
        FALLOCATE if b & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) != 0 => {
            copies = Copies::Kept;
            (by_descriptor(a)?, c..c.saturating_add(d))
        }
        // Whatever lies behind has moved.
        FALLOCATE if b & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE) != 0 => {
            (by_descriptor(a)?, c..u64::MAX)
        }
        _ => return None,
    };
    Some(Cut { file, gone, copies })
}

/// The pages of `area` that hold any of the bytes.
fn meeting(area: &Area, gone: &core::ops::Range<u64>) -> Option<PageRange> {
    let Backing::Image { offset, .. } = area.backing else { return None };
    let start = area.range.start();
    let page_of = |byte: u64| PageNum(start.0 + byte.saturating_sub(offset) / PAGE_SIZE);
    let end = match gone.end {
        u64::MAX => area.range.end(),
        end => VirtAddr(page_align(end.saturating_sub(offset))).page().plus(start.0),
    };
    PageRange::new(page_of(gone.start), end.min(area.range.end()))
}

/// Whole pages are gone whatever they held; of a page that is cut in the middle only what is the file's is
/// read again.
fn forget(piece: &Area, cut: &Cut) {
    if piece.holding != Holding::Private {
        // The kernel has dropped its own pages; touched again they are looked at again.
        return;
    }
    let Backing::Image { offset, .. } = piece.backing else { return };
    if cut.copies == Copies::Kept {
        return forget_clean(piece.range);
    }
    let first_is_whole = offset >= cut.gone.start;
    let whole = if first_is_whole {
        Some(piece.range)
    } else {
        PageRange::new(piece.range.start().plus(1), piece.range.end())
    };
    if let Some(piece) = whole.and_then(|whole| piece.clip(whole)) {
        drop_contents(&piece);
    }
    if !first_is_whole {
        forget_clean(PageRange::single(piece.range.start()));
    }
}

/// Forgets the pages of `range` that hold what the file held.
fn forget_clean(range: PageRange) {
    let is_clean = |entry| matches!(entry, Entry::Resident(Dirt::Clean, None));
    let there: Vec<PageRange> = SPACE
        .table
        .existing_in(range)
        .filter(|(_, cell)| is_clean(cell.load()))
        .map(|(page, _)| PageRange::single(page))
        .collect();
    for page in there {
        if discard_where(page, is_clean) > 0 {
            let _ = engine::zap(&[page]);
        }
    }
}
