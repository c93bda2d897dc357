//! A thread with a ring: takes requests, has them served, hands the answers over.
//!
//! An entry is away while its request is served or waits at the gate. Where more than half of a queue's
//! entries are away, the kernel is given more, so that who waits never keeps others from being seen. Those
//! that came while none was left stay in the kernel's queue until an entry is committed: where nothing else
//! is, a request of no effect is made for that (`FUSE_NOTIFY_RETRIEVE` of no bytes).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rustix::io::Errno;

use super::answer::answer;
use super::pool::{Door, Strain, Task};
use super::wire;
use crate::filesystem::Ino;
use crate::fuse::adapter::{Adapter, MAX_REQUEST_BYTES};
use crate::sys::entry::Entry;
use crate::sys::rings::{Arrival, Mailbox, Ring};

/// Entries of a queue to begin with, and at most: as many as there may be background requests.
const FIRST_ENTRIES: usize = 16;
const MOST_ENTRIES: usize = 1 << 16;

/// What a thread serves.
#[derive(Debug)]
pub(super) struct Server {
    adapter: Adapter,
    ring: Ring,
    queues: Vec<Queue>,
    door: Door,
    strain: Arc<Strain>,
    /// Those committed since the last wait that others had answered: their memory may go.
    waited: Vec<usize>,
    /// The entry of the first queue that was committed last since the last wait.
    committed: Option<usize>,
    /// How many times the kernel was asked for a request of no effect.
    calls: u64,
}

#[derive(Debug)]
struct Queue {
    number: u16,
    entries: usize,
    away: usize,
    /// Made beforehand, to be registered first.
    first: Vec<Entry>,
    backlog: Backlog,
    /// The file of the request that went to wait, or to a helper, last: the kernel knows it while that waits.
    file: Ino,
}

/// What may stand in the kernel's queue without an entry to come with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backlog {
    None,
    /// All entries may have been away for a moment.
    Possible,
    /// A request of no effect is on its way.
    Called,
}

impl Queue {
    fn new(number: usize) -> io::Result<Self> {
        let number = u16::try_from(number).map_err(|_| io::Error::from(Errno::OVERFLOW))?;
        let first = Entry::allocate(number, FIRST_ENTRIES, MAX_REQUEST_BYTES as usize)?;
        Ok(Queue { number, entries: 0, away: 0, first, backlog: Backlog::None, file: Ino(0) })
    }
}

