//! That `seccomp` checks, runs and combines filters as this kernel does: random ones, which a C program
//! installs and makes calls under. Assumes gcc, a kernel with seccomp, and that `CARGO_TARGET_TMPDIR` may
//! hold programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use pager_core::seccomp::{
    ARCH_X86_64, Action, Data, Filter, INSTRUCTION_BYTES, Instruction, Verdict, path_has_room,
};

const SEED: &str = "20261201";
const SETS: &str = "2000";
const SECCOMP: u32 = 317;
/// `struct sock_fprog`, of which the guest has an array.
const PROGRAM_BYTES: u64 = 16;
/// The calls that the guest makes: getpid, getppid, gettid, getpgrp, and once more.
const PROBES: [u32; 8] = [39, 110, 186, 111, 39, 186, 110, 111];
/// The guest's word for an end by SIGSYS.
const KILLED: &str = "K1031";

/// Built once: a program that is being written cannot be executed.
static GUEST: LazyLock<PathBuf> = LazyLock::new(build);

fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../integration/guests/seccomp_verdicts.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("seccomp_verdicts");
    let status =
        Command::new("gcc").args(["-O1", "-static", "-no-pie", "-o"]).arg(&program).arg(source).status();
    assert!(status.expect("gcc can be started (apt-get install gcc libc6-dev)").success());
    program
}

/// As `argument` in the guest.
fn argument(probe: usize, index: usize) -> u64 {
    let value = ((probe * 6 + index + 1) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    match (probe + index) % 4 {
        0 => value >> 60,
        1 => value >> 33,
        2 => 0,
        _ => value,
    }
}

fn parse(line: &str) -> Vec<Instruction> {
    let bytes: Vec<u8> =
        (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()).collect();
    bytes.as_chunks::<INSTRUCTION_BYTES>().0.iter().copied().map(Instruction::from_bytes).collect()
}

/// Where the guest makes its calls, and where its array of programs lies.
struct Places {
    call: u64,
    programs: u64,
}

impl Places {
    fn judge(&self, installed: &[Filter], number: u32, args: [u64; 6]) -> Verdict {
        let data = Data { number, arch: ARCH_X86_64, instruction_pointer: self.call, args };
        Verdict::of(installed.iter().rev().map(|filter| filter.run(&data)))
    }

    fn probe(&self, installed: &[Filter], probe: usize) -> String {
        let verdict =
            self.judge(installed, PROBES[probe], std::array::from_fn(|index| argument(probe, index)));
        match verdict.action {
            Action::Allow | Action::Log => "A".into(),
            Action::Errno => format!("E{}", verdict.errno()),
            Action::Notify | Action::Trace => "E38".into(),
            Action::Trap => format!("T{},1,{},{ARCH_X86_64:x},1,1", verdict.data, PROBES[probe]),
            Action::KillThread | Action::KillProcess => KILLED.into(),
        }
    }

    /// The line that the guest should print.
    fn expected(&self, filters: &[Vec<Instruction>]) -> String {
        let mut installed: Vec<Filter> = Vec::new();
        let mut errno = 0;
        for (at, instructions) in filters.iter().enumerate() {
            let program = self.programs + at as u64 * PROGRAM_BYTES;
            let verdict = self.judge(&installed, SECCOMP, [1, 0, program, 0, 0, 0]);
            match (verdict.action, Filter::check(instructions.clone())) {
                (Action::Allow | Action::Log, Ok(filter)) => installed.push(filter),
                (Action::Allow | Action::Log, Err(_)) => errno = 22,
                (Action::Errno, _) if verdict.errno() == 0 => panic!("the guest takes that for success"),
                (Action::Errno, _) => errno = verdict.errno().into(),
                (Action::Notify | Action::Trace, _) => errno = 38,
                (Action::KillThread | Action::KillProcess, _) => {
                    return format!("{} died 1031:", installed.len());
                }
                (Action::Trap, _) => errno = -1,
            }
            if errno != 0 {
                break;
            }
        }
        let answers: Vec<String> = (0..PROBES.len()).map(|probe| self.probe(&installed, probe)).collect();
        format!("{} of {}, {errno}: {}", installed.len(), filters.len(), answers.join(" "))
    }
}

#[test]
fn random_filters_answer_as_the_kernel_does() {
    let told = Command::new(&*GUEST).args([SEED, SETS]).output().expect("the guest can be started");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout).unwrap();
    let mut lines = told.lines();
    let places: Vec<u64> =
        lines.next().unwrap().split(' ').map(|place| u64::from_str_radix(place, 16).unwrap()).collect();
    let places = Places { call: places[0], programs: places[1] };
    let (mut filters, mut sets, mut installed) = (Vec::new(), 0, 0);
    for line in lines {
        if !line.contains(':') {
            filters.push(parse(line));
            continue;
        }
        assert_eq!(line, places.expected(&filters), "kernel, then model, of {filters:x?}");
        sets += 1;
        installed += usize::from(!line.starts_with('0'));
        filters.clear();
    }
    assert_eq!(sets.to_string(), SETS);
    assert!(installed > sets / 2, "too few of the filters are valid: {installed}");
}

/// The kernel counts the instructions of its translation. As many of them are taken on top of each other as
/// the model says.
#[test]
fn as_many_filters_fit_as_the_kernel_takes() {
    let told = Command::new(&*GUEST).arg("depths").output().expect("the guest can be started");
    let told = String::from_utf8(told.stdout).unwrap();
    let mut seen = 0;
    for pair in told.lines().collect::<Vec<_>>().chunks(2) {
        let filter = Filter::check(parse(pair[0])).unwrap();
        let before = |count| std::iter::repeat_n(&filter, count);
        let depth = (0..).find(|count| !path_has_room(&filter, before(*count))).unwrap();
        assert_eq!(pair[1], depth.to_string(), "kernel, then model, of {:x?}", filter.instructions());
        seen += 1;
    }
    assert_eq!(seen, 6);
}
