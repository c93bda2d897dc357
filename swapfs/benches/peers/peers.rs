//! The file systems that are compared, each mounted as its manual says and in the fastest way of those that
//! were tried.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::UnmountFlags;

use super::report::Memory;

/// Size of the file that is read.
pub const BIG_BYTES: u64 = 256 << 20;
const SMALL_FILES: usize = 16;
const PATIENCE: Duration = Duration::from_secs(20);

/// What all of them serve.
pub struct Fixture {
    scratch: PathBuf,
    source: PathBuf,
}

impl Fixture {
    /// Makes the source, and has all of it in the page cache.
    pub fn make(scratch: &Path) -> Self {
        let source = scratch.join("source");
        fs::create_dir(&source).expect("a source directory");
        let block: Vec<u8> = (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        fs::write(source.join("big"), block.repeat((BIG_BYTES >> 20) as usize)).expect("a source");
        (0..SMALL_FILES)
            .for_each(|n| fs::write(source.join(format!("small{n}")), "small").expect("a small file"));
        fs::read(source.join("big")).expect("the source can be read");
        Fixture { scratch: scratch.to_owned(), source }
    }

    fn mount_point(&self, name: &str) -> PathBuf {
        let point = self.scratch.join(format!("mnt-{name}"));
        fs::create_dir_all(&point).expect("a mount point");
        point
    }
}

/// A file system to compare.
pub struct Peer {
    /// Its name in the table.
    pub name: &'static str,
    /// Mounts it, or says why it cannot be.
    pub start: fn(&Fixture) -> Result<Served, String>,
}

const FUSER: [&str; 2] = ["--transport", "fuser"];
/// Missing where `/sys/module/fuse/parameters/enable_uring` is off.
const URING: [&str; 2] = ["--transport", "uring"];

/// All of them.
pub const PEERS: [Peer; 10] = [
    Peer { name: "swapfs", start: |fixture| swapfs(fixture, "swapfs", &FUSER) },
    Peer { name: "swapfs-uring", start: |fixture| swapfs(fixture, "swapfs-uring", &URING) },
    Peer {
        name: "swapfs-strict",
        start: |fixture| swapfs(fixture, "swapfs-strict", &[&FUSER[..], &["--strict"]].concat()),
    },
    Peer {
        name: "swapfs-uring-strict",
        start: |fixture| swapfs(fixture, "swapfs-uring-strict", &[&URING[..], &["--strict"]].concat()),
    },
    Peer {
        name: "swapfs-fast-wakes",
        start: |fixture| swapfs(fixture, "swapfs-fast-wakes", &[&FUSER[..], &["--wake", "fast"]].concat()),
    },
    Peer { name: "bindfs", start: bindfs },
    Peer { name: "nbdkit+nbdfuse", start: nbdfuse },
    Peer { name: "squashfuse", start: |fixture| squashfuse(fixture, "squashfuse") },
    Peer { name: "squashfuse_ll", start: |fixture| squashfuse(fixture, "squashfuse_ll") },
    Peer { name: "passthrough_ll", start: passthrough },
];

/// A file system that is mounted. Dropping it ends it.
pub struct Served {
    /// The file that is read.
    pub big: PathBuf,
    /// Files that are opened.
    pub small: Vec<PathBuf>,
    mount: Mount,
}

struct Mount {
    point: PathBuf,
    daemon: Child,
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.point, UnmountFlags::DETACH);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            if let Ok(Some(_)) = self.daemon.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Served {
    fn directory(files: &Path, mount: Mount) -> Self {
        let small = (0..SMALL_FILES).map(|n| files.join(format!("small{n}"))).collect();
        Served { big: files.join("big"), small, mount }
    }

    /// The daemon, and the processes that it started.
    fn processes(&self) -> Option<Vec<u32>> {
        let daemon = self.mount.daemon.id();
        let children = fs::read_to_string(format!("/proc/{daemon}/task/{daemon}/children")).ok()?;
        Some(children.split_whitespace().filter_map(|pid| pid.parse().ok()).chain([daemon]).collect())
    }

    /// How long its threads have run, all together.
    pub fn processor_time(&self) -> Option<Duration> {
        let mut sum = 0;
        for pid in self.processes()? {
            for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
                // A thread may end meanwhile.
                let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                sum += text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0);
            }
        }
        Some(Duration::from_nanos(sum))
    }

    /// What its processes take now.
    pub fn memory(&self) -> Option<Memory> {
        let all: Option<Vec<Memory>> = self.processes()?.into_iter().map(memory_of).collect();
        let (rss, pss) =
            all?.iter().fold((0, 0), |(rss, pss), one| (rss + one.rss_bytes, pss + one.pss_bytes));
        Some(Memory { rss_bytes: rss, pss_bytes: pss })
    }
}

