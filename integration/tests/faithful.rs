//! What `pager/docs/FAITHFULNESS.md` says of processes, terminals, debuggers and programs that are not paged,
//! line by line.
//!
//! Assumes: root (for file capabilities), gcc, bash, python3, userfaultfd, syscall user dispatch. Needs no
//! mount.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::{PagedOutcome, Paging};
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;
use integration::{binaries, processes, tools};

const LIMIT: Duration = Duration::from_secs(60);
const NATIVELY: &str = "runs natively, unpaged: it is 32-bit, setuid or has file capabilities";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `program` as a shell's child and as the run's first process: both times natively, with a line.
fn runs_natively(program: &Path, code: i32) {
    let script = format!("{}; exit $?", program.display());
    let child = Paging::new().run("/bin/sh", |run| run.args(["-c", &script]).limit(LIMIT));
    let first = Paging::new().run(program, |run| run.limit(LIMIT));
    for (run, execs) in [(child, 1), (first, 1)] {
        assert_eq!(run.outcome.end, End::Code(code), "{}", run.outcome.complaint());
        assert!(run.outcome.complaint().contains(NATIVELY), "{}", run.outcome.complaint());
        let report = run.report();
        assert_eq!((report.number("execs"), report.number("execs_native")), (execs, 1));
        let last = report.list("process_table").pop().expect("a row");
        assert_eq!((last.text("started").as_str(), last.text("exit.kind").as_str()), ("native", "code"));
    }
}

/// A copy of the guest that exits with 42, made into a program of another kind by its mode.
fn copy(scratch: &Scratch, mode: &str) -> PathBuf {
    install(&guests::build("exit_code", Link::Static), scratch.join("program"), mode)
}

/// Copies by a child: a descriptor of ours could live on in what another test just forked, and forbid the
/// program's execution (ETXTBSY).
fn install(from: &Path, to: PathBuf, mode: &str) -> PathBuf {
    let status = Command::new("/usr/bin/install").args(["-m", mode]).arg(from).arg(&to).status();
    assert!(status.expect("install can be started").success());
    to
}

/// What the guest says natively.
fn code_of(program: &Path) -> i32 {
    match Run::new(program).limit(LIMIT).outcome().end {
        End::Code(code) => code,
        end => panic!("{} ended with {end:?}", program.display()),
    }
}

#[test]
fn set_id_programs_run_natively() {
    for mode in ["4755", "2755"] {
        let scratch = Scratch::new("set-id");
        let program = copy(&scratch, mode);
        runs_natively(&program, code_of(&program));
    }
}

#[test]
fn programs_with_file_capabilities_run_natively() {
    let scratch = Scratch::new("capabilities");
    let program = copy(&scratch, "755");
    // struct vfs_cap_data: revision 2, effective; CAP_NET_RAW permitted (capability.h).
    let set = "import os, struct, sys\nos.setxattr(sys.argv[1], 'security.capability', struct.pack('<5I', 0x02000001, 1 << 13, 0, 0, 0))";
    let status = Command::new(tools::PYTHON.path).args(["-c", set]).arg(&program).status();
    assert!(status.expect("python can be started").success(), "file capabilities cannot be set here");
    runs_natively(&program, code_of(&program));
}

/// A program of 12 bytes in an ELF32 file: exit(42) by int 0x80.
fn tiny_32_bit(scratch: &Scratch) -> PathBuf {
    const CODE: [u8; 12] = [0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80];
    const BASE: u32 = 0x0804_8000;
    let length = 84 + CODE.len() as u32;
    let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let halves = |bytes: &mut Vec<u8>, values: &[u16]| {
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()))
    };
    let words = |bytes: &mut Vec<u8>, values: &[u32]| {
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()))
    };
    halves(&mut bytes, &[2, 3]);
    words(&mut bytes, &[1, BASE + 84, 52, 0, 0]);
    halves(&mut bytes, &[52, 32, 1, 0, 0, 0]);
    words(&mut bytes, &[1, 0, BASE, BASE, length, length, 5, 4096]);
    bytes.extend(CODE);
    install(&scratch.file("bytes", bytes), scratch.join("tiny32"), "755")
}

#[test]
fn programs_of_32_bits_run_natively_where_the_kernel_runs_them() {
    let scratch = Scratch::new("32-bit");
    let program = tiny_32_bit(&scratch);
    match Command::new(&program).status() {
        Ok(status) => runs_natively(&program, status.code().expect("it exits")),
        Err(_) => {
            let run = Paging::new().run(&program, |run| run.limit(LIMIT));
            assert_eq!(run.outcome.end, End::Code(126), "{}", run.outcome.complaint());
        }
    }
}

/// The errnos are those by which programs notice an older kernel, and do without.
#[test]
fn what_the_kernel_would_do_later_is_refused_with_the_errno_of_an_older_one() {
    let told = Paging::new().run(guests::build("refusals", Link::Dynamic), |run| run.limit(LIMIT));
    const EXPECTED: &str = "io_uring_setup 38\nio_setup 38\nclone3 38\nrseq 38\nuserfaultfd 38\nseccomp listener 22\n\
        prctl dispatch 22\nptrace traceme 1\nvmsplice 22\nzerocopy 92\n";
    assert_eq!(text(&told.outcome.stdout), EXPECTED, "{}", told.outcome.complaint());
    assert!(told.report().number("calls.refused") >= 10);
}

