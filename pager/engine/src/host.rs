//! The seams: what the engine asks of who hosts it.
//!
//! All of them are called with no lock of the [`Space`] held, and for pages that the calling thread has made
//! busy, unless a method says otherwise. Methods without a result cannot fail: a host that finds it cannot do
//! what is asked has lost the program's memory, and ends.

use core::ops::DerefMut;
use core::sync::atomic::AtomicU64;

use pager_core::addr::{PageNum, PageRange};
use pager_core::area::{Access, AreaTree, ImageId};
use pager_core::entry::{ImageRow, SwapSlot};
use pager_core::pool::Occasion;
use pager_core::replacement::PolicyKind;
use pager_core::table::{EntryCell, PageTable};
use pager_core::trace::Departure;

use crate::queue::Queue;
use crate::readahead::Streams;
use crate::work::Fill;

/// Everything at once.
pub trait Host: Space + Park + Mmu + Source + SwapDevice + Budget + Toucher + Observer {}

impl<H: Space + Park + Mmu + Source + SwapDevice + Budget + Toucher + Observer> Host for H {}

/// The address space: what is mapped, where each page is, and in which order pages leave.
pub trait Space {
    /// Where each page is.
    fn table(&self) -> &PageTable;

    /// How many entries are busy.
    fn busy(&self) -> &AtomicU64;

    /// Looks at the areas, which do not change meanwhile.
    fn with_areas<R>(&self, look: impl FnOnce(&AreaTree) -> R) -> R;

    /// Works on the order of replacement, alone. The areas may be locked by this thread, never the other way
    /// round.
    fn with_queue<R>(&self, act: impl FnOnce(&mut Queue) -> R) -> R;
}

/// How threads wait for each other.
pub trait Park {
    /// Sleeps until a busy entry changes; may return earlier.
    fn wait(&self, cell: &EntryCell);

    /// Wakes all who sleep on an entry.
    fn wake(&self, cell: &EntryCell);

    /// Lets other threads run.
    fn give_way(&self);
}

/// Whether a page that is put in place can be written to at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Install {
    /// It can, and counts as dirty.
    Writable,
    /// The first write is a fault.
    Protected,
}

/// A number of errno(3): what a device said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceError(pub i32);

/// The memory that the program sees.
pub trait Mmu {
    /// Everything may be read and written to by the engine while it lives, whatever the program may do.
    type Open;

    /// Opens what the program has closed to itself.
    fn open(&self) -> Self::Open;

    /// Puts whole pages in place where there is none. Whoever touches one sees it whole.
    fn install(&self, run: PageRange, contents: &[u8], how: Install);

    /// The same with zeros, writable.
    fn install_zeros(&self, run: PageRange);

    /// Changes what happens when resident pages are written to.
    fn protect(&self, run: PageRange, how: Install);

    /// Reads a page that is resident, whatever the program may do with it.
    fn read_page(&self, page: PageNum, into: &mut [u8]);

    /// Takes private pages away: the next touch of each is a fault.
    fn remove(&self, runs: &[PageRange]);

    /// Takes pages of a file that are mapped through away: the next touch of each is a fault.
    fn hold_back(&self, run: PageRange);

    /// Lets touches of pages of a file through to it.
    ///
    /// # Errors
    /// What the kernel says; nothing has changed then.
    fn let_through(&self, run: PageRange) -> Result<(), DeviceError>;

    /// Has the kernel bring in pages of a file that are let through.
    ///
    /// # Errors
    /// Where one cannot be had: past the end of the file, or an I/O error.
    fn bring_in(&self, run: PageRange) -> Result<(), DeviceError>;

    /// Whether there is a page for an access that the area allows, where a file is let through.
    fn can_be_had(&self, page: PageNum, access: Access) -> bool;
}

/// Where the first contents of pages come from.
pub trait Source {
    /// Reads from `offset`, a multiple of the page size, on; how many bytes, fewer than asked for at the
    /// file's end.
    ///
    /// # Errors
    /// What the file says.
    fn read_image(&self, image: ImageId, offset: u64, into: &mut [u8]) -> Result<usize, DeviceError>;

    /// The image's row in the run's table.
    fn row(&self, image: ImageId) -> ImageRow;
}

/// How a write of pages to swap ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// The first pages, as many as slots were named, are safe.
    Saved,
    /// So many of the first pages are not: the device said so.
    Failed {
        /// Which device.
        device: u8,
        /// Pages that were to be written to it.
        pages: usize,
        /// What it said.
        error: DeviceError,
    },
    /// No device has room.
    Full,
}

