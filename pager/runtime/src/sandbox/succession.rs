//! Filters outlive exec: a paged program gets them from the one before by a descriptor, for one that runs
//! natively they are the kernel's from then on.

use alloc::vec::Vec;

use pager_core::seccomp::{ARCH_X86_64, Data, INSTRUCTION_BYTES, Made, decode, encode};

use super::chain::Node;
use super::install;
use crate::gate;
use crate::memory::limits;
use crate::sys::file::{self, Fd};
use crate::sys::signal::{self, Action, SIG_IGN, SIGILL};
use crate::sys::{Errno, call, nr};
use crate::thread::Block;

const SECCOMP: u64 = 317;
const SET_MODE_FILTER: u64 = 1;
const PR_SET_SECCOMP: u64 = 22;
const MEMFD_CREATE: u64 = 319;
const INHERITED: u64 = 0;
/// Exit code of a program that could not be executed, as env(1) has it.
const NOT_EXECUTED: i32 = 126;

/// Writes the thread's filters to a descriptor that the next program inherits, for [`adopt`]; none where
/// there are none.
///
/// # Errors
/// What the kernel says of the descriptor: then there must be no exec, which would set the program free.
pub fn hand_over(block: &'static Block) -> Result<Option<Fd>, Errno> {
    let nodes = oldest_first(block);
    if nodes.is_empty() {
        return Ok(None);
    }
    let bytes = encode(nodes.iter().map(|node| (node.filter(), node.made(), node.entry.flags)));
    let name = b"pager-filters\0";
    let fd =
        limits::with_descriptors(|| call!(MEMFD_CREATE, name.as_ptr(), INHERITED).map(|fd| Fd(fd as i32)))?;
    match file::pwrite_all(fd, &bytes, 0) {
        Ok(()) => Ok(Some(fd)),
        Err(errno) => {
            file::close(fd);
            Err(errno)
        }
    }
}

/// Takes over what the program before left in `fd`, and closes it.
///
/// # Errors
/// What the read says; EINVAL where there is something else in it.
pub fn adopt(block: &'static Block, fd: Fd) -> Result<(), Errno> {
    let mut bytes = alloc::vec![0u8; file::stat_fd(fd)?.size as usize];
    let got = file::pread_all(fd, &mut bytes, 0)?;
    file::close(fd);
    install::restore(block, decode(&bytes[..got]).ok_or(Errno::EINVAL)?);
    Ok(())
}

fn oldest_first(block: &'static Block) -> Vec<&'static Node> {
    let mut nodes: Vec<_> = block.sandbox.filters().collect();
    nodes.reverse();
    nodes
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    instructions: u64,
}

/// Makes the kernel run the thread's filters, and then makes `exec`, of which the filters have to allow every
/// call made here. Comes back only where nothing has happened; the kernel gives no filter back.
///
/// # Errors
/// What exec says where there are no filters; EPERM where they do not allow what they are installed by, or
/// exec as it is made here; EACCES where the program has given up the right to install them again.
pub fn give_to_kernel(block: &'static Block, exec: (u64, [u64; 6])) -> Result<u64, Errno> {
    let make = || call!(exec.0, exec.1[0], exec.1[1], exec.1[2], exec.1[3], exec.1[4], exec.1[5]);
    let nodes = oldest_first(block);
    if nodes.is_empty() {
        return make();
    }
    let texts: Vec<Vec<u8>> = nodes.iter().map(|node| text(node)).collect();
    let programs: Vec<Program> = texts.iter().map(|text| program(text)).collect();
    let installing = |at: usize| installation(nodes[at], &programs[at]);
    for at in 0..nodes.len() {
        let (number, args) = if at + 1 < nodes.len() { installing(at + 1) } else { exec };
        if nodes[..=at].iter().any(|node| !admits(node, number, args)) {
            return Err(Errno::EPERM);
        }
    }
    default_end();
    for at in 0..nodes.len() {
        let (number, args) = installing(at);
        if let Err(errno) = call!(number, args[0], args[1], args[2]) {
            // Without the right to install one, none is installed: this is the first.
            if at == 0 {
                return Err(errno);
            }
            end();
        }
    }
    let _ = make();
    end()
}

fn text(node: &Node) -> Vec<u8> {
    node.filter().instructions().iter().flat_map(|instruction| instruction.to_bytes()).collect()
}

fn program(text: &[u8]) -> Program {
    Program { length: (text.len() / INSTRUCTION_BYTES) as u16, instructions: text.as_ptr() as u64 }
}

/// The call that installs a filter, of the sort by which the program installed it.
fn installation(node: &Node, program: &Program) -> (u64, [u64; 6]) {
    let at = program as *const Program as u64;
    match node.made() {
        Made::BySeccomp => (SECCOMP, [SET_MODE_FILTER, node.entry.flags.into(), at, 0, 0, 0]),
        Made::ByPrctl => (nr::PRCTL, [PR_SET_SECCOMP, 2, at, 0, 0, 0]),
    }
}

/// Whether a filter allows a call of the runtime's. Where in the runtime it is made is not known beforehand:
/// the start of its code stands for that.
fn admits(node: &Node, number: u64, args: [u64; 6]) -> bool {
    let data =
        Data { number: number as u32, arch: ARCH_X86_64, instruction_pointer: gate::text().start, args };
    pager_core::seccomp::Verdict::of([node.filter().run(&data)]).admits()
}

/// Has SIGILL end the process, for [`end`]; the next program starts with that action anyhow, if it does not
/// ignore the signal.
fn default_end() {
    let mut now = Action::default();
    if signal::action(SIGILL, None, Some(&mut now)).is_ok() && now.handler != SIG_IGN {
        let _ = signal::action(SIGILL, Some(&Action::default()), None);
    }
}

/// The kernel holds the runtime to the program's filters, and the program was not executed: nothing can be
/// relied on any more.
fn end() -> ! {
    let _ = call!(nr::EXIT_GROUP, NOT_EXECUTED);
    let _ = call!(nr::EXIT, NOT_EXECUTED);
    // SAFETY: raises SIGILL, which no filter can keep from ending the process.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
