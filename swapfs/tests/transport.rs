//! The two ways in which the kernel's requests come: what a program sees, counts and delays must not depend
//! on it.
//!
//! The other tests of this folder run over io_uring, too, where `SWAPFS_TRANSPORT=uring` is set and the
//! kernel's switch is on.

mod fixture;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fixture::*;
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process};

const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";

/// The kernel's switch, held in one position while this lives; then it is as before. Tests of other processes
/// wait meanwhile.
struct Switch {
    before: String,
    _turn: File,
}

impl Switch {
    /// `None` where the kernel has none, or it is not ours to turn.
    fn turn(position: &str) -> Option<Switch> {
        let turn = File::create(std::env::temp_dir().join("swapfs-test-uring-switch")).ok()?;
        rustix::fs::flock(&turn, FlockOperation::LockExclusive).ok()?;
        let before = fs::read_to_string(SWITCH).ok()?;
        if fs::write(SWITCH, position).is_err() {
            eprintln!("skipped: {SWITCH} is not ours to turn");
            return None;
        }
        Some(Switch { before, _turn: turn })
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, self.before.trim());
    }
}

/// Threads of the daemon that serve rings.
fn ring_threads(mount: &Mount) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", mount.stats().pid)).unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("swapfs-ring")).count()
}

fn some_files(mount: &Mount) {
    let source = mount.source();
    let words: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    fs::write(source.join("big"), words).unwrap();
    fs::write(source.join("empty"), "").unwrap();
    fs::create_dir(source.join("many")).unwrap();
    for n in 0..700 {
        let file = File::create(source.join(format!("many/{n:0>200}"))).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH)).unwrap();
    }
    fs::create_dir(source.join("none")).unwrap();
    std::os::unix::fs::symlink("many/../big", source.join("link")).unwrap();
    let sparse = File::create(source.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse.write_all_at(b"data", 500_000).unwrap();
    let long_ago = rustix::fs::Timespec { tv_sec: -86_400, tv_nsec: 250_000_000 };
    let times = rustix::fs::Timestamps { last_access: long_ago, last_modification: long_ago };
    rustix::fs::utimensat(rustix::fs::CWD, source.join("empty"), &times, rustix::fs::AtFlags::empty())
        .unwrap();
    let _ = Command::new("setfattr").args(["-n", "user.a", "-v", "value"]).arg(source.join("empty")).status();
}

/// Whatever a program can learn of a mount by system calls, a line each.
const LOOK: &str = r"
import ctypes, errno, hashlib, os, sys
def call(name, f, *a):
    try: r = f(*a)
    except OSError as e: r = errno.errorcode[e.errno]
    print(name, r)
def stat(p):
    s = os.lstat(p)
    when = s.st_mtime_ns if 'source' in p else 0
    return (oct(s.st_mode), s.st_nlink, s.st_uid, s.st_gid, s.st_size, s.st_blocks, s.st_blksize, when)
os.chdir(sys.argv[1])
for top, names, files in os.walk('.'):
    names.sort()
    if top.startswith('./.swapfs'): continue
    print(top, sorted(names), hashlib.sha256(repr(sorted(files)).encode()).hexdigest())
    if top.endswith('many'):
        print('many', hashlib.sha256(repr([stat(os.path.join(top, n)) for n in sorted(files)]).encode()).hexdigest())
        continue
    for n in sorted(names + files):
        p = os.path.join(top, n)
        if n != '.swapfs' and not (top == './swap'): call(p, stat, p)
        if os.path.islink(p): call(p, os.readlink, p)
        elif os.path.isfile(p) and top != './.swapfs': call(p, lambda: hashlib.sha256(open(p, 'rb').read()).hexdigest())
i, s = 'images/source/', 'swap/s'
for n in ('empty', 'big', 'link', 'nothing'):
    call('xattrs', lambda: [(k, os.getxattr(i + n, k)) for k in os.listxattr(i + n)])
