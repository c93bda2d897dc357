//! No orphan and no hang: processes of a run and the daemons it pages from are killed at random moments, and
//! short programs are run by the thousand. `pager/docs/ENDINGS.md` says what each death leads to; here each
//! is seen to.
//!
//! Assumes: root or fusermount3, gcc. `INTEGRATION_FULL=1` kills 200 times each (1,200 in all) and runs
//! 10,000 programs. The slowest of each is printed, and not compared with anything: only what hangs fails.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use integration::guests::{self, Link};
use integration::mount::{self, Mount, MountPlan};
use integration::paged::Paging;
use integration::processes::{self, Process};
use integration::run::End;
use integration::workloads::Scale;
use integration::{binaries, traces};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What hangs for so long hangs for ever, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How the kernel shows the keeper.
const KEEPER: &str = "pager-keeper";
/// When a kill comes after the start, at most: about as long as a start takes on a busy machine.
const LATEST_MS: u64 = 150;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Program,
    Supervisor,
    Keeper,
    /// Supervisor and keeper, as `pkill -9 pager` kills them: nobody of the pager's is left.
    Both,
    SwapDaemon,
    ImageDaemon,
}

impl Victim {
    /// What the guest's child and daemon do when the first process has ended. Those of a killed supervisor
    /// would work for ever.
    fn company(self) -> &'static str {
        if matches!(self, Victim::Supervisor | Victim::Both) { "free" } else { "tied" }
    }

    fn is_a_daemon(self) -> bool {
        matches!(self, Victim::SwapDaemon | Victim::ImageDaemon)
    }
}

/// Where a run pages from.
struct Mounts {
    swap: Mount,
    images: Mount,
}

impl Mounts {
    fn new() -> Mounts {
        let restless = guests::build("restless", Link::Dynamic);
        let mount = |plan: MountPlan| plan.mount().unwrap_or_else(|reason| panic!("{reason}"));
        let swap = mount(MountPlan::new().swap("swap0:256M").option("--swap-store", "memory"));
        Mounts { swap, images: mount(MountPlan::new().image(restless).strict()) }
    }

    /// Nothing is left when they are gone, and a dead daemon's mount answers until then.
    fn end(self, victim: Victim) {
        let (swap, image) = (self.swap.swap("swap0"), self.images.image("restless"));
        let first_byte = |path| File::open(path).and_then(|mut file| file.read_exact(&mut [0]));
        assert_eq!(first_byte(swap).is_err(), victim == Victim::SwapDaemon, "the swap file can be read");
        assert_eq!(first_byte(image).is_err(), victim == Victim::ImageDaemon, "the image can be read");
        for mount in [self.swap, self.images] {
            let (point, place) = (mount.point().to_owned(), mount.scratch().path().to_owned());
            drop(mount);
            assert!(!mount::is_mounted(&point), "still mounted: {}", point.display());
            traces::none_of(&place);
        }
    }
}

/// A run of the guest `restless`. Dropping it kills what is left.
struct Restless {
    supervisor: Child,
    stdout: BufReader<ChildStdout>,
    /// An argument of all its processes that no other process has.
    mark: String,
    /// What goes to its standard error.
    said: tempfile::NamedTempFile,
}

impl Restless {
    fn start(mounts: &Mounts, victim: Victim) -> Restless {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let mark = format!("restless-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(binaries::pager());
        command
            .args(["run", "--exact", "--resident", "1M", "--stats", "none", "--swap"])
            .arg(mounts.swap.swap("swap0"));
        command.arg("--").arg(mounts.images.image("restless")).args([victim.company(), &mark]);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        let said = tempfile::NamedTempFile::new().expect("a file");
        command.stderr(said.reopen().expect("the same file"));
        let mut supervisor = command.spawn().expect("pager starts");
        let stdout = BufReader::new(supervisor.stdout.take().expect("piped"));
        Restless { supervisor, stdout, mark, said }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.said.path()).unwrap_or_default()
    }

