//! The start: from the kernel's exec of the runtime to the program's first instruction.

use alloc::vec::Vec;
use core::ops::Range;
use core::ptr::NonNull;

use pager_core::shared::{Control, ENVIRONMENT_KEY, FailureKind, MAGIC, count};

use crate::arena;
use crate::calls;
use crate::clock;
use crate::control;
use crate::die;
use crate::engine;
use crate::gate;
use crate::images;
use crate::keys;
use crate::lifeline;
use crate::load::itself::{self, Itself};
use crate::load::{self, Executed, Inherited};
use crate::memory::{deny, limits};
use crate::own_descriptors;
use crate::paging;
use crate::process::leave;
use crate::process::lookup::Comm;
use crate::program;
use crate::record;
use crate::row;
use crate::sandbox;
use crate::server;
use crate::signals::{self, held};
use crate::slot;
use crate::space;
use crate::swap;
use crate::sys::file::{self, Fd};
use crate::sys::memory::{self, MAP_SHARED, PROT_READ, PROT_WRITE};
use crate::sys::signal::{self, SignalSet};
use crate::sys::{Errno, check, syscall, task};
use crate::thread::Block;

const AT_NULL: u64 = 0;
const AT_RANDOM: u64 = 25;
const SET_TID_ADDRESS: u64 = 218;
const EXIT_USAGE: i32 = 2;

/// Called by `_start` with the kernel's stack.
///
/// # Safety
/// Once, by `gate`, with the stack as exec leaves it.
pub unsafe extern "C" fn start(stack: *const u64) -> ! {
    // SAFETY: the kernel's layout: argc, argv, null, envp, null, auxv.
    let inherited = unsafe { read_stack(stack) };
    let Some(passport) = parse_run(&inherited.run) else {
        die::say(format_args!("this is the runtime of `pager run`, and not to be started by hand"));
        task::exit_group(EXIT_USAGE);
    };
    let Passport { program: program_fd, row, ticket, space, comm, .. } = passport;
    let (filename, path) = (passport.filename.to_vec(), passport.path.to_vec());
    if let Err(errno) = map_control(passport.control) {
        die::internal(format_args!("the run's control block cannot be mapped: {errno:?}"));
    }
    if let Some(Err(errno)) = passport.slots.map(leave::adopt) {
        die::event!("swap slots of the program before are lost: {errno:?}");
    }
    limits::take_over(passport.descriptors);
    let itself = itself::leave_file(control::runtime_copy());
    let is_held = lifeline::take_hold();
    task::disable_huge_pages();
    slot::continue_in(space);
    slot::claim(ticket);
    if slot::note_first() && is_held {
        // The supervisor asked for SIGKILL at its own end, for as long as there was no lifeline: the program
        // would see that.
        task::outlive_parent();
    }
    row::take_up(row);
    clock::calibrate();
    keys::learn();
    deny::learn();
    let block = match prepare(program_fd, passport.filters, passport.ignored) {
        Ok(block) => block,
        Err(errno) => die::internal(format_args!("this process cannot be prepared: {errno:?}")),
    };
    let job = alloc::boxed::Box::leak(alloc::boxed::Box::new(Job {
        inherited,
        program_fd,
        filename,
        comm,
        path,
        itself,
    }));
    // SAFETY: the block is new; `run` never returns.
    unsafe { gate::on_stack(block.stack_top(), run, job as *mut Job as u64) }
}

struct Job {
    inherited: Inherited,
    program_fd: Fd,
    filename: Vec<u8>,
    comm: Comm,
    path: Vec<u8>,
    itself: Itself,
}

/// The rest, on the first thread's block.
unsafe extern "C" fn run(job: u64) -> ! {
    // SAFETY: leaked by `start` for us.
    let job = unsafe { &*(job as *const Job) };
    let counts = control::counts();
    count(&counts.execs, 1);
    match job.comm {
        Comm::OfName => name_process(&job.filename, &job.path),
        Comm::OfFile => name_process(file_name(&program::PATH.lock()), &job.path),
    }
    record::executed();
    let executed =
        Executed { fd: job.program_fd, path: &job.path, filename: &job.filename, itself: job.itself };
    let ready = load::load(&executed, &job.inherited);
    file::close(job.program_fd);
    if let Err(errno) = task::dispatch_on(gate::text()) {
        die::fail(FailureKind::Kernel, errno.0 as u64, b"syscall user dispatch", die::INTERNAL_EXIT);
    }
    // SAFETY: both come from the loader.
    unsafe { gate::enter(ready.stack, ready.entry) }
}

