//! Swap files: slots in the control block's maps, contents through descriptors.

use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use pager_core::addr::PAGE_SIZE;
use pager_core::entry::SwapSlot;
use pager_core::shared::{Control, FailureKind, SWAP_FILES, SwapFile};
use pager_core::slots::{Released, SlotMap, SlotRun, checksum, is_intact, tag_of};

use crate::arena;
use crate::control;
use crate::die;
use crate::gate;
use crate::images;
use crate::program;
use crate::row;
use crate::sys::file::{self, Fd};
use crate::sys::{Errno, memory, task};

/// Where a swap file and its maps are. Copied out of the control block once: another process may write over
/// that, and its mistake is not ours.
struct Place {
    fd: AtomicI32,
    pages: AtomicUsize,
    owners: AtomicPtr<AtomicU8>,
    sums: AtomicPtr<AtomicU32>,
    /// Writes that failed since one worked, and how the last one did.
    failed: AtomicU32,
    errno: AtomicI32,
}

static PLACES: [Place; SWAP_FILES] = [const { Place::nowhere() }; SWAP_FILES];
static USED: AtomicUsize = AtomicUsize::new(0);

/// Failed writes in a row after which a file is given up.
const GIVE_UP: u32 = 32;
/// Failed writes in a row from which on there is a pause after each.
const HURRIED: u32 = 8;
/// The pause: a file that fails for less than a tenth of a second is not given up.
const PAUSE_NS: u64 = 4_000_000;

impl Place {
    const fn nowhere() -> Place {
        Place {
            fd: AtomicI32::new(-1),
            pages: AtomicUsize::new(0),
            owners: AtomicPtr::new(core::ptr::null_mut()),
            sums: AtomicPtr::new(core::ptr::null_mut()),
            failed: AtomicU32::new(0),
            errno: AtomicI32::new(0),
        }
    }
}

/// Takes note of where the swap files of the run are.
pub fn learn(control: &Control) {
    let base = control as *const Control as u64;
    let used = (control.settings.swap_count.load(Ordering::Relaxed) as usize).min(SWAP_FILES);
    for (place, row) in PLACES.iter().zip(&control.settings.swap).take(used) {
        let at = |offset: &AtomicU64| base + offset.load(Ordering::Relaxed);
        place.fd.store(row.fd.load(Ordering::Relaxed) as i32, Ordering::Relaxed);
        place.owners.store(at(&row.owners_offset) as *mut AtomicU8, Ordering::Relaxed);
        place.sums.store(at(&row.checksums_offset) as *mut AtomicU32, Ordering::Relaxed);
        place.pages.store(row.pages.load(Ordering::Relaxed) as usize, Ordering::Relaxed);
    }
    USED.store(used, Ordering::Relaxed);
}

/// One swap file of the run, as this process sees it.
pub struct Swap {
    number: u8,
    place: &'static Place,
    row: &'static SwapFile,
}

/// All swap files, in order of use.
pub fn files() -> impl Iterator<Item = Swap> {
    (0..USED.load(Ordering::Relaxed)).map(|number| by_number(number as u8))
}

/// The swap file with this number.
///
/// # Panics
/// For one that there cannot be.
pub fn by_number(number: u8) -> Swap {
    let at = usize::from(number);
    Swap { number, place: &PLACES[at], row: &control::settings().swap[at] }
}

/// The descriptors of all of them.
pub fn descriptors() -> impl Iterator<Item = Fd> {
    files().map(|swap| swap.fd())
}

/// Whether any slot is taken.
pub fn in_use() -> bool {
    files().any(|swap| swap.row.used.load(Ordering::Relaxed) > 0)
}

/// Whether there is such a slot: one that was read from the memory of another process may be none.
pub fn is_known(slot: SwapSlot) -> bool {
    files().any(|swap| {
        swap.number == slot.file && (slot.index as usize) < swap.place.pages.load(Ordering::Relaxed)
    })
}

/// The swap file of a slot.
///
/// # Panics
/// For a slot that names no swap file.
pub fn of(slot: SwapSlot) -> Swap {
    by_number(slot.file)
}

impl Swap {
    fn maps(&self) -> (&'static [AtomicU8], &'static [AtomicU32]) {
        let pages = self.place.pages.load(Ordering::Relaxed);
        let (owners, sums) =
            (self.place.owners.load(Ordering::Relaxed), self.place.sums.load(Ordering::Relaxed));
        // SAFETY: the supervisor laid both maps out in the control file with `pages` cells each, and all of
        // it is mapped.
        unsafe { (core::slice::from_raw_parts(owners, pages), core::slice::from_raw_parts(sums, pages)) }
    }