fn memory_of(pid: u32) -> Option<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some(Memory { rss_bytes: field("Rss:")?, pss_bytes: field("Pss:")? })
}

/// Starts `command`, which serves in the foreground, and waits until `file` is there.
fn serve(mut command: Command, point: &Path, file: &Path) -> Result<Mount, String> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let daemon = spawned.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let mut mount = Mount { point: point.to_owned(), daemon };
    let began = Instant::now();
    while !fs::metadata(file).is_ok_and(|seen| seen.len() == BIG_BYTES) {
        if let Ok(Some(status)) = mount.daemon.try_wait() {
            return Err(format!("{} ended with {status}", command.get_program().display()));
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{} does not serve", command.get_program().display()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(mount)
}

fn swapfs(fixture: &Fixture, name: &str, options: &[&str]) -> Result<Served, String> {
    let point = fixture.mount_point(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_swapfs"));
    command
        .arg("mount")
        .args(options)
        .arg("--image")
        .arg(format!("a={}", fixture.source.display()))
        .arg(&point);
    command.stderr(Stdio::null());
    let files = point.join("images/a");
    Ok(Served::directory(&files, serve(command, &point, &files.join("big"))?))
}

fn bindfs(fixture: &Fixture) -> Result<Served, String> {
    let point = fixture.mount_point("bindfs");
    let mut command = Command::new("bindfs");
    command.args(["-f", "--multithreaded", "-r"]).arg(&fixture.source).arg(&point);
    Ok(Served::directory(&point, serve(command, &point, &point.join("big"))?))
}

/// One file is all that it can serve.
fn nbdfuse(fixture: &Fixture) -> Result<Served, String> {
    let point = fixture.mount_point("nbdfuse");
    let counts = format!("statsfile={}", fixture.scratch.join("nbdkit-stats").display());
    let mut command = Command::new("nbdfuse");
    command.arg("-r").arg(&point).args([
        "--command",
        "nbdkit",
        "-s",
        "--exit-with-parent",
        "-r",
        "--filter=stats",
        "file",
    ]);
    command.arg(fixture.source.join("big")).arg(counts);
    let big = point.join("nbd");
    let mount = serve(command, &point, &big)?;
    Ok(Served { small: vec![big.clone()], big, mount })
}

/// From an image without compression, which costs it least.
fn squashfuse(fixture: &Fixture, program: &str) -> Result<Served, String> {
    let image = fixture.scratch.join("image.sqfs");
    if !image.exists() {
        let mut command = Command::new("mksquashfs");
        command.arg(&fixture.source).arg(&image).args([
            "-noI",
            "-noD",
            "-noF",
            "-noX",
            "-no-progress",
            "-quiet",
        ]);
        let status =
            command.stdout(Stdio::null()).status().map_err(|error| format!("mksquashfs: {error}"))?;
        if !status.success() {
            return Err(format!("mksquashfs ended with {status}"));
        }
        fs::read(&image).map_err(|error| error.to_string())?;
    }
    let point = fixture.mount_point(program);
    let mut command = Command::new(program);
    command.arg("-f").arg(&image).arg(&point);
    Ok(Served::directory(&point, serve(command, &point, &point.join("big"))?))
}

/// libfuse's own example, from Debian's libfuse3-dev.
fn passthrough(fixture: &Fixture) -> Result<Served, String> {
    let source = Path::new("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c");
    if !source.exists() {
        return Err("no libfuse3-dev with its examples".to_owned());
    }
    let program = fixture.scratch.join("passthrough_ll");
    let mut compiler = Command::new("gcc");
    compiler.args(["-O2", "-D_FILE_OFFSET_BITS=64", "-DHAVE_UTIMENSAT", "-I/usr/include/fuse3"]).arg(source);
    let status =
        compiler.arg("-o").arg(&program).arg("-lfuse3").status().map_err(|error| format!("gcc: {error}"))?;
    if !status.success() {
        return Err("its source does not compile".to_owned());
    }
    let point = fixture.mount_point("passthrough");
    let mut command = Command::new(&program);
    // Its own numbers of threads are out of range for Debian's libfuse.
    let threads = "clone_fd,max_idle_threads=10,max_threads=10";
    command.arg("-f").arg("-o").arg(format!("source={},{threads}", fixture.source.display())).arg(&point);
    Ok(Served::directory(&point, serve(command, &point, &point.join("big"))?))
}
