//! SEGV, BUS and SYS that somebody sent while the program had them blocked. For the kernel they are never blocked while the program runs, so the
//! runtime keeps them.
//!
//! Where only the kernel can answer (which of all pending signals rt_sigtimedwait takes first, whether a signalfd is ready, what a new program
//! finds pending) they are lent to it: blocked for good and sent again, for the length of that call, in which the thread runs no code that faults.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use pager_core::calls::{MaskArgument, signal_mask};
use pager_core::hearing::Hearing;
use pager_core::shared::count;

use super::frame;
use crate::call::Call;
use crate::calls::{perform, was_cut_short};
use crate::clock;
use crate::control;
use crate::evict;
use crate::gate;
use crate::server;
use crate::sys::signal::{self, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SigInfo, SignalSet, UContext};
use crate::sys::{Errno, nr, task};
use crate::thread::{self, Block, Kin};
use crate::user;

/// Sent to a thread, one place for each of the three: like every signal below the real-time ones, a second one is lost while the first is pending.
pub struct Held([Option<SigInfo>; 3]);

/// In the order in which the kernel takes them.
const KEPT: [u32; 3] = [SIGBUS, SIGSEGV, SIGSYS];

/// Sent to the process, for whichever thread asks first.
static OF_PROCESS: [Place; 3] = [const { Place::empty() }; 3];

/// Whether there may be a signalfd that reads one of the three.
static WATCHED: AtomicBool = AtomicBool::new(false);

impl Held {
    pub const NONE: Held = Held([None; 3]);

    fn keep(&mut self, info: &SigInfo) {
        if let Some(at) = place_of(info.signo as u32) {
            self.0[at].get_or_insert(*info);
        }
    }

    /// Takes a kept signal that is in `set`.
    fn take(&mut self, set: SignalSet) -> Option<SigInfo> {
        let at = self.0.iter().position(|kept| kept.is_some_and(|info| set.has(info.signo as u32)))?;
        self.0[at].take()
    }

    fn pending(&self) -> SignalSet {
        self.0.iter().flatten().fold(SignalSet::default(), |set, info| set.with(info.signo as u32))
    }
}

fn place_of(number: u32) -> Option<usize> {
    KEPT.iter().position(|kept| *kept == number)
}

/// A place that any thread may fill or empty, without a lock: who finds it taken goes on without.
struct Place {
    state: AtomicU32,
    info: UnsafeCell<SigInfo>,
}

// SAFETY: `info` is touched only by who has changed `state` to BUSY.
unsafe impl Sync for Place {}

impl Place {
    const FREE: u32 = 0;
    const BUSY: u32 = 1;
    const FULL: u32 = 2;

    const fn empty() -> Place {
        Place { state: AtomicU32::new(Place::FREE), info: UnsafeCell::new(SigInfo::ZERO) }
    }