    fn slots(&self) -> SlotMap<'static> {
        let row = self.row;
        SlotMap { owners: self.maps().0, used: &row.used, peak: &row.peak, hint: &row.hint }
    }

    /// Its number in the plan.
    pub fn number(&self) -> u8 {
        self.number
    }

    fn fd(&self) -> Fd {
        Fd(self.place.fd.load(Ordering::Relaxed))
    }

    /// Writes pages to a run of slots taken with [`allocate`], and names the slots.
    ///
    /// # Errors
    /// What the write says.
    pub fn write(&self, run: SlotRun, pages: &[u8], mut name: impl FnMut(SwapSlot)) -> Result<(), Errno> {
        let sums = self.maps().1;
        for (page, index) in pages.as_chunks::<4096>().0.iter().zip(run.first..) {
            sums[index as usize].store(checksum(page), Ordering::Relaxed);
        }
        pager_core::shared::count(&control::counts().swap_writes, 1);
        let at = u64::from(run.first) * PAGE_SIZE;
        if at + pages.len() as u64 <= file::file_size_limit() {
            file::pwrite_all(self.fd(), pages, at)?;
        } else {
            self.write_mapped(pages, at)?;
        }
        for index in run.first..run.first + run.count {
            let sum = sums[index as usize].load(Ordering::Relaxed);
            name(SwapSlot { file: self.number, index, tag: tag_of(sum) });
        }
        Ok(())
    }

    /// The same through a mapping, which the program's limit on file sizes does not concern: a write would
    /// send SIGXFSZ.
    fn write_mapped(&self, pages: &[u8], at: u64) -> Result<(), Errno> {
        let len = pages.len() as u64;
        let window = arena::map_file(self.fd(), len, at)?;
        // SAFETY: the window was just mapped; where the file cannot take the bytes, the fault ends the copy.
        let copied = unsafe { gate::copy(window, pages.as_ptr() as u64, len) };
        memory::munmap(window, len)?;
        if copied == len { Ok(()) } else { Err(Errno::EIO) }
    }

    /// Reads neighbouring slots and checks each page against its sum, and against the tag that this process
    /// kept.
    ///
    /// # Errors
    /// What the read says; EIO for a short read or contents that are not what was written.
    pub fn read(
        &self,
        first: u32,
        slots: impl Iterator<Item = SwapSlot>,
        pages: &mut [u8],
    ) -> Result<(), Errno> {
        pager_core::shared::count(&control::counts().swap_reads, 1);
        let got = file::pread_all(self.fd(), pages, u64::from(first) * PAGE_SIZE)?;
        if got < pages.len() {
            return Err(Errno::EIO);
        }
        let sums = self.maps().1;
        for (page, slot) in pages.as_chunks::<4096>().0.iter().zip(slots) {
            if !is_intact(page, sums[slot.index as usize].load(Ordering::Relaxed), slot.tag) {
                pager_core::shared::count(&control::counts().checksum_errors, 1);
                return Err(Errno::EIO);
            }
        }
        Ok(())
    }

    /// Tells the supervisor that the file failed.
    pub fn report(&self, errno: Errno) {
        die::report(FailureKind::Io, errno.0 as u64, &images::path_of(self.fd()));
    }

    /// Takes note that a write worked.
    pub fn note_success(&self) {
        if self.place.failed.load(Ordering::Relaxed) != 0 {
            self.place.failed.store(0, Ordering::Relaxed);
        }
    }

    /// Takes note that a write failed, and waits a little if that happens again and again.
    pub fn note_failure(&self, errno: Errno) {
        self.place.errno.store(errno.0, Ordering::Relaxed);
        let failed = self.place.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if failed == GIVE_UP {
            die::event!("swap file {} is given up: {errno:?}", self.number);
        }
        if (HURRIED..GIVE_UP).contains(&failed) {
            task::pause(PAUSE_NS);
        }
    }

    /// Whether nothing is written to it any more.
    fn is_given_up(&self) -> bool {
        self.place.failed.load(Ordering::Relaxed) >= GIVE_UP
    }

    /// Gives a run back that nothing was written to.
    pub fn give_back(&self, run: SlotRun) {
        for index in run.first..run.first + run.count {
            let _ = self.slots().release(index);
        }
    }
}

/// Takes up to `wanted` neighbouring slots from the first file that has any; `None` when all swap is full or
/// given up.
pub fn allocate(wanted: u32) -> Option<(Swap, SlotRun)> {
    files().filter(|swap| !swap.is_given_up()).find_map(|swap| {
        let run = swap.slots().allocate(wanted)?;
        Some((swap, run))
    })
}

/// Whether there is a free slot in a file that is still written to.
pub fn has_room() -> bool {
    let has_room =
        |swap: &Swap| swap.row.used.load(Ordering::Relaxed) < swap.place.pages.load(Ordering::Relaxed) as u64;
    files().filter(|swap| !swap.is_given_up()).any(|swap| has_room(&swap))
}

/// Reports why there is no slot to be had.
pub fn report_none() {
    match files().find(Swap::is_given_up) {
        Some(broken) => {
            let errno = broken.place.errno.load(Ordering::Relaxed);
            die::report(FailureKind::Io, errno.unsigned_abs().into(), &images::path_of(broken.fd()));
        }
        None => die::report(FailureKind::SwapFull, 0, &program::PATH.lock()),
    }
}

/// Gives up a slot of this process.
pub fn release(slot: SwapSlot) {
    if let Some(row) = row::own() {
        row.remove_swap();
    }
    disown(slot);
}

/// Gives up one ownership of a slot that is not this process's now: a child's that was not to be, or the
/// program's before.
pub fn disown(slot: SwapSlot) {
    match of(slot).slots().release(slot.index) {
        Released::Free | Released::StillOwned => {}
    }
}

/// Whether a slot has as many owners as can be counted.
pub fn is_saturated(slot: SwapSlot) -> bool {
    of(slot).slots().owners(slot.index) == u8::MAX
}

/// Adds an owner for a forked child.
///
/// # Errors
/// EAGAIN when the slot has as many owners as can be counted.
pub fn share(slot: SwapSlot) -> Result<(), Errno> {
    of(slot).slots().share(slot.index).map_err(|_| Errno::EAGAIN)
}
