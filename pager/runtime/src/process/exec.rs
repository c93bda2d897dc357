//! exec: the new program is looked at first, so that errors are the caller's; then the runtime is executed
//! again in its place, with the program named in its environment. What cannot be paged (32-bit, setuid, file
//! capabilities, not to be read) is executed natively, and so is what children execute under
//! `--children native`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::SeqCst;

use pager_core::addr::PAGE_SIZE;
use pager_core::elf::{SCRIPT_BYTES, script};
use pager_core::shared::count;

use super::exit;
use super::leave::{Bequest, Leaving};
use super::lookup::{self, Comm, Fitness, Name};
use super::trace::tracee;
use crate::calls::of_the_run;
use crate::calls::paths::{self, Replaced};
use crate::control;
use crate::die::{self, Line};
use crate::memory::limits;
use crate::row::{self, Before};
use crate::sandbox;
use crate::signals::poke;
use crate::signals::{self, Next};
use crate::slot;
use crate::sys::file::{self, AT_EMPTY_PATH, AT_EXECVE_CHECK, AT_SYMLINK_NOFOLLOW, Fd, Stat};
use crate::sys::signal::{self, SignalSet};
use crate::sys::{Errno, call, nr, task};
use crate::thread::Block;
use crate::user;

const PATH_MAX: usize = 4096;
/// Most bytes of one argument, and of all of them: Linux' limits (MAX_ARG_STRLEN, and a quarter of an 8 MiB
/// stack).
const ARGUMENT_MAX: usize = 128 << 10;
const ARGUMENTS_MAX: usize = 6 << 20;
/// Nesting of scripts that interpret scripts.
const SCRIPT_DEPTH: u32 = 5;

/// What exec was asked to run, copied out of the program's memory. Texts end in a zero byte.
pub struct Image {
    /// The file to load: what was asked for, or the interpreter of it.
    name: Name,
    /// What the program is told that it was executed by: of a script, its own name.
    filename: Vec<u8>,
    comm: Comm,
    /// Where the file to load is, as far as it has been found, for messages and reports.
    place: Vec<u8>,
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
}

impl Image {
    fn new(name: Name, argv: Vec<Vec<u8>>, envp: Vec<Vec<u8>>) -> Image {
        let name = name.under_root();
        Image { filename: name.filename(), comm: name.comm(), place: name.filename(), name, argv, envp }
    }
}

/// What is passed to the kernel: the image's texts, another one for the environment, and the arrays of
/// pointers to them.
pub struct Passed {
    image: Image,
    _entry: Vec<u8>,
    argv: Vec<u64>,
    envp: Vec<u64>,
}

impl Passed {
    /// With `entry` behind the environment, if it is not empty: where a program has put one of that name
    /// itself, this is the one that counts.
    fn new(image: Image, entry: Vec<u8>) -> Box<Passed> {
        let last = (!entry.is_empty()).then_some(entry.as_ptr() as u64);
        let (argv, envp) = (pointers(&image.argv, None), pointers(&image.envp, last));
        Box::new(Passed { image, _entry: entry, argv, envp })
    }

    /// Makes the call, which comes back only with an error. Where it does not, a vfork child leaves all this
    /// in memory that is its parent's, where it goes with the child's block.
    fn to(self: Box<Passed>, exec: impl FnOnce(&Passed) -> Result<u64, Errno>) -> Errno {
        let block = Block::current();
        let next = if self._entry.is_empty() { Next::Native } else { Next::Paged };
        let kept = block.own().passed.insert(self);
        let passed: &Passed = kept.downcast_ref().expect("it was just put there");
        let result = if block.inbox.is_empty() {
            let handed_on = signals::hand_on(block, next);
            let result = exec(passed);
            handed_on.take_back(block);
            result
        } else {
            // A signal that came before has its handler run first, which the next image knows nothing of.
            Err(Errno::ERESTARTNOINTR)
        };
        block.own().passed = None;
        result.err().unwrap_or(Errno::EINVAL)
    }
}

/// What becomes of a file that can be executed.
enum Kind {
    Paged(Fd),
    Native(Reason),
}

/// Why a program runs natively.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It cannot be paged.
    Unfit,
    /// It may be executed, but not read.
    Unreadable,
    /// The user wants it so.
    Wished,
    /// A process of the run traces it.
    Traced,
}

