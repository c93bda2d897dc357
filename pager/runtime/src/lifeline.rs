//! The lifeline: has the kernel end this process when nobody is left who would.
//!
//! The supervisor and its keeper hold the writing end of a pipe that nobody ever writes to. Each process of
//! the run opens the reading end and asks for SIGKILL when something happens there (O_ASYNC, F_SETOWN,
//! F_SETSIG of fcntl(2)): that is when the last writer is gone. The request belongs to the open file, which a
//! fork would share, so every process opens one of its own, that exec closes; all inherit a common one, to
//! open it from.
//!
//! Daemons outlive a run that ends by itself: the supervisor then puts the writing end in the hatch, a socket
//! that all inherit and nobody reads, where it stays open for as long as one of them is there.
//!
//! A process that finds no way to open it (a chroot without `/proc`, no descriptors) goes without. Not here:
//! what the keeper does.

use core::sync::atomic::{AtomicI32, Ordering};

use crate::control;
use crate::die::Line;
use crate::memory::limits;
use crate::own_descriptors;
use crate::sys::file::{self, Fd};
use crate::sys::signal::{self, SIGKILL, SIGSEGV, SigInfo};
use crate::sys::{Errno, task};

const NONE: i32 = -1;
const FIRST_OF_NAMESPACE: u32 = 1;
/// What a shell shows of a process that SIGKILL ended, for one that it cannot end.
const KILLED: i32 = 128 + SIGKILL as i32;

/// This process's own.
static OWN: AtomicI32 = AtomicI32::new(NONE);
/// One for a child that is just being forked. Guarded by the writers' lock of the areas.
static SPARE: AtomicI32 = AtomicI32::new(NONE);

/// What all processes of the run inherit: the common reading end, and the hatch.
pub fn inherited() -> impl Iterator<Item = Fd> {
    let settings = control::settings();
    [&settings.lifeline_fd, &settings.hatch_fd].into_iter().map(|fd| Fd(fd.load(Ordering::Relaxed) as i32))
}

/// What this process has for itself.
pub fn own() -> impl Iterator<Item = Fd> {
    [&OWN, &SPARE].into_iter().map(|fd| Fd(fd.load(Ordering::Relaxed))).filter(|fd| fd.0 != NONE)
}

/// Takes hold of it, at the start of an image; whether that could be done.
pub fn take_hold() -> bool {
    let is_held = limits::with_descriptors(open).is_ok_and(hold);
    end_with_the_run();
    is_held
}

/// Opens one for a child about to be forked: the first look of a new process at its `/proc/self` costs it ten
/// times as much.
///
/// The writers' lock of the areas must be held until [`drop_spare`], or until the child has it, and the
/// limits' lock now.
pub fn open_spare() {
    SPARE.store(limits::with_descriptors_at_rest(open).map_or(NONE, |fd| fd.0), Ordering::Relaxed);
}

/// The child was forked, or not.
pub fn drop_spare() {
    close(SPARE.swap(NONE, Ordering::Relaxed));
}

/// Takes hold of it in a forked child, whose `descriptors` may be its parent's too.
pub fn take_hold_in_child(descriptors: Descriptors) {
    let parents = OWN.swap(NONE, Ordering::Relaxed);
    if descriptors == Descriptors::Copied {
        close(parents);
    }
    match SPARE.swap(NONE, Ordering::Relaxed) {
        NONE => {}
        spare => {
            hold(Fd(spare));
        }
    }
    end_with_the_run();
}

/// Whose a forked child's descriptors are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Descriptors {
    /// Its own.
    Copied,
    /// Its parent's (CLONE_FILES).
    Shared,
}

fn close(fd: i32) {
    if fd != NONE {
        file::close(Fd(fd));
    }
}

fn open() -> Result<Fd, Errno> {
    let common = Fd(control::settings().lifeline_fd.load(Ordering::Relaxed) as i32);
    let path = Line::format(format_args!("/proc/self/fd/{}\0", common.0));
    let flags = file::O_RDONLY | file::O_NONBLOCK | file::O_CLOEXEC;
    let fd = file::open(path.as_bytes(), flags).and_then(file::move_high)?;
    if !is_same(fd, common) {
        file::close(fd);
        return Err(Errno::ENOENT);
    }
    own_descriptors::note(fd);
    Ok(fd)
}

/// Whether `/proc` is one: what else a program has put in its place must not kill it.
fn is_same(fd: Fd, common: Fd) -> bool {
    let identity = |fd| file::stat_fd(fd).map(|stat| (stat.device, stat.inode));
    matches!((identity(fd), identity(common)), (Ok(opened), Ok(common)) if opened == common)
}

/// Whether the kernel has taken the request.
fn hold(fd: Fd) -> bool {
    OWN.store(fd.0, Ordering::Relaxed);
    // The first process of a PID namespace takes no SIGKILL from inside, but signals that it has a handler
    // for.
    let signal = if task::pid() == FIRST_OF_NAMESPACE { SIGSEGV } else { SIGKILL };
    if file::signal_on_change(fd, task::pid(), signal).is_err() {
        return false;
    }
    // What happened before that is not told: the end of a pipe without writers.
    if file::read(fd, &mut [0]) == Ok(0) {
        end();
    }
    true
}

/// Ends a process of a run that the keeper is about to end: it may not see this one.
fn end_with_the_run() {
    if control::settings().supervisor.load(Ordering::SeqCst) == 0 {
        end();
    }
}

/// Whether a signal says that the lifeline is torn. The end of the process is then all that is left to do.
pub fn is_torn_by(info: &SigInfo) -> bool {
    info.signo as u32 == SIGSEGV && info.is_of_descriptor(OWN.load(Ordering::Relaxed))
}

/// Ends this process.
pub fn end() -> ! {
    signal::kill_thread(task::pid(), task::tid(), SIGKILL);
    task::exit_group(KILLED)
}
