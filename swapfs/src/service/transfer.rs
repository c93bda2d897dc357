//! Reading and writing, and when the answer is due.

use std::sync::Arc;

use super::handles::{Body, CountedFile, Handle, HandleId};
use super::{Books, Service};
use crate::accounting::{Answered, Occasion, Order, ProcessAccount};
use crate::faults::{Failure, Verdict};
use crate::filesystem::FsError;
use crate::filesystem::extent::{clip_read, clip_write};
use crate::gate::{Admission, Who};
use crate::throttle::{Direction, Nanos, Request, Ticket};
use crate::trace::{Event, Happening, Operation};

/// A read or write that is done but not yet answered. Count it by [`Transfer::finish`] right before the
/// answer.
#[derive(Debug)]
#[must_use = "a transfer that is not finished is not counted"]
pub struct Transfer {
    outcome: Result<usize, FsError>,
    count: Option<Count>,
    admission: Admission,
}

#[derive(Debug)]
struct Count {
    under_way: UnderWay,
    request: Request,
    order: Order,
    served: Nanos,
}

/// A request that arrived and is not answered. It leaves all queue depths when dropped.
#[derive(Debug)]
struct UnderWay {
    books: Arc<Books>,
    file: Arc<CountedFile>,
    process: Arc<ProcessAccount>,
    /// Of the whole mount.
    depth: u64,
}

impl UnderWay {
    fn arrive(books: Arc<Books>, file: Arc<CountedFile>, tid: u32) -> Self {
        let process = books.ledger.processes().account(tid, Occasion::Request);
        file.account.depth().arrive();
        process.depth().arrive();
        let depth = books.ledger.depth().arrive();
        UnderWay { books, file, process, depth }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.file.account.depth().leave();
        self.process.depth().leave();
        self.books.ledger.depth().leave();
    }
}

impl Count {
    fn write_down(&self, outcome: &Result<usize, FsError>, wait_ns: Option<u64>) {
        let UnderWay { books, file, process, depth } = &self.under_way;
        let errno = outcome.as_ref().err().map_or(0, FsError::errno);
        let service_ns = self.served.before(self.request.arrived).0;
        let answered = Answered { request: self.request, order: self.order, errno, service_ns, wait_ns };
        file.account.record(&answered);
        process.record(&answered);
        books.tracers.record(|| Event {
            what: Happening::Transfer(answered),
            depth: *depth,
            process: process.clone(),
            account: file.account.clone(),
        });
    }
}

impl Transfer {
    /// With what to leave the answer, if it has to wait.
    pub fn ticket(&self) -> Option<Ticket> {
        match self.admission {
            Admission::Held(ticket) => Some(ticket),
            Admission::Free | Admission::Served => None,
        }
    }

    /// How many bytes there are to answer with.
    pub fn bytes(&self) -> usize {
        *self.outcome.as_ref().unwrap_or(&0)
    }

    /// Counts the transfer as answered at `now`, and returns what it came to.
    ///
    /// # Errors
    /// The transfer's own.
    pub fn finish(self, now: Nanos) -> Result<usize, FsError> {
        if let Some(count) = &self.count {
            let has_waited = self.admission != Admission::Free;
            count.write_down(&self.outcome, has_waited.then(|| now.before(count.served).0));
        }
        self.outcome
    }

    fn uncounted(outcome: Result<usize, FsError>) -> Self {
        Transfer { outcome, count: None, admission: Admission::Free }
    }
}

impl Service {
    /// Reads at `offset` into `buffer` for the thread `tid`. The transfer says how much of it counts.
    pub fn read(&self, tid: u32, handle: HandleId, offset: u64, buffer: &mut [u8]) -> Transfer {
        match self.handles.find(handle) {
            Ok(Handle::Counted(file)) => {
                let asked = (Direction::Read, offset, buffer.len());
                self.transfer(file, tid, asked, |body, verdict| {
                    self.fill_with_faults(body, offset, buffer, verdict)
                })
            }
            Ok(Handle::Trace(ring)) => Transfer::uncounted(Ok(ring.read(buffer))),
            Ok(Handle::Command(answer) | Handle::Rules(answer) | Handle::Faults(answer)) => {
                Transfer::uncounted(Ok(copy_text(answer.read().as_bytes(), offset, buffer)))
            }
            Ok(Handle::Text(text)) => Transfer::uncounted(Ok(copy_text(&text, offset, buffer))),
            Ok(Handle::Directory(_)) => Transfer::uncounted(Err(FsError::IsADirectory)),
            Err(error) => Transfer::uncounted(Err(error)),
        }
    }