/// execve and execveat.
///
/// # Errors
/// As execve(2).
pub fn execve(dir: i64, path: u64, argv: u64, envp: u64, flags: u64) -> Result<u64, Errno> {
    // The kernel's is an int.
    let flags = u64::from(flags as u32);
    let text = user::read_string(path, PATH_MAX)?;
    if text.is_empty() && flags & AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_EXECVE_CHECK) != 0 {
        return Err(Errno::EINVAL);
    }
    let (path, replaced) = paths::executed(text)?;
    let name = Name::new(dir, terminated(&path), flags);
    let is_traced = tracee::is_traced(Block::current());
    if is_traced { name.check_in_parts() } else { name.check() }?;
    let mut room = ARGUMENTS_MAX;
    let mut argv = read_vector(argv, &mut room)?;
    if argv.is_empty() {
        argv.push(alloc::vec![0]);
    }
    let envp = read_vector(envp, &mut room)?;
    if flags & AT_EXECVE_CHECK != 0 {
        return Ok(0);
    }
    let mut image = Image::new(name, argv, envp);
    if let Replaced::Yes(path) = replaced {
        image.filename = terminated(&path);
    }
    let kind = if slot::runs_natively() {
        Kind::Native(Reason::Wished)
    } else if is_traced {
        Kind::Native(Reason::Traced)
    } else {
        resolve(&mut image)?
    };
    Err(start(image, kind))
}

/// Executes what the run was started with and cannot be loaded: a script's interpreter takes its place, a
/// program that is not to be paged runs natively. Comes back only with an error.
pub fn instead(path: &[u8], argv: &[Vec<u8>], envp: &[Vec<u8>]) -> Errno {
    let texts = |texts: &[Vec<u8>]| texts.iter().map(|text| terminated(text)).collect();
    let mut image = Image::new(Name::of_path(terminated(path)), texts(argv), texts(envp));
    match image.name.check().and_then(|()| resolve(&mut image)) {
        Ok(kind) => start(image, kind),
        Err(errno) => errno,
    }
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

/// Opens the program, whose name has passed its check, and follows scripts to their interpreters.
fn resolve(image: &mut Image) -> Result<Kind, Errno> {
    for _ in 0..=SCRIPT_DEPTH {
        let (fd, stat) = match image.name.open() {
            Err(Errno::EACCES) => return Ok(Kind::Native(Reason::Unreadable)),
            opened => opened?,
        };
        image.place = image.name.place(fd);
        let kind = look(image, fd, &stat);
        if !matches!(kind, Ok(Some(Kind::Paged(_)))) {
            file::close(fd);
        }
        if let Some(kind) = kind? {
            return Ok(kind);
        }
        image.name.check()?;
    }
    Err(Errno::ELOOP)
}

/// What becomes of the open file; nothing yet of a script, whose interpreter is in its place then.
fn look(image: &mut Image, fd: Fd, stat: &Stat) -> Result<Option<Kind>, Errno> {
    let mut first = alloc::vec![0u8; PAGE_SIZE as usize];
    let got = file::pread_all(fd, &mut first, 0)?;
    first.truncate(got);
    if let Some(found) = script(&first[..got.min(SCRIPT_BYTES)]) {
        if image.name.closes() {
            return Err(Errno::ENOENT);
        }
        into_script(image, terminated(found.interpreter), found.argument.map(terminated));
        return Ok(None);
    }
    match lookup::fitness(fd, stat, &first) {
        Fitness::Fit => lookup::check_interpreter(fd, &first, stat.size).map(|()| Some(Kind::Paged(fd))),
        Fitness::Unfit => Ok(Some(Kind::Native(Reason::Unfit))),
        Fitness::NoProgram => Err(Errno::ENOEXEC),
    }
}

fn terminated(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    text.push(0);
    text
}

fn into_script(image: &mut Image, interpreter: Vec<u8>, argument: Option<Vec<u8>>) {
    let script = image.name.filename();
    image.name = Name::of_path(interpreter.clone()).under_root();
    let rest = image.argv.split_off(1);
    image.argv = Vec::with_capacity(rest.len() + 3);
    image.argv.push(interpreter);
    image.argv.extend(argument);
    image.argv.push(script);
    image.argv.extend(rest);
}

/// Executes; comes back only with an error. Meanwhile this process cannot be poked: the next image has no
/// handler yet, or never gets one.
fn start(image: Image, kind: Kind) -> Errno {
    let process = control::process();
    // A vfork child is not the process of this slot.
    let own = control::is_owner();
    if own {
        poke::refuse();
        take_pending_poke();
    }
    let block = Block::current();
    let pinned = block.pinned();
    // Before slots are given up: a page that is in one then stays there.
    exit::ready_robust(block);
    limits::hand_back(match kind {
        Kind::Paged(_) => limits::Descriptors::Kept,
        Kind::Native(_) => limits::Descriptors::HandedBack,
    });
    let errno = execute(image, kind);
    limits::lift();
    block.unpin_to(pinned);
    if own {
        process.listen();
    }
    errno
}

/// A poke that was sent to a thread that ends with exec would reach the next image. A mask that changes has
/// the kernel look again what is pending.
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
        Kind::Native(reason) => start_native(image, reason),
    }
}

