//! The program's memory: pages installed and protected by userfaultfd, dropped by madvise, files let through by
//! lifting guard markers.

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::Access;
use pager_engine::host::{DeviceError, Install, Mmu};

use super::Guest;
use crate::die;
use crate::engine;
use crate::gate;
use crate::keys::{self, Opened};
use crate::markers;
use crate::memory::limits;
use crate::space;
use crate::sys::Errno;
use crate::sys::file;
use crate::sys::memory::{self, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
use crate::sys::uffd::{self, Copied};

/// What zero pages are copied from.
static ZEROS: [u8; 32 * PAGE_SIZE as usize] = [0; 32 * PAGE_SIZE as usize];

impl Mmu for Guest {
    type Open = Opened;

    fn open(&self) -> Opened {
        keys::open_all()
    }

    fn install(&self, run: PageRange, contents: &[u8], how: Install) {
        engine::unmark(run);
        match uffd::copy(space::uffd(), run.start().start().0, contents.as_ptr(), run.bytes(), how) {
            Ok(Copied::All) => {}
            Ok(Copied::Present(done)) => die::internal(format_args!(
                "page {:#x} is in memory though its entry says not",
                run.start().start().0 + done
            )),
            Err(errno) => die::internal(format_args!("cannot install {run:?}: {errno:?}")),
        }
    }

    fn install_zeros(&self, run: PageRange) {
        self.install(run, &ZEROS[..run.bytes() as usize], Install::Writable);
    }

    fn protect(&self, run: PageRange, how: Install) {
        if let Err(errno) = uffd::protect(space::uffd(), run.start().start().0, run.bytes(), how) {
            die::internal(format_args!("cannot change the protection of {run:?} to {how:?}: {errno:?}"));
        }
    }

    fn read_page(&self, page: PageNum, into: &mut [u8]) {
        // The server of faults takes no signal, and an access that is refused would be one: the kernel reads
        // for it.
        let copied = if engine::has_server() {
            memory::read_own(page.start().0, into).unwrap_or(0)
        } else {
            // SAFETY: `into` is ours and a page long; the page is the program's.
            unsafe { gate::copy(into.as_mut_ptr() as u64, page.start().0, PAGE_SIZE) }
        };
        if copied != PAGE_SIZE {
            read_by_kernel(page, into);
        }
    }

    fn remove(&self, runs: &[PageRange]) {
        if let Err(errno) = engine::zap(runs) {
            die::internal(format_args!("cannot drop evicted pages: {errno:?}"));
        }
    }

    fn hold_back(&self, run: PageRange) {
        markers::install(run);
    }

    fn let_through(&self, run: PageRange) -> Result<(), DeviceError> {
        markers::remove(run).map_err(failed)
    }

    fn bring_in(&self, run: PageRange) -> Result<(), DeviceError> {
        match memory::madvise(run.start().start().0, run.bytes(), MADV_POPULATE_READ) {
            // What may only be executed or written to: the kernel brings it in when it is.
            Err(Errno::EINVAL) => Ok(()),
            populated => populated.map_err(failed),
        }
    }

    fn can_be_had(&self, page: PageNum, access: Access) -> bool {
        let _keys = keys::open_all();
        match memory::madvise(page.start().0, PAGE_SIZE, populate_for(access)) {
            // What may only be executed or written to can be read all the same.
            Err(Errno::EINVAL) => {
                let mut byte = 0u8;
                // SAFETY: `byte` is ours; the page is the program's.
                unsafe { gate::copy(&raw mut byte as u64, page.start().0, 1) == 1 }
            }
            populated => populated != Err(Errno::EFAULT),
        }
    }
}

pub(super) fn failed(errno: Errno) -> DeviceError {
    DeviceError(errno.0)
}

/// The advice by which the kernel brings pages in for an access.
pub fn populate_for(access: Access) -> u64 {
    if access == Access::Write { MADV_POPULATE_WRITE } else { MADV_POPULATE_READ }
}

/// Reads a page that the program may not: the kernel's own way in does not ask. The process's own file has no
/// memory once its first thread has ended.
fn read_by_kernel(page: PageNum, into: &mut [u8]) {
    let open = || file::open(b"/proc/thread-self/mem\0", file::O_RDONLY | file::O_CLOEXEC);
    let got = limits::with_descriptors(open).and_then(|fd| {
        let got = file::pread_all(fd, into, page.start().0);
        file::close(fd);
        got
    });
    if got != Ok(PAGE_SIZE as usize) {
        die::internal(format_args!("cannot read resident page {:#x}: {got:?}", page.start().0));
    }
}
