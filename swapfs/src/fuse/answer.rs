//! Sending the answer of a transfer: at once, or when the throttle lets it go.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fuser::{ReplyData, ReplyWrite, ReplyXattr};

use super::adapter::Adapter;
use super::convert::errno;
use crate::filesystem::FsError;
use crate::service::Transfer;
use crate::throttle::Nanos;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs `use_it` with this thread's buffer, which is at least `bytes` long for it.
pub(super) fn with_buffer(bytes: usize, use_it: impl FnOnce(&mut [u8])) {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < bytes {
            buffer.resize(bytes, 0);
        }
        use_it(&mut buffer[..bytes]);
    });
}

/// Runs one handler. If it panics, its reply is dropped on the way, which answers EIO, and this thread goes
/// on serving. (Where panics abort, as in this workspace's own profiles, the kernel answers all clients as
/// the process ends.)
pub(super) fn guarded(handler: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(handler)).is_err() {
        tracing::error!("a request handler panicked; its client got an I/O error; please report this");
    }
}

impl Adapter {
    pub(super) fn answer_read(&self, transfer: Transfer, buffer: &[u8], reply: ReplyData) {
        match transfer.ticket() {
            None => send_data(transfer, self.clock.now(), buffer, reply),
            Some(ticket) => {
                let (data, clock) = (buffer[..transfer.bytes()].to_vec(), self.clock);
                self.service.leave(ticket, Box::new(move || send_data(transfer, clock.now(), &data, reply)));
            }
        }
    }

    pub(super) fn answer_write(&self, transfer: Transfer, reply: ReplyWrite) {
        match transfer.ticket() {
            None => send_written(transfer, self.clock.now(), reply),
            Some(ticket) => {
                let clock = self.clock;
                self.service.leave(ticket, Box::new(move || send_written(transfer, clock.now(), reply)));
            }
        }
    }
}

/// Answers with an extended attribute or a list of them: with its size, where `size` is 0.
pub(super) fn answer_xattr(value: Result<Vec<u8>, FsError>, size: u32, reply: ReplyXattr) {
    match value {
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() > size as usize => reply.error(fuser::Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(error) => reply.error(errno(&error)),
    }
}

fn send_data(transfer: Transfer, now: Nanos, data: &[u8], reply: ReplyData) {
    match transfer.finish(now) {
        Ok(bytes) => reply.data(&data[..bytes]),
        Err(error) => reply.error(errno(&error)),
    }
}

fn send_written(transfer: Transfer, now: Nanos, reply: ReplyWrite) {
    match transfer.finish(now) {
        Ok(bytes) => reply.written(bytes as u32),
        Err(error) => reply.error(errno(&error)),
    }
}