fn start_paged(image: Image, fd: Fd) -> Errno {
    let inherited = match limits::with_descriptors(|| file::duplicate_inherited(fd)) {
        Ok(inherited) => inherited,
        Err(errno) => return errno,
    };
    let filters = match sandbox::hand_over(Block::current()) {
        Ok(filters) => filters,
        Err(errno) => {
            file::close(inherited);
            return errno;
        }
    };
    let leaving = Leaving::take();
    let slots = leaving.hand_over();
    let entry = passport(inherited, slots, filters, &image);
    let runtime = control::settings().runtime_fd.load(core::sync::atomic::Ordering::Relaxed);
    let empty = b"\0";
    let errno = Passed::new(image, entry).to(|passed| {
        call!(
            nr::EXECVEAT,
            runtime,
            empty.as_ptr(),
            passed.argv.as_ptr(),
            passed.envp.as_ptr(),
            AT_EMPTY_PATH
        )
    });
    file::close(inherited);
    slots.into_iter().chain(filters).for_each(file::close);
    leaving.stay();
    errno
}

/// The environment entry by which the next image finds its run. A vfork child has neither row nor slot yet.
fn passport(program: Fd, slots: Option<Fd>, filters: Option<Fd>, image: &Image) -> Vec<u8> {
    let (key, control) = (pager_core::shared::ENVIRONMENT_KEY, control::control_fd().0);
    let own = control::is_owner();
    let row = row::number().filter(|_| own).map_or(-1, |row| row as i64);
    let number = |fd: Option<Fd>| fd.map_or(-1, |fd| fd.0);
    let (slots, filters, ticket) = (number(slots), number(filters), slot::ticket().unwrap_or(-1));
    let ignored = Block::current().own().actions().ignored(SignalSet::OURS).0;
    // A lodger may be in a namespace of its own.
    let space = if own { slot::space() } else { slot::space_within(slot::space()) };
    let name = &image.filename[..image.filename.len() - 1];
    let comm = match image.comm {
        Comm::OfName => 0,
        Comm::OfFile => 1,
    };
    let files = limits::hard_descriptors().map_or(-1, |hard| hard as i64);
    let (program, length) = (program.0, name.len());
    let head = Line::format(format_args!(
        "{key}={control}:{program}:{slots}:{row}:{filters}:{ignored}:{ticket}:{space}:{comm}:{files}:{length}:"
    ));
    [head.as_bytes(), name, &image.place].concat()
}

/// Descriptors and settings of ours do not follow into the program.
fn start_native(image: Image, reason: Reason) -> Errno {
    let counts = control::counts();
    let path = core::str::from_utf8(&image.place[..image.place.len() - 1]).unwrap_or("?");
    let counter = match reason {
        Reason::Unreadable => {
            die::event!("{path} runs natively, unpaged: it may be executed, but not read");
            &counts.execs_native
        }
        Reason::Unfit => {
            die::say(format_args!(
                "{path} runs natively, unpaged: it is 32-bit, setuid or has file capabilities"
            ));
            &counts.execs_native
        }
        Reason::Traced => {
            die::say(format_args!("{path} runs natively, unpaged: a debugger of this run traces it"));
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
    let before = row::become_native(path.as_bytes());
    let leaving = Leaving::take();
    let bequest = leaving.bequeath();
    let errno = Passed::new(image, Vec::new()).to(|passed| {
        let exec = passed.image.name.exec_call(passed.argv.as_ptr(), passed.envp.as_ptr());
        tracee::begin(Block::current());
        sandbox::give_to_kernel(Block::current(), exec)
    });
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
