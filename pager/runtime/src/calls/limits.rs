//! getrlimit, setrlimit and prlimit64, as far as the limits are kept by the runtime.

use crate::control;
use crate::memory::limits::{self, RLIMIT_AS, RLIMIT_DATA, RLIMIT_NOFILE};
use crate::sys::{Errno, task};
use crate::user;

const GETRLIMIT: u64 = 97;
const SETRLIMIT: u64 = 160;

/// getrlimit, setrlimit and prlimit64, as far as they are about what is kept here for this process; `None`
/// for all others.
pub fn answer(number: u64, args: &[u64; 6]) -> Option<Result<u64, Errno>> {
    let (pid, which, new, old) = match number {
        GETRLIMIT => (0, args[0], 0, args[1]),
        SETRLIMIT => (0, args[0], args[1], 0),
        _ => (args[0], args[1], args[2], args[3]),
    };
    let own = task::pid();
    // A vfork child has limits of its own, which it means for the program that it will execute.
    let is_own = (pid as u32 == 0 || pid as u32 == own) && control::is_owner();
    match which as u32 as u64 {
        which @ (RLIMIT_AS | RLIMIT_DATA) if is_own => {
            Some(told(new, old, |wanted| limits::exchange(which, wanted)))
        }
        RLIMIT_NOFILE if is_own => Some(told(new, old, limits::exchange_descriptors)),
        _ => None,
    }
}

/// Reads the new value from `new` and writes the one before to `old`, where these are not zero.
fn told(
    new: u64,
    old: u64,
    exchange: impl FnOnce(Option<[u64; 2]>) -> Result<[u64; 2], Errno>,
) -> Result<u64, Errno> {
    let wanted = match new {
        0 => None,
        new => Some(user::read_value::<[u64; 2]>(new)?),
    };
    let before = exchange(wanted)?;
    if old != 0 {
        user::write_value(old, &before)?;
    }
    Ok(0)
}
