//! Shared mappings of files that are written to count against the cap: what they hold of it is the file's,
//! and goes with its page table entry.
//!
//! Assumes: gcc, and a native run whose peak can be sampled. What programs see of such memory is compared in
//! `guests.rs` (`shared_*`), `memory_calls.rs` and `differential.rs`.

use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::resident::Peak;
use integration::run::{End, Outcome, Run, Sampling};
use integration::scratch::Scratch;
use integration::{STATED_SLACK_BYTES, tools};

const LIMIT: Duration = Duration::from_secs(60);
const CAP: (&str, u64) = ("4M", 4 << 20);
/// What the guest maps and writes.
const MAPPED: u64 = 32 << 20;

/// Runs the guest natively and under a cap; the paged peak by `held`, and how much was left to the kernel.
fn compare(kind: &str, held: fn(&Peak) -> u64) -> (u64, u64) {
    let program = guests::build("shared_fill", Link::Dynamic);
    let prepare = |run: Run| run.arg(kind).limit(LIMIT).sampling(Sampling::Fine);
    let native = prepare(Run::new(&program)).outcome();
    assert_eq!(native.end, End::Code(0), "{}", native.complaint());
    let run = Paging::new().resident(CAP.0).run(&program, prepare);
    assert_eq!(
        (run.outcome.end, &run.outcome.stdout),
        (native.end, &native.stdout),
        "{}",
        run.outcome.complaint()
    );
    let root = native.resident.root.expect("a native run takes longer than a sample");
    assert!(held(&root) > MAPPED / 2, "natively {} bytes were seen at most", held(&root));
    let peak = run.outcome.resident.descendants.values().map(held).max().expect("the paged run was sampled");
    (peak, run.report().number("unmanaged_shared_bytes"))
}

#[test]
fn a_file_that_is_written_through_its_mapping_stays_within_the_cap() {
    let (peak, unmanaged) = compare("file", |peak| peak.bytes);
    assert!(peak <= CAP.1 + STATED_SLACK_BYTES, "{peak} bytes");
    assert_eq!(unmanaged, 0);
}

/// The process lets its pages go; the memory stays the kernel's, as that of any file in memory.
#[test]
fn a_file_in_memory_stays_within_the_cap_as_far_as_the_process_holds_it() {
    let (peak, unmanaged) = compare("memfd", |peak| peak.bytes + peak.shared_bytes);
    assert!(peak <= CAP.1 + STATED_SLACK_BYTES, "{peak} bytes");
    assert_eq!(unmanaged, 0);
}

/// No pages of the file itself are let through there.
#[test]
fn what_other_engines_leave_to_the_kernel_is_told() {
    let program = guests::build("shared_fill", Link::Dynamic);
    for engine in ["uffd", "thread"] {
        let run =
            Paging::new().resident(CAP.0).option("--engine", engine).run(&program, |run| run.limit(LIMIT));
        assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
        assert_eq!(run.report().number("unmanaged_shared_bytes"), MAPPED, "{engine}");
    }
}

/// Runs a shell's script natively and under a small cap: the same output.
fn same_script(cap: &str, script: &str) {
    let natively = Scratch::new("shared-native");
    let paged = Scratch::new("shared-paged");
    let prepare = |run: Run| run.args(["-c", script]).limit(LIMIT);
    let native = prepare(Run::new("/bin/sh")).folder(natively.path()).outcome();
    assert_eq!(native.end, End::Code(0), "{}", native.complaint());
    let run = Paging::new().resident(cap).run("/bin/sh", |run| prepare(run).folder(paged.path()));
    let told = |outcome: &Outcome| (outcome.end, String::from_utf8_lossy(&outcome.stdout).into_owned());
    assert_eq!(told(&run.outcome), told(&native), "{}", run.outcome.complaint());
}

/// The index of the log is a file that all processes map, and lock.
///
/// Whether the log is left when they have ended depends on who closes last, and whether alone: so what it
/// holds is not compared.
#[test]
fn sqlite_processes_share_a_write_ahead_log() {
    tools::require(&[tools::SQLITE]);
    same_script(
        "2M",
        "sqlite3 t.db 'pragma journal_mode=wal; create table t(a integer primary key, b, c)'
        work() {
            i=0
            while [ $i -lt 12 ]; do
                echo \".timeout 30000\"
                echo \"insert into t(b, c) select $1, printf('%0400d', value) from generate_series(1, 40);\"
                echo 'select count(*) > 0 from t;'
                i=$((i + 1))
            done | sqlite3 t.db > out$1
        }
        for n in 1 2 3; do work $n & done
        wait
        cat out1 out2 out3
        sqlite3 t.db 'pragma integrity_check; select b, count(*), sum(length(c)) from t group by b; pragma wal_checkpoint(truncate)'",
    );
}

#[test]
fn python_processes_share_memory_by_name() {
    tools::require(&[tools::PYTHON]);
    same_script(
        "7M",
        "cat > s.py <<'X'
import multiprocessing as mp
from multiprocessing import shared_memory

def work(name, part, lock):
    memory = shared_memory.SharedMemory(name=name)
    for at in range(part, memory.size, 4):
        memory.buf[at] = at * 7 % 251
    for at in range(0, memory.size, 65536):
        with lock:
            memory.buf[at] = (memory.buf[at] + 1) % 256
    memory.close()

if __name__ == '__main__':
    memory = shared_memory.SharedMemory(create=True, size=1 << 20)
    lock = mp.Lock()
    done = [mp.Process(target=work, args=(memory.name, part, lock)) for part in range(4)]
    for one in done: one.start()
    for one in done: one.join()
    print([one.exitcode for one in done], sum(memory.buf[at] for at in range(memory.size) if at % 65536))
    memory.close()
    memory.unlink()
X
        python3 s.py",
    );
}
