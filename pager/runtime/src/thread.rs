//! Threads: the block of memory each one has, and the list of them.
//!
//! A block is the thread's alternate signal stack with a header above it. It is found by masking the stack
//! pointer, so no thread-local storage is needed and the program keeps FS and GS. Blocks are part of the
//! runtime's arena and never paged.
//!
//! Who may touch what: `inbox` the owner, also from nested signal handlers; `own` the owner outside of them;
//! `pins` and `alive` everybody; `sandbox` as it says itself.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange, VirtAddr};
use pager_core::rank::HeldRanks;

use crate::arena;
use crate::lock::{Mutex, Rank, RawMutex};
use crate::sandbox::Sandbox;
use crate::signals::Actions;
use crate::sys::Errno;
use crate::sys::memory::{self, PROT_NONE};
use crate::sys::signal::{AltStack, SigInfo, SignalSet};
use pager_engine::coin::Coin;
use pager_engine::readahead::Streams;

/// Bytes of a block, a power of two: guard page, stack, header.
pub const BLOCK_BYTES: usize = 128 << 10;
/// Bytes of the header at the block's top.
pub const HEADER_BYTES: usize = 12 << 10;
/// Where in the header the number of queued signals stands.
pub const PENDING_OFFSET: usize = core::mem::offset_of!(Block, inbox);
/// Ranges a thread can pin at once; more are merged into fewer, larger ones.
const PINS: usize = 16;
/// Signals that can wait for the runtime to leave: one asynchronous one, then all are blocked; the rest is
/// for sent faults.
const INBOX: usize = 8;

/// Signals that arrived while the thread was inside the runtime. A sent fault may arrive while another one is
/// taken out.
#[repr(C)]
pub struct Inbox {
    pending: AtomicU32,
    /// When the place was filled, in a count of arrivals; 0 for an empty one.
    arrivals: [AtomicU32; INBOX],
    last: AtomicU32,
    infos: UnsafeCell<[SigInfo; INBOX]>,
}

impl Inbox {
    /// Address of the counter, for [`crate::gate::interruptible`].
    pub fn counter(&self) -> *const u32 {
        self.pending.as_ptr()
    }

    pub fn is_empty(&self) -> bool {
        self.pending.load(Ordering::Relaxed) == 0
    }

    /// Forgets what is in it.
    pub fn clear(&self) {
        self.arrivals.iter().for_each(|arrival| arrival.store(0, Ordering::Relaxed));
        self.pending.store(0, Ordering::Relaxed);
    }

    /// Adds a signal; a full inbox drops it. Only from the owner's signal handler.
    pub fn push(&self, info: SigInfo) {
        let free = self.arrivals.iter().position(|arrival| arrival.load(Ordering::Relaxed) == 0);
        let Some(at) = free else { return };
        // SAFETY: only the owner's thread comes here, and nobody reads an empty place.
        unsafe { (&raw mut (*self.infos.get())[at]).write(info) };
        let arrival = self.last.load(Ordering::Relaxed).wrapping_add(1).max(1);
        self.last.store(arrival, Ordering::Relaxed);
        self.arrivals[at].store(arrival, Ordering::Relaxed);
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the next as the kernel would: sent faults by their numbers, then the oldest. Only the owner.
    pub fn pop(&self) -> Option<SigInfo> {
        self.take_if(|_| true)
    }

    /// The same of those that are `wanted`. Only the owner.
    pub fn take_if(&self, wanted: impl Fn(&SigInfo) -> bool) -> Option<SigInfo> {
        let filled =
            self.arrivals.iter().enumerate().map(|(at, arrival)| (arrival.load(Ordering::Relaxed), at));
        // SAFETY: a filled place is written to only once it has been emptied, by this thread.
        let read = |at: usize| unsafe { (&raw const (*self.infos.get())[at]).read() };
        let mine = filled.filter(|(arrival, at)| *arrival != 0 && wanted(&read(*at)));
        let (_, at) = mine.min_by_key(|(arrival, at)| {
            let number = read(*at).signo as u32;
            if SignalSet::OURS.has(number) { (number, *arrival) } else { (u32::MAX, *arrival) }
        })?;
        let info = read(at);
        self.arrivals[at].store(0, Ordering::Relaxed);
        self.pending.fetch_sub(1, Ordering::Relaxed);
        Some(info)
    }
}

/// A range of pages that must not be evicted.
struct Pin {
    start: AtomicU64,
    end: AtomicU64,
}

/// What a thread of control is to the process whose memory it runs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kin {
    /// One of its threads.
    Thread,
    /// A process of its own (CLONE_VM without CLONE_THREAD): a vfork child, for example.
    Lodger,
}