    /// Writes `data` at `offset` for the thread `tid`, as much of it as fits; or takes it as a command.
    pub fn write(&self, tid: u32, handle: HandleId, offset: u64, data: &[u8]) -> Transfer {
        match self.handles.find(handle) {
            Ok(Handle::Counted(file)) => {
                let asked = (Direction::Write, offset, data.len());
                self.transfer(file, tid, asked, |body, _| Self::drain(body, offset, data))
            }
            Ok(Handle::Command(answer)) => Transfer::uncounted(self.command(&answer, data)),
            Ok(Handle::Rules(answer)) => Transfer::uncounted(self.set_rules(&answer, data)),
            Ok(Handle::Faults(answer)) => Transfer::uncounted(self.set_faults(&answer, data)),
            Ok(_) => Transfer::uncounted(Err(FsError::BadHandle)),
            Err(error) => Transfer::uncounted(Err(error)),
        }
    }

    fn transfer(
        &self,
        file: Arc<CountedFile>,
        thread: u32,
        (direction, offset, asked): (Direction, u64, usize),
        perform: impl FnOnce(&Body, &Verdict) -> Result<usize, FsError>,
    ) -> Transfer {
        let arrived = self.clock.now();
        let under_way = UnderWay::arrive(self.books.clone(), file.clone(), thread);
        let process = &under_way.process;
        if self.throttle_wants.cgroups() || self.fault_wants.cgroups() {
            process.learn_cgroups();
        }
        let verdict = match self.fault_wants.any() {
            true => {
                let (path, names) = (file.account.path(), process.names());
                self.faults.lock().judge(path, &names.client(), direction, asked)
            }
            false => Verdict::default(),
        };
        let outcome = match verdict.failure {
            Some(Failure::Io) => Err(FsError::IoOnPurpose),
            Some(Failure::NoSpace) => Err(FsError::NoSpaceOnPurpose),
            None => perform(&file.body, &verdict),
        };
        let served = self.clock.now();
        let (bytes, asked) = (*outcome.as_ref().unwrap_or(&0) as u64, asked as u64);
        let (ino, pid, way, owed) = (file.account.ino(), process.pid(), Nanos(0), Nanos(0));
        let request = Request { file: ino, pid, thread, direction, offset, asked, bytes, arrived, way, owed };
        let admission = match self.throttle_wants.any() || verdict.hang > Nanos(0) {
            true => {
                let (account, known) = (file.account.clone(), file.known.clone());
                let who = Who { account, process: process.clone(), known };
                self.gate.admit(&who, request, verdict.hang)
            }
            false => Admission::Free,
        };
        let order = file.ends.order(direction, offset, bytes);
        let count = Count { under_way, request, order, served };
        Transfer { outcome, count: Some(count), admission }
    }

    /// Writes down something other than a transfer.
    pub(super) fn note(&self, file: &CountedFile, process: &Arc<ProcessAccount>, operation: Operation) {
        self.books.tracers.record(|| Event {
            what: Happening::Other(operation, self.clock.now()),
            depth: self.books.ledger.depth().figures().now,
            process: process.clone(),
            account: file.account.clone(),
        });
    }

    fn fill_with_faults(
        &self,
        body: &Body,
        offset: u64,
        buffer: &mut [u8],
        verdict: &Verdict,
    ) -> Result<usize, FsError> {
        let most = verdict.most_bytes.unwrap_or(buffer.len()).min(buffer.len());
        let bytes = Self::fill(body, offset, &mut buffer[..most])?;
        if verdict.is_by_a_rule() {
            self.faults.lock().corrupt(verdict, &mut buffer[..bytes]);
        }
        Ok(bytes)
    }

    fn fill(body: &Body, offset: u64, buffer: &mut [u8]) -> Result<usize, FsError> {
        match body {
            Body::Image { image } => Ok(image.read_at(buffer, offset)?),
            Body::Swap(swap) => {
                let store = &swap.store;
                let extent = clip_read(store.size_bytes(), offset, buffer.len());
                store.read_at(&mut buffer[..extent.len], offset)?;
                Ok(extent.len)
            }
        }
    }

    fn drain(body: &Body, offset: u64, data: &[u8]) -> Result<usize, FsError> {
        let Body::Swap(swap) = body else { return Err(FsError::ReadOnly) };
        let store = &swap.store;
        let extent = clip_write(store.size_bytes(), offset, data.len())?;
        store.write_at(&data[..extent.len], offset)?;
        Ok(extent.len)
    }
}

fn copy_text(text: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|offset| text.get(offset..)).unwrap_or_default();
    let bytes = rest.len().min(buffer.len());
    buffer[..bytes].copy_from_slice(&rest[..bytes]);
    bytes
}
