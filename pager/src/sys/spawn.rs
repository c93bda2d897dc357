//! Starting the program's first process.

use std::ffi::{CStr, CString, c_char};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::SigSet;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{ForkResult, Pid, fork, getpid, pipe2};

use super::inherited;

/// Everything that exec needs, made before the fork.
pub struct Image<'a> {
    /// Executable to start.
    pub executable: BorrowedFd<'a>,
    /// Arguments, with the name as the first.
    pub arguments: &'a [CString],
    /// Environment entries, in order.
    pub environment: &'a [CString],
    /// Signal mask that the program starts with.
    pub mask: SigSet,
}

/// Between two looks at a child that takes its time.
const LOOK_AGAIN_MS: u8 = 50;

/// Forks, and executes `image` in the child, which dies with this thread. Returns when the child's exec has
/// worked.
///
/// `stopped` is told the signal by which the terminal or a process stopped the child before that.
///
/// # Errors
///
/// What fork or, in the child, exec said.
pub fn spawn(image: &Image<'_>, stopped: impl FnMut(i32)) -> io::Result<Pid> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let arguments = pointers(image.arguments);
    let environment = pointers(image.environment);
    let supervisor = getpid();
    // SAFETY: the child calls nothing but async-signal-safe functions on data made before the fork, then
    // executes or exits.
    match unsafe { fork() }? {
        ForkResult::Child => child(image, &arguments, &environment, supervisor, writer.as_raw_fd()),
        ForkResult::Parent { child } => {
            drop(writer);
            await_exec(reader, child, stopped).map(|()| child)
        }
    }
}

/// A null-terminated vector of pointers into `strings`.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Waits until exec has closed the pipe, or an error number comes through it.
fn await_exec(reader: OwnedFd, child: Pid, mut stopped: impl FnMut(i32)) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], LOOK_AGAIN_MS) {
            Ok(0) => stop_of(child).into_iter().for_each(&mut stopped),
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => break,
        }
    }
    let mut errno = Vec::new();
    File::from(reader).read_to_end(&mut errno)?;
    match <[u8; 4]>::try_from(errno.as_slice()) {
        Ok(bytes) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(bytes))),
        Err(_) => Ok(()),
    }
}

/// The signal that stopped `child` since this was last asked. Its end is left for others to learn of.
fn stop_of(child: Pid) -> Option<i32> {
    match waitid(Id::Pid(child), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG) {
        Ok(WaitStatus::Stopped(_, signal)) => Some(signal as i32),
        _ => None,
    }
}

fn child(
    image: &Image<'_>,
    argv: &[*const c_char],
    envp: &[*const c_char],
    supervisor: Pid,
    errors: RawFd,
) -> ! {
    const EMPTY: &CStr = c"";
    inherited::restore();
    let _ = image.mask.thread_set_mask();
    // SAFETY: sets an attribute of this process only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if nix::unistd::getppid() != supervisor {
        exit();
    }
    let executable = image.executable.as_raw_fd();
    // SAFETY: (1) both vectors end in null; (2) their strings live in `image`; (3) the path is an empty C
    // string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            executable,
            EMPTY.as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    let errno = Errno::last_raw().to_ne_bytes();
    // SAFETY: writes 4 bytes that are ours to a descriptor that is ours.
    unsafe { libc::write(errors, errno.as_ptr().cast(), errno.len()) };
    exit()
}

fn exit() -> ! {
    // SAFETY: ends this process without running the parent's destructors.
    unsafe { libc::_exit(125) }
}
