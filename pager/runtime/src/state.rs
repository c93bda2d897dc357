//! What the process as a whole knows: its areas, page table, images, and the run's control block.
//!
//! One static, because signal handlers have no other way to find it. A forked child inherits it by copy.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use pager_core::addr::PAGE_SIZE;
use pager_core::area::AreaTree;
use pager_core::hearing::Hearing;
use pager_core::pool::Pool;
use pager_core::roster::Roster;
use pager_core::shared::{CLAIMING, Children, Control, Counts, Process, count, lock_byte};
use pager_core::table::PageTable;

use crate::arena;
use crate::calls;
use crate::credit::{self, Opening};
use crate::die;
use crate::images::Images;
use crate::lock::{Mutex, Rank, RwLock};
use crate::queue::Queue;
use crate::record;
use crate::row;
use crate::swap;
use crate::sys::file::{self, Fd};
use crate::sys::task;
use crate::thread;

/// State of the process.
pub struct State {
    /// What the program has mapped. Readers: faults; writers: memory calls.
    pub areas: RwLock<AreaTree>,
    /// Where each page is.
    pub table: PageTable,
    /// Order of replacement.
    pub queue: Mutex<Queue>,
    /// Files that pages come from.
    pub images: Mutex<Images>,
    /// Entries that are busy now; fork waits for zero.
    pub busy: AtomicU64,
    /// The brk heap. Held across the memory calls that move its end.
    pub heap: Mutex<crate::memory::brk::Heap>,
    /// What the program is, for `/proc/self/exe` and exec.
    pub program: Mutex<Vec<u8>>,
    uffd: AtomicI32,
    control: AtomicPtr<Control>,
    control_fd: AtomicI32,
    process: AtomicPtr<Process>,
}

/// The process's state.
pub static STATE: State = State {
    areas: RwLock::new(Rank::Areas, AreaTree::new()),
    table: PageTable::new(),
    queue: Mutex::new(Rank::Queue, Queue::empty()),
    images: Mutex::new(Rank::Images, Images::empty()),
    busy: AtomicU64::new(0),
    heap: Mutex::new(Rank::Break, crate::memory::brk::Heap::NONE),
    program: Mutex::new(Rank::Program, Vec::new()),
    uffd: AtomicI32::new(-1),
    control: AtomicPtr::new(core::ptr::null_mut()),
    control_fd: AtomicI32::new(-1),
    process: AtomicPtr::new(core::ptr::null_mut()),
};

/// The userfaultfd of this process.
pub fn uffd() -> Fd {
    Fd(STATE.uffd.load(Ordering::Relaxed))
}

/// The device that userfaultfds come from, where the system call is refused.
pub fn userfault_device() -> Option<Fd> {
    Some(Fd(settings().userfault_fd.load(Ordering::Relaxed) as i32)).filter(|fd| fd.0 >= 0)
}

/// Replaces the userfaultfd.
pub fn set_uffd(fd: Fd) {
    STATE.uffd.store(fd.0, Ordering::Relaxed);
    calls::note_own(fd);
}

/// A second file with the runtime's contents, where the run has one.
pub fn runtime_copy() -> Option<Fd> {
    Some(Fd(settings().runtime_copy_fd.load(Ordering::Relaxed) as i32)).filter(|fd| fd.0 >= 0)
}

/// The control block, once it is mapped.
pub fn control() -> Option<&'static Control> {
    let control = STATE.control.load(Ordering::Relaxed);
    // SAFETY: set once to a mapping that lives as long as the process; all of it is atomics.
    unsafe { control.as_ref() }
}

/// Descriptor of the control block.
pub fn control_fd() -> Fd {
    Fd(STATE.control_fd.load(Ordering::Relaxed))
}

/// Notes where the control block is mapped and by which descriptor.
pub fn set_control(control: *mut Control, fd: Fd) {
    STATE.control_fd.store(fd.0, Ordering::Relaxed);
    STATE.control.store(control, Ordering::Release);
    swap::learn(must_control());
    record::learn(must_control());
    calls::of_the_run().for_each(calls::note_own);
}

fn must_control() -> &'static Control {
    match control() {
        Some(control) => control,
        None => die::internal(format_args!("no control block")),
    }
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
pub fn settings() -> &'static pager_core::shared::Settings {
    &must_control().settings
}

/// Whether runtime events are printed.
pub fn verbose() -> bool {
    control().is_some_and(|control| control.settings.verbose.load(Ordering::Relaxed) != 0)
}

/// This process's slot in the control block.
pub fn process() -> &'static Process {
    // SAFETY: set by `claim_process` before any page is filled, to memory of the control block.
    match unsafe { STATE.process.load(Ordering::Relaxed).as_ref() } {
        Some(process) => process,
        None => die::internal(format_args!("no process slot")),
    }
}

/// The process's claim to its slot, for the program that it executes. None in a lodger, whose slot is its parent's.
pub fn ticket() -> Option<i64> {
    let index = must_control().processes.iter().position(|slot| core::ptr::eq(slot, process()));
    index.filter(|_| is_owner()).map(|index| process().ticket(index))
}

