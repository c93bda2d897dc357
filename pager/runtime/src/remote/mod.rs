//! Accesses to a process's memory by way of the kernel: process_vm_readv, process_vm_writev, and transfers of
//! `/proc/PID/mem`.
//!
//! The kernel cannot bring in what the pager holds. Where it stops short of what was asked for, the process
//! is asked for the pages (this one by itself), and it goes on. The bytes pass through memory of the
//! runtime's, so that the caller's own pages are made resident one by one.
//!
//! A process that stands still cannot bring anything in: of it what lies in a swap file is read from there.
//! Not here: processes that are not paged, whose memory is the kernel's alone.

mod peer;
pub mod serve;
pub mod tell;

use alloc::vec::Vec;

use pager_core::addr::{PageRange, VirtAddr};
use pager_core::area::Access;
use pager_core::calls::transfer::{MAX_TRANSFER, Transfer, of_buffer, of_vector};
use pager_core::remote::{Request, Right};

use self::peer::Peer;
use crate::buffers::Buffer;
use crate::call::Call;
use crate::calls::vectors::{IOV_MAX, limit, read_vector, sends};
use crate::control;
use crate::die::Line;
use crate::sys::file::{self, Fd};
use crate::sys::memory::IoVec;
use crate::sys::{Errno, call, nr};
use crate::thread::Block;
use crate::user;

const READV: u32 = 19;
const WRITEV: u32 = 20;
const PREADV: u32 = 295;
const PWRITEV: u32 = 296;
const PROCESS_VM_READV: u32 = 310;
const PROCESS_VM_WRITEV: u32 = 311;
const PREADV2: u32 = 327;
const PWRITEV2: u32 = 328;
const LSEEK: u64 = 8;
const SEEK_SET: u64 = 0;
const SEEK_CUR: u64 = 1;
/// Times in a row that pages are asked for and are gone again before they are used.
const ROUNDS: u32 = 64;

/// Makes a call that accesses the memory of a paged process; nothing for all others.
pub fn transfer(block: &'static Block, call: &Call) -> Option<Result<u64, Errno>> {
    match call.row.number {
        PROCESS_VM_READV | PROCESS_VM_WRITEV => by_call(block, call),
        _ if control::has_memory_files() => by_file(block, call),
        _ => None,
    }
}

/// A word of another process's memory, for its tracer: also of a page that the kernel has not got.
pub fn peek(block: &'static Block, process: u32, at: u64) -> Option<u64> {
    let way = Way::Call { number: PROCESS_VM_READV.into(), process };
    let channel = Channel { way, peer: Peer::of(process)?, access: Access::Read, right: Right::Debugger };
    let mut word = [0u8; 8];
    (channel.through(block, at, &mut word) == Ok(8)).then(|| u64::from_ne_bytes(word))
}

fn by_call(block: &'static Block, call: &Call) -> Option<Result<u64, Errno>> {
    let [process, locals, local_count, remotes, remote_count, flags] = call.args;
    if flags != 0 || local_count > IOV_MAX || remote_count > IOV_MAX {
        return None;
    }
    let peer = Peer::of(process as u32)?;
    let (locals, remotes) =
        (read_vector(locals, local_count).ok()?, read_vector(remotes, remote_count).ok()?);
    let Transfer::AtMost(total) = of_vector(parts(&locals)) else { return None };
    let is_small = peer.is_own() && total <= limit();
    // The kernel looks at a remote length as at any other, and at a remote address only when it is accessed.
    if total == 0 || is_small || remotes.iter().any(|part| part.len as i64 <= 0) {
        return None;
    }
    let way = Way::Call { number: call.row.number.into(), process: process as u32 };
    let channel =
        Channel { way, peer, access: access(call.row.number == PROCESS_VM_WRITEV), right: Right::Program };
    Some(channel.run(block, &locals, &remotes))
}

/// What a transfer of a file is about.
struct Transferred {
    locals: Vec<IoVec>,
    position: Option<u64>,
}