unsafe fn read_stack(stack: *const u64) -> Inherited {
    // SAFETY: by the caller, the words and texts are there and stay.
    unsafe {
        let count = stack.read() as usize;
        let argv = stack.add(1);
        let envp = argv.add(count + 1);
        let mut auxiliary = envp;
        while auxiliary.read() != 0 {
            auxiliary = auxiliary.add(1);
        }
        let key = [ENVIRONMENT_KEY.as_bytes(), b"="].concat();
        let (argv_texts, mut texts) = (vector(argv), vector(envp));
        let (arguments, mut environment) = (extent(argv, &argv_texts), extent(envp, &texts));
        // Ours is the last entry: the program's follow its arguments, as some programs expect.
        let run = texts.pop_if(|text| text.starts_with(&key));
        environment.end -= run.as_ref().map_or(0, |run| run.len() as u64 + 1);
        let (argv_at, envp_at) = (beginnings(&arguments, &argv_texts), beginnings(&environment, &texts));
        let auxiliary = pairs(auxiliary.add(1));
        let random = auxiliary.iter().find(|(name, _)| *name == AT_RANDOM);
        let random = random.map_or([0; 16], |(_, at)| (*at as *const [u8; 16]).read());
        Inherited {
            argv: argv_texts,
            arguments,
            environment,
            argv_at,
            envp_at,
            envp: texts,
            auxiliary,
            random,
            run: run.map_or(Vec::new(), |run| run[key.len()..].to_vec()),
        }
    }
}

unsafe fn vector(mut at: *const u64) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    // SAFETY: a null-terminated array of texts, by the caller.
    unsafe {
        while at.read() != 0 {
            texts.push(core::ffi::CStr::from_ptr(at.read() as *const _).to_bytes().to_vec());
            at = at.add(1);
        }
    }
    texts
}

/// Where texts lie that the kernel has put one behind the other.
unsafe fn extent(at: *const u64, texts: &[Vec<u8>]) -> Range<u64> {
    // SAFETY: the array has at least its null entry.
    let start = unsafe { at.read() };
    start..start + texts.iter().map(|text| text.len() as u64 + 1).sum::<u64>()
}

/// Where each of the texts begins.
fn beginnings(extent: &Range<u64>, texts: &[Vec<u8>]) -> Vec<u64> {
    let behind = |at: &mut u64, text: &Vec<u8>| {
        let begin = *at;
        *at += text.len() as u64 + 1;
        Some(begin)
    };
    texts.iter().scan(extent.start, behind).collect()
}

unsafe fn pairs(mut at: *const u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    // SAFETY: an auxiliary vector ends in AT_NULL.
    unsafe {
        while at.read() != AT_NULL {
            found.push((at.read(), at.add(1).read()));
            at = at.add(2);
        }
    }
    found
}

/// What the run left in the environment for this image.
struct Passport<'a> {
    control: Fd,
    program: Fd,
    /// Swap slots that the program before could not give up itself.
    slots: Option<Fd>,
    /// Row of the program before in the roster.
    row: Option<usize>,
    /// Seccomp filters that outlive the program before.
    filters: Option<Fd>,
    /// Signals that the program before ignored, of those for which the kernel has an action of the runtime's.
    ignored: SignalSet,
    /// Its claim to its slot.
    ticket: Option<i64>,
    /// Its PID namespace, as the run counts them.
    space: u32,
    comm: Comm,
    /// The hard limit on descriptors, where the kernel's is another.
    descriptors: Option<u64>,
    /// What the program is told that it was executed by.
    filename: &'a [u8],
    /// Where its file is.
    path: &'a [u8],
}

