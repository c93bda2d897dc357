//! FUSE over io_uring (Linux 6.14): requests come as completions, and an answer is submitted together with
//! the wish for the next request.
//!
//! The kernel has one queue for each possible processor and sends a request to the queue of the processor
//! that its client runs on (`fs/fuse/dev_uring.c`). One [`Ring`] serves some queues and belongs to one
//! thread: others hand their answers over by its [`Mailbox`].

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use io_uring::squeue::Entry128;
use io_uring::{IoUring, cqueue, opcode, types};
use parking_lot::Mutex;
use rustix::event::EventfdFlags;
use rustix::io::Errno;

use super::entry::Entry;

/// `enum fuse_uring_cmd`.
const REGISTER: u32 = 1;
const COMMIT_AND_FETCH: u32 = 2;
/// Of `struct io_uring_sqe`.
const SQE_LEN_AT: usize = 24;
const SUBMISSIONS: u32 = 128;
const COMPLETIONS: u32 = 4096;
/// What stands for the mailbox among the numbers of entries.
const MAIL: u64 = u64::MAX;
/// Where the connection stands in the ring's table of files.
const DEVICE: types::Fixed = types::Fixed(0);

/// A thread's ring.
pub struct Ring {
    uring: IoUring<Entry128, cqueue::Entry>,
    /// Those that the kernel has; the others are with whoever answers.
    entries: Vec<Option<Entry>>,
    vacant: Vec<usize>,
    completed: VecDeque<(u64, i32, u32)>,
    mailbox: Arc<Mailbox>,
    connection: Connection,
}

/// `struct iovec`.
#[repr(C)]
struct IoVec {
    base: *mut u8,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    None,
    Open,
    Ended,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

/// What happened on a ring.
#[derive(Debug)]
pub enum Arrival {
    /// A request has come.
    Request(Entry),
    /// Somebody rang at the mailbox.
    Mail,
    /// The connection is no more.
    Ended,
}

/// Takes answers from other threads for the one that owns the ring.
#[derive(Debug)]
pub struct Mailbox {
    bell: OwnedFd,
    /// A leaf of the lock order.
    answers: Mutex<Vec<Entry>>,
    stopped: AtomicBool,
}

impl Mailbox {
    /// An answer to be sent.
    pub fn post(&self, entry: Entry) {
        self.answers.lock().push(entry);
        self.ring();
    }

    /// The ring's thread is to end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether it is to end.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The answers that came.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.answers.lock())
    }

    /// Fails only where the count of rings overflows, and the owner is awake then.
    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

impl Ring {
    /// A ring for this thread, without entries.
    ///
    /// # Errors
    /// When the kernel gives none: too old, switched off (`kernel.io_uring_disabled`), or forbidden
    /// (seccomp).
    pub fn new() -> io::Result<Self> {
        let uring = IoUring::<Entry128, cqueue::Entry>::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        // Saves looking the descriptor up at each call; without it all goes on.
        let _ = uring.submitter().register_ring_fd();
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mailbox = Arc::new(Mailbox { bell, answers: Mutex::default(), stopped: AtomicBool::new(false) });
        let (entries, vacant, completed) = (vec![], vec![], VecDeque::new());
        let mut ring = Ring { uring, entries, vacant, completed, mailbox, connection: Connection::None };
        ring.listen()?;
        Ok(ring)
    }

    /// Where other threads leave answers.
    pub fn mailbox(&self) -> Arc<Mailbox> {
        self.mailbox.clone()
    }

    /// From now on it serves this connection.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn serve(&mut self, device: &impl AsFd) -> io::Result<()> {
        self.uring.submitter().register_files(&[device.as_fd().as_raw_fd()])?;
        self.connection = Connection::Open;
        Ok(())
    }