/// Takes up the slot that `ticket` names, which the program before had, or any; where all are taken, the last one is shared.
pub fn claim_process(ticket: Option<i64>) {
    let slots = &must_control().processes;
    let own = ticket
        .map(Process::of_ticket)
        .and_then(|(index, generation)| slots.get(index).filter(|slot| slot.is_held(generation)));
    let holder = if space() == 0 { task::pid() } else { CLAIMING };
    let slot = match own.or_else(|| slots.iter().find(|slot| take_over(slot, 0, holder))) {
        Some(slot) => {
            credit::open(slot, Opening::Fresh);
            slot
        }
        None => &slots[slots.len() - 1],
    };
    renew(slot);
    use_slot(slot);
    lock_slot(slot);
}

/// A slot that is kept for a child about to be forked.
#[derive(Clone, Copy)]
pub struct Kept {
    slot: &'static Process,
    generation: u32,
}

/// Keeps a slot for a child about to be forked, with what was set aside for it: a child that is killed before it runs any code is found there.
pub fn keep_slot(endowment: u64) -> Option<Kept> {
    let slot = must_control().processes.iter().find(|slot| take_over(slot, 0, CLAIMING))?;
    credit::open(slot, Opening::Endowed(endowment));
    renew(slot);
    Some(Kept { slot, generation: slot.generation.load(Ordering::Relaxed) })
}

/// The forked child takes the slot that was kept for it, or any. It is after [`enter_space`].
pub fn take_slot(kept: Option<Kept>) {
    let Some(Kept { slot, generation }) = kept else { return claim_process(None) };
    use_slot(slot);
    lock_slot(slot);
    // The supervisor gives a slot to others that nobody takes in time. It looks for the lock after it has said so.
    if !slot.is_held(generation) {
        return claim_process(None);
    }
    if space() == 0 {
        slot.pid.store(task::pid(), Ordering::SeqCst);
    }
}

/// Notes for whom the slot was kept, unless the child has done so. Where this process has other numbers than the supervisor, the child's lock tells.
pub fn hand_over_slot(kept: Kept, pid: u32) {
    if space() == 0 && kept.slot.is_held(kept.generation) {
        take_over(kept.slot, CLAIMING, pid);
    }
}

/// There is no child for which the slot was kept.
pub fn free_slot(kept: Kept) {
    if kept.slot.is_held(kept.generation) {
        credit::close(kept.slot);
        take_over(kept.slot, CLAIMING, 0);
    }
}

/// Makes `pid` the holder of a slot if that is `holder` now.
fn take_over(slot: &Process, holder: u32, pid: u32) -> bool {
    slot.pid.load(Ordering::Relaxed) == holder
        && slot.pid.compare_exchange(holder, pid, Ordering::SeqCst, Ordering::Relaxed).is_ok()
}

fn renew(slot: &Process) {
    slot.hearing.store(Hearing::Deaf as u32, Ordering::SeqCst);
    must_control().counts.resident_peak.fetch_max(slot.peak.load(Ordering::Relaxed), Ordering::Relaxed);
    slot.generation.fetch_add(1, Ordering::SeqCst);
    slot.row.store(0, Ordering::Relaxed);
    slot.resident.store(0, Ordering::Relaxed);
    slot.settled.store(0, Ordering::Relaxed);
    slot.unanswered.store(0, Ordering::SeqCst);
    slot.peak.store(0, Ordering::Relaxed);
}

fn use_slot(slot: &Process) {
    OWNER.store(task::pid(), Ordering::Relaxed);
    STATE.process.store(slot as *const Process as *mut Process, Ordering::Relaxed);
}

/// Has the kernel tell the supervisor who holds the slot, where this process has other numbers.
fn lock_slot(slot: &Process) {
    let index = must_control().processes.iter().position(|other| core::ptr::eq(other, slot));
    if let Some(index) = index.filter(|_| space() != 0)
        && let Err(errno) = file::lock_byte(control_fd(), lock_byte(index))
    {
        die::event!("the supervisor cannot be told of this process: {errno:?}");
    }
}

/// Process that the slot and the row are of: a lodger, which has this memory too, has another number.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// Which numbers processes have here: 0 for the supervisor's, else those of a PID namespace that one of the run made or entered.
static SPACE: AtomicU32 = AtomicU32::new(0);

/// Whether this process is that of the slot, and not a lodger.
pub fn is_owner() -> bool {
    OWNER.load(Ordering::Relaxed) == task::pid()
}

/// The PID namespace, as the run counts them; 0 for the supervisor's.
pub fn space() -> u32 {
    SPACE.load(Ordering::Relaxed)
}

/// Notes the PID namespace that the program before was in.
pub fn continue_in(space: u32) {
    SPACE.store(space, Ordering::Relaxed);
}

