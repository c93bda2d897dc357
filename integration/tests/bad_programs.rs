//! Programs, swap files and caps that `pager run` must refuse: one clear line, the right exit code, nothing
//! left behind.
//!
//! Assumes: gcc. Needs no mount.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration::guests::{self, Link};
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;
use integration::{binaries, processes, report::Report, traces};

const USAGE: i32 = 2;
const FAILED: i32 = 1;
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Fields of the ELF header and of a program header (elf(5)).
const E_MACHINE: usize = 18;
const E_PHOFF: usize = 32;
const E_PHNUM: usize = 56;
const P_BYTES: usize = 56;
const P_OFFSET: usize = 8;
const P_VADDR: usize = 16;
const P_FILESZ: usize = 32;
const P_MEMSZ: usize = 40;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

fn pager(arguments: &[&str]) -> Outcome {
    Run::new(binaries::pager()).arg("run").args(arguments).limit(Duration::from_secs(20)).outcome()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("scratch paths are plain text")
}

fn executable(scratch: &Scratch, name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch.file(name, bytes);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a scratch file's mode can be set");
    path
}

/// `bytes`, made executable, is refused as a shell would: 126 and the file's name.
fn refuses_program(bytes: &[u8]) {
    refuses_program_for(bytes, "victim");
}

/// The same, with the name of what is at fault.
fn refuses_program_for(bytes: &[u8], culprit: &str) {
    let scratch = Scratch::new("bad");
    let path = executable(&scratch, "victim", bytes);
    traces::refused(&pager(&["--", text(&path)]), NOT_EXECUTABLE, culprit);
    traces::none_of(scratch.path());
}

