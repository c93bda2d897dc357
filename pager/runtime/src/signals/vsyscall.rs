//! The vsyscall page: three calls at fixed addresses above user space, of programs from before the vDSO.
//!
//! The kernel does them when their address is fetched, and ends in a SIGSEGV of its own where it cannot read
//! the return address or store a result. A page that is missing is such a place: then they are done here.
//!
//! Source: arch/x86/entry/vsyscall/vsyscall_64.c of Linux.

use pager_core::calls as table;

use crate::call::Call;
use crate::calls::perform;
use crate::keys;
use crate::sys::signal::{SI_KERNEL, SIGSEGV, SigInfo, UContext};
use crate::sys::{Errno, as_return};
use crate::thread::Block;
use crate::user;

const GETTIMEOFDAY: u64 = 96;
const TIME: u64 = 201;
const GETCPU: u64 = 309;

/// The call at an address.
const fn call_at(address: u64) -> Option<u64> {
    match address {
        0xffff_ffff_ff60_0000 => Some(GETTIMEOFDAY),
        0xffff_ffff_ff60_0400 => Some(TIME),
        0xffff_ffff_ff60_0800 => Some(GETCPU),
        _ => None,
    }
}

/// Does the call that the kernel could not do; whether the program goes on behind it. What the program itself
/// may not touch stays its fault.
pub fn emulate(block: &'static Block, info: &SigInfo, context: &mut UContext) -> bool {
    if info.signo as u32 != SIGSEGV || info.code != SI_KERNEL {
        return false;
    }
    let machine = &context.machine;
    let args = [machine.rdi, machine.rsi, machine.rdx, 0, 0, 0];
    let Some(row) = call_at(machine.rip).and_then(table::row) else { return false };
    let entered = keys::as_program(context);
    let caller = user::read_value::<u64>(machine.rsp);
    let result = perform(block, Call { row, args });
    keys::note_changes(context, entered);
    let (Ok(caller), false) = (caller, result == Err(Errno::EFAULT)) else { return false };
    context.machine.rax = as_return(result);
    context.machine.rip = caller;
    context.machine.rsp += 8;
    true
}
