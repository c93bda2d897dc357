//! seccomp(2), and the options of prctl(2) that are about it. Errors come in the kernel's order: programs
//! probe for features by them.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use pager_core::seccomp::{
    Action, Entry, Filter, INSTRUCTION_BYTES, Instruction, LONGEST, Made, path_has_room,
};

use pager_core::shared::count;

use super::chain::{DISABLED, FILTERED, Filters, Node, STRICT, Sandbox, node};
use super::kin::{is_in_use, siblings};
use crate::control;
use crate::sys::{Errno, call, nr, task};
use crate::thread::{self, Block};
use crate::user;

const SET_MODE_STRICT: u32 = 0;
const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;
const GET_NOTIF_SIZES: u32 = 3;
/// Sizes of seccomp_notif, seccomp_notif_resp and seccomp_data.
const NOTIF_SIZES: [u16; 3] = [80, 24, 64];

const TSYNC: u64 = 1;
const LOG: u64 = 2;
const SPEC_ALLOW: u64 = 4;
const TSYNC_ESRCH: u64 = 16;
/// What a kernel knows that has no user notification: that needs a descriptor whose reader answers for the
/// kernel.
const FLAGS: u64 = TSYNC | LOG | SPEC_ALLOW | TSYNC_ESRCH;

const PR_GET_SECCOMP: u32 = 21;
const PR_SET_SECCOMP: u32 = 22;
const PR_GET_NO_NEW_PRIVS: u64 = 39;

/// seccomp(2).
///
/// # Errors
/// As seccomp(2); EINVAL for a listener, and EOPNOTSUPP where it is asked whether there could be one.
pub fn seccomp(block: &'static Block, operation: u64, flags: u64, at: u64) -> Result<u64, Errno> {
    let flags = u64::from(flags as u32);
    match operation as u32 {
        SET_MODE_STRICT if flags == 0 && at == 0 => set_strict(block),
        SET_MODE_FILTER => set_filter(block, flags, at, Made::BySeccomp),
        GET_ACTION_AVAIL if flags == 0 => match Action::named(user::read_value(at)?) {
            Some(Action::Notify) | None => Err(Errno::EOPNOTSUPP),
            Some(_) => Ok(0),
        },
        GET_NOTIF_SIZES if flags == 0 => {
            user::write(at, NOTIF_SIZES.map(u16::to_ne_bytes).as_flattened())?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// The options of prctl(2) that are about seccomp; nothing for the others.
pub fn prctl(block: &'static Block, args: &[u64; 6]) -> Option<Result<u64, Errno>> {
    match args[0] as u32 {
        PR_GET_SECCOMP => Some(Ok(block.sandbox.mode.load(Ordering::Relaxed).into())),
        PR_SET_SECCOMP => Some(match args[1] {
            1 => set_strict(block),
            2 => set_filter(block, 0, args[2], Made::ByPrctl),
            _ => Err(Errno::EINVAL),
        }),
        _ => None,
    }
}

fn set_strict(block: &'static Block) -> Result<u64, Errno> {
    thread::under_lock(|_| {
        let mode = &block.sandbox.mode;
        if mode.load(Ordering::Relaxed) == FILTERED {
            return Err(Errno::EINVAL);
        }
        mode.store(STRICT, Ordering::Release);
        Ok(0)
    })
}

fn set_filter(block: &'static Block, flags: u64, at: u64, made: Made) -> Result<u64, Errno> {
    if flags & !FLAGS != 0 {
        count(&control::counts().calls_refused, 1);
        return Err(Errno::EINVAL);
    }
    let filter = read_filter(at)?;
    let entry = Entry { filter, made, flags: (flags & (LOG | SPEC_ALLOW)) as u32 };
    let sync = flags & TSYNC != 0;
    // Asked before the lock is taken; only this thread sets its own.
    let privileges = sync && has_no_new_privileges();
    thread::under_lock(|threads| {
        let own = &block.sandbox;
        if own.mode.load(Ordering::Relaxed) == STRICT {
            return Err(Errno::EINVAL);
        }
        if !path_has_room(&entry.filter, own.filters().map(Node::filter)) {
            return Err(Errno::ENOMEM);
        }
        if sync && let Some(stray) = siblings(block, threads).find(|other| !may_follow(&other.sandbox, own)) {
            return if flags & TSYNC_ESRCH != 0 {
                Err(Errno::ESRCH)
            } else {
                Ok(stray.sandbox.number().into())
            };
        }
        let newest = node(entry, own.newest.load(Ordering::Relaxed), |node| is_in_use(node, threads));
        own.newest.store(newest.cast_mut(), Ordering::Release);
        own.mode.store(FILTERED, Ordering::Release);
        if sync {
            siblings(block, threads).for_each(|other| {
                other.sandbox.owes_privileges.store(privileges.into(), Ordering::Relaxed);
                other.sandbox.copy(own);
            });
        }
        Ok(0)
    })
}

/// Whether a thread can be given the caller's filters: it has none, or some of the caller's and no others.
fn may_follow(other: &Sandbox, caller: &Sandbox) -> bool {
    let newest = other.newest.load(Ordering::Relaxed).cast_const();
    match other.mode.load(Ordering::Relaxed) {
        DISABLED => true,
        FILTERED => newest.is_null() || caller.filters().any(|node| core::ptr::eq(node, newest)),
        _ => false,
    }
}

/// Reads the `sock_fprog` at `at` and its instructions.
fn read_filter(at: u64) -> Result<Filter, Errno> {
    let [head, instructions_at] = user::read_value::<[u64; 2]>(at)?;
    let length = usize::from(head as u16);
    if length == 0 || length > LONGEST {
        return Err(Errno::EINVAL);
    }
    if !task::is_capable(task::CAP_SYS_ADMIN) && !has_no_new_privileges() {
        return Err(Errno::EACCES);
    }
    if instructions_at == 0 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = alloc::vec![0u8; length * INSTRUCTION_BYTES];
    user::read(instructions_at, &mut bytes)?;
    let (instructions, _) = bytes.as_chunks::<INSTRUCTION_BYTES>();
    let instructions: Vec<Instruction> = instructions.iter().copied().map(Instruction::from_bytes).collect();
    Filter::check(instructions).map_err(|_| Errno::EINVAL)
}

fn has_no_new_privileges() -> bool {
    call!(nr::PRCTL, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == Ok(1)
}

/// Puts filters in place that the program before had, oldest first. The thread has none yet.
pub(super) fn restore(block: &'static Block, entries: Vec<Entry>) {
    thread::under_lock(|threads| {
        let add = |before, entry| node(entry, before, |node| is_in_use(node, threads));
        let newest = entries.into_iter().fold(core::ptr::null(), add);
        if Filters(newest).next().is_some() {
            block.sandbox.newest.store(newest.cast_mut(), Ordering::Release);
            block.sandbox.mode.store(FILTERED, Ordering::Release);
        }
    });
}
