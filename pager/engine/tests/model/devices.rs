//! The file that pages come from, and the device that they are swapped to.

use std::sync::atomic::Ordering;

use pager_core::addr::PAGE_SIZE;
use pager_core::area::ImageId;
use pager_core::entry::{ImageRow, SwapSlot};
use pager_core::slots::{checksum, is_intact, tag_of};
use pager_engine::host::{DeviceError, Source, SwapDevice, Written};

use super::locks::lock;
use super::{Model, Page};

/// Most slots that one write takes: less than a batch, so that batches are cut.
const LONGEST: usize = 24;

const EIO: DeviceError = DeviceError(5);

/// A swap device.
pub struct Device {
    pages: Vec<Page>,
    is_taken: Vec<bool>,
    sums: Vec<u32>,
    hint: usize,
    /// Pages that may be taken at most.
    pub room: usize,
    used: usize,
}

impl Device {
    pub fn new(room: usize) -> Device {
        let pages = vec![[0; PAGE_SIZE as usize]; room];
        Device { pages, is_taken: vec![false; room], sums: vec![0; room], hint: 0, room, used: 0 }
    }

    /// The slots that are taken, ascending.
    pub fn taken(&self) -> Vec<u32> {
        (0..self.pages.len() as u32).filter(|at| self.is_taken[*at as usize]).collect()
    }

    /// Changes a bit of what is in a slot.
    pub fn flip(&mut self, slot: u32, bit: u64) {
        assert!(self.is_taken[slot as usize]);
        self.pages[slot as usize][(bit / 8 % PAGE_SIZE) as usize] ^= 1 << (bit % 8);
    }

    /// A run of free slots, `wanted` at most.
    fn free(&mut self, wanted: usize) -> Option<(usize, usize)> {
        let (all, is_free) = (self.pages.len(), |at: &usize| !self.is_taken[*at]);
        let wanted = wanted.min(LONGEST).min(self.room.saturating_sub(self.used));
        let first = (0..all).map(|i| (self.hint + i) % all).find(is_free)?;
        let count = (first..all).take(wanted).take_while(is_free).count();
        self.hint = (first + count) % all;
        (count > 0).then_some((first, count))
    }
}

impl Source for Model {
    fn read_image(&self, image: ImageId, offset: u64, into: &mut [u8]) -> Result<usize, DeviceError> {
        assert_eq!((image, offset % PAGE_SIZE), (ImageId(0), 0));
        if self.fails() {
            return Err(EIO);
        }
        let from = self.image.get(offset as usize..).unwrap_or(&[]);
        // Now and then a file says that it ends, in whole pages: of a page that it ends in the rest is zeros.
        let half = into.len() / 2 / PAGE_SIZE as usize * PAGE_SIZE as usize;
        let most = if self.fails() { half } else { into.len() };
        let len = from.len().min(most);
        into[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }

    fn row(&self, _: ImageId) -> ImageRow {
        ImageRow(0)
    }
}

impl Model {
    /// Writes pages to a device if it has room for any.
    fn write_to(
        &self,
        device: usize,
        pages: &[Page],
        fails: bool,
        name: &mut impl FnMut(SwapSlot),
    ) -> Option<Written> {
        let file = device as u8;
        lock(&self.swap[device], |swap| {
            let (first, count) = swap.free(pages.len())?;
            if fails {
                return Some(Written::Failed { device: file, pages: count, error: EIO });
            }
            for (page, at) in pages.iter().zip(first..first + count) {
                let sum = checksum(page);
                swap.pages[at] = *page;
                swap.is_taken[at] = true;
                swap.sums[at] = sum;
                swap.used += 1;
                name(SwapSlot { file, index: at as u32, tag: tag_of(sum) });
            }
            Some(Written::Saved)
        })
    }
}

impl SwapDevice for Model {
    fn write_slots(&self, pages: &[u8], mut name: impl FnMut(SwapSlot)) -> Written {
        let pages = pages.as_chunks::<{ PAGE_SIZE as usize }>().0;
        let fails = self.fails();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        let devices = [turn % 2, (turn + 1) % 2];
        let written = devices.into_iter().find_map(|device| self.write_to(device, pages, fails, &mut name));
        written.unwrap_or(Written::Full)
    }

    fn note_failure(&self, device: u8, error: DeviceError) {
        assert!(usize::from(device) < self.swap.len() && error == EIO);
    }

    fn has_swap_room(&self) -> bool {
        self.swap.iter().any(|device| lock(device, |swap| swap.used < swap.room))
    }

    fn out_of_swap(&self) {
        self.told.out_of_swap.fetch_add(1, Ordering::Relaxed);
    }

    fn read_slots(
        &self,
        device: u8,
        first: u32,
        slots: impl Iterator<Item = SwapSlot>,
        pages: &mut [u8],
    ) -> Result<(), DeviceError> {
        if self.fails() {
            return Err(EIO);
        }
        let pages = pages.as_chunks_mut::<{ PAGE_SIZE as usize }>().0;
        lock(&self.swap[usize::from(device)], |swap| {
            let mut whole = true;
            for ((page, slot), at) in pages.iter_mut().zip(slots).zip(first..) {
                assert_eq!((slot.file, slot.index), (device, at), "slots that are not neighbours");
                assert!(swap.is_taken[at as usize], "{slot:?} is read and free");
                *page = swap.pages[at as usize];
                whole &= is_intact(page, swap.sums[at as usize], slot.tag);
            }
            if whole { Ok(()) } else { Err(EIO) }
        })
    }

    fn release(&self, slot: SwapSlot) {
        lock(&self.swap[usize::from(slot.file)], |swap| {
            let was_taken = core::mem::replace(&mut swap.is_taken[slot.index as usize], false);
            assert!(was_taken, "{slot:?} is released twice");
            swap.used -= 1;
        });
    }
}
