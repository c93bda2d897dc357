//! What answers requests, whichever way they come, and what several kinds of request need of it.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fuser::{FileAttr, INodeNo, InitFlags, KernelConfig};

use super::convert::{errno, file_attr, file_type, no_such_file, only_listed};
use crate::clock::Clock;
use crate::control;
use crate::filesystem::caching::IMAGE_TTL;
use crate::filesystem::inode::SWAP;
use crate::filesystem::{FsError, Ino};
use crate::service::{DirectoryEntry, Entry, Service};
use crate::wake::Wakes;

/// The largest request that the kernel may send; it allows no more (`/proc/sys/fs/fuse/max_pages_limit`).
pub(super) const MAX_REQUEST_BYTES: u32 = 1 << 20;

/// Serves a mount's requests.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(super) service: Arc<Service>,
    pub(super) wakes: Arc<Wakes>,
    pub(super) clock: Clock,
    pub(super) over_uring: OverUring,
    /// Whether the kernel said yes to that, in its first request.
    granted: Arc<AtomicBool>,
}

/// Whether the kernel is asked to send requests over io_uring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverUring {
    /// It is, and there is no mount where it does not offer that.
    Required,
    /// It is, where it offers that.
    IfOffered,
    /// All go over `/dev/fuse`.
    No,
}

/// What a listing says of a name besides.
pub(super) enum Seen {
    /// It is the directory itself, or the one above.
    Itself,
    /// It was looked up for the listing.
    Found(Entry),
    /// It has gone meanwhile; readers pass over number 0.
    Gone,
    /// It is there, but could not be looked up: who asks for it gets the error.
    Unknown,
}

impl Adapter {
    /// An adapter that answers for `service` and tells `wakes` of what clients wait for.
    pub fn new(service: Arc<Service>, wakes: Arc<Wakes>, clock: Clock) -> Self {
        Adapter { service, wakes, clock, over_uring: OverUring::No, granted: Arc::default() }
    }

    /// The same, which asks the kernel to send requests over io_uring.
    pub fn over_uring(self, over_uring: OverUring) -> Self {
        Adapter { over_uring, ..self }
    }

    /// Set once the kernel has agreed to send requests over io_uring.
    pub fn granted(&self) -> Arc<AtomicBool> {
        self.granted.clone()
    }

    pub(super) fn ask_for_uring(&self, config: &mut KernelConfig) -> io::Result<()> {
        if self.over_uring == OverUring::No {
            return Ok(());
        }
        match config.add_capabilities(InitFlags::FUSE_OVER_IO_URING) {
            Ok(()) => self.granted.store(true, Ordering::Relaxed),
            Err(_) if self.over_uring == OverUring::IfOffered => {}
            Err(_) => {
                return Err(io::Error::other("the kernel offers no FUSE over io_uring on this connection"));
            }
        }
        Ok(())
    }

    pub(super) fn control_text(&self, file: crate::filesystem::inode::ControlFile) -> String {
        control::text(file, &self.service.snapshot())
    }

    pub(super) fn seen(&self, parent: Ino, entry: &DirectoryEntry) -> Seen {
        if entry.name == "." || entry.name == ".." {
            return Seen::Itself;
        }
        match self.service.lookup(parent, &entry.name) {
            Ok(found) => Seen::Found(found),
            Err(FsError::NotFound) => Seen::Gone,
            Err(_) => Seen::Unknown,
        }
    }

    /// What a listing says of an entry; the number is that of an entry that was looked up for it.
    pub(super) fn entry_plus(
        &self,
        parent: Ino,
        entry: &DirectoryEntry,
    ) -> (Option<Ino>, Duration, FileAttr) {
        match self.seen(parent, entry) {
            Seen::Itself => {
                let attr =
                    FileAttr { ino: INodeNo(entry.ino.0), kind: file_type(entry.kind), ..no_such_file() };
                (None, Duration::ZERO, attr)
            }
            Seen::Found(Entry { attr, ttl }) => (Some(attr.ino), ttl, file_attr(&attr)),
            Seen::Gone => (None, Duration::ZERO, no_such_file()),
            Seen::Unknown => (None, Duration::ZERO, only_listed(entry)),
        }
    }

    /// Looks a name up; one that is not there comes with how long that may be believed.
    pub(super) fn find(&self, parent: Ino, name: &OsStr) -> Result<Result<Entry, Duration>, FsError> {
        match self.service.lookup(parent, name) {
            // Swap files may come at any time.
            Err(FsError::NotFound) if parent != SWAP => Ok(Err(IMAGE_TTL)),
            found => found.map(Ok),
        }
    }

    pub(super) fn refuse(&self, parent: INodeNo) -> fuser::Errno {
        errno(&self.service.refuse_change(Ino(parent.0)))
    }
}
