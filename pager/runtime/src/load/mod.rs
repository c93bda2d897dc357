//! Loading a program: its segments become areas, nothing is read but headers.

mod announce;
mod executed;
pub mod itself;
mod random;
mod stack;

use alloc::vec::Vec;

use core::sync::atomic::Ordering;

use pager_core::addr::{PAGE_SIZE, PageRange, VirtAddr};
use pager_core::area::{Area, Holding, ImageId, KernelReason, Protection, Role};
use pager_core::elf::{ElfError, HEADER_BYTES, Header, Kind, Piece, PieceBacking, Program};
use pager_core::shared::{FailureKind, count};

use crate::control;
use crate::die;
use crate::images::IMAGES;
use crate::images::{self, Use};
use crate::memory::map::{Request, map_anonymous, map_image};
use crate::memory::{brk, limits, prot_bits};
use crate::process::exec;
use crate::process::lookup::{self, Fitness};
use crate::root;
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::file::{self, Fd, Stat};
use crate::sys::memory::{self as kernel, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE};

pub use executed::{Executed, Inherited, Loaded};
use random::Randomisation;
pub use stack::Stack;

/// Where the kernel puts position-independent programs, and over how many pages it spreads them.
const PIE_BASE: u64 = 0x5555_5555_4000;
const PIE_RANDOM_PAGES: u64 = 1 << 28;
/// How far behind its least address the heap begins, at most.
const HEAP_RANDOM_PAGES: u64 = 0x2000;
const EXIT_NOT_EXECUTABLE: i32 = 126;

/// What is needed to start.
pub struct Ready {
    pub entry: u64,
    pub stack: u64,
}

/// Loads the program, its interpreter and its stack.
pub fn load(executed: &Executed<'_>, start: &Inherited) -> Ready {
    let Executed { fd, path, filename, .. } = *executed;
    let randomisation = Randomisation::of_this_process();
    let main = load_file(fd, path, Place::Program(start, randomisation));
    let interpreter = main.program.interpreter.map(|name| {
        let name = interpreter_path(fd, &main, path, name.offset, name.len);
        load_interpreter(&name)
    });
    // The heap of a program that lies among mappings has room where other programs lie.
    let least = match is_loader(&main.program) {
        true => PIE_BASE + PAGE_SIZE,
        false => main.program.span().end().start().0 + main.bias,
    };
    brk::start_at(least + randomisation.of_heap().pages(HEAP_RANDOM_PAGES) * PAGE_SIZE);
    keep_texts(start);
    let stack = Stack { main: &main, interpreter: interpreter.as_ref(), start, filename, randomisation };
    let entry = interpreter.as_ref().map_or(main.entry, |interpreter| interpreter.entry);
    match stack.build() {
        Ok((stack, auxiliary)) => {
            announce::announce(&main, executed, stack, &auxiliary, start);
            Ready { entry, stack }
        }
        Err(errno) => die::internal(format_args!("the stack cannot be built: {errno:?}")),
    }
}

/// The kernel's pages with the texts of arguments and environment are the program's, too.
fn keep_texts(start: &Inherited) {
    let texts = start.environment.end.saturating_sub(start.arguments.start);
    let Some(range) = PageRange::touching(VirtAddr(start.arguments.start), texts) else { return };
    let protection = Protection::READ | Protection::WRITE;
    let area = Area::new(range, protection, Holding::Kernel(KernelReason::Other), Role::Stack);
    if let Err(error) = SPACE.areas.write().insert(area) {
        die::internal(format_args!("the arguments lie where something else does: {error}"));
    }
}

/// What a file is loaded as.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// The program, with what is to be passed on if it turns out to be a script.
    Program(&'a Inherited, Randomisation),
    Interpreter,
}

fn fail_elf(error: ElfError, path: &[u8]) -> ! {
    die::fail(FailureKind::Elf, error.code(), path, EXIT_NOT_EXECUTABLE)
}

fn fail_io(errno: Errno, path: &[u8]) -> ! {
    die::fail(FailureKind::Io, errno.0 as u64, path, EXIT_NOT_EXECUTABLE)
}

fn load_interpreter(name: &[u8]) -> Loaded {
    let mut terminated = root::under(name).unwrap_or_else(|| name.to_vec());
    if terminated.last() != Some(&0) {
        terminated.push(0);
    }
    let open = || file::open(&terminated, file::O_RDONLY | file::O_CLOEXEC);
    // The kernel's exec needs no descriptor for it, so the program may have used up its own.
    let opened = match open() {
        Err(Errno::EMFILE) => limits::with_descriptors(open),
        other => other,
    };
    match opened {
        Ok(fd) => {
            let loaded = load_file(fd, name, Place::Interpreter);
            file::close(fd);
            loaded
        }
        Err(errno) => die::fail(FailureKind::Interpreter, errno.0 as u64, name, EXIT_NOT_EXECUTABLE),
    }
}

fn load_file(fd: Fd, path: &[u8], place: Place<'_>) -> Loaded {
    let stat = file::stat_fd(fd).unwrap_or_else(|errno| fail_io(errno, path));
    let image = IMAGES.lock().enter(fd, &stat, &images::path_of(fd), Use::Read);
    let image = image.unwrap_or_else(|errno| fail_io(errno, path));
    let (program, first_page) = read_program(fd, &stat, image, path, place);
    let bias = choose_bias(&program, place);
    let mut program_headers = None;
    for piece in program.pieces(bias) {
        map_piece(fd, image, &piece).unwrap_or_else(|errno| fail_io(errno, path));
        if let PieceBacking::File { offset, valid } = piece.backing {
            let inside = program.header.phoff.checked_sub(offset).filter(|inside| *inside < valid);
            program_headers = program_headers.or(inside.map(|inside| piece.range.start().start().0 + inside));
        }
    }
    Loaded {
        entry: program.header.entry.wrapping_add(bias),
        bias,
        program_headers: program_headers.unwrap_or(0),
        program,
        image,
        first_page,
    }
}

