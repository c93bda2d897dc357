//! Installing a fault handler for the length of a measurement.

use std::mem::MaybeUninit;
use std::ptr;

/// A signal handler as `sigaction` wants it with `SA_SIGINFO`.
pub type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// Puts the former action back on drop.
#[derive(Debug)]
pub struct Installed {
    signal: i32,
    former: libc::sigaction,
}

/// Installs `handler` for `signal`.
///
/// # Panics
///
/// When the signal does not exist.
pub fn install(signal: i32, handler: Handler) -> Installed {
    // SAFETY: all-zero bytes are a valid sigaction: default action, empty mask, no flags.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
    let mut former = MaybeUninit::uninit();
    // SAFETY: both point to a sigaction, and the handler is async-signal-safe by its author's promise.
    let result = unsafe { libc::sigaction(signal, &raw const action, former.as_mut_ptr()) };
    assert_eq!(result, 0, "sigaction {signal}: {}", std::io::Error::last_os_error());
    // SAFETY: sigaction succeeded, so it wrote the former action.
    Installed { signal, former: unsafe { former.assume_init() } }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // SAFETY: the former action came from sigaction.
        unsafe { libc::sigaction(self.signal, &raw const self.former, ptr::null_mut()) };
    }
}

/// The faulting address.
///
/// # Safety
///
/// 1. `info` is what the kernel passed to a handler of SIGSEGV or SIGBUS.
pub unsafe fn fault_address(info: *mut libc::siginfo_t) -> usize {
    // SAFETY: (1) the kernel fills si_addr for these signals.
    unsafe { (*info).si_addr() as usize }
}

/// Ends the process when a fault cannot be resolved: returning would repeat it for ever.
pub fn give_up() -> ! {
    // SAFETY: abort is async-signal-safe and takes nothing.
    unsafe { libc::abort() }
}
