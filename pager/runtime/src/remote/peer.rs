//! Whose memory is accessed, and how that process is asked for pages.

use core::sync::atomic::{AtomicU64, Ordering};

use pager_core::addr::{PAGE_SIZE, PageRange, VirtAddr};
use pager_core::entry::Entry;
use pager_core::remote::{MOST_PAGES, Request};
use pager_core::shared::{MAGIC, Process};
use pager_core::table::PageTable;

use super::serve;
use crate::arena;
use crate::calls::vectors::limit;
use crate::control;
use crate::die::Line;
use crate::memory::limits;
use crate::space::SPACE;
use crate::swap;
use crate::sys::file::{self, O_CLOEXEC, O_RDONLY};
use crate::sys::memory::IoVec;
use crate::sys::signal::{self, SigInfo};
use crate::sys::{Errno, call, task};
use crate::thread::Block;

const PROCESS_VM_READV: u64 = 310;
const KCMP: u64 = 312;
const KCMP_VM: u64 = 1;
/// How long a process is waited for that does not answer, or does not come to the end of its fork, in
/// nanoseconds. One that is stopped is not waited for.
const PATIENCE: u64 = 2_000_000_000;
/// After so long it is looked whether it stands still, and it is asked again: the signal reaches a thread
/// that is in the middle of something, or one is pending already.
const AGAIN: [u64; 2] = [200_000, 2_000_000];
/// Between two looks, once it was looked a few times.
const PAUSE: u64 = 50_000;
const QUICK_LOOKS: u32 = 50;

/// A paged process whose memory is accessed.
#[derive(Clone, Copy)]
pub enum Peer {
    /// This one, or one that has the same memory.
    Own,
    /// Another one of the run, by its number and its slot.
    Another(u32, &'static Process),
}

impl Peer {
    /// The process or thread of that number, as this process counts them; nothing where it is not paged, or
    /// may not be read. Right after a fork it is waited for until it is there.
    pub fn of(number: u32) -> Option<Peer> {
        let own = task::pid();
        if number == own || call!(KCMP, own, number, KCMP_VM, 0, 0) == Ok(0) {
            return Some(Peer::Own);
        }
        let deadline = task::now_ns() + PATIENCE;
        loop {
            let [control, slot, forking] = read_words(number, control::landmarks()).ok()?;
            if forking == 0 {
                let [magic, ..] = read_words(number, [control; 3]).ok()?;
                let slot = control::slot_at(control, slot).filter(|_| magic == MAGIC)?;
                return Some(Peer::Another(number, slot));
            }
            if task::now_ns() > deadline {
                return None;
            }
            serve::answer_kept();
            task::pause(PAUSE);
        }
    }

    pub fn is_own(&self) -> bool {
        matches!(self, Peer::Own)
    }

    /// Has pages brought in, as many of the request as it is good for; whether the first one is there. This
    /// process's own stay until the caller unpins them.
    pub fn bring_in(&self, block: &'static Block, request: &Request) -> bool {
        let most = (limit() / PAGE_SIZE).clamp(1, MOST_PAGES);
        let count = request.pages.count().min(most);
        let Some(pages) = PageRange::with_count(request.pages.start(), count) else { return false };
        let request = Request { pages, ..*request };
        match *self {
            Peer::Own if arena::reserves(pages.start().start().0, pages.bytes()) => false,
            Peer::Own => {
                block.pin(pages);
                serve::bring_in(&request)
            }
            Peer::Another(number, slot) => ask(number, slot, &request),
        }
    }
}

impl Peer {
    /// Reads what a page holds that is not in memory, of a process that stands still and cannot bring it in:
    /// as far as it lies in a swap file, or is zeros. How many bytes from `at` on, up to the page's end.
    pub fn read_absent(&self, at: u64, into: &mut [u8]) -> Option<u64> {
        let Peer::Another(number, _) = *self else { return None };
        let page = VirtAddr(at).page();
        let word = |at: u64| read_words(number, [at; 3]).ok().map(|words| words[0]);
        let mut contents = alloc::vec![0u8; PAGE_SIZE as usize];
        match PageTable::entry_elsewhere(&raw const SPACE.table as u64, page, word)? {
            Entry::Zero => {}
            Entry::Swapped(slot) if swap::is_known(slot) => {
                swap::of(slot).read(slot.index, core::iter::once(slot), &mut contents).ok()?;
            }
            _ => return None,
        }
        let from = &contents[VirtAddr(at).page_offset() as usize..];
        let len = from.len().min(into.len());
        into[..len].copy_from_slice(&from[..len]);
        Some(len as u64)
    }
}

/// Three words of a process's memory.
fn read_words(number: u32, at: [u64; 3]) -> Result<[u64; 3], Errno> {
    let mut words = [0u64; 3];
    let local = IoVec { base: words.as_mut_ptr() as u64, len: 24 };
    let remote = at.map(|base| IoVec { base, len: 8 });
    match call!(PROCESS_VM_READV, number, &raw const local, 1, remote.as_ptr(), 3, 0)? {
        24 => Ok(words),
        _ => Err(Errno::EFAULT),
    }
}

/// Asks a process for pages until it answers; whether the first one is there.
fn ask(process: u32, slot: &'static Process, request: &Request) -> bool {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    // The lowest bit is the answer's. Requests of different processes must not be taken for each other.
    let number = u64::from(task::pid()) << 32 | (ASKED.fetch_add(2, Ordering::Relaxed) & 0xffff_fffe);
    let begin = task::now_ns();
    let (mut again, mut looks) = (0, 0);
    loop {
        let answer = slot.answered.load(Ordering::SeqCst);
        if answer & !1 == number {
            return answer & 1 != 0;
        }
        let passed = task::now_ns() - begin;
        if passed >= again {
            // It has executed another program, or ended, or stands still.
            let is_same = again == 0
                || matches!(Peer::of(process), Some(Peer::Another(_, now)) if core::ptr::eq(now, slot))
                    && !is_stopped(process);
            if !is_same || passed > PATIENCE {
                return false;
            }
            slot.poke(|_| {
                let _ = signal::queue_to_process(process, &SigInfo::asking(request, number));
            });
            again = passed + AGAIN[usize::from(again != 0)];
        }
        // It may be asking this one.
        serve::answer_kept();
        looks += 1;
        if looks < QUICK_LOOKS { task::give_way() } else { task::pause(PAUSE) }
    }
}

/// Whether a process does nothing now, and will not by itself: it is stopped, by a signal or a tracer, or has
/// ended.
fn is_stopped(process: u32) -> bool {
    let path = Line::format(format_args!("/proc/{process}/stat\0"));
    let Ok(fd) = limits::with_descriptors(|| file::open(path.as_bytes(), O_RDONLY | O_CLOEXEC)) else {
        return true;
    };
    let mut told = [0u8; 128];
    let len = file::read(fd, &mut told);
    file::close(fd);
    let told = &told[..len.unwrap_or(0)];
    // Its name, in parentheses, may hold some itself.
    let state = told.iter().rposition(|byte| *byte == b')').and_then(|end| told.get(end + 2));
    matches!(state, None | Some(b'T' | b't' | b'Z' | b'X'))
}