/// Reads header and program headers; the first page is kept, since the interpreter's name is in it too.
fn read_program(fd: Fd, stat: &Stat, image: ImageId, path: &[u8], place: Place<'_>) -> (Program, Vec<u8>) {
    let first = read_pages(fd, image, 0, PAGE_SIZE, path);
    if let Place::Program(start, _) = place
        && (first.starts_with(b"#!") || lookup::fitness(fd, stat, &first) == Fitness::Unfit)
    {
        let errno = exec::instead(path, &start.argv, &start.envp);
        // A 32-bit program on a kernel without them is told of below.
        if errno != Errno::ENOEXEC || first.starts_with(b"#!") {
            die::fail(FailureKind::Interpreter, errno.0 as u64, path, EXIT_NOT_EXECUTABLE);
        }
    }
    let file_len = stat.size;
    let header = Header::parse(&first[..first.len().min(HEADER_BYTES)], file_len);
    let header = header.unwrap_or_else(|error| fail_elf(error, path));
    let (start, len) = (header.phoff as usize, header.table_bytes() as usize);
    let program = match first.get(start..start + len) {
        Some(table) => Program::parse(header, table, file_len),
        None => Program::parse(header, &read_bytes(fd, image, header.phoff, len as u64, path), file_len),
    };
    (program.unwrap_or_else(|error| fail_elf(error, path)), first)
}

/// Reads bytes that need not be page-aligned, as whole pages.
fn read_bytes(fd: Fd, image: ImageId, offset: u64, len: u64, path: &[u8]) -> Vec<u8> {
    let start = offset - offset % PAGE_SIZE;
    let mut pages = read_pages(fd, image, start, (offset + len - start).next_multiple_of(PAGE_SIZE), path);
    pages.truncate((offset + len - start) as usize);
    pages.drain(..((offset - start) as usize).min(pages.len()));
    pages
}

/// Reads whole pages for the loader's own use, counted as filled from the image like those that the program
/// gets.
fn read_pages(fd: Fd, image: ImageId, offset: u64, len: u64, path: &[u8]) -> Vec<u8> {
    let mut pages = alloc::vec![0u8; len as usize];
    let got = file::pread_all(fd, &mut pages, offset).unwrap_or_else(|errno| fail_io(errno, path));
    pages.truncate(got);
    let row = IMAGES.lock().row(image);
    row.bytes_read.fetch_add(got as u64, Ordering::Relaxed);
    row.bytes_headers.fetch_add(got as u64, Ordering::Relaxed);
    row.pages_filled.fetch_add((got as u64).div_ceil(PAGE_SIZE), Ordering::Relaxed);
    count(&control::counts().bytes_image_read, got as u64);
    pages
}

fn interpreter_path(fd: Fd, main: &Loaded, path: &[u8], offset: u64, len: u64) -> Vec<u8> {
    let mut name = match main.first_page.get(offset as usize..(offset + len) as usize) {
        Some(name) => name.to_vec(),
        None => read_bytes(fd, main.image, offset, len, path),
    };
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(end);
    name
}

/// Whether the program is position-independent and has no interpreter, as the dynamic linker itself when it
/// is executed by name: the kernel puts it among mappings, out of the way of what it may load.
fn is_loader(program: &Program) -> bool {
    program.header.kind != Kind::Fixed && program.interpreter.is_none()
}

fn choose_bias(program: &Program, place: Place<'_>) -> u64 {
    let span = program.span();
    let first = span.start().start().0;
    if program.header.kind == Kind::Fixed {
        return 0;
    }
    let align = program.align.max(PAGE_SIZE);
    let wanted = match place {
        Place::Program(..) if is_loader(program) => 0,
        Place::Program(_, random) => (PIE_BASE + random.pages(PIE_RANDOM_PAGES) * PAGE_SIZE) & !(align - 1),
        Place::Interpreter => 0,
    };
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    let found = kernel::mmap(wanted, span.bytes() + align, PROT_NONE, flags, -1, 0);
    let base =
        found.unwrap_or_else(|errno| die::internal(format_args!("no room for the program: {errno:?}")));
    let _ = kernel::munmap(base, span.bytes() + align);
    base.next_multiple_of(align) - first
}

fn map_piece(fd: Fd, image: ImageId, piece: &Piece) -> Result<u64, Errno> {
    let range = piece.range;
    let writable = piece.protection.contains(Protection::WRITE);
    let request = Request {
        addr: range.start().start().0,
        len: range.bytes(),
        prot: prot_bits(piece.protection),
        flags: MAP_PRIVATE | MAP_FIXED,
        fd: fd.0.into(),
        offset: match piece.backing {
            PieceBacking::File { offset, .. } => offset,
            PieceBacking::Zero => 0,
        },
    };
    let role = if writable { Role::Data } else { Role::Text };
    match piece.backing {
        PieceBacking::Zero => {
            map_anonymous(&Request { flags: request.flags | MAP_ANONYMOUS, fd: -1, ..request }, Role::Data)
        }
        backing @ PieceBacking::File { .. } => map_image(&request, backing.of(image), role),
    }
}
