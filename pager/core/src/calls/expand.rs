//! From a row and its arguments to the spans of memory that the kernel will touch.
//!
//! [`Walk`] carries what every shape needs: the arguments, the program's memory, where spans go, and how much
//! work is left. Each shape is a method in the module of its subject; this one has the flat ones and the
//! texts.
//!
//! Bounded work: at most [`MAX_SPANS`] spans for one call, at most 2^23 bytes of text read, and no loop over
//! a count that is not capped.

use super::transfer::MAX_TRANSFER;
use super::{Direction, Fault, Length, Row, Shape, Span, UserMemory};
use crate::addr::{PAGE_SIZE, USER_END};

/// Most spans that one call is expanded to. The kernel's own limits (1024 messages of 1024 `iovec`s) are
/// beyond what could be pinned; what is not reported is left to the kernel's EFAULT.
pub const MAX_SPANS: u32 = 1 << 16;

/// Most bytes of text followed for one call: what execve takes for arguments and environment, and some.
const MAX_TEXT: u64 = 8 << 20;
/// Addresses below this are numbers, not pointers: the kernel lets nobody map there (`vm.mmap_min_addr`), and
/// flags and descriptors are small.
const LOWEST_POINTER: u64 = PAGE_SIZE;
/// `MAX_ARG_STRLEN`: the most bytes in one string of execve.
const MAX_ARGUMENT: u32 = 32 * 4096;
/// `PATH_MAX`.
const PATH_MAX: u32 = 4096;
/// Bytes of text read at once.
const TEXT_PIECE: u64 = 256;

/// Names every run of memory that the kernel touches for the call `row` with `args`, following nested
/// structures in `memory`.
///
/// Runs are named pointer by pointer and may overlap. Null pointers (and the numbers of the first page, which
/// are none) and empty buffers are skipped; a length that reaches past [`USER_END`] is cut there, and one
/// over the kernel's transfer limit is cut to that.
///
/// # Errors
/// The first [`Fault`] of `memory`. Everything else has been named all the same, up to the fault and for the
/// other pointers, so the call can be made: the kernel then answers what it would have answered, which need
/// not be EFAULT.
pub fn buffers(
    row: &Row,
    args: &[u64; 6],
    memory: &mut impl UserMemory,
    found: &mut impl FnMut(Span),
) -> Result<(), Fault> {
    let mut walk = Walk { args, memory, found, spans_left: MAX_SPANS, text_left: MAX_TEXT };
    let mut outcome = Ok(());
    for pointer in row.pointers {
        outcome = outcome.and(walk.shape(pointer.argument, pointer.shape));
    }
    outcome
}

/// The safety net for calls without a row: the page's worth of bytes at each argument that could be a
/// pointer.
///
/// The direction is `InOut`, because a page that is only readable would still make the kernel answer EFAULT
/// when it writes; as everywhere, that asks for writing only where the area allows it, so constant memory
/// stays as it is. Bytes past the first 4096 are not guessed: where the kernel still answers EFAULT the
/// caller may try wider.
pub fn unknown_buffers(args: &[u64; 6], found: &mut impl FnMut(Span)) {
    for &addr in args {
        if let Some(span) = span(addr, PAGE_SIZE, Direction::InOut) {
            found(span);
        }
    }
}

/// The part of a run that user memory can hold; `None` for null, for numbers that are no pointers, and where
/// nothing is left.
fn span(addr: u64, len: u64, direction: Direction) -> Option<Span> {
    if !(LOWEST_POINTER..USER_END).contains(&addr) || len == 0 {
        return None;
    }
    Some(Span { addr, len: len.min(USER_END - addr), direction })
}

