//! exec: the new program is looked at first, so that errors are the caller's; then the runtime is executed again in its place, with the program
//! named in its environment. What cannot be paged (32-bit, setuid, file capabilities) is executed natively, and so is what children execute under
//! `--children native`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::SeqCst;

use pager_core::elf::{ElfError, HEADER_BYTES, Header, SCRIPT_BYTES, script};
use pager_core::shared::count;

use super::leave::{Bequest, Leaving};
use crate::calls::{of_the_run, paths};
use crate::die::{self, Line};
use crate::memory::limits;
use crate::root;
use crate::row::{self, Before};
use crate::state;
use crate::sys::file::{self, AT_EMPTY_PATH, AT_FDCWD, Fd, Stat};
use crate::sys::signal::{self, SignalSet};
use crate::sys::{Errno, call, nr, task};
use crate::thread::Block;
use crate::user;

const PATH_MAX: usize = 4096;
/// Most bytes of one argument, and of all of them: Linux' limits (MAX_ARG_STRLEN, and a quarter of an 8 MiB stack).
const ARGUMENT_MAX: usize = 128 << 10;
const ARGUMENTS_MAX: usize = 6 << 20;
/// Nesting of scripts that interpret scripts.
const SCRIPT_DEPTH: u32 = 5;
const FACCESSAT2: u64 = 439;
const FGETXATTR: u64 = 193;
const EXECVE: u64 = 59;
const X_OK: u64 = 1;
const AT_EACCESS: u64 = 0x200;
const S_ISUID_OR_SGID: u16 = 0o6000;
/// Our descriptors for the next image go here or above.
const LEAST_FD: u64 = 200;
/// How often who is about to poke this process may go first.
const PATIENCE: u32 = 1000;

/// What exec was asked to run, copied out of the program's memory. Texts end in a zero byte.
pub struct Image {
    pub path: Vec<u8>,
    pub argv: Vec<Vec<u8>>,
    pub envp: Vec<Vec<u8>>,
}

/// What is passed to the kernel: the image's texts, another one for the environment, and the arrays of pointers to them.
pub struct Passed {
    image: Image,
    _entry: Vec<u8>,
    argv: Vec<u64>,
    envp: Vec<u64>,
}

impl Passed {
    /// With `entry` behind the environment, if it is not empty: where a program has put one of that name itself, this is the one that counts.
    fn new(image: Image, entry: Vec<u8>) -> Box<Passed> {
        let last = (!entry.is_empty()).then_some(entry.as_ptr() as u64);
        let (argv, envp) = (pointers(&image.argv, None), pointers(&image.envp, last));
        Box::new(Passed { image, _entry: entry, argv, envp })
    }

    /// Makes the call, which comes back only with an error. Where it does not, a vfork child leaves all this in memory that is its parent's, where
    /// it goes with the child's block.
    fn to(self: Box<Passed>, exec: impl FnOnce(&Passed) -> Result<u64, Errno>) -> Errno {
        let own = Block::current().own();
        let result = exec(own.passed.insert(self));
        own.passed = None;
        result.err().unwrap_or(Errno::EINVAL)
    }
}

/// What becomes of a file that can be executed.
enum Kind {
    Paged(Fd),
    Native(Fd, Reason),
}

/// Why a program runs natively.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It cannot be paged.
    Unfit,
    /// The user wants it so.
    Wished,
}

/// execve and execveat.
///
/// # Errors
/// As execve(2).
pub fn execve(dir: i64, path: u64, argv: u64, envp: u64, flags: u64) -> Result<u64, Errno> {
    let mut image = copy_in(dir, path, argv, envp, flags)?;
    let kind = if state::runs_natively(task::pid()) { as_named(&image)? } else { resolve(&mut image)? };
    Err(start(image, kind))
}

/// Executes what the run was started with and cannot be loaded: a script's interpreter takes its place, a program that is not to be paged runs
/// natively. Comes back only with an error.
pub fn instead(path: &[u8], argv: &[Vec<u8>], envp: &[Vec<u8>]) -> Errno {
    let texts = |texts: &[Vec<u8>]| texts.iter().map(|text| terminated(text)).collect();
    let mut image = Image { path: terminated(path), argv: texts(argv), envp: texts(envp) };
    match resolve(&mut image) {
        Ok(kind) => start(image, kind),
        Err(errno) => errno,
    }
}