call('getxattr', os.getxattr, i + 'big', 'user.none')
call('setxattr', os.setxattr, i + 'big', 'user.a', b'b')
call('setxattr', os.setxattr, s, 'user.a', b'b')
call('removexattr', os.removexattr, i + 'empty', 'user.a')
for f, a in ((os.unlink, ['big']), (os.rmdir, ['none']), (os.mkdir, ['new']), (os.mkfifo, ['new']), (os.truncate, ['big', 3]),
             (os.chmod, ['big', 0]), (os.chown, ['big', 1, 1]), (os.rename, ['big', 'b']), (os.link, ['big', 'b']),
             (os.symlink, ['big', 'b']), (os.readlink, ['big']), (os.listdir, ['big']), (os.lstat, ['many/nothing']),
             (os.lstat, ['n' * 256]), (os.lstat, ['big/x'])):
    for d in (i, 'swap/', ''):
        call((f.__name__, d, a), f, *([d + x if isinstance(x, str) else x for x in a]))
call('open', os.open, i + 'big', os.O_RDWR)
call('open', os.open, i + 'new', os.O_RDWR | os.O_CREAT)
f = os.open(i + 'sparse', os.O_RDONLY)
for o, w in ((0, os.SEEK_DATA), (0, os.SEEK_HOLE), (500000, os.SEEK_HOLE), (1 << 20, os.SEEK_DATA), (2 << 20, os.SEEK_HOLE)):
    call('seek', os.lseek, f, o, w)
call('past', os.pread, f, 10, 1 << 21)
call('fsync', os.fsync, f)
s = os.open(s, os.O_RDWR)
call('write', os.pwrite, s, bytes(range(256)) * 8192, 1000)
call('write', os.pwrite, s, b'x' * 5000, (4 << 20) - 1000)
call('write', os.pwrite, s, b'x', 4 << 20)
libc = ctypes.CDLL(None, use_errno=True)
def fallocate(mode, at, n):
    return libc.fallocate(s, mode, ctypes.c_long(at), ctypes.c_long(n)) and errno.errorcode[ctypes.get_errno()]
for mode in (0, 1, 2, 3, 0x10, 0x11, 0x40):
    call(('fallocate', mode), fallocate, mode, 8192, 100000)
call('sync', os.fsync, s)
call('seek', os.lseek, s, 0, os.SEEK_HOLE)
call('contents', lambda: hashlib.sha256(os.pread(s, 4 << 20, 0)).hexdigest())
call('truncate', os.ftruncate, s, 100)
call('control', lambda: open('.swapfs/throttle').read())
call('metrics', lambda: len(open('.swapfs/metrics').read()) > 100)
call('command', lambda: open('.swapfs/command', 'w').write('no such thing'))
v = os.statvfs(i)
print(v.f_bsize, v.f_frsize, v.f_namemax, v.f_blocks > 0)
";

