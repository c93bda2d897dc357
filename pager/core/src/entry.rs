//! One page table entry: where a page is, in eight bytes that can be swapped atomically.
//!
//! The three states of the old text are here by name: *valid* is [`Entry::Resident`], *empty* is
//! [`Entry::Empty`], *non-empty but invalid* is [`Entry::Swapped`], which tells the swap file and the place
//! in it. The fourth, [`Entry::Busy`], is owned by the one thread that fills or evicts the page; everybody
//! else waits for it to change.
//!
//! | from | to | who makes the edge |
//! |---|---|---|
//! | Empty, Zero, Swapped | Busy | the thread that faulted (fill) |
//! | Busy | Resident, Mapped | the same thread, once the page is installed |
//! | Resident, Mapped | Busy | the thread that evicts, un-protects or discards |
//! | Busy | Swapped, Zero, Empty | the same thread, once the page is gone from memory |
//! | Empty, Guard | Busy, then the other | madvise, which lays and lifts guards |
//! | Busy | what it was | the same thread, when it gives up (I/O error, pinned page) |
//!
//! The low 32 bits hold all state, so they can serve as a futex word; the high 32 bits hold the slot's index,
//! or the row of a mapped page's image.

/// A place in a swap file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SwapSlot {
    /// Which swap file, by its number in the plan.
    pub file: u8,
    /// Which page of that file.
    pub index: u32,
    /// Part of the checksum of what was written there. The slots' maps are shared by all processes of a run,
    /// this is not: a process that wrote over the maps cannot make another take foreign contents for its own.
    pub tag: u16,
}

impl SwapSlot {
    /// Where it is, as one number: all that it takes to give it up.
    pub const fn place(self) -> u64 {
        (self.file as u64) << 32 | self.index as u64
    }

    /// The slot at a [`SwapSlot::place`], of whose contents nothing is known.
    pub const fn at(place: u64) -> SwapSlot {
        SwapSlot { file: (place >> 32) as u8, index: place as u32, tag: 0 }
    }
}

/// Number of a file in the run's table of images ([`crate::shared::Control::images`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImageRow(pub u16);

/// Whether memory holds what no file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dirt {
    /// Memory equals its backing or its slot; private pages are write-protected so that the first write is
    /// seen.
    Clean,
    /// Memory is the only copy.
    Dirty,
}

/// What an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Nothing was ever put here, or what was here can be made again from the area's backing.
    Empty,
    /// In memory. A clean page may keep the slot it came from (the swap cache).
    Resident(Dirt, Option<SwapSlot>),
    /// In memory as a page of the image file itself, mapped through: always clean, dropped without being
    /// written. The file is named, so that who evicts the page can count it there without a look at the
    /// areas, whose lock it may not take.
    Mapped(ImageRow),
    /// Evicted while it held only zeros: nothing is kept, and whatever backs the area is not asked again.
    Zero,
    /// Guarded by the program (`MADV_GUARD_INSTALL`): a touch is its own SIGSEGV.
    Guard,
    /// In a swap file and nowhere else.
    Swapped(SwapSlot),
    /// Owned by a thread that is changing it; the slot, if any, stays readable.
    Busy(Option<SwapSlot>),
}

const TAG: u64 = 0b11;
const TAG_EMPTY: u64 = 0;
const TAG_RESIDENT: u64 = 1;
const TAG_SWAPPED: u64 = 2;
const TAG_BUSY: u64 = 3;
const DIRTY: u64 = 1 << 2;
const HAS_SLOT: u64 = 1 << 3;
/// Sets a mapped-through page apart from a private one, and a page of zeros from an empty entry.
const THROUGH: u64 = 1 << 5;
/// Set beside a busy tag by those who sleep on it.
pub(crate) const WAITED_FOR: u64 = 1 << 4;
/// Set beside any state: the page was written to when it was last in memory, so the next read is likely
/// followed by a write.
pub(crate) const WRITER: u64 = 1 << 6;
const TAG_LOW_SHIFT: u32 = 8;
const FILE_SHIFT: u32 = 16;
const TAG_HIGH_SHIFT: u32 = 24;
const INDEX_SHIFT: u32 = 32;

impl Entry {
    /// Packs the entry.
    pub const fn pack(self) -> u64 {
        match self {
            Entry::Empty => TAG_EMPTY,
            Entry::Resident(Dirt::Clean, slot) => TAG_RESIDENT | pack_slot(slot),
            Entry::Resident(Dirt::Dirty, slot) => TAG_RESIDENT | DIRTY | pack_slot(slot),
            Entry::Mapped(ImageRow(row)) => TAG_RESIDENT | THROUGH | (row as u64) << INDEX_SHIFT,
            Entry::Zero => TAG_EMPTY | THROUGH,
            Entry::Guard => TAG_EMPTY | DIRTY,
            Entry::Swapped(slot) => TAG_SWAPPED | pack_slot(Some(slot)),
            Entry::Busy(slot) => TAG_BUSY | pack_slot(slot),
        }
    }

    /// Reads a packed entry; the waiters' bit is not part of it.
    ///
    /// # Panics
    /// On a swapped entry without a slot, which no `pack` makes.
    pub const fn unpack(bits: u64) -> Entry {
        let slot = unpack_slot(bits);
        match bits & TAG {
            TAG_EMPTY if bits & THROUGH != 0 => Entry::Zero,
            TAG_EMPTY if bits & DIRTY != 0 => Entry::Guard,
            TAG_EMPTY => Entry::Empty,
            TAG_RESIDENT if bits & THROUGH != 0 => Entry::Mapped(ImageRow((bits >> INDEX_SHIFT) as u16)),
            TAG_RESIDENT if bits & DIRTY != 0 => Entry::Resident(Dirt::Dirty, slot),
            TAG_RESIDENT => Entry::Resident(Dirt::Clean, slot),
            TAG_BUSY => Entry::Busy(slot),
            _ => match slot {
                Some(slot) => Entry::Swapped(slot),
                None => panic!("swapped entry without a slot"),
            },
        }
    }

    /// Whether [`Entry::unpack`] takes the number.
    pub const fn is_sound(bits: u64) -> bool {
        bits & TAG != TAG_SWAPPED || bits & HAS_SLOT != 0
    }

    /// The slot that the entry names.
    pub const fn slot(self) -> Option<SwapSlot> {
        match self {
            Entry::Empty | Entry::Mapped(_) | Entry::Zero | Entry::Guard => None,
            Entry::Resident(_, slot) | Entry::Busy(slot) => slot,
            Entry::Swapped(slot) => Some(slot),
        }
    }

    /// Whether the page is in memory.
    pub const fn is_resident(self) -> bool {
        matches!(self, Entry::Resident(..) | Entry::Mapped(_))
    }
}

const fn pack_slot(slot: Option<SwapSlot>) -> u64 {
    match slot {
        None => 0,
        Some(slot) => {
            let tag = (slot.tag as u64 & 0xff) << TAG_LOW_SHIFT | (slot.tag as u64 >> 8) << TAG_HIGH_SHIFT;
            HAS_SLOT | tag | (slot.file as u64) << FILE_SHIFT | (slot.index as u64) << INDEX_SHIFT
        }
    }
}

const fn unpack_slot(bits: u64) -> Option<SwapSlot> {
    if bits & HAS_SLOT == 0 {
        return None;
    }
    let tag = (bits >> TAG_LOW_SHIFT & 0xff) as u16 | ((bits >> TAG_HIGH_SHIFT & 0xff) as u16) << 8;
    Some(SwapSlot { file: (bits >> FILE_SHIFT) as u8, index: (bits >> INDEX_SHIFT) as u32, tag })
}