/// Types the scenario at `command` in a terminal of its own.
fn typed(scenario: &str, command: &[&str], wrapped: Option<&str>) -> Outcome {
    tools::require(&[tools::PYTHON]);
    const SHELL: [&str; 5] = ["/bin/bash", "--norc", "--noprofile", "--noediting", "-i"];
    let driver = guests::sources().join("terminal.py");
    let run =
        Run::new(tools::PYTHON.path).arg(driver).arg(scenario).args(command).args(SHELL).limit(3 * LIMIT);
    let outcome = wrapped.map_or(run.clone(), |command| run.env("WRAPPED", command)).outcome();
    assert_eq!(outcome.end, End::Code(0), "{}{}", text(&outcome.stdout), outcome.complaint());
    outcome
}

/// Ctrl-Z, jobs, fg, ctrl-C, the window's size: in a shell that is paged with its jobs, and with `pager run`
/// as the job of one that is not.
#[test]
fn job_control_and_terminals_are_as_native() {
    let native = text(&typed("jobs", &[], None).stdout);
    assert!(
        native.contains("Stopped") && native.contains("130\n") && native.ends_with("ended with 7\n"),
        "{native}"
    );
    let pager = binaries::pager().display().to_string();
    let paged = typed("jobs", &[&pager, "run", "--resident", "2M", "--stats", "none", "--"], None);
    assert_eq!(text(&paged.stdout), native);
    let job = typed("wrapped", &[], Some(&format!("{pager} run --stats none -- sleep 1000")));
    assert_eq!(text(&job.stdout), native);
}

/// Runs the daemon; what its file says in the end.
fn daemon(paged: Option<Paging>) -> String {
    let scratch = Scratch::new("daemon");
    let file = scratch.join("told");
    let program = guests::build("daemon", Link::Dynamic);
    let end = match paged {
        Some(paging) => paging.run(&program, |run| run.arg(&file).arg("paged").limit(LIMIT)).outcome.end,
        None => Run::new(&program).arg(&file).arg("native").limit(LIMIT).outcome().end,
    };
    assert_eq!(end, End::Code(0));
    let lines = || fs::read_to_string(&file).unwrap_or_default();
    assert!(processes::wait_until(LIMIT, || lines().lines().count() == 2), "the daemon said {:?}", lines());
    let told = lines();
    let (pid, sum) = told.trim().split_once('\n').expect("two lines");
    let pid = pid.parse().expect("its process id");
    assert!(processes::wait_until(LIMIT, || !processes::is_alive(pid)));
    sum.to_owned()
}

/// The run ends with its first process, as a shell's wait does; a daemon goes on, paged, with its swapped
/// pages, and ends by itself.
#[test]
fn a_daemon_outlives_the_run_with_all_its_memory() {
    assert_eq!(daemon(Some(Paging::new().resident("1M"))), daemon(None));
}

/// Ends the run when the test ends, however it ends.
struct Paged(Child);

impl Drop for Paged {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `gdb PROGRAM -p PID` finds the program, its libraries and the stack of a thread that computes. Only where
/// gdb is installed.
#[test]
fn a_debugger_that_attaches_sees_the_program() {
    let Some(gdb) = tools::in_path("gdb") else { return };
    let guest = guests::build("spins", Link::Dynamic);
    let mut command = Command::new(binaries::pager());
    command.args(["run", "--stats", "none", "--"]).arg(&guest).stdout(Stdio::piped());
    let mut paged = Paged(command.spawn().expect("pager can be started"));
    let mut lines = BufReader::new(paged.0.stdout.take().expect("piped")).lines();
    let pid = lines.next().expect("the guest says a line").expect("text");
    let run =
        Run::new(gdb).args(["-nx", "-batch", "-ex", "bt", "-ex", "print word", "-ex", "info sharedlibrary"]);
    let told = text(&run.arg("-p").arg(pid).arg(&guest).limit(LIMIT).outcome().stdout);
    for part in ["spin ()", "in main ()", "the word", "libc.so.6"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

/// A core dump has the program's resident memory and nothing of what the pager keeps for itself.
#[test]
fn a_core_dump_is_the_programs() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("the kernel tells its pattern");
    if pattern.trim() != "core" {
        return;
    }
    let scratch = Scratch::new("core");
    let core = |run: &PagedOutcome| {
        assert!(
            matches!(run.outcome.end, End::Signal(6)),
            "{:?}: {}",
            run.outcome.end,
            run.outcome.complaint()
        );
        let path = fs::read_dir(scratch.path()).expect("readable").flatten().map(|entry| entry.path());
        let path = path
            .into_iter()
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")));
        fs::read(path.expect("a core file")).expect("it can be read")
    };
    let script = format!("ulimit -c unlimited; exec {}", guests::build("aborts", Link::Dynamic).display());
    let run =
        Paging::new().run("/bin/sh", |run| run.args(["-c", &script]).folder(scratch.path()).limit(LIMIT));
    let bytes = core(&run);
    assert!(bytes.starts_with(b"\x7fELF") && bytes.len() < 16 << 20, "{} bytes", bytes.len());
}

/// Every way to end, stop and go on, and signals to groups. Standard error has the pager's diagnosis of the
/// child that dies of a fault.
#[test]
fn wait_statuses_and_groups_are_as_native() {
    let guest = guests::build("statuses", Link::Dynamic);
    let native = Run::new(&guest).limit(LIMIT).outcome();
    let paged = Paging::new().resident("1M").run(&guest, |run| run.limit(LIMIT)).outcome;
    assert_eq!((paged.end, text(&paged.stdout)), (native.end, text(&native.stdout)), "{}", paged.complaint());
}