fn by_file(block: &'static Block, call: &Call) -> Option<Result<u64, Errno>> {
    let given = transferred(call)?;
    let fd = Fd(call.args[0] as i32);
    let peer = Peer::of(process_of(fd)?)?;
    let position = match given.position {
        Some(position) => position,
        None => call!(LSEEK, fd.0, 0, SEEK_CUR).ok()?,
    };
    let total = given.locals.iter().map(|part| part.len).sum::<u64>().min(MAX_TRANSFER);
    let channel = Channel { way: Way::File(fd), peer, access: access(sends(*call)), right: Right::Debugger };
    let result = channel.run(block, &given.locals, &[IoVec { base: position, len: total }]);
    if let (None, Ok(done)) = (given.position, result) {
        let _ = call!(LSEEK, fd.0, position.wrapping_add(done), SEEK_SET);
    }
    Some(result)
}

/// The buffers of a read or write of any kind that moves something, and where in the file; nothing for what
/// the kernel refuses.
fn transferred(call: &Call) -> Option<Transferred> {
    let [_, first, second, third, _, flags] = call.args;
    let number = call.row.number;
    let (locals, position) = match number {
        READV | WRITEV | PREADV | PWRITEV | PREADV2 | PWRITEV2 => {
            let locals = Some(second).filter(|count| *count <= IOV_MAX);
            let is_placed = !matches!(number, READV | WRITEV);
            let is_odd = matches!(number, PREADV2 | PWRITEV2) && flags != 0;
            // preadv2 takes -1 for the file's own position.
            let own = matches!(number, PREADV2 | PWRITEV2) && third == u64::MAX;
            let locals = read_vector(first, locals.filter(|_| !is_odd)?).ok()?;
            (locals, Some(third).filter(|_| is_placed && !own))
        }
        _ => {
            let position = match u64::from(number) {
                nr::READ | nr::WRITE => None,
                nr::PREAD64 | nr::PWRITE64 => Some(third),
                _ => return None,
            };
            (alloc::vec![IoVec { base: first, len: second }], position)
        }
    };
    let allowed = match &locals[..] {
        [only] => of_buffer(only.base, only.len),
        several => of_vector(parts(several)),
    };
    matches!(allowed, Transfer::AtMost(1..)).then_some(Transferred { locals, position })
}

fn parts(vector: &[IoVec]) -> impl ExactSizeIterator<Item = (u64, u64)> + Clone {
    vector.iter().map(|part| (part.base, part.len))
}

fn access(writes: bool) -> Access {
    if writes { Access::Write } else { Access::Read }
}

/// The process or thread whose memory an open file is, if it is one of `/proc/PID/mem`.
fn process_of(fd: Fd) -> Option<u32> {
    if !file::is_in_proc(fd) {
        return None;
    }
    let link = Line::format(format_args!("/proc/self/fd/{}\0", fd.0));
    let mut path = [0u8; 256];
    let len = file::readlink(link.as_bytes(), &mut path).ok()?;
    let number = path[..len].strip_suffix(b"/mem")?.rsplit(|byte| *byte == b'/').next()?;
    core::str::from_utf8(number).ok()?.parse().ok()
}

/// How the kernel is asked to move bytes.
enum Way {
    /// By process_vm_readv or process_vm_writev.
    Call { number: u64, process: u32 },
    /// By a file of `/proc/PID/mem`.
    File(Fd),
}

/// A way to the memory of a paged process.
struct Channel {
    way: Way,
    peer: Peer,
    access: Access,
    right: Right,
}

