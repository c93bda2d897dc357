//! The control file of a run: made, sealed, filled in.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use pager_core::entry::SwapSlot;
use pager_core::pool::{NO_CAP, NO_LEVEL};
use pager_core::shared::{Control, MAGIC, Settings, lock_byte};
use pager_core::slots::{Released, SlotMap};
use thiserror::Error;

use crate::descriptors::HighFd;
use crate::hatch::Hatch;
use crate::layout::{Layout, SwapMap};
use crate::lifeline::Lifeline;
use crate::members::Mark;
use crate::plan::{Plan, Verbosity};
use crate::swap::SwapFile;
use crate::sys::map::{ControlMap, OwnersMap, RingMap};

/// The control block of a run, shared with its processes.
pub struct ControlFile {
    map: ControlMap,
    fd: HighFd,
    swap: Vec<SwapMap>,
}

/// Why there is no control file.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The swap files are larger than offsets can say.
    #[error("the swap files are too large together: their map does not fit in a file")]
    SwapTooLarge,
    /// The kernel refused something.
    #[error("the memory shared with the program cannot be {action}")]
    Io {
        /// Past participle.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ControlFile {
    /// Makes the file for a run after `plan`, with `swap`, started from the image at descriptor `runtime`.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub fn new(plan: &Plan, swap: &[SwapFile], runtime: RawFd) -> Result<ControlFile, ControlError> {
        let io_error = |action| move |source: io::Error| ControlError::Io { action, source };
        let capacities: Vec<u64> = swap.iter().map(|file| file.pages).collect();
        let layout = Layout::new(&capacities, plan.trace_cells).ok_or(ControlError::SwapTooLarge)?;
        let file = sealed_file(layout.bytes).map_err(io_error("made"))?;
        let map = ControlMap::new(&file).map_err(io_error("mapped"))?;
        let fd = HighFd::new(&file).map_err(io_error("kept open"))?;
        fill_in(&map.settings, plan, runtime);
        map.pool.free.store(plan.cap_pages.unwrap_or(NO_CAP).min(NO_CAP) as i64, Relaxed);
        map.pool.fair.store(NO_LEVEL, Relaxed);
        for ((slot, file), map) in map.settings.swap.iter().zip(swap).zip(&layout.swap) {
            fill_in_swap(slot, file.fd.number(), map);
        }
        map.settings.trace_offset.store(layout.trace_offset, Relaxed);
        map.settings.trace_cells.store(plan.trace_cells, Relaxed);
        map.settings.swap_count.store(swap.len() as u32, Relaxed);
        map.magic.store(MAGIC, SeqCst);
        Ok(ControlFile { map, fd, swap: layout.swap })
    }

    /// Has the processes hold on to `lifeline` and use `hatch`, and the device `userfault` if they need it;
    /// once, before there are any.
    pub fn name(&self, lifeline: &Lifeline, hatch: &Hatch, userfault: Option<&HighFd>) {
        self.settings.userfault_fd.store(userfault.map_or(-1, |device| device.number().into()), Relaxed);
        self.settings.lifeline_fd.store(lifeline.number().into(), Relaxed);
        self.settings.hatch_fd.store(hatch.number().into(), Relaxed);
    }

    /// Number of swap slots of all files.
    pub fn slots(&self) -> u64 {
        self.swap.iter().map(|map| map.pages).sum()
    }

    /// Takes an owner from each slot that is there and has one.
    pub fn disown(&self, slots: Vec<SwapSlot>) {
        for (number, row) in self.settings.swap.iter().enumerate().take(self.swap.len()) {
            let mut of_file = slots.iter().filter(|slot| usize::from(slot.file) == number).peekable();
            if of_file.peek().is_none() {
                continue;
            }
            let Ok(owners) = self.owners(number) else { continue };
            let map = SlotMap { owners: &owners, used: &row.used, peak: &row.peak, hint: &row.hint };
            for slot in of_file.filter(|slot| map.owners(slot.index) > 0) {
                let (Released::Free | Released::StillOwned) = map.release(slot.index);
            }
        }
    }

    /// The owner counts of a swap file.
    pub(crate) fn owners(&self, number: usize) -> io::Result<OwnersMap> {
        let map = self.swap.get(number).ok_or(io::ErrorKind::NotFound)?;
        OwnersMap::new(&self.fd, map.owners_offset, map.pages as usize)
    }

    /// The ring for recorded events.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(crate) fn ring(&self) -> io::Result<RingMap> {
        let (offset, cells) =
            (self.settings.trace_offset.load(Relaxed), self.settings.trace_cells.load(Relaxed));
        RingMap::new(&self.fd, offset, cells as usize)
    }

    /// Descriptor number in every process.
    pub fn number(&self) -> RawFd {
        self.fd.number()
    }

    /// The process that has locked the byte of slot `index`, see [`pager_core::shared::lock_byte`].
    pub fn holder(&self, index: usize) -> Option<u32> {
        let start = i64::try_from(lock_byte(index)).ok()?;
        let (kind, whence) = (libc::F_WRLCK as i16, libc::SEEK_SET as i16);
        let mut lock = libc::flock { l_type: kind, l_whence: whence, l_start: start, l_len: 1, l_pid: 0 };
        fcntl(&self.fd, FcntlArg::F_GETLK(&mut lock)).ok()?;
        let is_locked = lock.l_type != libc::F_UNLCK as i16;
        u32::try_from(lock.l_pid).ok().filter(|pid| is_locked && *pid != 0)
    }

    /// What the processes of the run are known by.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn mark(&self) -> io::Result<Mark> {
        Mark::new(&self.fd, self.number().to_string())
    }
}