    fn processes(&self) -> Vec<Process> {
        let marked = |process: &Process| {
            let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == self.mark.as_bytes())
        };
        processes::all().into_iter().filter(|process| process.state != 'Z' && marked(process)).collect()
    }

    /// A child of the supervisor, waited for: the keeper or the program.
    fn child(&self, is_it: impl Fn(&Process) -> bool) -> Option<i32> {
        let supervisor = self.supervisor.id() as i32;
        let mut found = None;
        processes::wait_until(PATIENCE, || {
            found = processes::tree(supervisor)
                .into_iter()
                .find(|one| one.parent == supervisor && one.state != 'Z' && is_it(one));
            found.is_some() || !processes::is_alive(supervisor)
        });
        found.map(|process| process.pid)
    }

    fn keeper(&self) -> Option<i32> {
        self.child(|process| process.name == KEEPER)
    }

    /// Their numbers, in the order in which they are killed.
    fn victims(&self, victim: Victim, mounts: &Mounts, random: &mut Random) -> Vec<i32> {
        let supervisor = self.supervisor.id() as i32;
        let one = match victim {
            Victim::Supervisor => Some(supervisor),
            Victim::Keeper => self.keeper(),
            Victim::Both => {
                let mut both: Vec<i32> = self.keeper().into_iter().chain([supervisor]).collect();
                if random.below(2) == 0 {
                    both.reverse();
                }
                return both;
            }
            // Before its exec a keeper that was just forked bears the name of the supervisor, as the program
            // does.
            Victim::Program => self.child(|process| process.name == "restless"),
            Victim::SwapDaemon => Some(mounts.swap.daemon()),
            Victim::ImageDaemon => Some(mounts.images.daemon()),
        };
        one.into_iter().collect()
    }

    /// Until all its processes have been through all their memory once, or have ended.
    fn wait_until_ready(&mut self) -> bool {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("readable") > 0
    }

    /// Waits until the supervisor has ended and nothing is left.
    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = processes::wait_until(PATIENCE, || {
            status = self.supervisor.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        assert!(ended, "the supervisor goes on: {:?}", self.processes());
        assert!(
            processes::wait_until(PATIENCE, || self.processes().is_empty()),
            "left: {:?}",
            self.processes()
        );
        status.expect("it has ended")
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        for process in self.processes() {
            let _gone = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        let _gone = self.supervisor.wait();
    }
}

/// Kills `victim` of one run at a moment that `random` decides; how long it took until everything was as it
/// has to be.
fn kill_one(victim: Victim, mounts: &Mounts, random: &mut Random) -> Duration {
    let mut run = Restless::start(mounts, victim);
    // Every second one at work, the others at any moment of the start.
    let at_work = random.below(2) == 0 && run.wait_until_ready();
    std::thread::sleep(Duration::from_millis(random.below(if at_work { 20 } else { LATEST_MS })));
    let pids = run.victims(victim, mounts, random);
    let begin = Instant::now();
    for pid in &pids {
        let _gone = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    if victim == Victim::Keeper {
        return a_new_keeper(run, pids.first().copied(), begin);
    }
    let status = run.end();
    let elapsed = begin.elapsed();
    let said = run.said();
    match victim {
        Victim::Program | Victim::Supervisor | Victim::Both => {
            assert_eq!(status.signal(), Some(9), "{victim:?}: {status:?}, {said}");
        }
        _ => assert!(!status.success() && status.code() != Some(99), "{victim:?}: {status:?}, {said}"),
    }
    elapsed
}

/// The run goes on, with a keeper again, and ends when it is told to.
fn a_new_keeper(mut run: Restless, killed: Option<i32>, begin: Instant) -> Duration {
    let again = processes::wait_until(PATIENCE, || run.keeper() != killed);
    let elapsed = begin.elapsed();
    assert!(
        again && run.keeper().is_some(),
        "no keeper after {killed:?}: {:?}, {}",
        run.processes(),
        run.said()
    );
    run.child(|process| process.name == "restless").expect("the program runs");
    kill(Pid::from_raw(run.supervisor.id() as i32), Signal::SIGTERM).expect("the supervisor runs");
    assert_eq!(run.end().signal(), Some(15));
    elapsed
}

/// Kills `victim` again and again.
fn kills(victim: Victim) {
    let times = Scale::asked().pick(4, 200);
    let mut random = Random::seeded();
    let mut taken = Vec::new();
    let mut mounts = Mounts::new();
    for _ in 0..times {
        taken.push(kill_one(victim, &mounts, &mut random));
        if victim.is_a_daemon() {
            std::mem::replace(&mut mounts, Mounts::new()).end(victim);
        }
    }
    mounts.end(Victim::Program);
    taken.sort_unstable();
    println!("{times} kills, {victim:?}: median {:.0?}, slowest {:.0?}", taken[times / 2], taken[times - 1]);
}

#[test]
fn the_program() {
    kills(Victim::Program);
}

#[test]
fn the_supervisor() {
    kills(Victim::Supervisor);
}

#[test]
fn the_keeper() {
    kills(Victim::Keeper);
}

#[test]
fn the_supervisor_and_the_keeper() {
    kills(Victim::Both);
}

#[test]
fn the_daemon_of_the_swap_file() {
    kills(Victim::SwapDaemon);
}

#[test]
fn the_daemon_of_the_images() {
    kills(Victim::ImageDaemon);
}

/// Runs `script` in a shell under the pager, a quarter of all runs.
fn short_runs(name: &str, paging: &Paging, script: &str, end: End, output: &str) {
    let times = Scale::asked().pick(13, 2500);
    let mark = format!("short-{name}-{}", std::process::id());
    let mut slowest = Duration::ZERO;
    let begin = Instant::now();
    for _ in 0..times {
        let command = paging.command("/bin/sh", Path::new("none"));
        let outcome = command.args(["-c", script, &mark]).limit(PATIENCE).outcome();
        assert_eq!(
            (outcome.end, String::from_utf8_lossy(&outcome.stdout).as_ref()),
            (end, output),
            "{}",
            outcome.complaint()
        );
        slowest = slowest.max(outcome.elapsed);
    }
    println!("{times} runs, {name}: {:.1?} each, slowest {slowest:.0?}", begin.elapsed() / times);
    traces::none_of(Path::new(&mark));
}

#[test]
fn short_runs_that_exit() {
    short_runs("exit", &Paging::new(), "exit 3", End::Code(3), "");
}

#[test]
fn short_runs_that_die() {
    short_runs("die", &Paging::new(), "kill -9 $$", End::Signal(9), "");
}

#[test]
fn short_runs_with_children() {
    short_runs("children", &Paging::new(), "echo a word | cat", End::Code(0), "a word\n");
}

#[test]
fn short_runs_in_little_memory() {
    short_runs("little", &Paging::new().resident("256K"), "echo a word", End::Code(0), "a word\n");
}

/// Enough for moments that nobody chose: xorshift64.
struct Random(u64);

impl Random {
    fn seeded() -> Random {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        println!("seed {}", now.as_nanos());
        Random(now.as_nanos() as u64 | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