/// One call's expansion under way.
pub(super) struct Walk<'a, M, F> {
    pub(super) args: &'a [u64; 6],
    memory: &'a mut M,
    found: &'a mut F,
    spans_left: u32,
    text_left: u64,
}

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    /// The argument, or 0 for an index that no call has.
    pub(super) fn arg(&self, index: u8) -> u64 {
        self.args.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// The argument as the kernel sees it where its type is `int` or `unsigned int`.
    pub(super) fn int(&self, index: u8) -> u32 {
        self.arg(index) as u32
    }

    /// Names a run, cut to what user memory can hold.
    pub(super) fn touch(&mut self, addr: u64, len: u64, direction: Direction) {
        if self.exhausted() {
            return;
        }
        // Empty ones count too, so that a million of them is not a million turns.
        self.spans_left -= 1;
        if let Some(span) = span(addr, len.min(MAX_TRANSFER), direction) {
            (self.found)(span);
        }
    }

    /// Whether no more spans may be named.
    pub(super) fn exhausted(&self) -> bool {
        self.spans_left == 0
    }

    /// `N` bytes of the program's memory.
    pub(super) fn bytes<const N: usize>(&mut self, addr: u64) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.read(addr, &mut bytes)?;
        Ok(bytes)
    }

    /// The `u32` at an address.
    pub(super) fn u32_at(&mut self, addr: u64) -> Result<u32, Fault> {
        self.bytes(addr).map(u32::from_le_bytes)
    }

    /// The `u64` at an address.
    pub(super) fn u64_at(&mut self, addr: u64) -> Result<u64, Fault> {
        self.bytes(addr).map(u64::from_le_bytes)
    }

    fn read(&mut self, addr: u64, into: &mut [u8]) -> Result<(), Fault> {
        let end = addr.checked_add(into.len() as u64).ok_or(Fault { addr })?;
        if end > USER_END {
            return Err(Fault { addr });
        }
        self.memory.read(addr, into)
    }

    fn shape(&mut self, argument: u8, shape: Shape) -> Result<(), Fault> {
        let addr = self.arg(argument);
        if addr < LOWEST_POINTER && !shape.looks_at_other_arguments() {
            return Ok(());
        }
        match shape {
            Shape::Buffer(direction, length) => self.buffer(addr, direction, length)?,
            Shape::Path => self.text(addr, PATH_MAX)?,
            Shape::Text(max) => self.text(addr, max)?,
            Shape::StringVector => self.string_vector(addr)?,
            Shape::IoVec(direction, count) => self.iovec(addr, self.arg(count), Some(direction))?,
            Shape::IoVecArray(count) => self.iovec(addr, self.arg(count), None)?,
            Shape::MsgHdr(direction) => self.msghdr(addr, direction)?,
            Shape::MMsgHdr(direction, count) => self.mmsghdr(addr, self.int(count), direction)?,
            Shape::FdSet(nfds) => self.fd_set(addr, self.int(nfds)),
            Shape::SockAddrOut(length) => self.sock_addr_out(addr, self.arg(length))?,
            Shape::SockOpt => self.sock_opt(addr)?,
            Shape::Sigset(size) => self.touch(addr, self.arg(size).min(8), Direction::In),
            Shape::SigsetBox => self.sigset_box(addr)?,
            Shape::Sized(direction, offset) => self.sized(addr, direction, offset)?,
            Shape::FileHandle(direction) => self.file_handle(addr, direction)?,
            Shape::CapData(direction) => self.cap_data(addr, direction)?,
            Shape::SigEvent => self.sig_event(addr)?,
            Shape::XattrArgs(direction, size) => self.xattr_args(addr, self.arg(size), direction)?,
            Shape::FsConfig => self.fs_config(addr)?,
            Shape::KexecSegments(count) => self.kexec_segments(addr, self.arg(count))?,
            Shape::MountData => self.touch(addr, PAGE_SIZE, Direction::In),
            other => self.by_command(addr, other)?,
        }
        Ok(())
    }

    /// The shapes that depend on a command, operation or request among the arguments.
    fn by_command(&mut self, addr: u64, shape: Shape) -> Result<(), Fault> {
        match shape {
            Shape::FutexWaiters(count) => self.futex_waiters(addr, self.int(count)),
            Shape::FutexRequeue => self.futex_waiters(addr, 2),
            Shape::Futex => {
                self.futex();
                Ok(())
            }
            Shape::Ioctl => self.ioctl(addr),
            Shape::Fcntl => {
                self.fcntl(addr);
                Ok(())
            }
            Shape::Prctl => self.prctl(),
            Shape::ArchPrctl => {
                self.arch_prctl(addr);
                Ok(())
            }
            Shape::Ptrace => self.ptrace(addr),
            Shape::Keyctl => self.keyctl(),
            Shape::Bpf => self.bpf(addr),
            Shape::Quotactl(command) => self.quotactl(addr, self.int(command)),
            Shape::ShmCtl => {
                self.shmctl(addr);
                Ok(())
            }
            Shape::MsgCtl => {
                self.msgctl(addr);
                Ok(())
            }
            Shape::SemCtl => {
                self.semctl(addr);
                Ok(())
            }
            Shape::PolicyAddress => {
                self.policy_address(addr);
                Ok(())
            }
            Shape::CloneTid => {
                self.clone_tid(addr);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn buffer(&mut self, addr: u64, direction: Direction, length: Length) -> Result<(), Fault> {
        let len = match length {
            Length::Fixed(bytes) => u64::from(bytes),
            Length::Arg(index) => self.arg(index),
            Length::UpTo(index, most) => self.arg(index).min(u64::from(most)),
            Length::Int(index, most) => u64::from(self.int(index).min(most)),
            // Counts are `int` or small: a negative one is an error before memory is touched.
            Length::ArgTimes(index, size) => count(self.arg(index)) * u64::from(size),
            Length::ArgPlus(index, header) => self.arg(index).saturating_add(u64::from(header)),
            Length::Pointed(index) => self.pointed(index)?,
            Length::Bits(index) => self.arg(index).div_ceil(64).saturating_mul(8).min(PAGE_SIZE),
            Length::Pages(index) => self.arg(index).div_ceil(PAGE_SIZE),
        };
        self.touch(addr, len, direction);
        Ok(())
    }

    /// The length that an argument points at; 0 where it does not.
    fn pointed(&mut self, index: u8) -> Result<u64, Fault> {
        match self.arg(index) {
            0 => Ok(0),
            at => Ok(count(u64::from(self.u32_at(at)?))),
        }
    }

    /// A text and its NUL, at most `max` bytes. The part before a fault is named.
    pub(super) fn text(&mut self, addr: u64, max: u32) -> Result<(), Fault> {
        if addr < LOWEST_POINTER {
            return Ok(());
        }
        let (length, outcome) = self.text_length(addr, max);
        self.touch(addr, length, Direction::In);
        outcome
    }

    /// How many bytes of text stand at `addr`, with the NUL, and whether that is where it ends or reading
    /// failed.
    fn text_length(&mut self, addr: u64, max: u32) -> (u64, Result<(), Fault>) {
        let max = u64::from(max).min(self.text_left);
        let mut length = 0;
        let mut outcome = Ok(());
        while length < max {
            let at = addr + length;
            let piece = (TEXT_PIECE - at % TEXT_PIECE).min(max - length);
            let mut bytes = [0; TEXT_PIECE as usize];
            let bytes = &mut bytes[..piece as usize];
            outcome = self.read(at, bytes);
            if outcome.is_err() {
                break;
            }
            if let Some(end) = bytes.iter().position(|&byte| byte == 0) {
                length += end as u64 + 1;
                break;
            }
            length += piece;
        }
        self.text_left -= length;
        (length, outcome)
    }

    /// The texts of a vector, and the vector with the null at its end. Texts that lie one behind the other,
    /// as they mostly do, are one run.
    fn string_vector(&mut self, addr: u64) -> Result<(), Fault> {
        let mut pointers = 0;
        let mut run = addr..addr;
        let mut outcome = Ok(());
        while outcome.is_ok() && self.text_left >= 8 && !self.exhausted() {
            self.text_left -= 8;
            let text = match self.u64_at(addr.saturating_add(pointers * 8)) {
                Ok(text) => text,
                Err(fault) => {
                    outcome = Err(fault);
                    break;
                }
            };
            pointers += 1;
            if text == 0 {
                break;
            }
            let (length, ended) = self.text_length(text, MAX_ARGUMENT);
            outcome = ended;
            if text != run.end {
                self.touch(run.start, run.end - run.start, Direction::In);
                run = text..text;
            }
            run.end += length;
        }
        self.touch(run.start, run.end - run.start, Direction::In);
        self.touch(addr, pointers * 8, Direction::In);
        outcome
    }
}

/// A count as the kernel takes it: the lower 32 bits, and nothing where that is negative as an `int`.
pub(super) fn count(argument: u64) -> u64 {
    u64::try_from(argument as u32 as i32).unwrap_or(0)
}

/// The `u32` at an offset of a structure that has been read; 0 past its end.
pub(super) fn u32_of(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|from| from.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

/// The `u64` at an offset of a structure that has been read; 0 past its end.
pub(super) fn u64_of(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(|from| from.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

impl Shape {
    /// Whether a null in this argument leaves other arguments to look at.
    const fn looks_at_other_arguments(self) -> bool {
        matches!(self, Shape::Futex | Shape::Prctl | Shape::Keyctl | Shape::Ptrace)
    }
}
