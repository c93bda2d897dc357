//! System calls of the program: which way each one goes.
//!
//! The table is `pager_core::calls`; here its routes are taken. A call's result goes into the trapped
//! context; calls that replace the context (sigreturn) or never come back (exit, exec) say so by [`Answer`].

mod advise_vector;
mod again;
mod cut;
mod descriptors;
pub use again::was_cut_short;
pub use descriptors::of_the_run;
pub use perform::perform;
pub mod fill;
mod keys;
mod limits;
mod listing;
pub mod make;
mod maps;
mod open;
pub mod paths;
mod pending;
pub mod perform;
pub mod pieces;
mod prctl;
mod query;
mod records;
pub mod vectors;
mod waited;

use pager_core::calls::{self as table, Managed, Route, Virtual};
use pager_core::shared::count;

use crate::call::{Call, SYSCALL_BYTES};
use crate::control;
use crate::die;
use crate::gate;
use crate::memory;
use crate::process;
use crate::process::trace::{stops, tracee};
use crate::sandbox::{self, Admission};
use crate::signals;
use crate::sys::signal::{self, UContext};
use crate::sys::{Errno, as_return, nr};
use crate::thread::{BackedUp, Block};

/// How a call ended.
pub enum Answer {
    /// With this result.
    Result(Result<u64, Errno>),
    /// The context is what the program goes on with.
    Context,
}

/// Does what the trapped call in `context` asks for.
pub fn dispatch(block: &'static Block, context: &mut UContext) {
    let number = context.machine.rax;
    let machine = &context.machine;
    let args = [machine.rdi, machine.rsi, machine.rdx, machine.r10, machine.r8, machine.r9];
    count(&control::counts().calls_trapped, 1);
    block.own().backed_up = BackedUp::No;
    if block.sandbox.confines()
        && sandbox::admit(block, context, signal::AUDIT_ARCH_X86_64, &args) == Admission::Settled
    {
        return;
    }
    if block.own().trace_due {
        tracee::before_call(block, number, &args);
    }
    let answer = match table::row(number) {
        Some(_) if descriptors::names_ours(number, &args) => Answer::Result(Err(Errno::EBADF)),
        Some(row) => route(block, context, Call { row, args }),
        None => Answer::Result(perform::unknown(block, number, args)),
    };
    if let Answer::Result(result) = answer {
        finish(block, context, number, result);
    }
}

/// A call made the 32-bit way (`int 0x80`), whose numbers mean other calls: answered as a kernel without
/// 32-bit programs would.
pub fn refuse_foreign(block: &'static Block, context: &mut UContext, arch: u32) {
    let machine = &context.machine;
    let args = [machine.rbx, machine.rcx, machine.rdx, machine.rsi, machine.rdi, machine.rbp]
        .map(|arg| arg & 0xffff_ffff);
    if block.sandbox.confines() && sandbox::admit(block, context, arch, &args) == Admission::Settled {
        return;
    }
    count(&control::counts().calls_refused, 1);
    die::event!(
        "32-bit system call {} of a 64-bit program is answered with ENOSYS",
        context.machine.rax as u32
    );
    context.machine.rax = as_return(Err(Errno::ENOSYS));
}

fn finish(block: &'static Block, context: &mut UContext, number: u64, result: Result<u64, Errno>) {
    let backed_up = match result {
        Err(Errno::ERESTARTSYS) => BackedUp::UnlessHandled,
        Err(Errno::ERESTARTNOINTR) => BackedUp::No,
        result => {
            context.machine.rax = as_return(result);
            return gate::answered(context);
        }
    };
    // Made again when the program resumes there.
    context.machine.rip -= SYSCALL_BYTES;
    context.machine.rax = number;
    block.own().backed_up = backed_up;
}

fn route(block: &'static Block, context: &mut UContext, call: Call) -> Answer {
    match call.row.route {
        Route::Straight | Route::Filled | Route::Repeated => {
            let is_wait = matches!(u64::from(call.row.number), nr::WAIT4 | nr::WAITID);
            let result = if is_wait && control::is_tracing() {
                stops::wait(block, call)
            } else {
                perform(block, call)
            };
            waited::note(&call, result);
            Answer::Result(result)
        }
        Route::Managed(managed) => {
            count(&control::counts().calls_managed, 1);
            Answer::Result(manage(block, call, managed))
        }
        Route::Virtual(which) => virtualise(block, context, call, which),
        Route::Refused(errno) => {
            count(&control::counts().calls_refused, 1);
            die::event!("{} is answered with errno {errno}", call.row.name);
            Answer::Result(Err(Errno(errno)))
        }
    }
}