fn look(point: &Path) -> String {
    let output = finish(Command::new("python3").arg("-c").arg(LOOK).arg(point));
    assert!(output.status.success(), "{}", complaint(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_program_sees_the_same_by_either_transport() {
    let Some(_on) = Switch::turn("Y") else { return };
    let (fuser, uring) = (Mount::scratch(), Mount::scratch());
    some_files(&fuser);
    let source = fuser.source();
    let told = [(&fuser, "fuser", 0), (&uring, "uring", 1)].map(|(mount, transport, rings)| {
        mount.start(&["--transport", transport, "--images", source.to_str().unwrap(), "--swap", "s:4M"]);
        assert_eq!(ring_threads(mount).min(1), rings);
        let told = look(&mount.point());
        let counted = mount.stats();
        assert!(mount.unmount().status.success() && !mount.is_mounted());
        let total = counted.total;
        (
            told,
            [
                total.open_ops,
                total.write_ops,
                total.write_bytes,
                total.read_errors,
                total.sync_ops,
                total.punch_ops,
            ],
        )
    });
    let lines = |told: &str| told.lines().map(str::to_owned).collect::<Vec<_>>();
    for (fuser, uring) in lines(&told[0].0).into_iter().zip(lines(&told[1].0)) {
        assert_eq!(fuser, uring);
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].0.contains("EROFS") && told[0].0.contains("ENODATA"), "{}", told[0].0);
}

#[test]
fn what_cannot_be_had_is_said_and_auto_does_without() {
    let Some(_off) = Switch::turn("N") else { return };
    let mount = Mount::scratch();
    let refused = mount.try_start(&["--transport", "uring", "--swap", "s:1M"]);
    assert!(!refused.status.success() && !mount.is_mounted());
    assert!(
        complaint(&refused).contains("echo Y > /sys/module/fuse/parameters/enable_uring"),
        "{}",
        complaint(&refused)
    );
    mount.start(&["--transport", "auto", "--swap", "s:1M"]);
    assert_eq!((ring_threads(&mount), mount.stats().requests_come.as_str()), (0, "by /dev/fuse"));
    assert!(mount.unmount().status.success());
}

#[test]
fn auto_takes_rings_where_they_can_be_had_and_all_serve_when_it_says_ready() {
    let Some(_on) = Switch::turn("Y") else { return };
    let mount = Mount::scratch();
    let began = Instant::now();
    mount.start(&["--transport", "auto", "--swap", "s:1M"]);
    // Longer than it takes to be seen serving, and less than is waited for threads that never are.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(mount.stats().requests_come, "over io_uring");
    let ours = std::thread::available_parallelism().unwrap().get();
    assert_eq!(ring_threads(&mount), ours);
    assert!(mount.unmount().status.success());
}

/// The kernel has handed a client's request over, so nothing ends that client before the daemon goes on, or
/// its connection goes.
#[test]
fn a_stopped_daemon_keeps_no_command_from_ending_and_goes_on_after() {
    let Some(_on) = Switch::turn("Y") else { return };
    let mount = Mount::scratch();
    fs::write(mount.source().join("f"), "text").unwrap();
    mount.start(&["--transport", "uring", "--images", "@/source"]);
    let pid = Pid::from_raw(mount.stats().pid as i32).unwrap();
    let send = |signal| kill_process(pid, signal).unwrap();
    send(Signal::STOP);
    let path = mount.at("images/source/f");
    let reader = std::thread::spawn(move || fs::read(path));
    let again = mount.try_start(&["--swap", "s:1M"]);
    send(Signal::CONT);
    assert!(complaint(&again).contains("already mounted"), "{}", complaint(&again));
    assert_eq!(reader.join().unwrap().unwrap(), b"text");
    send(Signal::STOP);
    let path = mount.at("images/source/g");
    let reader = std::thread::spawn(move || fs::read(path));
    let gone = mount.unmount();
    assert!(gone.status.success() && !mount.is_mounted(), "{}", complaint(&gone));
    assert!(complaint(&gone).contains("was stopped"), "{}", complaint(&gone));
    assert!(reader.join().unwrap().is_err());
    wait_until(|| !Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists());
}

/// The first entries are 16 for each processor, and all requests that wait here come from one thread.
#[test]
fn who_waits_beyond_all_entries_is_seen_and_holds_up_nobody() {
    const WAITING: u64 = 3000;
    let Some(_on) = Switch::turn("Y") else { return };
    let rule = "images/source/slow: read-latency=3600s";
    with_mount(
        &["--transport", "uring", "--images", "@/source", "--throttle", rule],
        |mount| {
            File::create(mount.source().join("slow")).unwrap().set_len(8192 * (WAITING + 1)).unwrap();
            fs::write(mount.source().join("fast"), [7; 4096]).unwrap();
        },
        |mount| {
            let slow = File::open(mount.at("images/source/slow")).unwrap();
            let page = std::num::NonZeroU64::new(4096);
            for number in 0..WAITING {
                rustix::fs::fadvise(&slow, number * 8192, page, rustix::fs::Advice::WillNeed).unwrap();
            }
            wait_until(|| mount.stats().waiting_requests == WAITING);
            assert_eq!(fs::read(mount.at("images/source/fast")).unwrap(), [7; 4096]);
            let cleared = finish(program().arg("throttle").arg(mount.point()).arg("--clear"));
            assert!(cleared.status.success(), "{}", complaint(&cleared));
            wait_until(|| mount.stats().waiting_requests == 0);
            assert_eq!(mount.stats_of("images/source/slow").figures.read_ops, WAITING);
        },
    );
}

/// A reader waits for an hour; the mount goes under it, and so does the daemon.
#[test]
fn a_mount_that_goes_answers_who_waits() {
    let Some(_on) = Switch::turn("Y") else { return };
    let mount = Mount::scratch();
    fs::write(mount.source().join("f"), "text").unwrap();
    mount.start(&["--transport", "uring", "--images", "@/source", "--read-latency", "3600s"]);
    let path = mount.at("images/source/f");
    let reader = std::thread::spawn(move || fs::read(path));
    wait_until(|| mount.stats().waiting_requests > 0);
    let (began, pid) = (Instant::now(), mount.stats().pid);
    assert!(mount.unmount().status.success() && !mount.is_mounted());
    assert!(reader.join().unwrap().is_err());
    wait_until(|| !Path::new(&format!("/proc/{pid}")).exists());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// A ring's thread has one share of its processor, so it goes before the clients that fill it; what takes long
/// does not.
#[test]
fn threads_with_rings_go_before_their_clients_where_that_is_allowed() {
    let Some(_on) = Switch::turn("Y") else { return };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let own = rustix::process::getpriority_process(None).unwrap();
    with_mount(
        &["--transport", "uring", "--swap", "s:1M"],
        |_| {},
        move |mount| {
            let threads = fs::read_dir(format!("/proc/{}/task", mount.stats().pid)).unwrap().flatten();
            let stats: Vec<String> =
                threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok()).collect();
            let niceness = |name: &str| -> Vec<i32> {
                let of_name = stats.iter().filter(|stat| stat.contains(name));
                // The nineteenth field, counted from the end of the name (proc_pid_stat(5)).
                let nineteenth =
                    |stat: &String| stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok();
                of_name.filter_map(nineteenth).collect()
            };
            let (rings, helpers) = (niceness("(swapfs-ring-"), niceness("(swapfs-help-"));
            assert!(!rings.is_empty() && rings.iter().all(|nice| *nice == (own - 10).max(-20)), "{rings:?}");
            assert!(!helpers.is_empty() && helpers.iter().all(|nice| *nice == own), "{helpers:?}");
        },
    );
}

/// Every command that talks to a mount, of a daemon that is stopped: each ends with a line that says which
/// process is stopped, and works again when that goes on.
#[test]
fn a_stopped_daemon_is_told_by_each_command_that_asks_it() {
    const COMMANDS: [&[&str]; 11] = [
        &["stat", "@"],
        &["stat", "@", "--json"],
        &["stat", "@", "--reset"],
        &["top", "@"],
        &["swap", "list", "@"],
        &["swap", "add", "@", "t", "1M"],
        &["throttle", "@"],
        &["fault", "@", "--clear"],
        &["heatmap", "@", "swap/s"],
        &["trace", "@", "--seconds", "60"],
        &["throttle", "@", "--set", "**: latency=1ms"],
    ];
    let Some(_on) = Switch::turn("Y") else { return };
    for transport in ["uring", "fuser"] {
        let mount = Mount::scratch();
        mount.start(&["--transport", transport, "--swap", "s:1M"]);
        let pid = Pid::from_raw(mount.stats().pid as i32).unwrap();
        // Those that were at it when the daemon was stopped end too.
        let point = mount.point();
        let looks = |arguments: &[&str]| {
            let words = arguments.iter().map(|word| word.replace('@', point.to_str().unwrap()));
            let mut command = program();
            command.args(words);
            std::thread::spawn(move || finish(&mut command))
        };
        let early = [looks(&["stat", "@", "--interval", "0.05"]), looks(&["trace", "@"])];
        wait_until(|| mount.stats().files.is_empty() && early.iter().all(|look| !look.is_finished()));
        std::thread::sleep(Duration::from_millis(200));
        kill_process(pid, Signal::STOP).unwrap();
        let began = Instant::now();
        let asked: Vec<_> = early.into_iter().chain(COMMANDS.iter().map(|words| looks(words))).collect();
        let answers: Vec<_> = asked.into_iter().map(|look| look.join().unwrap()).collect();
        let took = began.elapsed();
        kill_process(pid, Signal::CONT).unwrap();
        let told = format!("pid {}) is stopped", pid.as_raw_nonzero());
        for answer in &answers {
            let line = complaint(answer);
            assert!(answer.status.code() == Some(1) && line.contains(&told), "{transport}: {answer:?}");
        }
        assert!(took < Duration::from_secs(30), "{took:?}");
        let listed = finish(program().args(["stat", "--json"]).arg(mount.point()));
        assert!(listed.status.success(), "{}", complaint(&listed));
    }
}
