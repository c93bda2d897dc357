//! What the serving process does to itself: staying in memory, limits, signals, standing apart from its
//! terminal.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit};
use rustix::thread::CapabilitySet;

use crate::sys::heap;

/// Signals that come together within this time are one wish to end.
const ONE_WISH: Duration = Duration::from_secs(1);

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

/// Keeps the process in memory: a swap daemon that is itself paged out waits for ever. Call before threads
/// start.
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

/// Marks the process as one that others need for their memory (PR_SET_IO_FLUSHER): its own allocations do not
/// wait for I/O, which may be its own.
///
/// # Errors
/// `EPERM` without CAP_SYS_RESOURCE.
pub fn mark_as_io_flusher() -> io::Result<()> {
    Ok(rustix::process::configure_io_flusher_behavior(true)?)
}

/// With less, `mlockall` may succeed and later allocations fail.
fn may_lock_memory() -> bool {
    let capable =
        rustix::thread::capabilities(None).is_ok_and(|c| c.effective.contains(CapabilitySet::IPC_LOCK));
    capable || rustix::process::getrlimit(Resource::Memlock).current.is_none()
}

/// Has what one thread frees be there for all, so that memory is bounded by what is used at one time and not by
/// that for each thread. Call before threads start.
pub fn share_one_heap() {
    heap::share_one();
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

    /// Waits for one that is not part of the last one: `timeout` sends its signal to the program and to its
    /// group, a terminal to all that run in it, and shells pass theirs on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait_for_another(&self) -> io::Result<Signal> {
        let last = Instant::now();
        loop {
            let signal = self.wait()?;
            if last.elapsed() > ONE_WISH {
                return Ok(signal);
            }
        }
    }
}

/// Has writes beyond the file size limit (`ulimit -f`) fail with EFBIG instead of ending the process by
/// SIGXFSZ. Call before threads start.
///
/// # Errors
/// When the kernel refuses.
pub fn survive_size_limit() -> io::Result<()> {
    // The kernel does not force this signal: where it is held back, nothing but the error is left.
    Ok(SigSet::from(Signal::SIGXFSZ).thread_block()?)
}

/// Closes all descriptors but the standard streams: those that the caller of a daemon has left open. Kept,
/// they would hold the caller's locks, pipes and deleted files for as long as the daemon lives. Call before
/// anything is opened.
///
/// # Errors
/// Without `/proc`.
pub fn close_inherited() -> io::Result<()> {
    let numbers =
        |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<i32>().ok();
    let open: Vec<i32> =
        std::fs::read_dir("/proc/self/fd")?.filter_map(numbers).filter(|number| *number > 2).collect();
    for number in open {
        // The directory that was read is closed by now, which is no error of anybody's.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// What a daemon leaves its terminal for: opened while whoever started it can still be told what is wrong.
#[derive(Debug)]
pub struct Background {
    nowhere: File,
    messages: File,
}

impl Background {
    /// Messages go to the end of `log`, if there is one.
    ///
    /// # Errors
    /// When `log` cannot be written.
    pub fn open(log: Option<&Path>) -> io::Result<Self> {
        let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        let messages = match log {
            Some(path) => OpenOptions::new().append(true).create(true).open(path)?,
            None => nowhere.try_clone()?,
        };
        Ok(Background { nowhere, messages })
    }

    /// Leaves the terminal: own session, working directory `/`, standard streams to nowhere, messages to the
    /// log. Returns the standard output that was.
    ///
    /// # Errors
    /// When the kernel refuses; messages go where they went before then.
    pub fn enter(self) -> io::Result<File> {
        let output = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?);
        // Fails where we lead a process group already, which does as well.
        let _ = rustix::process::setsid();
        rustix::process::chdir("/")?;
        rustix::stdio::dup2_stdin(&self.nowhere)?;
        rustix::stdio::dup2_stdout(&self.nowhere)?;
        rustix::stdio::dup2_stderr(&self.messages)?;
        Ok(output)
    }
}

/// The threads of this process that have a name which begins with `prefix`.
pub fn threads_named(prefix: &str) -> Vec<String> {
    let named = |task: io::Result<std::fs::DirEntry>| {
        let task = task.ok()?;
        let comm = std::fs::read_to_string(task.path().join("comm")).ok()?;
        comm.starts_with(prefix).then(|| task.file_name().to_string_lossy().into_owned())
    };
    std::fs::read_dir("/proc/self/task").map_or_else(|_| vec![], |tasks| tasks.filter_map(named).collect())
}

/// Whether a thread of this process is in the system call with this number now.
pub fn is_in_call(thread: &str, call: u32) -> bool {
    let said = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
    said.is_ok_and(|said| said.split(' ').next().is_some_and(|number| number.parse() == Ok(call)))
}