/// What becomes of the call that a signal found the thread in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackedUp {
    /// It has its result, or is made again whatever happens.
    No,
    /// It is made again unless a handler without SA_RESTART runs first: then it fails with EINTR.
    UnlessHandled,
}

/// What the processor said of a fault that became a signal of the program.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    pub number: u64,
    pub error: u64,
    pub cr2: u64,
}

/// What only the owner uses, outside of nested signal handlers.
pub struct Own {
    pub tid: u32,
    pub kin: Kin,
    /// The program's signal mask, as it believes it to be.
    pub mask: SignalSet,
    /// The one that was in place instead while the call waited that a signal has just ended: the next handler
    /// runs under it.
    pub temporary_mask: Option<SignalSet>,
    /// The program's alternate stack.
    pub alternate: AltStack,
    /// Signal actions of the process: shared by its threads, a copy in a vfork child.
    pub actions: NonNull<Actions>,
    /// Where the program wants a zero and a wake when the thread ends.
    pub clear_tid: u64,
    /// What the thread has passed to exec.
    pub passed: Option<Box<dyn Any>>,
    /// Whether the context is that of a call to be made again.
    pub backed_up: BackedUp,
    /// Sent faults that the program has blocked.
    pub held: crate::signals::kept::Kept,
    /// Sequential runs seen in this thread's faults.
    pub streams: Streams,
    /// What decides where a policy has to do now one thing and now the other.
    pub coin: Coin,
    /// The last fault that became a signal.
    pub last_trap: Trap,
    /// Address and instruction of the last fault that found its page already there, and how often in a row.
    pub last_spurious: (u64, u64, u32),
    /// Address of the program's instruction whose fault is being resolved; 0 otherwise.
    pub instruction: u64,
    /// Whether a poke came while a call waited, which the kernel then ended with EINTR.
    pub cut_short: bool,
    /// Whether the thread has asked to be traced, and is not yet (`process::trace::tracee`).
    pub trace_due: bool,
}

/// The header of a thread's block.
#[repr(C, align(4096))]
pub struct Block {
    pub inbox: Inbox,
    /// The kernel clears it when the thread is gone and its stack unused.
    pub alive: AtomicU32,
    pub sandbox: Sandbox,
    /// The thread's number, and which of the signals that the runtime keeps it takes; 0 until it says so.
    /// Written by the owner.
    takes: AtomicU64,
    /// The program's robust list, which the kernel goes through when the thread ends; 0 for none. Written by
    /// the owner.
    pub robust: AtomicU64,
    pin_count: AtomicU32,
    pins: [Pin; PINS],
    /// What the thread holds of the runtime's locks.
    pub held_ranks: HeldRanks,
    own: UnsafeCell<Own>,
    scratch: UnsafeCell<[u8; PAGE_SIZE as usize]>,
}

const _: () = assert!(size_of::<Block>() <= HEADER_BYTES);

/// All blocks of the process: those in use, and those whose threads have ended.
pub struct Threads {
    live: Vec<NonNull<Block>>,
    ended: Vec<NonNull<Block>>,
}

// SAFETY: blocks are mapped until the process ends; what may be touched by whom is said at the module's head.
unsafe impl Send for Threads {}

static THREADS: Mutex<Threads> = Mutex::new(Rank::Threads, Threads { live: Vec::new(), ended: Vec::new() });

/// Live threads, as a number that can be read without the lock.
static LIVE: AtomicU32 = AtomicU32::new(0);

/// The list's lock, to be held across a fork.
pub fn list_lock() -> &'static RawMutex {
    THREADS.raw()
}

