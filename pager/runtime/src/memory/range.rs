//! Ranges as programs give them: rounded, compared and refused in the order in which Linux does it.

use pager_core::addr::{PAGE_SIZE, PageRange, USER_END, VirtAddr};
use pager_core::area::{AreaTree, Protection};

use crate::arena;
use crate::sys::Errno;

/// A length rounded up to whole pages; what is too large wraps to zero (`PAGE_ALIGN`).
pub fn page_align(len: u64) -> u64 {
    len.wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
}

/// What a call that walks over areas was given. All that lies outside of the program's memory is like a hole.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The part where a program can have memory, if there is one.
    pub pages: Option<PageRange>,
    /// Whether that is all of it.
    whole: bool,
}

impl Given {
    /// The `len` bytes, whole pages, from `addr`, which starts a page; the end must not wrap.
    pub fn new(addr: u64, len: u64) -> Given {
        let end = addr.saturating_add(len);
        let inside = end.min(USER_END).saturating_sub(addr.min(USER_END));
        let pages = if inside == 0 { None } else { PageRange::touching(VirtAddr(addr), inside) };
        Given { pages, whole: end <= USER_END }
    }

    /// Whether every page belongs to an area.
    pub fn is_covered(&self, areas: &AreaTree) -> bool {
        self.whole && self.pages.is_none_or(|pages| areas.covers(pages))
    }
}

/// The page-aligned range that a call takes whose ranges must lie in the program's memory.
///
/// # Errors
/// EINVAL for an unaligned address or a length of zero or past the end of the address space.
pub fn aligned_range(addr: u64, len: u64) -> Result<PageRange, Errno> {
    if !addr.is_multiple_of(PAGE_SIZE) || addr > USER_END || len > USER_END - addr {
        return Err(Errno::EINVAL);
    }
    PageRange::touching(VirtAddr(addr), page_align(len)).ok_or(Errno::EINVAL)
}

/// As much of `range` as is mapped without a gap from its start.
pub fn covered_from_start(areas: &AreaTree, range: PageRange) -> Option<PageRange> {
    let mut end = range.start();
    for area in areas.overlapping(range) {
        if area.range.start() > end {
            break;
        }
        end = area.range.end();
    }
    PageRange::new(range.start(), end)
}

/// A protection as the kernel wants it.
pub fn prot_bits(protection: Protection) -> u64 {
    protection.bits().into()
}

/// Whether a range meets the runtime's own memory, which the program may not touch.
pub fn is_ours(range: PageRange) -> bool {
    arena::reserves(range.start().start().0, range.bytes())
}
