//! What this process was given by the one that started it, before the Rust runtime changed it.
//!
//! Rust ignores SIGPIPE and opens `/dev/null` for closed standard streams before `main`, and we un-ignore
//! SIGCHLD. The program must not see any of it, so a constructor notes how things stood, and the child puts
//! them back.

use std::sync::atomic::{AtomicU8, Ordering};

/// Signals whose action we change, and the bit of `STATE` that says that they were ignored. The bits below:
/// stream 0, 1, 2 was closed.
const SIGNALS: [(i32, u8); 2] = [(libc::SIGPIPE, 8), (libc::SIGCHLD, 16)];
static STATE: AtomicU8 = AtomicU8::new(0);

#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

/// Runs before `main`, and before the Rust runtime's own start.
extern "C" fn note() {
    let mut state = 0;
    for stream in 0..3 {
        // SAFETY: asking for descriptor flags touches no memory.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } < 0 {
            state |= 1 << stream;
        }
    }
    for (signal, bit) in SIGNALS {
        if action_of(signal) == libc::SIG_IGN {
            state |= bit;
        }
    }
    STATE.store(state, Ordering::Relaxed);
}

fn action_of(signal: i32) -> libc::sighandler_t {
    // SAFETY: all zeros is a valid `sigaction` (default action, empty mask).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: with no new action this only writes to `action`, which is ours.
    unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    action.sa_sigaction
}

/// Puts signal actions and standard streams back to what this process was given. For the child between fork
/// and exec: async-signal-safe.
pub fn restore() {
    let state = STATE.load(Ordering::Relaxed);
    for (signal, bit) in SIGNALS {
        let action = if state & bit != 0 { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: neither ignoring nor the default runs any code of ours.
        unsafe { libc::signal(signal, action) };
    }
    for stream in (0..3).filter(|stream| state & (1 << stream) != 0) {
        // SAFETY: the caller is about to exec: nobody uses the stream afterwards.
        unsafe { libc::close(stream) };
    }
}