impl Deref for ControlFile {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.map
    }
}

/// A memory file of a fixed length: no process can cut it under another's feet.
fn sealed_file(bytes: u64) -> io::Result<File> {
    let file =
        File::from(memfd_create("pager-control", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    file.set_len(bytes)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

fn fill_in(settings: &Settings, plan: &Plan, runtime: RawFd) {
    settings.cap_pages.store(plan.cap_pages.unwrap_or(u64::MAX), Relaxed);
    settings.fault_around_pages.store(plan.fault_around_pages, Relaxed);
    settings.image_fill.store(plan.fill as u32, Relaxed);
    settings.engine.store(plan.engine as u32, Relaxed);
    settings.policy.store(plan.policy as u32, Relaxed);
    settings.children.store(plan.children as u32, Relaxed);
    settings.verbose.store(u32::from(plan.verbosity == Verbosity::Events), Relaxed);
    settings.supervisor.store(std::process::id(), Relaxed);
    settings.runtime_fd.store(runtime.into(), Relaxed);
    settings.runtime_copy_fd.store(-1, Relaxed);
    settings.lifeline_fd.store(-1, Relaxed);
    settings.hatch_fd.store(-1, Relaxed);
    settings.userfault_fd.store(-1, Relaxed);
    settings.root.set(plan.root.as_deref().map_or(OsStr::new(""), |root| root.as_os_str()).as_bytes());
}

fn fill_in_swap(slot: &pager_core::shared::SwapFile, fd: RawFd, map: &SwapMap) {
    slot.fd.store(fd.into(), Relaxed);
    slot.pages.store(map.pages, Relaxed);
    slot.owners_offset.store(map.owners_offset, Relaxed);
    slot.checksums_offset.store(map.checksums_offset, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::ByteSize;
    use pager_core::shared::FillMode;

    #[test]
    fn the_file_says_what_was_asked() {
        let swap = [SwapFile::temporary(&std::env::temp_dir(), ByteSize(1 << 20)).expect("a swap file")];
        let plan = Plan {
            cap_pages: Some(100),
            fault_around_pages: 16,
            fill: FillMode::MapThrough,
            engine: pager_core::shared::Engine::Auto,
            children: pager_core::shared::Children::Own,
            verbosity: Verbosity::Normal,
            policy: pager_core::replacement::PolicyKind::Fifo,
            trace_cells: 0,
            root: Some("/some/where".into()),
        };
        let control = ControlFile::new(&plan, &swap, 7).expect("made");
        let settings = &control.settings;
        assert_eq!(control.magic.load(SeqCst), MAGIC);
        assert_eq!((settings.cap_pages.load(Relaxed), settings.runtime_fd.load(Relaxed)), (100, 7));
        assert_eq!(settings.root.iter().collect::<Vec<u8>>(), b"/some/where");
        assert_eq!((settings.swap_count.load(Relaxed), settings.swap[0].pages.load(Relaxed)), (1, 256));
        assert_eq!(settings.swap[0].fd.load(Relaxed), i64::from(swap[0].fd.number()));
        assert!(nix::unistd::ftruncate(&control.fd, 0).is_err(), "sealed");
    }
}
