//! The control file, as this process has it mapped: the run's settings and counters, and this process's slot.
//!
//! Set once, before the process has a second thread; a forked child inherits it and takes a slot of its own.
//! All of it is atomics that other processes change at any time.

use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use pager_core::pool::Pool;
use pager_core::roster::Roster;
use pager_core::shared::{Control, Counts, Process, Settings};

use crate::sys::file::Fd;
use crate::sys::task;

static CONTROL: AtomicPtr<Control> = AtomicPtr::new(core::ptr::null_mut());
static CONTROL_FD: AtomicI32 = AtomicI32::new(-1);
/// This process's slot.
static PROCESS: AtomicPtr<Process> = AtomicPtr::new(core::ptr::null_mut());

/// The device that userfaultfds come from, where the system call is refused.
pub fn userfault_device() -> Option<Fd> {
    Some(Fd(settings().userfault_fd.load(Ordering::Relaxed) as i32)).filter(|fd| fd.0 >= 0)
}

/// A second file with the runtime's contents, where the run has one.
pub fn runtime_copy() -> Option<Fd> {
    Some(Fd(settings().runtime_copy_fd.load(Ordering::Relaxed) as i32)).filter(|fd| fd.0 >= 0)
}

/// The control block, once it is mapped.
pub fn control() -> Option<&'static Control> {
    let control = CONTROL.load(Ordering::Relaxed);
    // SAFETY: set once to a mapping that lives as long as the process; all of it is atomics.
    unsafe { control.as_ref() }
}

/// Descriptor of the control block.
pub fn control_fd() -> Fd {
    Fd(CONTROL_FD.load(Ordering::Relaxed))
}

/// Notes where the control block is mapped and by which descriptor.
pub fn set(control: *mut Control, fd: Fd) {
    CONTROL_FD.store(fd.0, Ordering::Relaxed);
    CONTROL.store(control, Ordering::Release);
}

pub fn must_control() -> &'static Control {
    // Nothing that counts runs before `set_control`.
    control().expect("the control file is mapped")
}

/// The run's counters.
pub fn counts() -> &'static Counts {
    &must_control().counts
}

/// What of a shared cap is nobody's.
pub fn pool() -> &'static Pool {
    &must_control().pool
}

/// The slots of processes, also those that none has.
pub fn slots() -> impl Iterator<Item = &'static Process> {
    must_control().processes.iter()
}

/// The run's processes.
pub fn roster() -> &'static Roster {
    &must_control().roster
}

/// The run's settings.
pub fn settings() -> &'static Settings {
    &must_control().settings
}

/// Whether runtime events are printed.
pub fn verbose() -> bool {
    control().is_some_and(|control| control.settings.verbose.load(Ordering::Relaxed) != 0)
}

/// This process's slot in the control block.
pub fn process() -> &'static Process {
    // SAFETY: set by [`use_slot`] before any page is filled, to memory of the control block.
    unsafe { PROCESS.load(Ordering::Relaxed).as_ref() }.expect("the process has a slot")
}

/// Process that the slot and the row are of: a lodger, which has this memory too, has another number.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Whether this process is that of the slot, and not a lodger.
pub fn is_owner() -> bool {
    OWNER.load(Ordering::Relaxed) == task::pid()
}

/// Notes that a process of the run traces another, or is about to: from then on waits are looked at, and exec
/// asks who traces.
pub fn note_tracing() {
    settings().tracing.store(1, Ordering::Relaxed);
}

/// Whether any has.
pub fn is_tracing() -> bool {
    settings().tracing.load(Ordering::Relaxed) != 0
}

/// The cap that the user set: of this process, or of all of the run together. What is fitted to it stays as
/// it is while the part changes.
pub fn cap() -> u64 {
    settings().cap_pages.load(Ordering::Relaxed)
}

/// Whether this process is about to be copied, or is a copy that has not taken itself over yet: what it lacks
/// reads as zeros then. Read by other processes of the run.
static FORKING: AtomicU64 = AtomicU64::new(0);

/// Notes that the process is about to be copied, or that this is over.
pub fn note_forking(forking: bool) {
    FORKING.store(forking.into(), Ordering::SeqCst);
}

/// What is to be read of a process of the run to find its slot: where its control block and its slot are
/// mapped, and whether it is being forked.
pub fn landmarks() -> [u64; 3] {
    [CONTROL.as_ptr() as u64, PROCESS.as_ptr() as u64, FORKING.as_ptr() as u64]
}

/// Notes that a process of the run has opened a `/proc/PID/mem`: from then on transfers are looked at.
pub fn note_memory_file() {
    settings().memory_files.store(1, Ordering::Relaxed);
}

/// Whether any has.
pub fn has_memory_files() -> bool {
    settings().memory_files.load(Ordering::Relaxed) != 0
}

/// The slot of a process that has it at `slot`, and its control block at `control`.
pub fn slot_at(control: u64, slot: u64) -> Option<&'static Process> {
    let into = slot.checked_sub(control)?.checked_sub(core::mem::offset_of!(Control, processes) as u64)?;
    must_control().processes.get(into as usize / size_of::<Process>())
}

/// Makes `slot` this process's.
pub fn use_slot(slot: &Process) {
    OWNER.store(task::pid(), Ordering::Relaxed);
    PROCESS.store(slot as *const Process as *mut Process, Ordering::Relaxed);
}
