//! Areas: which pages the program has asked for, with what rights, backed by what, held how.
//!
//! An [`Area`] is what the old text calls a `vm_area_struct`: the *promise*. What is installed is the page
//! table's business ([`crate::table`]); this module knows nothing about residence. [`AreaTree`] keeps the
//! areas of an address space in order.

mod tree;

pub use tree::{AreaError, AreaTree};

use crate::addr::{PAGE_SIZE, PageNum, PageRange};

bitflags::bitflags! {
    /// What the program may do with an area. The values are those of `PROT_READ`, `PROT_WRITE` and
    /// `PROT_EXEC`.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct Protection: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXEC = 4;
    }
}

impl Protection {
    /// The rights in a `prot` argument of mmap or mprotect; other bits (`PROT_GROWSDOWN`, ...) are dropped.
    pub const fn from_prot(prot: u64) -> Protection {
        Protection::from_bits_truncate(prot as u8)
    }

    /// Whether `access` succeeds. x86-64 has no write-only and no execute-only page table entries, so `WRITE`
    /// or `EXEC` alone can be read.
    pub const fn allows(self, access: Access) -> bool {
        match access {
            Access::Read => !self.is_empty(),
            Access::Write => self.contains(Protection::WRITE),
            Access::Execute => self.contains(Protection::EXEC),
        }
    }
}

/// What a thread tried to do with a page.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// A load.
    Read,
    /// A store, or a load and a store at once.
    Write,
    /// An instruction fetch.
    Execute,
}

/// A file's number in the runtime's image table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImageId(pub u16);

/// Where the first contents of an area's pages come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Backing {
    /// Zeros.
    Zero,
    /// A file, then zeros.
    Image {
        /// The file.
        image: ImageId,
        /// File offset of the area's first byte, a multiple of [`PAGE_SIZE`].
        offset: u64,
        /// How many bytes from the area's start come from the file; those after them are zeros.
        valid: u64,
    },
}

impl Backing {
    /// The backing of what lies `bytes` (a multiple of [`PAGE_SIZE`]) further up. Offsets past 2^64 wrap: the
    /// kernel refuses such mappings.
    const fn advanced(self, bytes: u64) -> Backing {
        match self {
            Backing::Zero => Backing::Zero,
            Backing::Image { image, offset, valid } => Backing::Image {
                image,
                offset: offset.wrapping_add(bytes),
                valid: valid.saturating_sub(bytes),
            },
        }
    }

    /// The same backing for an area of `bytes`: no more valid bytes than the area has.
    const fn limited(self, bytes: u64) -> Backing {
        match self {
            Backing::Image { image, offset, valid } if valid > bytes => {
                Backing::Image { image, offset, valid: bytes }
            }
            other => other,
        }
    }

    /// One backing for an area of `bytes` with this backing and what follows with `next`, if there is one.
    fn joined(self, bytes: u64, next: Backing) -> Option<Backing> {
        match (self, next) {
            (Backing::Zero, Backing::Zero) => Some(Backing::Zero),
            (
                Backing::Image { image, offset, valid },
                Backing::Image { image: next_image, offset: next_offset, valid: next_valid },
            ) => {
                let contiguous = image == next_image && offset.wrapping_add(bytes) == next_offset;
                let joinable = contiguous && (valid == bytes || next_valid == 0);
                joinable.then_some(Backing::Image { image, offset, valid: valid + next_valid })
            }
            _ => None,
        }
    }
}

/// Where the first contents of one page come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PageSource {
    /// Zeros.
    Zero,
    /// A page of a file.
    Image {
        /// The file.
        image: ImageId,
        /// File offset of the page's first byte, a multiple of [`PAGE_SIZE`].
        offset: u64,
        /// Bytes that come from the file, 1 to 4096; the rest of the page is zeros.
        valid_bytes: u32,
    },
}

/// How the pages of an area are held in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Holding {
    /// Private anonymous memory, registered with userfaultfd and filled by the runtime.
    Private,
    /// A private mapping of the image file itself behind guard markers. Never written to.
    MapThrough,
    /// A shared mapping of a file, behind guard markers as well. Its pages are the file's own: what is
    /// written to them is the file's at once.
    SharedThrough,
    /// Left to the kernel; the runtime only knows that it is there.
    Kernel(KernelReason),
}

impl Holding {
    /// Whether the pages are those of the file itself, let through one chunk after the other.
    #[must_use]
    pub const fn lets_through(self) -> bool {
        matches!(self, Self::MapThrough | Self::SharedThrough)
    }

    /// Whether the kernel's own answer about the area (msync, mincore) is the one that the program expects.
    #[must_use]
    pub const fn is_known_to_kernel(self) -> bool {
        matches!(self, Self::SharedThrough | Self::Kernel(_))
    }
}

/// Why an area is left to the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KernelReason {
    /// A shared mapping, of a file or anonymous.
    Shared,
    /// Device memory.
    Device,
    /// Huge pages.
    Huge,
    /// Anything else: vDSO, System V shared memory, kinds of file that cannot be read.
    Other,
}

/// What a forked child finds in the area.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ForkPolicy {
    /// The same contents.
    Copy,
    /// No area at all (`MADV_DONTFORK`).
    Skip,
    /// The area, emptied (`MADV_WIPEONFORK`).
    Wipe,
    /// No area at all, and an emptied one once that is taken back: the two are set and taken back apart.
    SkipThenWipe,
}

impl ForkPolicy {
    /// Whether the child has no area at all.
    #[must_use]
    pub fn skips(self) -> bool {
        matches!(self, Self::Skip | Self::SkipThenWipe)
    }