impl Server {
    /// Takes what it will need.
    pub(super) fn new(adapter: Adapter, queues: &[usize], door: Door) -> io::Result<Self> {
        let ring = Ring::new()?;
        let queues = queues.iter().map(|number| Queue::new(*number)).collect::<io::Result<_>>()?;
        Ok(Server {
            adapter,
            ring,
            queues,
            door,
            strain: Arc::default(),
            waited: vec![],
            committed: None,
            calls: 0,
        })
    }

    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        self.ring.mailbox()
    }

    /// Serves the connection until it ends.
    pub(super) fn run(mut self, connection: &OwnedFd, started: &Sender<io::Result<()>>) {
        let result = self.register(connection);
        let failed = result.is_err();
        let _ = started.send(result);
        if failed {
            return;
        }
        if let Err(error) = self.serve(connection) {
            tracing::error!(
                "a ring cannot go on: {error}; its requests stay unanswered until the mount is gone"
            );
        }
    }

    fn register(&mut self, connection: &OwnedFd) -> io::Result<()> {
        self.ring.serve(connection)?;
        for queue in &mut self.queues {
            for entry in queue.first.drain(..) {
                self.ring.register(entry)?;
                queue.entries += 1;
            }
        }
        self.ring.refusal().map_or(Ok(()), Err)
    }

    fn serve(&mut self, connection: &OwnedFd) -> io::Result<()> {
        let mailbox = self.ring.mailbox();
        while !mailbox.is_stopped() {
            self.ring.wait()?;
            let asks_for_idle = self.committed.is_some() && self.queues[0].backlog == Backlog::Possible;
            if asks_for_idle || !self.waited.is_empty() {
                self.ring.settle()?;
            }
            self.see_backlog();
            self.release_memory();
            while let Some(arrival) = self.ring.next() {
                match arrival {
                    Arrival::Request(request) => self.take(request, &mailbox)?,
                    Arrival::Mail => self.take_answers(&mailbox)?,
                    Arrival::Ended => return Ok(()),
                }
                if self.ring.has_more() {
                    // Its client need not wait for what the next one asks.
                    self.ring.submit()?;
                }
            }
            self.call_backlog(connection);
        }
        Ok(())
    }

    /// A request has come.
    fn take(&mut self, request: Entry, mailbox: &Arc<Mailbox>) -> io::Result<()> {
        let number = request.queue();
        let wire::Header { opcode, ino, .. } = wire::Header::decode(request.header());
        let is_call = opcode == wire::opcode::NOTIFY_REPLY;
        let queue = self.queue(number);
        queue.away += 1;
        if is_call {
            queue.backlog = Backlog::Possible;
        }
        if !is_call && self.strain.is_next_suspected() {
            let (mailbox, strain) = (mailbox.clone(), self.strain.clone());
            self.door.hand_in(Task { request, mailbox, strain });
            if matches!(opcode, wire::opcode::READ | wire::opcode::WRITE) {
                self.queue(number).file = ino;
            }
            return self.grow(number);
        }
        let clock = self.adapter.clock;
        let began = clock.now();
        let answered = answer(&self.adapter, request, mailbox);
        self.strain.took(clock.now().before(began));
        match answered {
            Some(answered) => self.commit(answered).map(|_| ()),
            None => {
                self.queue(number).file = ino;
                self.grow(number)
            }
        }
    }

    /// Hands over what others have answered.
    fn take_answers(&mut self, mailbox: &Mailbox) -> io::Result<()> {
        for answered in mailbox.take() {
            let is_grown = self.queue(answered.queue()).entries > FIRST_ENTRIES;
            let number = self.commit(answered)?;
            if is_grown {
                self.waited.push(number);
            }
        }
        Ok(())
    }

    fn commit(&mut self, answered: Entry) -> io::Result<usize> {
        self.queue(answered.queue()).away -= 1;
        let is_home = self.queues[0].number == answered.queue();
        let number = self.ring.commit(answered)?;
        if is_home {
            self.committed = Some(number);
        }
        Ok(number)
    }

    /// Gives back what a crowd took that has gone.
    fn release_memory(&mut self) {
        for number in self.waited.drain(..) {
            self.ring.shrink(number);
        }
    }

    /// Gives the kernel as many entries again where more than half of a queue's are away.
    fn grow(&mut self, number: u16) -> io::Result<()> {
        let queue = self.queue(number);
        if queue.away * 2 <= queue.entries {
            return Ok(());
        }
        // A call that is on its way may itself stand in the kernel's queue, where it found no entry.
        queue.backlog = Backlog::Possible;
        if queue.entries >= MOST_ENTRIES {
            return Ok(());
        }
        let entries = match Entry::allocate(number, queue.entries, MAX_REQUEST_BYTES as usize) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(
                    "no room for more than {} requests of a processor at once: {error}",
                    queue.entries
                );
                return Ok(());
            }
        };
        for entry in entries {
            self.ring.register(entry)?;
            self.queue(number).entries += 1;
        }
        // New ones take nothing from the kernel's queue, and may have the number of one that did.
        self.committed = None;
        Ok(())
    }

    /// An entry that is committed takes the first of the requests that stand in the kernel's queue; where it
    /// took none, there was none.
    fn see_backlog(&mut self) {
        if let Some(number) = self.committed.take()
            && self.ring.is_idle(number)
            && self.queues[0].backlog == Backlog::Possible
        {
            self.queues[0].backlog = Backlog::None;
        }
    }

    /// Where requests may stand in the kernel's queue though entries are there, has one of them taken. (Only
    /// of the queue of the processor that we run on: the kernel sends the call to that one. Queues of
    /// processors that are not ours wait for the next answer.)
    fn call_backlog(&mut self, connection: &OwnedFd) {
        // What was committed just now is sent with the next wait, and that ends if it takes a request; unless
        // it has come back with one already.
        let is_on_its_way = self.committed.is_some_and(|number| self.ring.has_handed_over(number));
        let home = &mut self.queues[0];
        if home.backlog != Backlog::Possible || home.away == home.entries || is_on_its_way {
            return;
        }
        // Where the kernel has forgotten the file, its requests have been answered, and have taken others
        // along.
        self.calls += 1;
        if rustix::io::write(connection, &wire::call(home.file, self.calls)).is_ok() {
            home.backlog = Backlog::Called;
        }
    }

    fn queue(&mut self, number: u16) -> &mut Queue {
        let at = self.queues.iter().position(|queue| queue.number == number).unwrap_or(0);
        &mut self.queues[at]
    }
}