/// `CONTROL_FD:PROGRAM_FD:SLOTS_FD:ROW:FILTERS_FD:IGNORED:TICKET:SPACE:COMM:DESCRIPTORS:LENGTH:` and the file
/// name, so many bytes long, and the path; what there is not is -1.
fn parse_run(run: &[u8]) -> Option<Passport<'_>> {
    let mut parts = run.splitn(12, |byte| *byte == b':');
    let mut number = || core::str::from_utf8(parts.next()?).ok()?.parse::<i64>().ok();
    let (control, program, slots, row, filters) = (number()?, number()?, number()?, number()?, number()?);
    let (ignored, ticket, space) = (SignalSet(number()? as u64), number()?, number()?);
    let comm = if number()? == 0 { Comm::OfName } else { Comm::OfFile };
    let descriptors = u64::try_from(number()?).ok();
    let length = usize::try_from(number()?).ok()?;
    let (filename, path) = parts.next()?.split_at_checked(length)?;
    Some(Passport {
        control: Fd(control as i32),
        program: Fd(program as i32),
        slots: (slots >= 0).then_some(Fd(slots as i32)),
        row: usize::try_from(row).ok(),
        filters: (filters >= 0).then_some(Fd(filters as i32)),
        ignored,
        ticket: (ticket >= 0).then_some(ticket),
        space: u32::try_from(space).ok()?,
        comm,
        descriptors,
        filename,
        path,
    })
}

fn map_control(fd: Fd) -> Result<(), Errno> {
    let size = file::stat_fd(fd)?.size;
    if size < size_of::<Control>() as u64 {
        return Err(Errno::EINVAL);
    }
    let addr = arena::map_with(size, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.0.into())?;
    let _ = memory::madvise(addr, size, memory::MADV_DONTDUMP);
    let mapped = addr as *mut Control;
    // SAFETY: mapped, and large enough.
    if unsafe { &*mapped }.magic.load(core::sync::atomic::Ordering::Acquire) != MAGIC {
        return Err(Errno::EINVAL);
    }
    control::set(mapped, fd);
    swap::learn(control::must_control());
    record::learn(control::must_control());
    calls::of_the_run().for_each(own_descriptors::note);
    Ok(())
}

fn prepare(program: Fd, filters: Option<Fd>, ignored: SignalSet) -> Result<&'static Block, Errno> {
    #[cfg(feature = "lock-order")]
    crate::lock::order::check_by(|| Block::of_this_stack().map(|block| &block.held_ranks));
    match engine::open() {
        Ok(fd) => space::set_uffd(fd),
        Err(errno) => die::fail(FailureKind::Kernel, errno.0 as u64, b"userfaultfd", die::INTERNAL_EXIT),
    }
    arena::provide();
    paging::fit_queue();
    signals::PROCESS.inherit(ignored);
    signals::install_own()?;
    let block = Block::new(NonNull::from(&signals::PROCESS))?;
    signals::enter_thread(block)?;
    // SAFETY: the address lives as long as the process.
    check(unsafe { syscall(SET_TID_ADDRESS, [block.alive.as_ptr() as u64, 0, 0, 0, 0, 0]) })?;
    let own = block.own();
    own.tid = task::tid();
    block.sandbox.belong(task::pid(), own.tid);
    // Never opened to be read: a signal that is blocked and pending stays so.
    own.mask = signal::mask();
    held::adopt(block, own.mask);
    held::publish(block, own.mask);
    signal::set_mask(own.mask.for_kernel());
    *program::PATH.lock() = images::path_of(program);
    if let Some(filters) = filters {
        sandbox::adopt(block, filters)?;
    }
    server::start()?;
    control::process().listen();
    Ok(block)
}

/// The process is called by the last part of `name`; the report says where the program is.
fn name_process(name: &[u8], path: &[u8]) {
    let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    let mut terminated = name.to_vec();
    terminated.push(0);
    task::set_name(&terminated);
    control::process().program.set(path);
    if let Some(row) = row::own() {
        row.program.set(path);
    }
}

/// The name of a file, of which the kernel says that it is at `path`.
fn file_name(path: &[u8]) -> &[u8] {
    path.strip_suffix(b" (deleted)").unwrap_or(path)
}
