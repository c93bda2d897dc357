//! Giving up swap slots when a process's memory goes: at its end, and when another program takes its place,
//! paged or not.
//!
//! The kernel frees the memory; slots are counted by us. Their entries are made busy for good: a thread that
//! still runs and touches such a page waits until it ends with the process. Not here: a process that ends by
//! a signal's default action runs no code of ours, so its slots stay taken until the run ends.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use pager_core::addr::PageNum;
use pager_core::entry::{Entry, SwapSlot};

use crate::busy::{settle, take};
use crate::control;
use crate::credit;
use crate::memory::limits;
use crate::space::SPACE;
use crate::swap;
use crate::sys::file::{self, Fd};
use crate::sys::{Errno, call, socket, task};
use pager_engine::queue::everything;

const MEMFD_CREATE: u64 = 319;
const MFD_CLOEXEC: u64 = 1;
const INHERITED: u64 = 0;
/// How often, and how long each time, a full hatch is waited for: the supervisor looks every 10 ms.
const HATCH_TRIES: u32 = 50;
const HATCH_PAUSE_NS: u64 = 2_000_000;

/// Entries with slots, made busy.
pub struct Leaving(Vec<(PageNum, Entry)>);

impl Leaving {
    /// Takes every slot of this process that nobody is busy with. None in a vfork child, whose memory is its
    /// parent's.
    pub fn take() -> Leaving {
        let mut taken = Vec::new();
        if swap::in_use() && control::is_owner() {
            let _at_work = SPACE.areas.read();
            for (page, cell) in SPACE.table.existing_in(everything()) {
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

    /// Writes the slots to a descriptor that the next program inherits, for [`adopt`]; none where there are
    /// no slots or the kernel refuses.
    pub fn hand_over(&self) -> Option<Fd> {
        self.write_down(INHERITED)
    }

    /// Leaves the slots to the supervisor, for a program that knows nothing of them: it gives them up once
    /// this process executes or ends, and not before. None where there are no slots, or nobody to leave them
    /// to: then they stay taken until the run ends.
    pub fn bequeath(&self) -> Option<Bequest> {
        let fd = self.write_down(MFD_CLOEXEC)?;
        let hatch = Fd(control::settings().hatch_fd.load(Ordering::Relaxed) as i32);
        let hand_out = || {
            file::lock_for_writing(fd)?;
            for _ in 0..HATCH_TRIES {
                match socket::send_descriptor(hatch, fd) {
                    Err(Errno::EAGAIN) => task::pause(HATCH_PAUSE_NS),
                    done => return done,
                }
            }
            Err(Errno::EAGAIN)
        };
        match hand_out() {
            Ok(()) => Some(Bequest(fd)),
            Err(_) => {
                file::close(fd);
                None
            }
        }
    }

    fn write_down(&self, flags: u64) -> Option<Fd> {
        if self.0.is_empty() {
            return None;
        }
        let name = b"pager-slots\0";
        let fd = limits::with_descriptors(|| call!(MEMFD_CREATE, name.as_ptr(), flags)).ok()?;
        let fd = Fd(fd as i32);
        let bytes: Vec<u8> = self.slots().flat_map(|slot| slot.place().to_ne_bytes()).collect();
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

/// Slots that were left to the supervisor: a locked file, of which it has a descriptor too.
pub struct Bequest(Fd);

impl Bequest {
    /// This process goes on, with its slots. The file is empty before the lock falls.
    pub fn take_back(self) {
        file::empty(self.0);
        file::close(self.0);
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
    bytes[..got]
        .as_chunks::<8>()
        .0
        .iter()
        .map(|place| SwapSlot::at(u64::from_ne_bytes(*place)))
        .for_each(swap::disown);
    Ok(())
}