impl Block {
    /// The current thread's block. Only on a block's stack.
    pub fn current() -> &'static Block {
        let header = (stack_pointer() & !(BLOCK_BYTES as u64 - 1)) + (BLOCK_BYTES - HEADER_BYTES) as u64;
        // SAFETY: handlers run on the block's stack, below its header.
        unsafe { &*(header as *const Block) }
    }

    /// The block whose stack this is, if it is one: at the start of an image there is only the kernel's.
    pub fn of_this_stack() -> Option<&'static Block> {
        arena::reserves(stack_pointer(), 1).then(Block::current)
    }

    /// Maps a block, or takes one whose thread has ended.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(actions: NonNull<Actions>) -> Result<&'static Block, Errno> {
        let reused = THREADS.lock().take_ended();
        let header = match reused {
            Some(block) => {
                // SAFETY: it was initialised, and its thread has ended.
                unsafe { core::ptr::drop_in_place(&raw mut (*block.as_ptr()).own) };
                block.as_ptr()
            }
            None => {
                let base = arena::map(BLOCK_BYTES as u64, BLOCK_BYTES as u64)?;
                memory::mprotect(base, PAGE_SIZE, PROT_NONE)?;
                (base + (BLOCK_BYTES - HEADER_BYTES) as u64) as *mut Block
            }
        };
        // SAFETY: fresh or given back, page-aligned and large enough; the fields are written before anybody
        // else can see the block.
        unsafe {
            (*header).inbox.clear();
            (*header).takes.store(0, Ordering::Relaxed);
            (*header).robust.store(0, Ordering::Relaxed);
            (*header).alive.store(1, Ordering::Relaxed);
            (*header).pin_count.store(0, Ordering::Relaxed);
            (*header).held_ranks.clear();
            (&raw mut (*header).sandbox).write(Sandbox::none());
            (&raw mut (*header).own).write(UnsafeCell::new(Own::new(actions)));
        }
        THREADS.lock().live.push(NonNull::new(header).ok_or(Errno::ENOMEM)?);
        LIVE.fetch_add(1, Ordering::Relaxed);
        // SAFETY: initialised above; lives as long as the process.
        Ok(unsafe { &*header })
    }

    /// The owner's part.
    #[allow(clippy::mut_from_ref)]
    pub fn own(&self) -> &mut Own {
        // SAFETY: only the owner calls this, outside of nested handlers, and keeps the reference within one
        // step.
        unsafe { &mut *self.own.get() }
    }

    /// A page-sized buffer of the owner's.
    #[allow(clippy::mut_from_ref)]
    pub fn scratch(&self) -> &mut [u8; PAGE_SIZE as usize] {
        // SAFETY: only the owner calls this, and uses the buffer within one fill.
        unsafe { &mut *self.scratch.get() }
    }

    /// The alternate stack for the kernel.
    pub fn signal_stack(&self) -> AltStack {
        let header = self as *const Block as u64;
        let size = (BLOCK_BYTES - HEADER_BYTES) as u64 - PAGE_SIZE;
        AltStack { base: header - size, flags: 0, pad: 0, size }
    }

    /// Top of the stack, 16-aligned.
    pub fn stack_top(&self) -> u64 {
        self as *const Block as u64
    }

    /// Says which of the signals that the runtime keeps are for this thread, by their bits. `tid` is 0 for
    /// one that takes none of the process's.
    pub fn publish(&self, tid: u32, signals: u32) {
        self.takes.store(u64::from(tid) << 32 | u64::from(signals), Ordering::Relaxed);
    }

    /// Keeps `range` from being evicted until [`Block::unpin_to`].
    pub fn pin(&self, range: PageRange) {
        let count = self.pin_count.load(Ordering::Relaxed) as usize;
        if count < PINS {
            self.pins[count].set(range);
            self.pin_count.store(count as u32 + 1, Ordering::Release);
        } else {
            let last = &self.pins[PINS - 1];
            let wider = PageRange::new(last.start().min(range.start()), last.end().max(range.end()));
            last.set(wider.unwrap_or(range));
        }
        // Seen before any entry is looked at; the evictor makes an entry busy before it looks here.
        fence(Ordering::SeqCst);
    }

    /// Number of ranges pinned now: what [`Block::unpin_to`] takes.
    pub fn pinned(&self) -> u32 {
        self.pin_count.load(Ordering::Relaxed)
    }

    /// Gives up all pins but the first `count`.
    pub fn unpin_to(&self, count: u32) {
        self.pin_count.store(count, Ordering::Release);
    }

    fn pins_page(&self, page: PageNum) -> bool {
        let count = self.pin_count.load(Ordering::SeqCst) as usize;
        self.pins[..count.min(PINS)].iter().any(|pin| pin.start() <= page && page < pin.end())
    }
}

fn stack_pointer() -> u64 {
    let sp: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

impl Pin {
    fn set(&self, range: PageRange) {
        self.start.store(range.start().0, Ordering::Relaxed);
        self.end.store(range.end().0, Ordering::Relaxed);
    }
    fn start(&self) -> PageNum {
        PageNum(self.start.load(Ordering::Relaxed))
    }
    fn end(&self) -> PageNum {
        PageNum(self.end.load(Ordering::Relaxed))
    }
}

impl Own {
    fn new(actions: NonNull<Actions>) -> Own {
        Own {
            tid: 0,
            kin: Kin::Thread,
            passed: None,
            mask: SignalSet::default(),
            temporary_mask: None,
            alternate: AltStack::NONE,
            actions,
            clear_tid: 0,
            backed_up: BackedUp::No,
            held: crate::signals::kept::Kept::NONE,
            streams: Streams::none(),
            coin: Coin::new(),
            last_trap: Trap { number: 0, error: 0, cr2: 0 },
            last_spurious: (0, 0, 0),
            instruction: 0,
            cut_short: false,
            trace_due: false,
        }
    }

    /// The process's signal actions.
    pub fn actions(&self) -> &'static Actions {
        // SAFETY: the table lives as long as the process, or as the vfork child that has a copy.
        unsafe { self.actions.as_ref() }
    }
}

