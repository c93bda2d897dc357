//! SEGV, BUS and SYS that somebody sent while the program had them blocked. For the kernel they are never
//! blocked while the program runs, so the runtime keeps them.
//!
//! Where only the kernel can answer (which of all pending signals rt_sigtimedwait takes first, whether a
//! signalfd is ready, what a new program finds pending) they are lent to it: blocked for good and sent again,
//! for the length of that call, in which the thread runs no code that faults.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use pager_core::calls::{MaskArgument, signal_mask};
use pager_core::hearing::Hearing;

use super::kept::{KEPT, Kept, place_of};
use super::poke;
use crate::call::Call;
use crate::control;
use crate::paging;
use crate::server;
use crate::sys::signal::{self, SigInfo, SignalSet};
use crate::sys::task;
use crate::thread::{self, Block, Kin};
use crate::user;

/// Sent to the process, for whichever thread asks first.
static OF_PROCESS: [Place; 3] = [const { Place::empty() }; 3];

/// Whether there may be a signalfd that reads one of the three.
static WATCHED: AtomicBool = AtomicBool::new(false);

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

/// Keeps a signal until it is unblocked or taken; one that was sent to the process goes to another thread
/// that takes it, if there is one.
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

/// Takes one that is kept, for the thread or its process.
pub fn take(block: &Block, set: SignalSet) -> Option<SigInfo> {
    if let Some(info) = block.own().held.take(set) {
        return Some(info);
    }
    if block.own().kin == Kin::Lodger {
        return None;
    }
    OF_PROCESS.iter().zip(KEPT).filter(|(_, number)| set.has(*number)).find_map(|(place, _)| place.take())
}

/// Those that are kept, for the thread or its process.
pub fn pending(block: &Block) -> SignalSet {
    let own = block.own().held.pending();
    if block.own().kin == Kin::Lodger {
        return own;
    }
    let full = |place: &Place| place.state.load(Ordering::Relaxed) == Place::FULL;
    OF_PROCESS
        .iter()
        .zip(KEPT)
        .filter(|(place, _)| full(place))
        .fold(own, |set, (_, number)| set.with(number))
}

/// The program ignores the signal from now on: what is pending of it is lost.
pub fn discard(block: &Block, number: u32) {
    while take(block, SignalSet::of(number)).is_some() {}
}

/// Nothing is pending in a forked child.
pub fn forget(block: &Block) {
    block.own().held = Kept::NONE;
    OF_PROCESS.iter().for_each(|place| place.state.store(Place::FREE, Ordering::Relaxed));
}

/// What the kernel blocks for a while.
pub struct Loan(SignalSet);

/// Lends the kernel what this thread has blocked of the three. Until [`take_back`] the thread may not touch
/// the program's memory.
///
/// Other threads learn first that this one takes what of it is `awaited`: what is sent to the process from
/// now on comes here, and not to the places that are looked at only once.
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
        // The kernel takes a thread's own before those of the process, which another thread would be given,
        // too: there they are not blocked.
        let sent = if thread::count() <= 1 + server::count() {
            signal::queue_to_process(task::pid(), &info.forwarded())
        } else {
            signal::queue_to_thread(task::pid(), block.own().tid, &info)
        };
        debug_assert!(sent.is_ok());
    }
    Loan(lent)
}

/// While it lives the process is not poked: a poke would be the same signal as one of the program's, which
/// would be lost.
pub struct Quiet;

impl Quiet {
    /// None where another thread can be poked, or the process is deaf already.
    pub fn begin(block: &Block) -> Option<Quiet> {
        let process = control::process();
        let only = thread::count() <= 1 + server::count() && block.own().kin == Kin::Thread;
        (only && process.hearing.load(Ordering::SeqCst) != Hearing::Deaf as u32).then(|| {
            poke::refuse();
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
        paging::keep_to_cap();
    }
}

/// Keeps what is pending of `set`, which the kernel blocks; whether a poke was among it.
fn keep_pending(block: &Block, set: SignalSet) -> bool {
    let mut poked = false;
    while let Some(info) = signal::take_pending(set).map(SigInfo::received) {
        match place_of(info.signo as u32) {
            _ if poke::take(&info) => poked = true,
            Some(at) if info.code != signal::SI_TKILL && block.own().kin != Kin::Lodger => {
                OF_PROCESS[at].put(&info)
            }
            _ => block.own().held.keep(&info),
        }
    }
    poked
}

/// At the start of an image: what the one before had blocked and pending is still so. `mask` is what the
/// kernel blocks.
pub fn adopt(block: &Block, mask: SignalSet) {
    let blocked = mask.intersection(SignalSet::OURS);
    if blocked != SignalSet::default() {
        keep_pending(block, blocked);
        // A descriptor may have been inherited too.
        WATCHED.store(true, Ordering::Relaxed);
    }
}

/// Calls that look at a signalfd: read, poll, readv, select, epoll_wait, pselect6, ppoll, epoll_pwait,
/// epoll_pwait2.
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

/// There is a signalfd that reads one of the three.
pub fn watch() {
    WATCHED.store(true, Ordering::Relaxed);
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
