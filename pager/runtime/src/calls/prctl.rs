//! prctl(2), where the kernel's answer would be about the runtime, or what it does would hit the runtime.

use super::perform;
use crate::call::Call;
use crate::clock;
use crate::sys::Errno;
use crate::sys::task::PR_TSC_SIGSEGV;
use crate::thread::Block;
use crate::user;

const PR_SET_TSC: u32 = 26;
const PR_GET_TID_ADDRESS: u32 = 40;

/// prctl.
///
/// # Errors
/// As prctl(2).
pub fn prctl(block: &'static Block, call: Call) -> Result<u64, Errno> {
    match (call.args[0] as u32, call.args[1]) {
        // The kernel has an address of the runtime's.
        (PR_GET_TID_ADDRESS, into) => user::write_value(into, &block.own().clear_tid).map(|()| 0),
        (PR_SET_TSC, how) => {
            if how as u32 == PR_TSC_SIGSEGV {
                clock::forbid_counter();
            }
            perform(block, call)
        }
        _ => perform(block, call),
    }
}