/// Where contents go that nothing else holds.
pub trait SwapDevice {
    /// Writes a beginning of `pages` to neighbouring slots, and names them.
    fn write_slots(&self, pages: &[u8], name: impl FnMut(SwapSlot)) -> Written;

    /// Called once the pages of a [`Written::Failed`] are the program's again.
    fn note_failure(&self, device: u8, error: DeviceError);

    /// Whether any device has room for a page.
    fn has_swap_room(&self) -> bool;

    /// Called when too much is resident, no device has room, and no page is left that could go without being
    /// written. Where it returns, the pages stay in memory.
    fn out_of_swap(&self);

    /// Reads neighbouring slots, the first of which has the index `first`, and checks them.
    ///
    /// # Errors
    /// What the device says; EIO for contents that are not what was written.
    fn read_slots(
        &self,
        device: u8,
        first: u32,
        slots: impl Iterator<Item = SwapSlot>,
        pages: &mut [u8],
    ) -> Result<(), DeviceError>;

    /// Gives up a slot.
    fn release(&self, slot: SwapSlot);
}

/// How many pages may be resident.
pub trait Budget {
    /// Counts pages as resident, before they are; how many there are then.
    fn charge(&self, pages: u64) -> u64;

    /// Counts pages as gone.
    fn uncharge(&self, pages: u64);

    /// How many there are.
    fn resident(&self) -> u64;

    /// How many there may be now.
    fn room(&self) -> u64;

    /// How many there could be if nobody else had any.
    fn reach(&self) -> u64;

    /// The cap; `u64::MAX` for none.
    fn cap(&self) -> u64;

    /// Which pages leave first.
    fn policy(&self) -> PolicyKind;

    /// Asks for room for `pages`, where others share the cap; what has to be given to these.
    fn claim(&self, pages: u64, occasion: Occasion) -> u64;

    /// Gives what [`Budget::claim`] said, now that `resident` pages are left.
    fn settle(&self, owed: u64, resident: u64);
}

/// What the thread that caused the fault brings with it.
pub trait Toucher {
    /// Memory for pages on their way.
    type Buffer: DerefMut<Target = [u8]>;

    /// Memory for so many pages, at most [`crate::batch::BATCH`], of any contents. One at a time.
    fn buffer(&self, pages: usize) -> Self::Buffer;

    /// The sequential runs that the thread follows.
    fn with_streams<R>(&self, act: impl FnOnce(&mut Streams) -> R) -> R;

    /// Whether this is the one time in `times`, a power of two.
    fn one_in(&self, times: u64) -> bool;

    /// How many threads there are, this one included.
    fn threads(&self) -> u64;

    /// Whether no other thread can write to memory.
    fn is_alone(&self) -> bool;

    /// Says which of `pages`, whose entries are busy, have to stay where they are.
    fn mark_pinned(&self, pages: &[PageNum], pinned: &mut [bool]);

    /// Most pages around one of a file that are brought in with it.
    fn fault_around(&self) -> u64;
}

/// What happened.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// A fault waits for another thread, for the first time.
    Waited,
    /// So many pages of a fill are in memory.
    Filled {
        /// The fill.
        work: &'a Fill,
        /// Pages.
        pages: u64,
    },
    /// A fill is done, and its page is there.
    Resolved {
        /// The fill.
        work: &'a Fill,
        /// What [`Observer::begin`] said when it began.
        began: u64,
    },
    /// Bytes were read from an image.
    Read {
        /// Which.
        image: ImageId,
        /// How many.
        bytes: u64,
    },
    /// A device failed.
    DeviceFailed,
    /// Pages were written to swap.
    Written {
        /// How many.
        pages: u64,
    },
    /// A page of zeros left without being written.
    ZeroDropped,
    /// A page of the file itself left.
    Unmapped {
        /// The file's row.
        row: ImageRow,
    },
    /// Neighbouring pages are about to leave.
    Leaves {
        /// Which.
        range: PageRange,
        /// How.
        how: Departure,
    },
    /// So many pages left in one go.
    Evicted {
        /// How many.
        pages: u64,
    },
}

/// Who wants to know.
pub trait Observer {
    /// A time for [`Event::Resolved`].
    fn begin(&self) -> u64;

    /// Whether [`Event::Leaves`] is of use to anybody.
    fn wants_departures(&self) -> bool;

    /// Called for each event, by the thread that caused it. The queue may be locked.
    fn event(&self, event: Event<'_>);
}