/// Notes the PID namespace of a process that was just forked in `before`'s, or into one of its own: then it does not see its parent.
pub fn enter_space(before: u32) {
    SPACE.store(space_within(before), Ordering::Relaxed);
}

/// The PID namespace of this process, whose parent is in `before`.
pub fn space_within(before: u32) -> u32 {
    if task::parent() == 0 { settings().spaces.fetch_add(1, Ordering::Relaxed) + 1 } else { before }
}

/// Notes the first process of the run; whether it is this one, which was not known before.
pub fn note_first() -> bool {
    settings().first.compare_exchange(0, task::pid(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Whether this process is the first one of the run.
pub fn is_first() -> bool {
    space() == 0 && settings().first.load(Ordering::Relaxed) == task::pid()
}

/// Whether programs that this process executes run natively by the user's wish.
pub fn runs_natively() -> bool {
    settings().children.load(Ordering::Relaxed) == Children::Native as u32 && !is_first()
}

/// Whether this process is about to be copied, or is a copy that has not taken itself over yet: what it lacks reads as zeros then. Read by other
/// processes of the run.
static FORKING: AtomicU64 = AtomicU64::new(0);

/// Notes that the process is about to be copied, or that this is over.
pub fn note_forking(forking: bool) {
    FORKING.store(forking.into(), Ordering::SeqCst);
}

/// What is to be read of a process of the run to find its slot: where its control block and its slot are mapped, and whether it is being forked.
pub fn landmarks() -> [u64; 3] {
    [STATE.control.as_ptr() as u64, STATE.process.as_ptr() as u64, FORKING.as_ptr() as u64]
}

/// The slot of a process that has it at `slot`, and its control block at `control`.
pub fn slot_at(control: u64, slot: u64) -> Option<&'static Process> {
    let into = slot.checked_sub(control)?.checked_sub(core::mem::offset_of!(Control, processes) as u64)?;
    must_control().processes.get(into as usize / size_of::<Process>())
}

/// Notes that a process of the run has opened a `/proc/PID/mem`: from then on transfers are looked at.
pub fn note_memory_file() {
    settings().memory_files.store(1, Ordering::Relaxed);
}

/// Whether any has.
pub fn has_memory_files() -> bool {
    settings().memory_files.load(Ordering::Relaxed) != 0
}

/// Notes that a process of the run traces another, or is about to: from then on waits are looked at, and exec asks who traces.
pub fn note_tracing() {
    settings().tracing.store(1, Ordering::Relaxed);
}

/// Whether any has.
pub fn is_tracing() -> bool {
    settings().tracing.load(Ordering::Relaxed) != 0
}

/// Pages resident now.
pub fn resident() -> u64 {
    process().resident.load(Ordering::Relaxed)
}

/// Counts `pages` as resident, before they are; the number after.
pub fn add_resident(pages: u64) -> u64 {
    count(&counts().resident_now, pages);
    process().resident.fetch_add(pages, Ordering::Relaxed) + pages
}

/// Notes a number of resident pages that was reached, once there is room for all of them.
pub fn note_settled(pages: u64) {
    process().settled.store(pages, Ordering::Relaxed);
    process().peak.fetch_max(pages, Ordering::Relaxed);
    if let Some(row) = row::own() {
        row.resident_peak.fetch_max(pages, Ordering::Relaxed);
    }
}

/// Counts `pages` as gone.
pub fn remove_resident(pages: u64) {
    let before = process().resident.fetch_sub(pages, Ordering::Relaxed);
    credit::lower(with_overhead(before.saturating_sub(pages)));
    counts().resident_now.fetch_sub(pages, Ordering::Relaxed);
}

/// Bytes of the heap and of threads' blocks that are part of the stated slack.
const ALLOWANCE: u64 = 1 << 20;
/// What of a thread's block is ever touched.
const BLOCK_TOUCHED: u64 = 24 << 10;

/// Pages that the heap (the page table of a widely scattered program, the queue of a large one) and the blocks of many threads take beyond their
/// allowance.
fn overhead() -> u64 {
    let own = arena::heap_bytes() + thread::count() * BLOCK_TOUCHED;
    own.saturating_sub(ALLOWANCE) / PAGE_SIZE
}

/// Pages that the program's memory may take now: the cap, or this process's part of it, less the overhead, but never less than half of it.
pub fn room() -> u64 {
    let cap = if credit::shared() { credit::held() } else { cap() };
    if cap == u64::MAX { cap } else { cap.saturating_sub(overhead()).max(cap / 2).max(1) }
}

/// What the cap has to be for `pages` to be within [`room`].
pub fn with_overhead(pages: u64) -> u64 {
    pages + overhead().min(pages)
}

/// The cap that the user set: of this process, or of all of the run together. What is fitted to it stays as it is while the part changes.
pub fn cap() -> u64 {
    settings().cap_pages.load(Ordering::Relaxed)
}

/// Most pages that this process could have resident now.
pub fn reach() -> u64 {
    let cap = cap();
    if credit::shared() && cap != u64::MAX { credit::reach() } else { cap }
}