    /// Gives the kernel an entry to send requests with.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn register(&mut self, entry: Entry) -> io::Result<()> {
        let vectors = entry.parts().map(|(base, bytes)| IoVec { base: base.as_ptr(), bytes });
        self.hand_over(REGISTER, 0, Some(&vectors), entry)?;
        self.submit()?;
        // The kernel must have read the vectors before they go.
        match self.uring.submission().is_empty() {
            true => Ok(()),
            false => Err(io::Error::from(Errno::BUSY)),
        }
    }

    /// Why the kernel did not take an entry that it was given, if so.
    pub fn refusal(&mut self) -> Option<io::Error> {
        self.look();
        let refused = self.completed.iter().find(|(number, result, _)| *number != MAIL && *result < 0);
        refused.map(|(_, result, _)| io::Error::from_raw_os_error(-result))
    }

    /// Hands the answer over, and takes the next request with the same entry. It is sent by the next
    /// [`Ring::submit`] or [`Ring::wait`]. Gives the entry's number until it comes back.
    ///
    /// # Errors
    /// When the kernel takes no submissions.
    pub fn commit(&mut self, entry: Entry) -> io::Result<usize> {
        self.hand_over(COMMIT_AND_FETCH, entry.commit_id(), None, entry)
    }

    /// Sends what is to be sent.
    ///
    /// # Errors
    /// When the kernel takes no submissions.
    pub fn submit(&mut self) -> io::Result<()> {
        match self.uring.submit() {
            Ok(_) => Ok(()),
            // It will be sent with the next ones.
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next of what has happened, without waiting.
    pub fn next(&mut self) -> Option<Arrival> {
        loop {
            if self.completed.is_empty() {
                self.look();
            }
            let (number, result, flags) = self.completed.pop_front()?;
            if number == MAIL {
                if !cqueue::more(flags) && self.listen().is_err() {
                    return Some(Arrival::Ended);
                }
                return Some(Arrival::Mail);
            }
            let number = number as usize;
            let Some(entry) = self.entries.get_mut(number).and_then(Option::take) else { continue };
            if result >= 0 {
                self.vacant.push(number);
                return Some(Arrival::Request(entry));
            }
            entry.keep_mapped();
            if is_end(result) {
                self.connection = Connection::Ended;
                return Some(Arrival::Ended);
            }
            let error = io::Error::from_raw_os_error(-result);
            tracing::warn!("the kernel gave an entry of queue {} back: {error}", entry.queue());
        }
    }

    fn look(&mut self) {
        self.completed.extend(self.uring.completion().map(|c| (c.user_data(), c.result(), c.flags())));
    }

    /// Gives back the memory of a payload that the kernel has no request in: to be called only after
    /// [`Ring::settle`], with nothing submitted since, when the kernel writes to none, as completions of this
    /// ring are made by its own thread (`IORING_SETUP_DEFER_TASKRUN`).
    pub fn shrink(&mut self, number: usize) {
        if !self.is_idle(number) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(number).and_then(Option::as_mut) {
            entry.shrink();
        }
    }

    /// Whether this entry was handed over to the kernel and has not come back.
    pub fn has_handed_over(&self, number: usize) -> bool {
        self.entries.get(number).is_some_and(Option::is_some)
    }

    /// Whether the kernel has this entry, and no request for it. Sure only after [`Ring::settle`].
    pub fn is_idle(&mut self, number: usize) -> bool {
        self.look();
        let is_handed_over =
            self.uring.submission().is_empty() && self.entries.get(number).is_some_and(Option::is_some);
        is_handed_over && self.completed.iter().all(|(completed, ..)| *completed != number as u64)
    }

    /// Whether something has happened that [`Ring::next`] has not told.
    pub fn has_more(&mut self) -> bool {
        !self.completed.is_empty() || !self.uring.completion().is_empty()
    }

    /// Sends what is to be sent, and waits until something has happened.
    ///
    /// # Errors
    /// When the kernel refuses to.
    pub fn wait(&mut self) -> io::Result<()> {
        match self.uring.submit_and_wait(1) {
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Has the kernel tell all that has happened: it makes at most 20 completions in one wait
    /// (`IO_LOCAL_TW_DEFAULT_MAX`), and what it has not told looks as if it had not happened.
    ///
    /// # Errors
    /// When the kernel refuses to.
    pub fn settle(&mut self) -> io::Result<()> {
        const GETEVENTS: u32 = 1;
        self.look();
        loop {
            let before = self.completed.len();
            // SAFETY: nothing is submitted, and there is no argument to be read.
            match unsafe { self.uring.submitter().enter::<u64>(0, 0, GETEVENTS, None) } {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => self.look(),
            }
            // Each entry completes once until it is handed over again, so this ends.
            if self.completed.len() == before {
                return Ok(());
            }
        }
    }

    fn hand_over(
        &mut self,
        command: u32,
        commit_id: u64,
        vectors: Option<&[IoVec; 2]>,
        entry: Entry,
    ) -> io::Result<usize> {
        // `struct fuse_uring_cmd_req`: flags, commit_id, qid.
        let mut arguments = [0; 80];
        arguments[8..16].copy_from_slice(&commit_id.to_ne_bytes());
        arguments[16..18].copy_from_slice(&entry.queue().to_ne_bytes());
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        let address = vectors.map(|vectors| vectors.as_ptr() as u64);
        let command = opcode::UringCmd80::new(DEVICE, command).cmd(arguments).addr(address).build();
        let mut submission = command.user_data(number as u64);
        if vectors.is_some() {
            set_length(&mut submission, 2);
        }
        self.entries[number] = Some(entry);
        self.push(&submission)?;
        Ok(number)
    }

    fn listen(&mut self) -> io::Result<()> {
        const POLLIN: u32 = 1;
        let bell = types::Fd(self.mailbox.bell.as_raw_fd());
        let poll = opcode::PollAdd::new(bell, POLLIN).multi(true).build().user_data(MAIL);
        self.push(&poll.into())
    }

    fn push(&mut self, submission: &Entry128) -> io::Result<()> {
        for _ in 0..2 {
            // SAFETY: what it points to lives long enough: an entry's memory until the kernel gives it back
            // (`entries`), the vectors until they are read, which is before the submission returns; the bell
            // as long as the mailbox.
            if unsafe { self.uring.submission().push(submission) }.is_ok() {
                return Ok(());
            }
            self.submit()?;
        }
        Err(io::Error::from(Errno::BUSY))
    }
}

impl Drop for Ring {
    /// Where the connection still stands, the kernel may yet write to the entries: their memory stays.
    fn drop(&mut self) {
        if self.connection == Connection::Open {
            self.entries.iter().flatten().for_each(Entry::keep_mapped);
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INTR | Errno::AGAIN | Errno::BUSY))
}

fn is_end(result: i32) -> bool {
    let errno = Errno::from_raw_os_error(-result);
    matches!(errno, Errno::NOTCONN | Errno::CONNABORTED | Errno::CANCELED | Errno::NODEV)
}

/// The number of vectors that an address stands for, which the builder cannot be told.
fn set_length(submission: &mut Entry128, length: u32) {
    const { assert!(size_of::<Entry128>() == 128) };
    // SAFETY: `Entry128` is laid out as `struct io_uring_sqe` (`repr(C)`, 128 bytes), which has its `len`
    // there, aligned to four bytes.
    unsafe { std::ptr::from_mut(submission).cast::<u8>().add(SQE_LEN_AT).cast::<u32>().write(length) };
}