fn good_program() -> Vec<u8> {
    fs::read(guests::build("exit_code", Link::Dynamic)).expect("a built guest can be read")
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn get(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Where the first program header of `kind` lies in `bytes`.
fn header(bytes: &[u8], kind: u32) -> Range<usize> {
    let first = get(bytes, E_PHOFF) as usize;
    let count = usize::from(u16::from_le_bytes([bytes[E_PHNUM], bytes[E_PHNUM + 1]]));
    let starts = (0..count).map(|index| first + index * P_BYTES);
    let found = starts
        .into_iter()
        .find(|&at| bytes[at..at + 4] == kind.to_le_bytes())
        .expect("the guest has such a header");
    found..found + P_BYTES
}

#[test]
fn a_text_that_is_no_script() {
    refuses_program(b"just words\n");
}

#[test]
fn an_empty_file() {
    refuses_program(b"");
}

#[test]
fn another_architecture() {
    const AARCH64: u8 = 183;
    let mut bytes = good_program();
    bytes[E_MACHINE] = AARCH64;
    refuses_program(&bytes);
}

#[test]
fn a_header_cut_short() {
    refuses_program(&good_program()[..40]);
}

#[test]
fn program_headers_cut_off() {
    refuses_program(&good_program()[..100]);
}

#[test]
fn program_headers_that_lie_beyond_the_file() {
    let mut bytes = good_program();
    put(&mut bytes, E_PHOFF, 1 << 40);
    refuses_program(&bytes);
}

#[test]
fn program_headers_whose_place_overflows() {
    let mut bytes = good_program();
    put(&mut bytes, E_PHOFF, u64::MAX - 8);
    refuses_program(&bytes);
}

#[test]
fn a_segment_larger_in_the_file_than_in_memory() {
    let mut bytes = good_program();
    let load = header(&bytes, PT_LOAD).start;
    let size = get(&bytes, load + P_FILESZ);
    put(&mut bytes, load + P_MEMSZ, size - 1);
    refuses_program(&bytes);
}

#[test]
fn a_segment_whose_address_overflows() {
    let mut bytes = good_program();
    let load = header(&bytes, PT_LOAD).start;
    put(&mut bytes, load + P_VADDR, u64::MAX - 4095);
    refuses_program(&bytes);
}

#[test]
fn a_segment_whose_offset_does_not_match_its_address() {
    let mut bytes = good_program();
    let load = header(&bytes, PT_LOAD).start;
    put(&mut bytes, load + P_OFFSET, 7);
    refuses_program(&bytes);
}

#[test]
fn an_interpreter_that_is_not_there() {
    let mut bytes = good_program();
    let interpreter = header(&bytes, PT_INTERP).start;
    let at = get(&bytes, interpreter + P_OFFSET) as usize;
    bytes[at..at + 8].copy_from_slice(b"/nowhere");
    refuses_program_for(&bytes, "/nowhere");
}

#[test]
fn an_interpreter_path_without_an_end() {
    let mut bytes = good_program();
    let interpreter = header(&bytes, PT_INTERP).start;
    put(&mut bytes, interpreter + P_FILESZ, 1 << 50);
    refuses_program(&bytes);
}

#[test]
fn a_script_whose_interpreter_is_not_there() {
    refuses_program(b"#!/nowhere/interpreter\n");
}

#[test]
fn a_file_that_may_not_be_executed() {
    let scratch = Scratch::new("bad");
    let path = scratch.file("victim", good_program());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a scratch file's mode can be set");
    traces::refused(&pager(&["--", text(&path)]), NOT_EXECUTABLE, "victim");
}

#[test]
fn a_folder() {
    traces::refused(&pager(&["--", "/usr"]), NOT_EXECUTABLE, "/usr");
}

#[test]
fn a_program_that_is_not_there() {
    traces::refused(&pager(&["--", "/nowhere/victim"]), NOT_FOUND, "/nowhere/victim");
    traces::refused(&pager(&["--", "no-such-program-anywhere"]), NOT_FOUND, "no-such-program-anywhere");
}

#[test]
fn no_program_at_all() {
    traces::refused(&pager(&[]), USAGE, "PROGRAM");
}

#[test]
fn sizes_that_are_none() {
    for size in ["", "0", "-5", "12Q", "many", "99999999999999999999G"] {
        let option = format!("--resident={size}");
        traces::refused(&pager(&[&option, "--", "/bin/true"]), USAGE, "--resident");
    }
}

#[test]
fn a_cap_too_small_to_run_in() {
    traces::refused(&pager(&["--resident", "4K", "--", "/bin/true"]), USAGE, "256");
}

#[test]
fn a_swap_file_that_is_not_there() {
    traces::refused(&pager(&["--swap", "/nowhere/swap", "--", "/bin/true"]), USAGE, "/nowhere/swap");
}

#[test]
fn a_swap_file_that_is_a_folder() {
    let scratch = Scratch::new("bad");
    traces::refused(
        &pager(&["--swap", text(scratch.path()), "--", "/bin/true"]),
        USAGE,
        text(scratch.path()),
    );
}

#[test]
fn a_swap_file_too_small_for_a_page() {
    let scratch = Scratch::new("bad");
    let swap = scratch.file("swap", [0; 100]);
    traces::refused(&pager(&["--swap", text(&swap), "--", "/bin/true"]), USAGE, text(&swap));
}

#[test]
fn a_report_that_cannot_be_written() {
    traces::refused(&pager(&["--stats", "/nowhere/report", "--", "/bin/true"]), FAILED, "/nowhere/report");
}

#[test]
fn a_root_that_is_not_there() {
    let outcome = pager(&["--root", "/nowhere/root", "--", "/bin/true"]);
    assert!(matches!(outcome.end, End::Code(1 | 2)), "{:?}: {}", outcome.end, outcome.complaint());
    assert!(outcome.complaint().contains("/nowhere/root"), "{}", outcome.complaint());
}

/// A full swap kills that program only, with a line and a report that say so.
#[test]
fn a_swap_file_that_fills_up() {
    let scratch = Scratch::new("full");
    let swap = scratch.file("swap", vec![0; 2 << 20]);
    let report = scratch.join("report.json");
    let program = guests::build("random_access", Link::Dynamic);
    let arguments =
        ["--resident", "1M", "--swap", text(&swap), "--stats", text(&report), "--", text(&program), "16"];
    let outcome = pager(&arguments);
    assert!(
        !matches!(outcome.end, End::Code(0 | 99) | End::Overdue),
        "{:?}: {}",
        outcome.end,
        outcome.complaint()
    );
    assert!(outcome.complaint().contains("swap"), "the swap file is not named: {}", outcome.complaint());
    assert_eq!(Report::read(&report).text("failure.kind"), "swap_full");
    traces::none_of(scratch.path());
}

/// However a program dies, it dies whole.
#[test]
fn a_program_that_dies_leaves_no_process() {
    let scratch = Scratch::new("dies");
    for guest in ["null_read", "aborts", "terminated"] {
        let program = scratch.join(guest);
        fs::copy(guests::build(guest, Link::Dynamic), &program).expect("a guest can be copied");
        let outcome = pager(&["--stats", "none", "--", text(&program)]);
        assert!(matches!(outcome.end, End::Signal(_)), "{guest}: {:?}: {}", outcome.end, outcome.complaint());
        traces::none_of(scratch.path());
    }
}

/// Ending the supervisor ends the program: nothing goes on unsupervised.
#[test]
fn a_killed_pager_leaves_no_program() {
    let scratch = Scratch::new("killed");
    let program = scratch.join("sleeper");
    fs::copy("/bin/sleep", &program).expect("a program can be copied");
    let mut command = std::process::Command::new(binaries::pager());
    command.args(["run", "--stats", "none", "--"]).arg(&program).arg("1000");
    let mut pager = command.spawn().expect("the pager can be started");
    let pid = i32::try_from(pager.id()).expect("a process number is an i32");
    let started = processes::wait_until(Duration::from_secs(10), || processes::tree(pid).len() > 1);
    pager.kill().expect("a child can be killed");
    pager.wait().expect("a killed child can be waited for");
    assert!(started, "the program was never started");
    traces::none_of(scratch.path());
}

/// The pager on a kernel that lacks something: one line that names it. `kind` and `number` as
/// `without_call.c` takes them.
fn names_what_the_kernel_lacks(kind: &str, number: &str, culprit: &str) {
    let run = Run::new(guests::build("without_call", Link::Dynamic)).args([kind, number]);
    let run = run.arg(binaries::pager()).args(["run", "--", "/bin/true"]).limit(Duration::from_secs(20));
    traces::refused(&run.outcome(), FAILED, culprit);
}

#[test]
fn a_kernel_without_userfaultfd() {
    // Where the device may be used it serves instead of the call.
    if std::fs::File::open("/dev/userfaultfd").is_ok() {
        let run = Run::new(guests::build("without_call", Link::Dynamic)).args(["call", "323"]);
        let run = run.arg(binaries::pager()).args(["run", "--", "/bin/true"]).limit(Duration::from_secs(20));
        assert_eq!(run.outcome().end, End::Code(0));
        return;
    }
    names_what_the_kernel_lacks("call", "323", "userfaultfd");
}

#[test]
fn a_kernel_without_syscall_user_dispatch() {
    names_what_the_kernel_lacks("prctl", "59", "dispatch");
}
