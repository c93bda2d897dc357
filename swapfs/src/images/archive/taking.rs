//! Taking the numbers of an archive's chunks.

use std::sync::{Arc, Weak};

use super::medium::HostArchive;
use super::prints::CHUNK_BYTES;

/// So much has its numbers when the archive is opened; the rest comes to have them later, in a thread.
const AT_ONCE_BYTES: u64 = 1 << 20;
/// The least of an ordinary thread's share of a busy processor.
const NICENESS: i32 = 19;

/// Takes the numbers of an archive that was just opened: of its beginning at once, of the rest by and by, for
/// as long as somebody holds it.
pub(super) fn take(archive: &Arc<HostArchive>) {
    for _ in 0..AT_ONCE_BYTES / CHUNK_BYTES {
        if !archive.take_print() {
            return;
        }
    }
    let rest = Arc::downgrade(archive);
    let thread = std::thread::Builder::new().name("swapfs-prints".into()).spawn(move || take_rest(&rest));
    if let Err(error) = thread {
        tracing::debug!("an archive is known by its times alone: {error}");
    }
}

fn take_rest(archive: &Weak<HostArchive>) {
    // Of this thread alone, as Linux has it; disks go by it as well.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    while archive.upgrade().is_some_and(|archive| archive.take_print()) {}
}
