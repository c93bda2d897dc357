//! Descriptors that every process of a run inherits under the same number, out of the program's way.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pager_core::shared::OWN_DESCRIPTORS;

use crate::sys::duplicate::duplicate;

/// How many numbers are kept for us below the limit, where there are none above it.
const RESERVED: RawFd = 32;
/// Our numbers begin here: above what most programs may have.
const TOP: RawFd = OWN_DESCRIPTORS as RawFd;
/// How far the limit is raised above that for as long as it takes to make one.
const ROOM: u64 = 256;

/// A descriptor at a high number that survives exec.
#[derive(Debug)]
pub struct HighFd(OwnedFd);

impl HighFd {
    /// Duplicates `low` to a free number from [`OWN_DESCRIPTORS`] on, where the limits let that be; else just
    /// below the soft limit on descriptors, or further down where that is taken.
    ///
    /// # Errors
    ///
    /// What the kernel said when no number at all was free.
    pub fn new(low: impl AsFd) -> io::Result<HighFd> {
        let _wide = WideLimit::new();
        let top = soft_limit().min(TOP);
        let tries = [TOP, top - RESERVED, top / 2, top / 4, 3];
        let mut result = Err(io::Error::from_raw_os_error(libc::EMFILE));
        for least in tries.map(|least| least.max(3)) {
            result = duplicate(low.as_fd(), least);
            if result.is_ok() {
                break;
            }
        }
        result.map(HighFd)
    }

    /// The number, the same in all processes.
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for HighFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The limit on descriptors, raised until this is dropped.
struct WideLimit(Option<(u64, u64)>);

impl WideLimit {
    fn new() -> WideLimit {
        let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return WideLimit(None) };
        let wide = u64::from(OWN_DESCRIPTORS) + ROOM;
        if soft >= wide {
            return WideLimit(None);
        }
        // Above the hard limit only with privilege.
        let raised = setrlimit(Resource::RLIMIT_NOFILE, wide, hard.max(wide));
        WideLimit(raised.ok().map(|()| (soft, hard)))
    }
}

impl Drop for WideLimit {
    fn drop(&mut self) {
        if let Some((soft, hard)) = self.0 {
            // It was so before.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
        }
    }
}

fn soft_limit() -> RawFd {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    RawFd::try_from(soft).unwrap_or(RawFd::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_high_and_survives_exec() {
        use nix::fcntl::{FcntlArg, fcntl};
        let file = tempfile::tempfile().expect("a temporary file");
        let (first, second) = (HighFd::new(&file).expect("free"), HighFd::new(&file).expect("free"));
        assert_ne!(first.number(), second.number());
        assert!(first.number() >= soft_limit().min(TOP) - RESERVED);
        assert_eq!(fcntl(&first, FcntlArg::F_GETFD), Ok(0));
    }
}
