//! What the kernel may keep: the whole difference between the default and the strict mode, in one place.
//!
//! By default a read that the kernel's page cache can answer never reaches us, so counted reads are cache
//! misses. In strict mode every `read(2)` of an image goes past the cache, and a fault reads its one page.

use std::time::Duration;

use super::inode::Cached;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Reads that miss the page cache.
    #[default]
    CacheMisses,
    /// Every read, and every page that a fault brings in.
    EveryRead,
}

impl Strictness {
    /// The word for it in statistics.
    pub fn counted_reads(self) -> &'static str {
        match self {
            Strictness::CacheMisses => "page-cache misses",
            Strictness::EveryRead => "every read",
        }
    }
}

/// How an open file uses the kernel's page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenCaching {
    /// Reads and writes come straight to us; pages that faults brought in are dropped.
    Direct,
    /// The same, but those pages are left alone.
    DirectKeep,
    /// Cached pages are good: keep them.
    Keep,
    /// Cached pages are old: drop them, then cache.
    Drop,
}

/// How an image is opened.
pub fn image_open(strictness: Strictness, cached: Cached) -> OpenCaching {
    match (strictness, cached) {
        (Strictness::EveryRead, _) => OpenCaching::Direct,
        (Strictness::CacheMisses, Cached::Same) => OpenCaching::Keep,
        (Strictness::CacheMisses, Cached::Other) => OpenCaching::Drop,
    }
}

/// Whether requests for a file are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holdup {
    /// None is.
    Free,
    /// At least one waits for its answer.
    Waiting,
}

/// To drop a page the kernel waits until it is read, so an open would hang behind a fault that a rule holds
/// back. Pages that are old must go all the same.
pub fn unhindered(caching: OpenCaching, holdup: Holdup) -> OpenCaching {
    match (caching, holdup) {
        (OpenCaching::Direct, Holdup::Waiting) => OpenCaching::DirectKeep,
        (caching, _) => caching,
    }
}

/// How long the kernel may believe names and attributes of images: a source is seen to change within this
/// time.
pub const IMAGE_TTL: Duration = Duration::from_secs(1);
/// The same for symlinks of sources that may change: who follows one asks first whether it is still there.
/// Its text counts from the directory that it is in, so a link that is believed in after it was moved could
/// lead anywhere.
pub const LINK_TTL: Duration = Duration::ZERO;
/// The same for archives, which may not change while they are mounted.
pub const ARCHIVE_TTL: Duration = Duration::from_secs(60);
/// The same for swap files, which come, go and change their size by command.
pub const SWAP_TTL: Duration = Duration::ZERO;
/// The same for files below `.swapfs`, whose text, and so size, is another at each opening.
pub const CONTROL_TTL: Duration = Duration::ZERO;
/// The same for our own directories, which do not change.
pub const OWN_TTL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_never_caches() {
        assert_eq!(image_open(Strictness::EveryRead, Cached::Same), OpenCaching::Direct);
        assert_eq!(image_open(Strictness::CacheMisses, Cached::Same), OpenCaching::Keep);
        assert_eq!(image_open(Strictness::CacheMisses, Cached::Other), OpenCaching::Drop);
        assert_eq!(unhindered(OpenCaching::Direct, Holdup::Free), OpenCaching::Direct);
        assert_eq!(unhindered(OpenCaching::Direct, Holdup::Waiting), OpenCaching::DirectKeep);
        assert_eq!(unhindered(OpenCaching::Drop, Holdup::Waiting), OpenCaching::Drop);
    }
}
