//! The thread that resolves faults under [`pager_core::shared::Engine::Thread`].
//!
//! It belongs to the process but not to the program: its system calls are not trapped, it takes no signal,
//! and it never touches a page that is not there.

use core::sync::atomic::{AtomicU32, Ordering};

use pager_core::addr::VirtAddr;
use pager_core::area::Access;

use crate::clock;
use crate::die;
use crate::engine::has_server;
use crate::keys;
use crate::process;
use crate::signals;
use crate::space;
use crate::sys::signal;
use crate::sys::{Errno, task, uffd};
use crate::touch;
use pager_engine::work::Outcome;

/// The server's thread id.
static TID: AtomicU32 = AtomicU32::new(0);

/// Starts the server of this process, if its engine has one.
///
/// # Errors
/// What clone says.
pub fn start() -> Result<(), Errno> {
    if has_server() { process::spawn_server() } else { Ok(()) }
}

/// What the thread does for as long as the process lives.
pub fn serve() -> ! {
    task::set_name(b"pager-server\0");
    let _keys = keys::open_all();
    TID.store(task::tid(), Ordering::Relaxed);
    loop {
        match uffd::next(space::uffd()) {
            Ok(Some(message)) => resolve(&message),
            Ok(None) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => crate::die::internal(format_args!("faults cannot be read: {errno:?}")),
        }
    }
}

fn resolve(message: &uffd::Message) {
    let begin = clock::ticks();
    let page = VirtAddr(message.address).page();
    let access = if message.is_write { Access::Write } else { Access::Read };
    if touch::on_fault(page.start(), access) == Outcome::Unreadable
        && let Err(Errno::EINVAL) = uffd::poison(space::uffd(), page.start().0)
    {
        // The thread would fault again, without end.
        no_poison(page.start());
    }
    // Whatever came of it, the thread looks again: where its area is gone it gets its signal.
    uffd::wake(space::uffd(), page.start().0);
    clock::record_fault(begin);
}

/// A page cannot be had and this kernel has no way to tell a thread that waits for a message: the process is
/// killed.
fn no_poison(addr: VirtAddr) -> ! {
    die::say(format_args!(
        "page {:#x} cannot be read, and before Linux 6.6 --engine thread cannot tell the program, which is killed; \
         another engine tells it",
        addr.0
    ));
    loop {
        signal::kill_thread(task::pid(), task::tid(), signal::SIGKILL);
    }
}

/// Whether this thread is the server.
pub fn is(tid: u32) -> bool {
    has_server() && TID.load(Ordering::Relaxed) == tid
}

/// Threads of the process that are not the program's.
pub fn count() -> u64 {
    u64::from(has_server())
}

/// The actions that the server's block names; it never looks at them.
pub fn actions() -> core::ptr::NonNull<signals::Actions> {
    core::ptr::NonNull::from(&signals::PROCESS)
}
