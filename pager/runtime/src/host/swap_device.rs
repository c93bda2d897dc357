//! The run's swap files.

use pager_core::addr::PAGE_SIZE;
use pager_core::entry::SwapSlot;
use pager_engine::host::{DeviceError, SwapDevice, Written};

use super::Guest;
use super::mmu::failed;
use crate::die;
use crate::lifeline;
use crate::swap;
use crate::sys::Errno;

impl SwapDevice for Guest {
    fn write_slots(&self, pages: &[u8], name: impl FnMut(SwapSlot)) -> Written {
        let Some((swap, run)) = swap::allocate((pages.len() as u64 / PAGE_SIZE) as u32) else {
            return Written::Full;
        };
        let count = run.count as usize;
        match swap.write(run, &pages[..count * PAGE_SIZE as usize], name) {
            Ok(()) => {
                swap.note_success();
                Written::Saved
            }
            Err(errno) => {
                swap.give_back(run);
                die::event!("writing {count} pages to swap failed: {errno:?}");
                Written::Failed { device: swap.number(), pages: count, error: failed(errno) }
            }
        }
    }

    fn note_failure(&self, device: u8, error: DeviceError) {
        swap::by_number(device).note_failure(Errno(error.0));
    }

    fn has_swap_room(&self) -> bool {
        swap::has_room()
    }

    /// As the kernel's out-of-memory killer: ends this program and says why.
    fn out_of_swap(&self) {
        swap::report_none();
        lifeline::end()
    }

    fn read_slots(
        &self,
        device: u8,
        first: u32,
        slots: impl Iterator<Item = SwapSlot>,
        pages: &mut [u8],
    ) -> Result<(), DeviceError> {
        let swap = swap::by_number(device);
        swap.read(first, slots, pages).map_err(|errno| {
            swap.report(errno);
            failed(errno)
        })
    }

    fn release(&self, slot: SwapSlot) {
        swap::release(slot);
    }
}
