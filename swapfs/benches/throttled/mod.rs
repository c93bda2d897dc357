//! A mount whose rules are changed while it serves, and readers of it that write down each of their reads.

#![allow(dead_code)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
/// Size of each file.
pub const FILE_BYTES: u64 = 64 << 20;

/// A mount of files to read. It goes with its owner.
pub struct Mount {
    scratch: tempfile::TempDir,
}

impl Mount {
    /// Shows files of these names.
    pub fn new(names: &[&str], arguments: &[&str]) -> Self {
        let block: Vec<u8> = (0..1 << 20).map(|n: u32| (n * 31 + n / 251) as u8).collect();
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (point, source) = (scratch.path().join("mnt"), scratch.path().join("i"));
        fs::create_dir(&point).expect("a mount point");
        fs::create_dir(&source).expect("a source");
        for name in names {
            fs::write(source.join(name), block.repeat((FILE_BYTES >> 20) as usize)).expect("a file");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_swapfs"));
        command.args(["mount", "--daemon"]).args(arguments).arg("--images").arg(source).arg(&point);
        assert!(command.status().expect("swapfs starts").success(), "the mount fails");
        Mount { scratch }
    }

    pub fn point(&self) -> PathBuf {
        self.scratch.path().join("mnt")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.point().join("images/i").join(name)
    }

    /// Puts these rules in force.
    pub fn set(&self, rules: &str) {
        fs::write(self.point().join(".swapfs/throttle"), format!("#\n{rules}")).expect("rules");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new(env!("CARGO_BIN_EXE_swapfs")).arg("unmount").arg(self.point()).status();
    }
}

/// One read: when it began and ended, since the run began.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    pub began: Duration,
    pub ended: Duration,
}

/// Reads `size` bytes at a time until told to stop; what the kernel cached of a pass is dropped before the next.
fn read_until(path: &Path, size: usize, start: Instant, stop: &AtomicBool, lane: u64) -> Vec<Read> {
    let file = File::open(path).expect("the image opens");
    // From a page's start on: else 1 MiB would be 257 pages, which are two requests.
    let (mut room, mut reads) = (vec![0; size + PAGE], Vec::new());
    let begin = room.as_ptr().align_offset(PAGE);
    let buffer = &mut room[begin..begin + size];
    let mut offset = lane * (FILE_BYTES / 16);
    while !stop.load(Ordering::Relaxed) {
        let began = start.elapsed();
        file.read_exact_at(buffer, offset).expect("a read");
        reads.push(Read { began, ended: start.elapsed() });
        offset += size as u64;
        if offset > FILE_BYTES - size as u64 {
            offset = 0;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("fadvise");
        }
    }
    reads
}

/// Several readers of several files at once, for `time`; then the rules are cleared to let them end. Gives each file's reads that
/// ended in time.
pub fn read_together(mount: &Mount, files: &[(&str, usize, usize)], time: Duration) -> Vec<Vec<Read>> {
    let (stop, start) = (AtomicBool::new(false), Instant::now());
    let mut all = std::thread::scope(|scope| {
        let reader = |name: &str, size, lane| {
            let (path, stop) = (mount.path(name), &stop);
            scope.spawn(move || read_until(&path, size, start, stop, lane))
        };
        let started = |(name, size, readers): &(&str, usize, usize)| {
            (0..*readers).map(|lane| reader(name, *size, lane as u64)).collect::<Vec<_>>()
        };
        let readers: Vec<Vec<_>> = files.iter().map(started).collect();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        mount.set("");
        let joined = |threads: Vec<std::thread::ScopedJoinHandle<'_, Vec<Read>>>| {
            threads.into_iter().flat_map(|thread| thread.join().expect("a reader")).collect::<Vec<Read>>()
        };
        readers.into_iter().map(joined).collect::<Vec<_>>()
    });
    for reads in &mut all {
        reads.retain(|read| read.ended <= time);
        reads.sort_by_key(|read| read.ended);
    }
    all
}

/// How much more than asked, in per cent.
pub fn off(got: f64, asked: f64) -> f64 {
    (got / asked - 1.0) * 100.0
}