fn manage(block: &'static Block, call: Call, managed: Managed) -> Result<u64, Errno> {
    let [a, b, c, d, e, f] = call.args;
    match managed {
        Managed::Mmap => memory::map::mmap(memory::map::Request {
            addr: a,
            len: b,
            prot: c,
            flags: d,
            fd: i64::from(e as i32),
            offset: f,
        }),
        Managed::Munmap => memory::unmap::munmap(a, b),
        Managed::Mremap => memory::remap::mremap(a, b, c, d, e),
        Managed::Mprotect => memory::protect::mprotect(a, b, c, None),
        Managed::PkeyMprotect => memory::protect::mprotect(a, b, c, Some(d as i32).filter(|key| *key != -1)),
        Managed::Madvise => memory::advise::madvise(a, b, c),
        Managed::Brk => Ok(memory::brk::brk(a)),
        Managed::Mlock => memory::locks::lock(a, b, 0),
        Managed::Mlock2 => memory::locks::lock(a, b, c),
        Managed::Munlock => memory::locks::unlock(a, b),
        Managed::Mlockall => memory::locks::lock_all(a),
        Managed::Munlockall => memory::locks::unlock_all(),
        Managed::Mincore => query::mincore(a, b, c),
        Managed::Msync => query::msync(a, b, c),
        Managed::RemapFilePages => query::kernel_only(call.row.number.into(), call.args),
        Managed::Shmat => memory::shared::shmat(a, b, c),
        Managed::Shmdt => memory::shared::shmdt(a),
        Managed::Mbind => perform(block, call),
        Managed::Mseal => memory::seal::mseal(a, b, c),
        Managed::ProcessMadvise => advise_vector::process_madvise(block, call),
        Managed::SetMempolicyHomeNode => Err(Errno::ENOSYS),
    }
}

fn virtualise(block: &'static Block, context: &mut UContext, call: Call, which: Virtual) -> Answer {
    let [a, b, c, d, e, _] = call.args;
    if let Some(errno) = table::refusal(call.row, &call.args) {
        count(&control::counts().calls_refused, 1);
        return Answer::Result(Err(Errno(errno)));
    }
    count(&control::counts().calls_managed, 1);
    Answer::Result(match which {
        Virtual::Sigaction => signals::calls::sigaction(block, a, b, c, d),
        Virtual::Sigaltstack => signals::calls::sigaltstack(block, context, a, b),
        Virtual::Sigprocmask => {
            // The result goes first: a signal that is let in now finds the call done.
            context.machine.rax = as_return(signals::calls::sigprocmask(block, context, [a, b, c, d]));
            signals::deliver::deliver(block, context);
            return Answer::Context;
        }
        Virtual::Sigreturn => {
            signals::frame::sigreturn(block, context);
            signals::deliver::deliver(block, context);
            return Answer::Context;
        }
        Virtual::Clone => return clone(block, context, process::Request::from_args(&call.args)),
        Virtual::Fork => return clone(block, context, process::Request::FORK),
        Virtual::Vfork => return clone(block, context, process::Request::VFORK),
        Virtual::Execve => process::exec::execve(crate::sys::file::AT_FDCWD, a, b, c, 0),
        Virtual::Execveat => process::exec::execve(i64::from(a as i32), b, c, d, e),
        Virtual::Exit => process::exit::exit_thread(block, a),
        Virtual::ExitGroup => process::exit::exit_process(block, a as i32),
        Virtual::SetTidAddress => Ok(process::exit::set_tid_address(block, a)),
        Virtual::SetRobustList => process::exit::set_robust_list(block, a, b),
        Virtual::GetRobustList => process::exit::robust_list(block, a, b, c),
        Virtual::Close => descriptors::close(a),
        Virtual::CloseRange => descriptors::close_range(a, b, c),
        Virtual::Dup2 | Virtual::Dup3 => descriptors::duplicate(call),
        Virtual::Readlink | Virtual::Readlinkat => perform(block, call),
        Virtual::Open | Virtual::Openat | Virtual::Openat2 => open::open(block, call),
        Virtual::Sigpending => pending::sigpending(block, call),
        Virtual::Sigtimedwait => pending::sigtimedwait(block, call),
        Virtual::Signalfd => pending::signalfd(block, call),
        Virtual::Getrlimit | Virtual::Setrlimit | Virtual::Prlimit => {
            limits::answer(call.row.number.into(), &call.args).unwrap_or_else(|| perform(block, call))
        }
        Virtual::Ptrace => process::trace::ptrace(block, call),
        Virtual::Seccomp => sandbox::seccomp(block, a, b, c),
        Virtual::Prctl => {
            let result = sandbox::prctl(block, &call.args).unwrap_or_else(|| prctl::prctl(block, call));
            memory::deny::note(&call.args, result);
            result
        }
        Virtual::Sigsuspend | Virtual::ArchPrctl => perform(block, call),
    })
}

/// In a forked child the context is no longer as the kernel made it: signals of the parent were dropped.
fn clone(block: &'static Block, context: &mut UContext, request: process::Request) -> Answer {
    context.machine.rax = as_return(process::clone(block, context, request));
    Answer::Context
}