    fn claim(&self, from: u32) -> bool {
        self.state.compare_exchange(from, Place::BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn put(&self, info: &SigInfo) {
        if self.claim(Place::FREE) {
            // SAFETY: claimed.
            unsafe { *self.info.get() = *info };
            self.state.store(Place::FULL, Ordering::Release);
        }
    }

    fn take(&self) -> Option<SigInfo> {
        let taken = self.claim(Place::FULL).then(|| {
            // SAFETY: claimed.
            unsafe { *self.info.get() }
        });
        if taken.is_some() {
            self.state.store(Place::FREE, Ordering::Release);
        }
        taken
    }
}

/// Keeps a signal until it is unblocked or taken; one that was sent to the process goes to another thread that takes it, if there is one.
pub fn keep(block: &'static Block, info: &SigInfo) {
    let Some(at) = place_of(info.signo as u32) else { return };
    if info.code == signal::SI_TKILL || block.own().kin == Kin::Lodger {
        block.own().held.keep(info);
    } else if let Some(other) = thread::who_takes(block, at as u32) {
        let _ = signal::queue_to_thread(task::pid(), other, &info.forwarded());
    } else {
        OF_PROCESS[at].put(info);
        fence(Ordering::SeqCst);
        // A thread that began to wait in between has looked at the places before.
        if let Some(other) = thread::who_takes(block, at as u32)
            && let Some(info) = OF_PROCESS[at].take()
        {
            let _ = signal::queue_to_thread(task::pid(), other, &info.forwarded());
        }
    }
}

/// The signals of `set` that are for the threads of this process to take, as [`Block::publish`] wants them.
fn bits(set: SignalSet) -> u32 {
    KEPT.iter().enumerate().filter(|(_, number)| set.has(**number)).map(|(at, _)| 1 << at).sum()
}

/// Tells the other threads which of the three this one takes, now that its mask is `mask`.
pub fn publish(block: &Block, mask: SignalSet) {
    let own = block.own();
    block.publish(if own.kin == Kin::Lodger { 0 } else { own.tid }, bits(SignalSet(!mask.0)));
}

fn take(block: &Block, set: SignalSet) -> Option<SigInfo> {
    if let Some(info) = block.own().held.take(set) {
        return Some(info);
    }
    if block.own().kin == Kin::Lodger {
        return None;
    }
    OF_PROCESS.iter().zip(KEPT).filter(|(_, number)| set.has(*number)).find_map(|(place, _)| place.take())
}

fn pending(block: &Block) -> SignalSet {
    let own = block.own().held.pending();
    if block.own().kin == Kin::Lodger {
        return own;
    }
    let full = |place: &Place| place.state.load(Ordering::Relaxed) == Place::FULL;
    OF_PROCESS.iter().zip(KEPT).filter(|(place, _)| full(place)).fold(own, |set, (_, number)| set.with(number))
}

/// The program ignores the signal from now on: what is pending of it is lost.
pub fn discard(block: &Block, number: u32) {
    while take(block, SignalSet::of(number)).is_some() {}
}

/// Nothing is pending in a forked child.
pub fn forget(block: &Block) {
    block.own().held = Held::NONE;
    OF_PROCESS.iter().for_each(|place| place.state.store(Place::FREE, Ordering::Relaxed));
}

/// Delivers what is not blocked any more. A handler that is entered may block the next one.
///
/// The kernel's order: what an instruction may raise comes first, by numbers. So three that the kernel holds come before or between those kept here;
/// for the kernel they are blocked until the context is resumed.
pub fn deliver(block: &'static Block, context: &mut UContext) {
    loop {
        let open = SignalSet(!block.own().mask.0);
        let Some(first) = pending(block).intersection(open).first() else { return };
        let before = KERNEL_FIRST.intersection(open).below(first);
        if let Some(info) = signal::take_pending(before).or_else(|| take(block, SignalSet::of(first))) {
            frame::deliver(block, context, &info);
        }
    }
}

/// What the kernel delivers before other signals, without those that are kept here.
const KERNEL_FIRST: SignalSet = SignalSet::of(SIGILL).with(SIGTRAP).with(SIGFPE);

/// rt_sigpending, with what is kept here.
///
/// # Errors
/// As sigpending(2).
pub fn sigpending(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let result = perform(block, call)?;
    let kept = pending(block);
    if call.args[1] >= 8 && kept != SignalSet::default() {
        let kernel: SignalSet = user::read_value(call.args[0])?;
        user::write_value(call.args[0], &kernel.union(kept))?;
    }
    Ok(result)
}

/// signalfd and signalfd4.
///
/// # Errors
/// As signalfd(2).
pub fn signalfd(block: &'static Block, call: Call) -> Result<u64, Errno> {
    if user::read_value::<SignalSet>(call.args[1]).is_ok_and(|set| set.intersects(SignalSet::OURS)) {
        WATCHED.store(true, Ordering::Relaxed);
    }
    perform(block, call)
}

/// How often who is about to poke this process may go first.
const PATIENCE: u32 = 1000;

/// What the kernel blocks for a while.
pub struct Loan(SignalSet);

/// Lends the kernel what this thread has blocked of the three. Until [`take_back`] the thread may not touch the program's memory.
///
/// Other threads learn first that this one takes what of it is `awaited`: what is sent to the process from now on comes here, and not to the places
/// that are looked at only once.
pub fn lend(block: &Block, awaited: SignalSet) -> Loan {
    let mask = block.own().mask;
    publish(block, mask.minus(awaited));
    fence(Ordering::SeqCst);
    let lent = mask.intersection(SignalSet::OURS);
    signal::block(lent);
    while let Some(info) = block.own().held.take(lent) {
        let _ = signal::queue_to_thread(task::pid(), block.own().tid, &info);
    }
    while let Some(info) = take(block, lent) {
        // The kernel takes a thread's own before those of the process, which another thread would be given, too: there they are not blocked.
        let sent = if thread::count() <= 1 + server::count() {
            signal::queue_to_process(task::pid(), &info.forwarded())
        } else {
            signal::queue_to_thread(task::pid(), block.own().tid, &info)
        };
        debug_assert!(sent.is_ok());
    }
    Loan(lent)
}

/// While it lives the process is not poked: a poke would be the same signal as one of the program's, which would be lost.
struct Quiet;

impl Quiet {
    /// None where another thread can be poked, or the process is deaf already.
    fn begin(block: &Block) -> Option<Quiet> {
        let process = control::process();
        let only = thread::count() <= 1 + server::count() && block.own().kin == Kin::Thread;
        (only && process.hearing.load(Ordering::SeqCst) != Hearing::Deaf as u32).then(|| {
            process.stop_listening(PATIENCE, task::give_way);
            Quiet
        })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        control::process().listen();
    }
}

/// Ends a loan. A poke that came meanwhile is answered now.
pub fn take_back(block: &Block, loan: Loan) {
    publish(block, block.own().mask);
    let poked = keep_pending(block, loan.0);
    signal::unblock(loan.0);
    if poked {
        evict::keep_to_cap();
    }
}

/// Keeps what is pending of `set`, which the kernel blocks; whether a poke was among it.
fn keep_pending(block: &Block, set: SignalSet) -> bool {
    let mut poked = false;
    while let Some(info) = signal::take_pending(set).map(SigInfo::received) {
        match place_of(info.signo as u32) {
            _ if super::take_poke(&info) => poked = true,
            Some(at) if info.code != signal::SI_TKILL && block.own().kin != Kin::Lodger => OF_PROCESS[at].put(&info),
            _ => block.own().held.keep(&info),
        }
    }
    poked
}

/// At the start of an image: what the one before had blocked and pending is still so. `mask` is what the kernel blocks.
pub fn adopt(block: &Block, mask: SignalSet) {
    let blocked = mask.intersection(SignalSet::OURS);
    if blocked != SignalSet::default() {
        keep_pending(block, blocked);
        // A descriptor may have been inherited too.
        WATCHED.store(true, Ordering::Relaxed);
    }
}

/// Calls that look at a signalfd: read, poll, readv, select, epoll_wait, pselect6, ppoll, epoll_pwait, epoll_pwait2.
const READING: [u32; 9] = [0, 7, 19, 23, 232, 270, 271, 281, 441];

/// A loan for a call of the program's.
pub struct Lent {
    loan: Loan,
    _quiet: Option<Quiet>,
}

impl Lent {
    pub fn take_back(self, block: &Block) {
        take_back(block, self.loan);
    }
}

/// The loan that a call takes, if any: where it waits with another mask, or may look at a signalfd.
pub fn loan_for(block: &Block, call: &Call, temporary: Option<SignalSet>) -> Option<Lent> {
    let blocks = block.own().mask.intersects(SignalSet::OURS);
    let looks = || WATCHED.load(Ordering::Relaxed) && READING.contains(&call.row.number);
    let needed = || looks() || (temporary.is_some() && pending(block) != SignalSet::default());
    (blocks && needed()).then(|| {
        let quiet = Quiet::begin(block);
        Lent { loan: lend(block, SignalSet::OURS), _quiet: quiet }
    })
}

/// The mask that a call puts in place while it waits.
pub fn temporary_mask(call: &Call) -> Option<SignalSet> {
    let at = match signal_mask(call.row)? {
        MaskArgument::Direct(at) => call.args[usize::from(at)],
        MaskArgument::Boxed(at) => match call.args[usize::from(at)] {
            0 => return None,
            pair => user::read_value::<[u64; 2]>(pair).ok()?[0],
        },
    };
    if at == 0 {
        return None;
    }
    user::read_value::<SignalSet>(at).ok().map(|mask| mask.minus(SignalSet::UNBLOCKABLE))
}

/// Takes out of the inbox what reaches no handler, for which no call ends; whether there was anything, and nothing else is left.
pub fn absorb(block: &'static Block) -> bool {
    let mut any = false;
    while let Some(info) = block.inbox.take_if(|info| frame::is_without_effect(block, info)) {
        frame::keep_if_blocked(block, &info);
        any = true;
    }
    let alone = any && block.inbox.is_empty();
    if alone {
        // The arrival had closed it.
        signal::set_mask(block.own().mask.for_kernel());
    }
    alone
}

/// rt_sigtimedwait, which takes what is kept here and what the kernel has in the kernel's order.
///
/// # Errors
/// As sigtimedwait(2).
pub fn sigtimedwait(block: &'static Block, call: Call) -> Result<u64, Errno> {
    let [set_at, into, timeout_at, size, ..] = call.args;
    let set = if size == 8 { user::read_value::<SignalSet>(set_at)? } else { SignalSet::default() };
    if !set.intersects(SignalSet::OURS) {
        return perform(block, call);
    }
    let timeout = if timeout_at == 0 { None } else { Some(user::read_value::<[u64; 2]>(timeout_at)?) };
    let info = wait_for(block, set, timeout)?;
    if into != 0 {
        user::write_value(into, &info)?;
    }
    if SignalSet::OURS.has(info.signo as u32) {
        count(&control::counts().signals_delivered, 1);
    }
    Ok(info.signo as u64)
}

fn wait_for(block: &'static Block, set: SignalSet, timeout: Option<[u64; 2]>) -> Result<SigInfo, Errno> {
    let begin = clock::ticks();
    loop {
        let mut info = SigInfo::ZERO;
        let left = timeout.map(|span| pager_core::calls::timeout::span_left(span, clock::ns_since(begin)));
        let left_at = left.as_ref().map_or(0, |left| left.as_ptr() as u64);
        let args = [&raw const set as u64, &raw mut info as u64, left_at, 8, 0, 0];
        // A poke that is waited for as well is told apart.
        let _quiet = if set.has(SIGSEGV) { None } else { Quiet::begin(block) };
        let loan = lend(block, set);
        // SAFETY: all three pointers are to variables of this function.
        let result = unsafe { gate::interruptible(nr::RT_SIGTIMEDWAIT, &args, block.inbox.counter()) };
        take_back(block, loan);
        match result {
            Ok(_) if super::take_poke(&info) => evict::keep_to_cap(),
            Ok(_) => return Ok(info.received()),
            Err(Errno::EINTR) if was_cut_short(block) => {}
            Err(errno) => return Err(errno),
        }
    }
}
