//! News of a child.
//!
//! Not through `nix`, whose wait fails for a child that a real-time signal killed.

use std::io;

use nix::unistd::Pid;

/// What a child did since it was last asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it.
    Killed(i32),
    /// This signal stopped it.
    Stopped(i32),
    /// It goes on.
    Continued,
    /// Nothing.
    None,
}

/// Takes one piece of news of `child`, without waiting. After `Exited` or `Killed` there is no such child any
/// more.
///
/// # Errors
///
/// `ECHILD` if there is no such child.
pub fn news(child: Pid) -> io::Result<News> {
    let mut status = 0;
    let flags = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
    // SAFETY: writes to `status`, which is ours.
    match unsafe { libc::waitpid(child.as_raw(), &raw mut status, flags) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(News::None),
        _ => Ok(decode(status)),
    }
}

/// Takes the ends of children that nobody else waits for: those that the kernel gave to this process when
/// their parents ended, since it is the first of its PID namespace. The children of `own` are left.
///
/// It stops at the first of `own` that has ended, of which a SIGCHLD tells that is still to be read.
pub fn reap_others(own: &[Pid]) {
    loop {
        // SAFETY: all zeros is a valid `siginfo_t`.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: writes to `info`, which is ours.
        let told = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) };
        // SAFETY: of a child, or zero where there is none.
        let child = Pid::from_raw(unsafe { info.si_pid() });
        if told != 0 || child.as_raw() == 0 || own.contains(&child) {
            return;
        }
        // SAFETY: there is no status to write to. Its number is its own until this has come back.
        unsafe { libc::waitpid(child.as_raw(), std::ptr::null_mut(), libc::WNOHANG) };
    }
}

fn decode(status: i32) -> News {
    match status {
        status if libc::WIFEXITED(status) => News::Exited(libc::WEXITSTATUS(status) as u8),
        status if libc::WIFSIGNALED(status) => News::Killed(libc::WTERMSIG(status)),
        status if libc::WIFSTOPPED(status) => News::Stopped(libc::WSTOPSIG(status)),
        status if libc::WIFCONTINUED(status) => News::Continued,
        _ => News::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_decode_as_in_wait_4() {
        assert_eq!(decode(3 << 8), News::Exited(3));
        assert_eq!(decode(9), News::Killed(9));
        assert_eq!(decode(11 | 0x80), News::Killed(11));
        assert_eq!(decode(40), News::Killed(40));
        assert_eq!(decode(20 << 8 | 0x7f), News::Stopped(20));
        assert_eq!(decode(0xffff), News::Continued);
    }
}
