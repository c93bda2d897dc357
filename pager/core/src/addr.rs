//! Addresses, page numbers and page ranges: the units of everything else.

/// Bytes in a page. x86-64 base pages only; huge pages are left to the kernel.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// `log2(PAGE_SIZE)`.
pub const PAGE_SHIFT: u32 = 12;
/// One past the highest user address of a 47-bit address space.
pub const USER_END: u64 = 0x7fff_ffff_f000;

/// A byte address in the paged program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VirtAddr(pub u64);

impl VirtAddr {
    /// The page that holds this byte.
    pub const fn page(self) -> PageNum {
        PageNum(self.0 >> PAGE_SHIFT)
    }

    /// Bytes from the start of the page.
    pub const fn page_offset(self) -> u64 {
        self.0 & (PAGE_SIZE - 1)
    }
}

/// The number of a virtual page: its address divided by [`PAGE_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageNum(pub u64);

impl PageNum {
    /// Address of the page's first byte.
    pub const fn start(self) -> VirtAddr {
        VirtAddr(self.0 << PAGE_SHIFT)
    }

    /// The page `pages` further up.
    pub const fn plus(self, pages: u64) -> PageNum {
        PageNum(self.0 + pages)
    }
}

/// A run of pages that holds at least one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PageRange {
    start: PageNum,
    end: PageNum,
}

impl PageRange {
    /// The pages from `start` up to, not including, `end`; `None` where that is no page at all.
    pub const fn new(start: PageNum, end: PageNum) -> Option<PageRange> {
        if start.0 < end.0 { Some(PageRange { start, end }) } else { None }
    }

    /// `count` pages from `start`; `None` for a count of zero or past the end of the number space.
    pub fn with_count(start: PageNum, count: u64) -> Option<PageRange> {
        PageRange::new(start, PageNum(start.0.checked_add(count)?))
    }

    /// Every page touched by `len` bytes at `addr`; `None` for no byte or a range that wraps.
    pub fn touching(addr: VirtAddr, len: u64) -> Option<PageRange> {
        let last = addr.0.checked_add(len.checked_sub(1)?)?;
        PageRange::new(addr.page(), PageNum((last >> PAGE_SHIFT) + 1))
    }

    /// One page.
    pub const fn single(page: PageNum) -> PageRange {
        PageRange { start: page, end: PageNum(page.0 + 1) }
    }

    /// First page.
    pub const fn start(self) -> PageNum {
        self.start
    }

    /// One past the last page.
    pub const fn end(self) -> PageNum {
        self.end
    }

    /// Number of pages, at least one.
    pub const fn count(self) -> u64 {
        self.end.0 - self.start.0
    }

    /// Length in bytes.
    pub const fn bytes(self) -> u64 {
        self.count() << PAGE_SHIFT
    }

    /// Whether `page` is one of these.
    pub const fn contains(self, page: PageNum) -> bool {
        self.start.0 <= page.0 && page.0 < self.end.0
    }

    /// The pages in both, if any.
    pub fn intersect(self, other: PageRange) -> Option<PageRange> {
        PageRange::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Every page in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = PageNum> {
        (self.start.0..self.end.0).map(PageNum)
    }
}
