//! Programs that confine themselves by seccomp: what they say and how they end, natively and under the pager,
//! and what outlives exec into a program that runs natively. What filters mean is in `guests.rs` and
//! pager/core's `seccomp_kernel.rs`.
//!
//! Assumes: gcc, root. Programs of packages that are not there are named and left out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;
use integration::tools;

const LIMIT: Duration = Duration::from_secs(120);

fn stdout(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

/// A copy of `cat` that is set-user-id, so that it runs natively.
fn set_id_cat(scratch: &Scratch) -> PathBuf {
    let program = scratch.join("cat");
    fs::copy("/bin/cat", &program).expect("cat can be copied");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("its mode can be set");
    program
}

/// Has the guest `sandboxes` execute `cat` of its own status under filters.
fn executes(how: &str, cat: &Path, paged: bool) -> Outcome {
    let guest = guests::build("sandboxes", Link::Dynamic);
    let prepare = |run: Run| run.args(["execute", how]).arg(cat).arg("/proc/self/status").limit(LIMIT);
    if paged { Paging::new().run(&guest, prepare).outcome } else { prepare(Run::new(&guest)).outcome() }
}

fn seccomp_lines(outcome: &Outcome) -> Vec<String> {
    stdout(outcome).lines().filter(|line| line.starts_with("Seccomp")).map(str::to_owned).collect()
}

#[test]
fn a_program_that_runs_natively_has_its_filters_from_the_kernel() {
    let scratch = Scratch::new("natively-confined");
    let cat = set_id_cat(&scratch);
    let (native, paged) = (executes("open", &cat, false), executes("open", &cat, true));
    assert_eq!(native.end, End::Code(0), "{}", native.complaint());
    assert_eq!(paged.end, End::Code(0), "{}", paged.complaint());
    assert_eq!(seccomp_lines(&native), ["Seccomp:\t2", "Seccomp_filters:\t2"]);
    assert_eq!(seccomp_lines(&paged), seccomp_lines(&native));
}

/// A filter that allows execve with the program's own pointer only forbids the one that the runtime makes. To
/// go without it is not an answer.
#[test]
fn a_program_that_cannot_have_its_filters_is_not_executed() {
    let scratch = Scratch::new("sealed");
    let cat = set_id_cat(&scratch);
    let paged = executes("sealed", &cat, true);
    // The filter that forbids seccomp(2) is the newest: all can be installed.
    assert_eq!((paged.end, seccomp_lines(&paged).len()), (End::Code(0), 2), "{}", paged.complaint());
    let refused = executes("narrow", &cat, true);
    assert_eq!(
        (refused.end, stdout(&refused)),
        (End::Code(7), "not executed: 1\n".into()),
        "{}",
        refused.complaint()
    );
}

/// Compares a shell's command natively and paged, if its program is there.
fn same(program: &str, script: &str) {
    if tools::in_path(program).is_none() && !Path::new("/usr/sbin").join(program).exists() {
        eprintln!("{program} is not installed: left out");
        return;
    }
    let arguments = ["-c", script];
    let native = Run::new("/bin/sh").args(arguments).limit(LIMIT).outcome();
    for paging in [Paging::new(), Paging::new().resident("4M"), Paging::new().option("--engine", "sigsegv")] {
        let paged = paging.run("/bin/sh", |run| run.args(arguments).limit(LIMIT)).outcome;
        assert_eq!(
            (paged.end, stdout(&paged)),
            (native.end, stdout(&native)),
            "{program}: {}",
            paged.complaint()
        );
    }
}

#[test]
fn file_says_what_files_are() {
    same("file", "file /bin/ls /etc/passwd /usr/bin; file -z /usr/share/man/man1/*.gz 2>&1 | head -3");
}

#[test]
fn man_shows_a_page() {
    same("man", "man --version; man ls 2>&1 | head -20");
}

#[test]
fn sshd_checks_its_configuration() {
    same("sshd", "mkdir -p /run/sshd; /usr/sbin/sshd -t 2>&1; echo $?");
}

/// The filter answers EPERM to mkdir and mkdirat, as `seccomp_export_bpf` writes it.
#[test]
fn bubblewrap_confines_what_it_executes() {
    let scratch = Scratch::new("bubblewrap");
    let instruction =
        |code: u16, jt: u8, jf: u8, k: u32| [&code.to_le_bytes()[..], &[jt, jf], &k.to_le_bytes()].concat();
    let filter = [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 1, 0, 83),
        instruction(0x15, 0, 1, 258),
        instruction(0x06, 0, 0, 0x0005_0001),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ];
    let file = scratch.file("filter", filter.concat());
    let inner = "mkdir /tmp/confined 2>&1; echo $?; grep Seccomp /proc/self/status";
    let script = format!(
        "exec 9<{}; bwrap --bind / / --dev /dev --proc /proc --seccomp 9 sh -c '{inner}'",
        file.display()
    );
    same("bwrap", &script);
}