impl Channel {
    /// Moves bytes between the caller's `locals` and the process's `remotes`; how many.
    fn run(&self, block: &'static Block, locals: &[IoVec], remotes: &[IoVec]) -> Result<u64, Errno> {
        let mut bounce = Buffer::take();
        let most = limit().min(bounce.len() as u64);
        let (mut local, mut remote) = (Cursor::new(locals), Cursor::new(remotes));
        let mut done = 0;
        while let (Some(here), Some(there)) = (local.rest(), remote.rest()) {
            let len = here.len.min(there.len).min(most).min(MAX_TRANSFER - done);
            if len == 0 {
                break;
            }
            match self.piece(block, here.base, there.base, &mut bounce[..len as usize]) {
                Ok(moved) => {
                    (done, local, remote) = (done + moved, local.after(moved), remote.after(moved));
                    if moved < len {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn piece(&self, block: &'static Block, here: u64, there: u64, bounce: &mut [u8]) -> Result<u64, Errno> {
        if self.access == Access::Write {
            user::read(here, bounce)?;
            return self.through(block, there, bounce);
        }
        let moved = self.through(block, there, bounce)?;
        user::write(here, &bounce[..moved as usize])?;
        Ok(moved)
    }

    /// Moves bytes between the process's memory at `there` and `bounce`; how many, where it is any.
    fn through(&self, block: &'static Block, there: u64, bounce: &mut [u8]) -> Result<u64, Errno> {
        let pinned = block.pinned();
        let len = bounce.len() as u64;
        // The kernel writes to a page of a file that is let through, in a copy of which nobody would know.
        let asks_first = self.right == Right::Debugger && self.access == Access::Write;
        let (mut done, mut rounds, mut stopped) = (0, 0, None);
        while done < len && rounds <= ROUNDS {
            let Some(pages) = PageRange::touching(VirtAddr(there.wrapping_add(done)), len - done) else {
                break;
            };
            if asks_first || rounds > 0 {
                block.unpin_to(pinned);
                let request = Request { pages, access: self.access, right: self.right };
                let is_there = self.peer.bring_in(block, &request);
                if rounds > 0 && !is_there {
                    let into = &mut bounce[done as usize..];
                    let read = self
                        .peer
                        .read_absent(there.wrapping_add(done), into)
                        .filter(|_| self.access == Access::Read);
                    let Some(read) = read else { break };
                    (done, rounds, stopped) = (done + read, 0, None);
                    continue;
                }
            }
            match self.once(there.wrapping_add(done), &mut bounce[done as usize..]) {
                Ok(0) => break,
                // The next page is missing, if any is.
                Ok(moved) => (done, rounds, stopped) = (done + moved, 1, None),
                Err(errno) => {
                    stopped = Some(errno);
                    if !matches!(errno, Errno::EFAULT | Errno::EIO) {
                        break;
                    }
                    rounds += 1;
                }
            }
        }
        block.unpin_to(pinned);
        match stopped {
            Some(errno) if done == 0 => Err(errno),
            _ => Ok(done),
        }
    }

    /// One call of the kernel's.
    fn once(&self, there: u64, bounce: &mut [u8]) -> Result<u64, Errno> {
        let (at, len) = (bounce.as_mut_ptr() as u64, bounce.len() as u64);
        match self.way {
            Way::Call { number, process } => {
                let (local, remote) = (IoVec { base: at, len }, IoVec { base: there, len });
                call!(number, process, &raw const local, 1, &raw const remote, 1, 0)
            }
            Way::File(fd) if self.access == Access::Write => call!(nr::PWRITE64, fd.0, at, len, there),
            Way::File(fd) => call!(nr::PREAD64, fd.0, at, len, there),
        }
    }
}

/// A place in a vector.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    parts: &'a [IoVec],
    /// Bytes of the first part that are behind it.
    into: u64,
}

impl<'a> Cursor<'a> {
    fn new(parts: &'a [IoVec]) -> Cursor<'a> {
        Cursor { parts, into: 0 }.after(0)
    }

    /// What is left of the part that it stands in; nothing at the end.
    fn rest(&self) -> Option<IoVec> {
        let part = self.parts.first()?;
        Some(IoVec { base: part.base.wrapping_add(self.into), len: part.len - self.into })
    }

    /// The place so many bytes further, at most at the end of the part.
    fn after(self, bytes: u64) -> Cursor<'a> {
        let mut next = Cursor { into: self.into + bytes, ..self };
        while next.parts.first().is_some_and(|part| part.len <= next.into) {
            next = Cursor { parts: &next.parts[1..], into: 0 };
        }
        next
    }
}