fn copy_in(dir: i64, path: u64, argv: u64, envp: u64, flags: u64) -> Result<Image, Errno> {
    let mut text = user::read_string(path, PATH_MAX)?;
    if text.is_empty() && flags & AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    if dir != AT_FDCWD && text.first() != Some(&b'/') {
        let line = Line::format(format_args!("/proc/self/fd/{dir}"));
        let mut full = line.as_bytes().to_vec();
        if !text.is_empty() {
            full.push(b'/');
            full.append(&mut text);
        }
        text = full;
    }
    let text = match paths::program_named(&text) {
        Some(program) => program,
        None => terminated(&text),
    };
    let mut room = ARGUMENTS_MAX;
    let mut argv = read_vector(argv, &mut room)?;
    if argv.is_empty() {
        argv.push(alloc::vec![0]);
    }
    Ok(Image { path: text, argv, envp: read_vector(envp, &mut room)? })
}

fn read_vector(addr: u64, room: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut texts = Vec::new();
    if addr == 0 {
        return Ok(texts);
    }
    loop {
        let pointer = user::read_value::<u64>(addr.wrapping_add(texts.len() as u64 * 8))?;
        if pointer == 0 {
            return Ok(texts);
        }
        let mut text = user::read_string(pointer, ARGUMENT_MAX).map_err(|errno| match errno {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            other => other,
        })?;
        text.push(0);
        *room = room.checked_sub(text.len() + 8).ok_or(Errno::E2BIG)?;
        texts.push(text);
    }
}

/// Opens the program, following scripts to their interpreters.
fn resolve(image: &mut Image) -> Result<Kind, Errno> {
    for _ in 0..=SCRIPT_DEPTH {
        if let Some(under) = root::under(&image.path[..image.path.len() - 1]) {
            image.path = under;
        }
        let (fd, stat) = open_program(&image.path)?;
        let mut first = [0u8; SCRIPT_BYTES];
        let got = file::pread_all(fd, &mut first, 0)?;
        match script(&first[..got]) {
            Some(found) => {
                let (interpreter, argument) = (terminated(found.interpreter), found.argument.map(terminated));
                file::close(fd);
                into_script(image, interpreter, argument);
            }
            None => return kind_of(fd, &stat, &first[..got]),
        }
    }
    Err(Errno::ELOOP)
}

/// What a child executes under `--children native`: the kernel follows scripts itself, and does not know of a root.
fn as_named(image: &Image) -> Result<Kind, Errno> {
    open_program(&image.path).map(|(fd, _)| Kind::Native(fd, Reason::Wished))
}

fn terminated(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    text.push(0);
    text
}

fn into_script(image: &mut Image, interpreter: Vec<u8>, argument: Option<Vec<u8>>) {
    let script = core::mem::replace(&mut image.path, interpreter.clone());
    let rest = image.argv.split_off(1);
    image.argv = Vec::with_capacity(rest.len() + 3);
    image.argv.push(interpreter);
    image.argv.extend(argument);
    image.argv.push(script);
    image.argv.extend(rest);
}

fn open_program(path: &[u8]) -> Result<(Fd, Stat), Errno> {
    call!(FACCESSAT2, AT_FDCWD, path.as_ptr(), X_OK, AT_EACCESS)?;
    let fd = file::open(path, file::O_RDONLY | file::O_CLOEXEC)?;
    match file::stat_fd(fd) {
        Ok(stat) if stat.is_regular() => Ok((fd, stat)),
        _ => {
            file::close(fd);
            Err(Errno::EACCES)
        }
    }
}

fn kind_of(fd: Fd, stat: &Stat, first: &[u8]) -> Result<Kind, Errno> {
    match fitness(fd, stat, first) {
        Fitness::Fit => Ok(Kind::Paged(fd)),
        Fitness::Unfit => Ok(Kind::Native(fd, Reason::Unfit)),
        Fitness::NoProgram => {
            file::close(fd);
            Err(Errno::ENOEXEC)
        }
    }
}

/// Whether a file can be paged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// It can.
    Fit,
    /// It can only run natively: it is 32-bit, or gains privilege.
    Unfit,
    /// It is nothing that could run.
    NoProgram,
}

/// Whether the file that begins with `first` can be paged.
pub fn fitness(fd: Fd, stat: &Stat, first: &[u8]) -> Fitness {
    match Header::parse(&first[..first.len().min(HEADER_BYTES)], stat.size) {
        Ok(_) if gains_privilege(fd, stat) => Fitness::Unfit,
        Ok(_) => Fitness::Fit,
        Err(ElfError::Class32) => Fitness::Unfit,
        Err(_) => Fitness::NoProgram,
    }
}

