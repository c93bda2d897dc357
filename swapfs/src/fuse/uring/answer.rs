//! Serving one request that came on a ring.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustix::io::Errno;

use super::requests::{self, Kind, Reply};
use crate::fuse::adapter::Adapter;
use crate::sys::entry::Entry;
use crate::sys::rings::Mailbox;

/// Serves a request; gives it back if it is answered. If the handler panics, its client gets EIO, and this
/// thread goes on.
pub(super) fn answer(adapter: &Adapter, mut request: Entry, mailbox: &Arc<Mailbox>) -> Option<Entry> {
    let reply = catch_unwind(AssertUnwindSafe(|| adapter.serve(&mut request))).unwrap_or_else(|_| {
        tracing::error!("a request handler panicked; its client got an I/O error; please report this");
        Reply::Now(Err(Errno::IO.raw_os_error()))
    });
    let clock = adapter.clock;
    match reply {
        Reply::Now(answer) => request.answer(answer),
        Reply::Transfer(transfer, kind) => match transfer.ticket() {
            None => requests::finish(transfer, kind, clock.now(), &mut request),
            Some(ticket) => {
                if kind == Kind::Written {
                    // What was written need not wait.
                    request.shrink();
                }
                let late = Late { request: Some(request), mailbox: mailbox.clone() };
                let send =
                    move || late.send(|request| requests::finish(transfer, kind, clock.now(), request));
                adapter.service.leave(ticket, Box::new(send));
                return None;
            }
        },
    }
    Some(request)
}

/// A request that is answered later, from another thread; with an I/O error if it never is.
#[derive(Debug)]
struct Late {
    request: Option<Entry>,
    mailbox: Arc<Mailbox>,
}

impl Late {
    fn send(mut self, finish: impl FnOnce(&mut Entry)) {
        if let Some(mut request) = self.request.take() {
            finish(&mut request);
            self.mailbox.post(request);
        }
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        if let Some(mut request) = self.request.take() {
            request.answer(Err(Errno::IO.raw_os_error()));
            self.mailbox.post(request);
        }
    }
}