impl Threads {
    /// The blocks of the threads that there are.
    pub fn live(&self) -> impl Iterator<Item = &'static Block> + '_ {
        // SAFETY: blocks stay mapped; who may touch what of them is said at the module's head.
        self.live.iter().map(|block| unsafe { block.as_ref() })
    }

    fn take_ended(&mut self) -> Option<NonNull<Block>> {
        // SAFETY: blocks stay mapped; `alive` may be read by anybody.
        let at = self
            .ended
            .iter()
            .position(|block| unsafe { block.as_ref() }.alive.load(Ordering::Acquire) == 0)?;
        Some(self.ended.swap_remove(at))
    }
}

/// Which of `pages` are pinned by any thread: calls `pinned` for each.
pub fn for_pinned(pages: &[PageNum], mut pinned: impl FnMut(usize)) {
    let threads = THREADS.lock();
    for block in &threads.live {
        // SAFETY: blocks stay mapped; pins may be read by anybody.
        let block = unsafe { block.as_ref() };
        if block.pinned() == 0 {
            continue;
        }
        pages.iter().enumerate().filter(|(_, page)| block.pins_page(**page)).for_each(|(i, _)| pinned(i));
    }
}

/// The robust lists of threads whose heads lie in `pages`: which of these, and where.
pub fn for_robust_lists_in(pages: &[PageNum], mut found: impl FnMut(usize, u64)) {
    let threads = THREADS.lock();
    for block in &threads.live {
        // SAFETY: blocks stay mapped; `robust` may be read by anybody.
        let head = unsafe { block.as_ref() }.robust.load(Ordering::Relaxed);
        let at = pages.iter().position(|page| head != 0 && *page == VirtAddr(head).page());
        at.into_iter().for_each(|at| found(at, head));
    }
}

/// Does something while no thread comes or goes.
pub fn under_lock<T>(action: impl FnOnce(&Threads) -> T) -> T {
    action(&THREADS.lock())
}

/// The robust lists of the threads that there are.
pub fn robust_lists() -> Vec<u64> {
    let threads = THREADS.lock();
    // SAFETY: blocks stay mapped; `robust` may be read by anybody.
    let heads = threads.live.iter().map(|block| unsafe { block.as_ref() }.robust.load(Ordering::Relaxed));
    heads.filter(|head| *head != 0).collect()
}

/// A thread other than `block`'s that takes the signal of this bit.
pub fn who_takes(block: &'static Block, bit: u32) -> Option<u32> {
    let threads = THREADS.lock();
    let others = threads.live.iter().filter(|other| **other != NonNull::from(block));
    // SAFETY: blocks stay mapped; `takes` may be read by anybody.
    let mut takes = others.map(|other| unsafe { other.as_ref() }.takes.load(Ordering::Relaxed));
    takes.find(|takes| takes >> 32 != 0 && takes >> bit & 1 != 0).map(|takes| (takes >> 32) as u32)
}

/// Takes `block` off the list, if it is still on it; its memory is used again once the kernel has cleared
/// `alive`.
pub fn retire(block: &'static Block) {
    let mut threads = THREADS.lock();
    let this = NonNull::from(block);
    if let Some(at) = threads.live.iter().position(|other| *other == this) {
        threads.live.swap_remove(at);
        threads.ended.push(this);
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// After a fork: only `survivor` runs in this process; the other threads' blocks are free.
pub fn only(survivor: &'static Block) {
    let mut threads = THREADS.lock();
    let this = NonNull::from(survivor);
    let others: Vec<_> = threads.live.iter().copied().filter(|other| *other != this).collect();
    for block in others.iter().chain(&threads.ended) {
        // SAFETY: their threads do not exist in this process.
        unsafe { block.as_ref() }.alive.store(0, Ordering::Relaxed);
    }
    threads.ended.extend(others);
    threads.live.clear();
    threads.live.push(this);
    LIVE.store(1, Ordering::Relaxed);
}

/// Whether nobody else is left who writes to the program's memory: no other thread, nor one that is about to
/// end, whose locks the kernel may yet release.
pub fn is_alone() -> bool {
    if count() > 1 {
        return false;
    }
    let threads = THREADS.lock();
    // SAFETY: blocks stay mapped; `alive` may be read by anybody.
    threads.live.len() <= 1
        && threads.ended.iter().all(|block| unsafe { block.as_ref() }.alive.load(Ordering::Acquire) == 0)
}

/// Number of live threads, at least one.
pub fn count() -> u64 {
    u64::from(LIVE.load(Ordering::Relaxed)).max(1)
}