/// By its mode or by file capabilities.
fn gains_privilege(fd: Fd, stat: &Stat) -> bool {
    let mut capability = [0u8; 64];
    let name = b"security.capability\0";
    let mut is_capable = || call!(FGETXATTR, fd.0, name.as_ptr(), capability.as_mut_ptr(), capability.len()).is_ok();
    stat.mode & S_ISUID_OR_SGID != 0 || is_capable()
}

/// Executes; comes back only with an error. Meanwhile this process cannot be poked: the next image has no handler yet, or never gets one.
fn start(image: Image, kind: Kind) -> Errno {
    let process = state::process();
    // A vfork child is not the process of this slot.
    let own = process.pid.load(SeqCst) == task::pid();
    if own {
        process.stop_listening(PATIENCE, task::give_way);
        take_pending_poke();
    }
    limits::hand_back();
    let errno = execute(image, kind);
    limits::lift();
    if own {
        process.listen();
    }
    errno
}

/// A poke that was sent to a thread that ends with exec would reach the next image. A mask that changes has the kernel look again what is pending.
fn take_pending_poke() {
    let mask = signal::set_mask(SignalSet::ASYNCHRONOUS);
    signal::set_mask(mask);
}

fn execute(image: Image, kind: Kind) -> Errno {
    match kind {
        Kind::Paged(fd) => {
            let result = start_paged(image, fd);
            file::close(fd);
            result
        }
        Kind::Native(fd, reason) => {
            file::close(fd);
            start_native(image, reason)
        }
    }
}

fn start_paged(image: Image, fd: Fd) -> Errno {
    let inherited = match file::duplicate_from(fd, LEAST_FD).or_else(|_| file::duplicate_from(fd, 3)) {
        Ok(inherited) => inherited,
        Err(errno) => return errno,
    };
    let leaving = Leaving::take();
    let slots = leaving.hand_over();
    let entry = passport(inherited, slots, &image.path);
    let runtime = state::settings().runtime_fd.load(core::sync::atomic::Ordering::Relaxed);
    let empty = b"\0";
    let errno = Passed::new(image, entry).to(|passed| {
        call!(nr::EXECVEAT, runtime, empty.as_ptr(), passed.argv.as_ptr(), passed.envp.as_ptr(), AT_EMPTY_PATH)
    });
    file::close(inherited);
    slots.into_iter().for_each(file::close);
    leaving.stay();
    errno
}

/// The environment entry by which the next image finds its run. A vfork child has no row yet.
fn passport(program: Fd, slots: Option<Fd>, path: &[u8]) -> Vec<u8> {
    let (key, control) = (pager_core::shared::ENVIRONMENT_KEY, state::control_fd().0);
    let own = row::own().is_some_and(|row| row.pid.load(SeqCst) == task::pid());
    let row = row::number().filter(|_| own).map_or(-1, |row| row as i64);
    let slots = slots.map_or(-1, |fd| fd.0);
    let head = Line::format(format_args!("{key}={control}:{}:{slots}:{row}:", program.0));
    [head.as_bytes(), path].concat()
}

/// Descriptors and settings of ours do not follow into the program.
fn start_native(image: Image, reason: Reason) -> Errno {
    let counts = state::counts();
    let path = core::str::from_utf8(&image.path[..image.path.len() - 1]).unwrap_or("?");
    let counter = match reason {
        Reason::Unfit => {
            die::say(format_args!("{path} runs natively, unpaged: it is 32-bit, setuid or has file capabilities"));
            &counts.execs_native
        }
        Reason::Wished => {
            die::event!("{path} runs natively, unpaged: --children native");
            &counts.execs_native_children
        }
    };
    count(counter, 1);
    of_the_run().for_each(|fd| file::set_cloexec(fd, 1));
    task::allow_huge_pages();
    let before = row::become_native(task::pid(), path.as_bytes());
    let leaving = Leaving::take();
    let bequest = leaving.bequeath();
    let errno = Passed::new(image, Vec::new())
        .to(|passed| call!(EXECVE, passed.image.path.as_ptr(), passed.argv.as_ptr(), passed.envp.as_ptr()));
    task::disable_huge_pages();
    of_the_run().for_each(|fd| file::set_cloexec(fd, 0));
    bequest.into_iter().for_each(Bequest::take_back);
    leaving.stay();
    before.into_iter().for_each(Before::restore);
    counter.fetch_sub(1, SeqCst);
    errno
}

/// The null-terminated array that the kernel wants.
fn pointers(texts: &[Vec<u8>], last: Option<u64>) -> Vec<u64> {
    texts.iter().map(|text| text.as_ptr() as u64).chain(last).chain([0]).collect()
}
