//! Reading and writing, and when the answer is due.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::Service;
use super::handles::{Body, CountedFile, Handle, HandleId};
use crate::accounting::{Answered, Outcome};
use crate::filesystem::FsError;
use crate::filesystem::extent::{clip_read, clip_write};
use crate::throttle::{Direction, Nanos};

/// A read or write that is done but not yet answered. Count it by [`Transfer::finish`] right before the answer.
#[derive(Debug)]
#[must_use = "a transfer that is not finished is not counted"]
pub struct Transfer {
    outcome: Result<usize, FsError>,
    count: Option<Count>,
    due: Option<Nanos>,
}

#[derive(Debug)]
struct Count {
    file: Arc<CountedFile>,
    direction: Direction,
    offset: u64,
    service_ns: u64,
    served: Nanos,
}

impl Transfer {
    /// When the answer may be sent; `None` for at once.
    pub fn due(&self) -> Option<Nanos> {
        self.due
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
            let wait_ns = self.due.map(|_| now.before(count.served).0);
            count.file.account.record(&Answered {
                direction: count.direction,
                offset: count.offset,
                outcome: self.outcome.as_ref().map_or(Outcome::Failed, |bytes| Outcome::Bytes(*bytes as u64)),
                service_ns: count.service_ns,
                wait_ns,
            });
        }
        self.outcome
    }

    fn uncounted(outcome: Result<usize, FsError>) -> Self {
        Transfer { outcome, count: None, due: None }
    }
}

impl Service {
    /// Reads at `offset` into `buffer`. The transfer says how much of it counts.
    pub fn read(&self, handle: HandleId, offset: u64, buffer: &mut [u8]) -> Transfer {
        match self.handles.find(handle) {
            Ok(Handle::Counted(file)) => {
                self.transfer(file, Direction::Read, offset, |body| self.fill(body, offset, buffer))
            }
            Ok(Handle::Text(text)) => Transfer::uncounted(Ok(copy_text(&text, offset, buffer))),
            Ok(Handle::Directory(_)) => Transfer::uncounted(Err(FsError::IsADirectory)),
            Err(error) => Transfer::uncounted(Err(error)),
        }
    }

    /// Writes `data` at `offset`, as much of it as fits.
    pub fn write(&self, handle: HandleId, offset: u64, data: &[u8]) -> Transfer {
        match self.handles.counted(handle) {
            Ok(file) => self.transfer(file, Direction::Write, offset, |body| self.drain(body, offset, data)),
            Err(error) => Transfer::uncounted(Err(error)),
        }
    }

    fn transfer(
        &self,
        file: Arc<CountedFile>,
        direction: Direction,
        offset: u64,
        perform: impl FnOnce(&Body) -> Result<usize, FsError>,
    ) -> Transfer {
        let arrived = self.clock.now();
        let outcome = perform(&file.body);
        let served = self.clock.now();
        let bytes = *outcome.as_ref().unwrap_or(&0) as u64;
        let due = file.rule.map(|rule| self.throttle.lock().plan(rule, arrived, direction, bytes));
        let due = due.filter(|due| *due > arrived);
        let service_ns = served.before(arrived).0;
        Transfer { outcome, count: Some(Count { file, direction, offset, service_ns, served }), due }
    }

    fn fill(&self, body: &Body, offset: u64, buffer: &mut [u8]) -> Result<usize, FsError> {
        match body {
            Body::Image { image } => Ok(read_up_to(&image.file, buffer, offset)?),
            Body::Swap(index) => {
                let store = self.swap(*index);
                let extent = clip_read(store.size_bytes(), offset, buffer.len());
                store.read_at(&mut buffer[..extent.len], offset)?;
                Ok(extent.len)
            }
        }
    }

    fn drain(&self, body: &Body, offset: u64, data: &[u8]) -> Result<usize, FsError> {
        let Body::Swap(index) = body else { return Err(FsError::ReadOnly) };
        let store = self.swap(*index);
        let extent = clip_write(store.size_bytes(), offset, data.len())?;
        store.write_at(&data[..extent.len], offset)?;
        Ok(extent.len)
    }
}

/// Fills `buffer`, or as much of it as the file has left.
fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn copy_text(text: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|offset| text.get(offset..)).unwrap_or_default();
    let bytes = rest.len().min(buffer.len());
    buffer[..bytes].copy_from_slice(&rest[..bytes]);
    bytes
}
