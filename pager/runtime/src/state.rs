//! What the process as a whole knows: its areas, page table, images, and the run's control block.
//!
//! One static, because signal handlers have no other way to find it. A forked child inherits it by copy.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};

use pager_core::addr::PAGE_SIZE;
use pager_core::area::AreaTree;
use pager_core::hearing::Hearing;
use pager_core::pool::Pool;
use pager_core::roster::Roster;
use pager_core::shared::{CLAIMING, Children, Control, Counts, Process, count};
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
use crate::sys::file::Fd;
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

/// The slots of the processes that there are.
pub fn slots_in_use() -> impl Iterator<Item = &'static Process> {
    must_control().processes.iter().filter(|slot| slot.pid.load(Ordering::Relaxed) != 0)
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

/// Takes a slot for `pid`, which keeps the one that it has; where all are taken, the last one is shared.
pub fn claim_process(pid: u32) {
    let slots = &must_control().processes;
    let slot = match slots.iter().find(|slot| take_over(slot, 0, pid) || take_over(slot, pid, pid)) {
        Some(slot) => {
            credit::open(slot, Opening::Fresh);
            slot
        }
        None => &slots[slots.len() - 1],
    };
    renew(slot);
    use_slot(slot);
}

/// Keeps a slot for a child about to be forked, with what was set aside for it: a child that is killed before it runs any code is found there.
pub fn keep_slot(endowment: u64) -> Option<&'static Process> {
    let slot = must_control().processes.iter().find(|slot| take_over(slot, 0, CLAIMING))?;
    credit::open(slot, Opening::Endowed(endowment));
    renew(slot);
    Some(slot)
}

/// The forked child `pid` takes the slot that was kept for it, or any.
pub fn take_slot(kept: Option<&'static Process>, pid: u32) {
    match kept {
        Some(slot) => {
            slot.pid.store(pid, Ordering::SeqCst);
            use_slot(slot);
        }
        None => claim_process(pid),
    }
}

/// Notes for whom the slot was kept, unless the child has done so: it knows its number better where it has process numbers of its own.
pub fn hand_over_slot(kept: &Process, pid: u32) {
    take_over(kept, CLAIMING, pid);
}

/// There is no child for which the slot was kept.
pub fn free_slot(kept: &Process) {
    credit::close(kept);
    kept.pid.store(0, Ordering::SeqCst);
}

/// Makes `pid` the holder of a slot if that is `holder` now.
fn take_over(slot: &Process, holder: u32, pid: u32) -> bool {
    slot.pid.load(Ordering::Relaxed) == holder
        && slot.pid.compare_exchange(holder, pid, Ordering::SeqCst, Ordering::Relaxed).is_ok()
}

fn renew(slot: &Process) {
    slot.hearing.store(Hearing::Deaf as u32, Ordering::SeqCst);
    must_control().counts.resident_peak.fetch_max(slot.peak.load(Ordering::Relaxed), Ordering::Relaxed);
    slot.generation.fetch_add(1, Ordering::Relaxed);
    slot.resident.store(0, Ordering::Relaxed);
    slot.settled.store(0, Ordering::Relaxed);
    slot.peak.store(0, Ordering::Relaxed);
}

fn use_slot(slot: &Process) {
    STATE.process.store(slot as *const Process as *mut Process, Ordering::Relaxed);
}

/// Notes the first process of the run; whether it is `pid`, which was not known before.
pub fn note_first(pid: u32) -> bool {
    settings().first.compare_exchange(0, pid, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Whether `pid` is the first process of the run.
pub fn is_first(pid: u32) -> bool {
    settings().first.load(Ordering::Relaxed) == pid
}

/// Whether programs that process `pid` executes run natively by the user's wish.
pub fn runs_natively(pid: u32) -> bool {
    settings().children.load(Ordering::Relaxed) == Children::Native as u32 && !is_first(pid)
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
