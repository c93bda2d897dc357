//! Giving up swap slots when a process's memory goes: at its end, and when another program takes its place.
//!
//! The kernel frees the memory; slots are counted by us. Their entries are made busy for good: a thread that still runs and touches such a page
//! waits until it ends with the process. Not here: a process that ends by a signal's default action runs no code of ours, so its slots stay
//! taken until the run ends.

use alloc::vec::Vec;

use pager_core::addr::PageNum;
use pager_core::entry::{Entry, SwapSlot};

use crate::credit;
use crate::fault::{settle, take};
use crate::queue::everything;
use crate::state::{self, STATE};
use crate::swap;
use crate::sys::file::{self, Fd};
use crate::sys::{Errno, call, task};

const MEMFD_CREATE: u64 = 319;

/// Entries with slots, made busy.
pub struct Leaving(Vec<(PageNum, Entry)>);

impl Leaving {
    /// Takes every slot of this process that nobody is busy with. None in a vfork child, whose memory is its parent's.
    pub fn take() -> Leaving {
        let mut taken = Vec::new();
        if swap::in_use() && state::process().pid.load(core::sync::atomic::Ordering::Relaxed) == task::pid() {
            for (page, cell) in STATE.table.existing_in(everything()) {
                let seen = cell.load();
                if seen.slot().is_some() && !matches!(seen, Entry::Busy(_)) && take(page, seen) {
                    taken.push((page, seen));
                }
            }
        }
        Leaving(taken)
    }

    /// Gives the slots up, and credit. To be followed by the end of the process.
    pub fn release(self) {
        self.slots().for_each(swap::release);
        credit::leave();
    }

    fn slots(&self) -> impl Iterator<Item = SwapSlot> {
        self.0.iter().filter_map(|(_, entry)| entry.slot())
    }

    /// Writes the slots to a descriptor that the next program inherits, for [`adopt`]; none where there are no slots or the kernel refuses.
    pub fn hand_over(&self) -> Option<Fd> {
        if self.0.is_empty() {
            return None;
        }
        let name = b"pager-slots\0";
        let fd = Fd(call!(MEMFD_CREATE, name.as_ptr(), 0).ok()? as i32);
        let bytes: Vec<u8> = self.slots().flat_map(|slot| pack(slot).to_ne_bytes()).collect();
        if file::pwrite_all(fd, &bytes, 0).is_err() {
            file::close(fd);
            return None;
        }
        Some(fd)
    }

    /// Puts everything back: the process stays as it is.
    pub fn stay(self) {
        self.0.into_iter().for_each(|(page, entry)| settle(page, entry));
    }
}

/// Gives up the slots that the program before left in `fd`, and closes it.
///
/// # Errors
/// What the read says.
pub fn adopt(fd: Fd) -> Result<(), Errno> {
    let mut bytes = alloc::vec![0u8; file::stat_fd(fd)?.size as usize];
    let got = file::pread_all(fd, &mut bytes, 0)?;
    file::close(fd);
    bytes[..got].as_chunks::<8>().0.iter().map(|slot| unpack(u64::from_ne_bytes(*slot))).for_each(swap::disown);
    Ok(())
}

const fn pack(slot: SwapSlot) -> u64 {
    (slot.file as u64) << 32 | slot.index as u64
}

const fn unpack(packed: u64) -> SwapSlot {
    SwapSlot { file: (packed >> 32) as u8, index: packed as u32, tag: 0 }
}
