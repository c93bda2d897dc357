//! What the serving process does to itself: staying in memory, limits, signals, standing apart from its terminal.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::sys::signal::{SigSet, Signal};
use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit};
use rustix::thread::CapabilitySet;

/// Why the process may be paged out.
#[derive(Debug, thiserror::Error)]
pub enum Swappable {
    /// It may not lock memory.
    #[error(
        "memory cannot be locked: needs CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK (`ulimit -l unlimited`, systemd: LimitMEMLOCK=infinity)"
    )]
    NotAllowed,
    /// mlockall(2) failed.
    #[error("memory cannot be locked")]
    Lock(#[source] io::Error),
}

/// Keeps the process in memory: a swap daemon that is itself paged out waits for ever. Call before threads start.
///
/// # Errors
/// Where it may not, or the kernel refuses.
pub fn lock_memory() -> Result<(), Swappable> {
    if !may_lock_memory() {
        return Err(Swappable::NotAllowed);
    }
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    rustix::mm::mlockall(flags).map_err(|error| Swappable::Lock(error.into()))
}

/// Marks the process as one that others need for their memory (PR_SET_IO_FLUSHER): its own allocations do not wait for I/O, which may
/// be its own.
///
/// # Errors
/// `EPERM` without CAP_SYS_RESOURCE.
pub fn mark_as_io_flusher() -> io::Result<()> {
    Ok(rustix::process::configure_io_flusher_behavior(true)?)
}

/// With less, `mlockall` may succeed and later allocations fail.
fn may_lock_memory() -> bool {
    let capable = rustix::thread::capabilities(None).is_ok_and(|c| c.effective.contains(CapabilitySet::IPC_LOCK));
    capable || rustix::process::getrlimit(Resource::Memlock).current.is_none()
}

/// Allows as many open files as we may: each open image holds one.
pub fn raise_open_files() {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The signals that end a mount.
#[derive(Debug, Clone, Copy)]
pub struct EndSignals(SigSet);

impl EndSignals {
    /// Holds the signals back from all threads that start from now on, so that one can wait for them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn hold() -> io::Result<Self> {
        let set: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        set.thread_block()?;
        Ok(EndSignals(set))
    }

    /// Waits for one of them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait(&self) -> io::Result<Signal> {
        Ok(self.0.wait()?)
    }
}

/// Leaves the terminal: own session, working directory `/`, standard streams to nowhere, messages to `log` if there is one.
///
/// # Errors
/// When `log` cannot be written.
pub fn leave_terminal(log: Option<&Path>) -> io::Result<()> {
    let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let messages: File = match log {
        Some(path) => OpenOptions::new().append(true).create(true).open(path)?,
        None => nowhere.try_clone()?,
    };
    // Fails where we lead a process group already, which does as well.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&messages)?;
    Ok(())
}