    /// Whether the area is emptied where the child has it.
    #[must_use]
    pub fn wipes(self) -> bool {
        matches!(self, Self::Wipe | Self::SkipThenWipe)
    }

    /// After `MADV_DONTFORK`.
    #[must_use]
    pub fn with_skip(self) -> Self {
        if self.wipes() { Self::SkipThenWipe } else { Self::Skip }
    }

    /// After `MADV_DOFORK`.
    #[must_use]
    pub fn without_skip(self) -> Self {
        if self.wipes() { Self::Wipe } else { Self::Copy }
    }

    /// After `MADV_WIPEONFORK`.
    #[must_use]
    pub fn with_wipe(self) -> Self {
        if self.skips() { Self::SkipThenWipe } else { Self::Wipe }
    }

    /// After `MADV_KEEPONFORK`.
    #[must_use]
    pub fn without_wipe(self) -> Self {
        if self.skips() { Self::Skip } else { Self::Copy }
    }
}

/// Whether the program has locked the area into memory. A promise that is accounted and reported; the pages
/// stay the pager's to place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Locking {
    /// Not locked.
    Pageable,
    /// Locked by mlock, mlockall or `MAP_LOCKED`.
    Locked,
}

/// Whether the area grows by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Growth {
    /// It does not.
    Fixed,
    /// Down to where it is touched: a stack, or `MAP_GROWSDOWN`.
    Down,
}

/// Whether the area may be unmapped, moved, replaced, or its protection changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sealing {
    /// It may.
    Open,
    /// Never again (mseal).
    Sealed,
}

/// The protection key of an area: by its number a thread denies itself the memory that has it, on processors
/// that have keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// What pkey_mprotect gave it last, 0 to 15; 0 for all other memory.
    Number(u8),
    /// The key that the kernel keeps for memory that may only be executed.
    ExecuteOnly,
}

impl Key {
    /// The key that mmap gives to memory with the rights `prot`.
    pub const fn of_mapping(prot: u64) -> Key {
        Key::Number(0).after_mprotect(prot)
    }

    /// The key after mprotect with `prot`, which names none (`arch_override_mprotect_pkey` of Linux).
    #[must_use]
    pub const fn after_mprotect(self, prot: u64) -> Key {
        match self {
            _ if prot == Protection::EXEC.bits() as u64 => Key::ExecuteOnly,
            Key::ExecuteOnly => Key::Number(0),
            Key::Number(number) => Key::Number(number),
        }
    }
}

/// What the area is to the program; only shown and counted, never decided upon.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Code and read-only data of a program or library.
    Text,
    /// Writable data of a program or library, with its bss.
    Data,
    /// The brk heap.
    Heap,
    /// The first thread's stack.
    Stack,
    /// What the program mapped itself.
    Mapping,
}

/// A range of pages with one set of attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Area {
    /// The pages.
    pub range: PageRange,
    /// What the program may do with them.
    pub protection: Protection,
    /// How they are held.
    pub holding: Holding,
    /// Where their first contents come from.
    pub backing: Backing,
    /// What a forked child finds there.
    pub fork: ForkPolicy,
    /// What they are to the program.
    pub role: Role,
    /// Whether they are locked.
    pub locking: Locking,
    /// Whether there will be more of them.
    pub growth: Growth,
    /// Whether the program may still change them.
    pub sealing: Sealing,
    /// Their protection key.
    pub key: Key,
}

impl Area {
    /// An area that is copied by fork, pageable and of fixed size, with zeros behind it.
    pub const fn new(range: PageRange, protection: Protection, holding: Holding, role: Role) -> Area {
        Area {
            range,
            protection,
            holding,
            backing: Backing::Zero,
            fork: ForkPolicy::Copy,
            role,
            locking: Locking::Pageable,
            growth: Growth::Fixed,
            sealing: Sealing::Open,
            key: Key::Number(0),
        }
    }

    /// The part of the area inside `range`, its backing moved along; `None` where they do not meet.
    pub fn clip(&self, range: PageRange) -> Option<Area> {
        let range = self.range.intersect(range)?;
        let before = (range.start().0 - self.range.start().0) * PAGE_SIZE;
        Some(Area { range, backing: self.backing.advanced(before).limited(range.bytes()), ..*self })
    }

    /// What `page` holds before it is first written to.
    ///
    /// # Panics
    /// In debug builds, for a page outside the area.
    pub fn backing_at(&self, page: PageNum) -> PageSource {
        debug_assert!(self.range.contains(page), "{page:?} is not in {:?}", self.range);
        let before = page.0.saturating_sub(self.range.start().0) * PAGE_SIZE;
        match self.backing.advanced(before) {
            Backing::Zero | Backing::Image { valid: 0, .. } => PageSource::Zero,
            Backing::Image { image, offset, valid } => {
                PageSource::Image { image, offset, valid_bytes: valid.min(PAGE_SIZE) as u32 }
            }
        }
    }

    /// This area and `next` as one, where `next` starts at this one's end, all attributes agree and the
    /// backing runs on.
    fn joined(&self, next: &Area) -> Option<Area> {
        let alike = self.protection == next.protection
            && self.holding == next.holding
            && self.fork == next.fork
            && self.role == next.role
            && self.locking == next.locking
            && self.growth == next.growth
            && self.sealing == next.sealing
            && self.key == next.key
            && self.range.end() == next.range.start();
        let backing = self.backing.joined(self.range.bytes(), next.backing).filter(|_| alike)?;
        Some(Area { range: PageRange::new(self.range.start(), next.range.end())?, backing, ..*self })
    }
}
