//! Bequests: swap slots of processes that execute a program which runs natively.
//!
//! With its memory go the pages that its slots hold, but the new program knows nothing of slots, and before
//! it runs they cannot be given up: the exec may fail, and then the old program goes on with them. So the
//! process writes them into a file in memory, locks that and hands it out through the [`Hatch`]. The lock
//! falls when the process executes or dies, and the slots are given up here; if the exec fails, it empties
//! the file first.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, fcntl};
use pager_core::entry::SwapSlot;

use crate::control::ControlFile;
use crate::hatch::Hatch;

/// Most that are taken in one round: whoever floods us must not keep us from our work.
const ROUND: usize = 64;
/// Most that wait at once.
const WAITING: usize = 1024;

/// The bequests of a run.
pub struct Bequests {
    control: Arc<ControlFile>,
    hatch: Arc<Hatch>,
    /// Of processes that may go on yet.
    waiting: Vec<File>,
}

impl Bequests {
    /// Those that come through `hatch`, of slots in the maps of `control`.
    pub fn new(control: Arc<ControlFile>, hatch: Arc<Hatch>) -> Bequests {
        Bequests { control, hatch, waiting: Vec::new() }
    }

    /// Gives up the slots of processes that need them no more.
    pub fn settle(&mut self) {
        let room = WAITING.saturating_sub(self.waiting.len()).min(ROUND);
        self.waiting.extend(std::iter::from_fn(|| self.hatch.take()).take(room).map(File::from));
        for bequest in std::mem::take(&mut self.waiting) {
            if is_locked(&bequest) {
                self.waiting.push(bequest);
            } else {
                self.control.disown(slots_in(bequest, self.control.slots()));
            }
        }
    }
}

/// Whether its process has neither executed nor died.
fn is_locked(file: &File) -> bool {
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_GETLK(&mut lock)).is_ok() && lock.l_type != libc::F_UNLCK as i16
}

/// The slots that the file names, up to `most`; of one that cannot be read none.
fn slots_in(mut file: File, most: u64) -> Vec<SwapSlot> {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.take(most.saturating_mul(8)).read_to_end(&mut bytes));
    let (words, _) = bytes.as_chunks::<8>();
    match read {
        Ok(_) => words.iter().map(|word| SwapSlot::at(u64::from_ne_bytes(*word))).collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::{AsFd, AsRawFd};
    use std::sync::atomic::Ordering::Relaxed;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use pager_core::slots::SlotMap;

    use super::*;
    use crate::plan::Plan;
    use crate::size::ByteSize;
    use crate::swap::SwapFile;

    struct Run {
        control: Arc<ControlFile>,
        hatch: Arc<Hatch>,
        bequests: Bequests,
        _swap: Vec<SwapFile>,
    }

    fn run() -> Run {
        let swap = vec![SwapFile::temporary(&std::env::temp_dir(), ByteSize(1 << 20)).expect("a swap file")];
        let plan = Plan::for_tests(Some(100), pager_core::shared::Children::Own);
        let control = Arc::new(ControlFile::new(&plan, &swap, 7).expect("made"));
        let hatch = Arc::new(Hatch::new().expect("a socket"));
        Run { bequests: Bequests::new(control.clone(), hatch.clone()), control, hatch, _swap: swap }
    }

    impl Run {
        fn take_slots(&self, wanted: u32) -> Vec<SwapSlot> {
            let row = &self.control.settings.swap[0];
            let owners = self.control.owners(0).expect("mapped");
            let map = SlotMap { owners: &owners, used: &row.used, peak: &row.peak, hint: &row.hint };
            let run = map.allocate(wanted).expect("free slots");
            (run.first..run.first + run.count).map(|index| SwapSlot { file: 0, index, tag: 0 }).collect()
        }

        fn used(&self) -> u64 {
            self.control.settings.swap[0].used.load(Relaxed)
        }

        /// As a process does it.
        fn bequeath(&self, slots: &[SwapSlot]) -> File {
            let mut file = tempfile::tempfile().expect("a file");
            slots.iter().for_each(|slot| file.write_all(&slot.place().to_ne_bytes()).expect("written"));
            let (fds, inner) = ([file.as_fd().as_raw_fd()], self.hatch.inner());
            let message = [ControlMessage::ScmRights(&fds)];
            sendmsg::<()>(
                inner.as_raw_fd(),
                &[std::io::IoSlice::new(&[0])],
                &message,
                MsgFlags::empty(),
                None,
            )
            .expect("sent");
            file
        }
    }

    #[test]
    fn slots_of_a_file_that_nobody_locks_are_given_up_once() {
        let mut run = run();
        let slots = run.take_slots(5);
        run.bequeath(&slots[..3]);
        run.bequests.settle();
        assert_eq!((run.used(), run.bequests.waiting.len()), (2, 0));
        run.bequests.settle();
        assert_eq!(run.used(), 2);
    }

    #[test]
    fn a_process_that_goes_on_keeps_its_slots() {
        let mut run = run();
        let slots = run.take_slots(4);
        run.bequeath(&slots).set_len(0).expect("emptied");
        run.bequests.settle();
        assert_eq!((run.used(), run.bequests.waiting.len()), (4, 0));
    }

    #[test]
    fn nonsense_gives_nothing_up() {
        let mut run = run();
        let slots = run.take_slots(1);
        let at = |file, index| SwapSlot { file, index, tag: 0 };
        // No such file, past its end, free.
        run.bequeath(&[at(1, 0), at(255, 3), at(0, u32::MAX), at(0, slots[0].index + 1)]);
        run.bequeath(&[]).write_all(b"odd").expect("written");
        run.bequests.settle();
        assert_eq!((run.used(), run.bequests.waiting.len()), (1, 0));
    }
}
