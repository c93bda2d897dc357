//! A mount whose rules are changed while it serves, and readers of it that write down each of their reads.

#![allow(dead_code)]

use std::fs::{self, File};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

const PAGE: usize = 4096;
/// Size of each file.
pub const FILE_BYTES: u64 = 64 << 20;
/// Reads of one reader that find room at once: growing is no part of what is measured.
const ROOM_FOR_READS: usize = 4 << 20;

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

/// Whether the kernel keeps what was read of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageCache {
    /// It does not: in strict mode.
    None,
    /// It does, and another thread drops it in time behind the reader, who is the file's only one. (A file
    /// too large to be read twice would do without, but most of its pages would be the first use of that
    /// memory in a long time, for which some virtual machines pay microseconds.)
    DroppedBehind,
}

/// Where the reader of a file is, and what was dropped behind it, in halves of the file.
#[derive(Debug, Default)]
struct Behind {
    entered: AtomicU64,
    dropped: AtomicU64,
}

impl Behind {
    /// The reader goes on to the next half, of which nothing is cached but what is read ahead.
    fn enter(&self, stop: &AtomicBool) {
        let half = self.entered.load(Ordering::Relaxed) + 1;
        while self.dropped.load(Ordering::Acquire) + 1 < half && !stop.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        self.entered.store(half, Ordering::Release);
    }

    /// Drops each half after the reader has left it.
    fn drop_until(&self, path: &Path, stop: &AtomicBool) {
        let file = File::open(path).expect("the image opens");
        while !stop.load(Ordering::Relaxed) {
            let half = self.dropped.load(Ordering::Relaxed);
            if half < self.entered.load(Ordering::Acquire) {
                let at = half % 2 * (FILE_BYTES / 2);
                fadvise(&file, at, NonZeroU64::new(FILE_BYTES / 2), Advice::DontNeed).expect("fadvise");
                self.dropped.store(half + 1, Ordering::Release);
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// One who reads `size` bytes at a time, and again from the start of the file where it ends.
struct Reader {
    file: File,
    size: usize,
    offset: u64,
    room: Vec<u8>,
    reads: Vec<Read>,
}

impl Reader {
    /// Opens the file, and has the memory that reading takes.
    fn open(path: &Path, size: usize, lane: u64) -> Self {
        Reader {
            file: File::open(path).expect("the image opens"),
            size,
            offset: lane * (FILE_BYTES / 16),
            room: vec![1; size + PAGE],
            reads: Vec::with_capacity(ROOM_FOR_READS),
        }
    }

    fn read_until(
        mut self,
        start: Instant,
        stop: &AtomicBool,
        behind: &Behind,
        cache: PageCache,
    ) -> Vec<Read> {
        // From a page's start on: else 1 MiB would be 257 pages, which are two requests.
        let begin = self.room.as_ptr().align_offset(PAGE);
        let buffer = &mut self.room[begin..begin + self.size];
        while !stop.load(Ordering::Relaxed) {
            let began = start.elapsed();
            self.file.read_exact_at(buffer, self.offset).expect("a read");
            self.reads.push(Read { began, ended: start.elapsed() });
            self.offset += self.size as u64;
            if self.offset > FILE_BYTES - self.size as u64 {
                self.offset = 0;
            }
            if cache == PageCache::DroppedBehind && self.offset.is_multiple_of(FILE_BYTES / 2) {
                behind.enter(stop);
            }
        }
        self.reads
    }
}

/// Several readers of several files at once, for `time`; then the rules are cleared to let them end. Gives
/// each file's reads that ended in time.
pub fn read_together(
    mount: &Mount,
    files: &[(&str, usize, usize)],
    time: Duration,
    cache: PageCache,
) -> Vec<Vec<Read>> {
    let stop = AtomicBool::new(false);
    let begin = Barrier::new(1 + files.iter().map(|(_, _, readers)| readers).sum::<usize>());
    let started = OnceLock::new();
    let mut all = std::thread::scope(|scope| {
        let reader = |name: &str, size, lane| {
            let (path, begin, started, stop) = (mount.path(name), &begin, &started, &stop);
            let behind = Arc::new(Behind::default());
            if cache == PageCache::DroppedBehind {
                let (path, behind) = (path.clone(), behind.clone());
                scope.spawn(move || behind.drop_until(&path, stop));
            }
            scope.spawn(move || {
                let reader = Reader::open(&path, size, lane);
                begin.wait();
                reader.read_until(*started.get_or_init(Instant::now), stop, &behind, cache)
            })
        };
        let together = |(name, size, readers): &(&str, usize, usize)| {
            (0..*readers).map(|lane| reader(name, *size, lane as u64)).collect::<Vec<_>>()
        };
        let readers: Vec<Vec<_>> = files.iter().map(together).collect();
        begin.wait();
        let start = *started.get_or_init(Instant::now);
        std::thread::sleep(time.saturating_sub(start.elapsed()));
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
