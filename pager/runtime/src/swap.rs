//! Swap files: slots in the control block's maps, contents through descriptors.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use pager_core::addr::PAGE_SIZE;
use pager_core::entry::SwapSlot;
use pager_core::shared::SwapFile;
use pager_core::slots::{Released, SlotMap, SlotRun, checksum};

use crate::state;
use crate::sys::Errno;
use crate::sys::file::{self, Fd};

/// One swap file of the run, as this process sees it.
pub struct Swap {
    number: u8,
    row: &'static SwapFile,
}

/// All swap files, in order of use.
pub fn files() -> impl Iterator<Item = Swap> {
    let settings = state::settings();
    let used = settings.swap_count.load(Ordering::Relaxed) as usize;
    settings.swap.iter().take(used).enumerate().map(|(i, row)| Swap { number: i as u8, row })
}

/// The swap file of a slot.
///
/// # Panics
/// For a slot that names no swap file.
pub fn of(slot: SwapSlot) -> Swap {
    Swap { number: slot.file, row: &state::settings().swap[usize::from(slot.file)] }
}

impl Swap {
    fn maps(&self) -> (&'static [AtomicU8], &'static [AtomicU32]) {
        let base = state::control().map_or(0, |control| control as *const _ as u64);
        let pages = self.row.pages.load(Ordering::Relaxed) as usize;
        let owners = base + self.row.owners_offset.load(Ordering::Relaxed);
        let sums = base + self.row.checksums_offset.load(Ordering::Relaxed);
        // SAFETY: the supervisor laid both maps out in the control file with `pages` cells each, and all of it is mapped.
        unsafe {
            (
                core::slice::from_raw_parts(owners as *const AtomicU8, pages),
                core::slice::from_raw_parts(sums as *const AtomicU32, pages),
            )
        }
    }

    fn slots(&self) -> SlotMap<'static> {
        let row = self.row;
        SlotMap { owners: self.maps().0, used: &row.used, peak: &row.peak, hint: &row.hint }
    }

    fn fd(&self) -> Fd {
        Fd(self.row.fd.load(Ordering::Relaxed) as i32)
    }

    fn slot(&self, index: u32) -> SwapSlot {
        SwapSlot { file: self.number, index }
    }

    /// Writes pages to a run of slots taken with [`allocate`].
    ///
    /// # Errors
    /// What the write says.
    pub fn write(&self, run: SlotRun, pages: &[u8]) -> Result<(), Errno> {
        let sums = self.maps().1;
        for (page, sum) in pages.as_chunks::<4096>().0.iter().zip(&sums[run.first as usize..]) {
            sum.store(checksum(page), Ordering::Relaxed);
        }
        pager_core::shared::count(&state::counts().swap_writes, 1);
        file::pwrite_all(self.fd(), pages, u64::from(run.first) * PAGE_SIZE)
    }

    /// Reads the slots from `first` on and checks each page against its sum.
    ///
    /// # Errors
    /// What the read says; EIO for a short read or contents that are not what was written.
    pub fn read(&self, first: u32, pages: &mut [u8]) -> Result<(), Errno> {
        pager_core::shared::count(&state::counts().swap_reads, 1);
        let got = file::pread_all(self.fd(), pages, u64::from(first) * PAGE_SIZE)?;
        if got < pages.len() {
            return Err(Errno::EIO);
        }
        let sums = self.maps().1;
        for (page, sum) in pages.as_chunks::<4096>().0.iter().zip(&sums[first as usize..]) {
            if checksum(page) != sum.load(Ordering::Relaxed) {
                pager_core::shared::count(&state::counts().checksum_errors, 1);
                return Err(Errno::EIO);
            }
        }
        Ok(())
    }

    /// The slots of a run.
    pub fn slots_of(&self, run: SlotRun) -> impl Iterator<Item = SwapSlot> + '_ {
        (run.first..run.first + run.count).map(|index| self.slot(index))
    }
}

/// Takes up to `wanted` neighbouring slots from the first file that has any; `None` when all swap is full.
pub fn allocate(wanted: u32) -> Option<(Swap, SlotRun)> {
    files().find_map(|swap| {
        let run = swap.slots().allocate(wanted)?;
        Some((swap, run))
    })
}

/// Gives up one ownership of a slot.
pub fn release(slot: SwapSlot) {
    match of(slot).slots().release(slot.index) {
        Released::Free | Released::StillOwned => {}
    }
}

/// Adds an owner for a forked child.
///
/// # Errors
/// EAGAIN when the slot has as many owners as can be counted.
pub fn share(slot: SwapSlot) -> Result<(), Errno> {
    of(slot).slots().share(slot.index).map_err(|_| Errno::EAGAIN)
}
