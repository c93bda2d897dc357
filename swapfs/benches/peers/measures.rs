//! What is measured of each file system. None of it may be answered by the kernel alone, but `stat`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, AtFlags, OFlags, StatxFlags};

use super::peers::{BIG_BYTES, Served};

const RANDOM_BYTES: usize = 4096;
/// What O_DIRECT asks of a buffer.
const ALIGNMENT: usize = 4096;

/// What the measures need.
pub struct Tools {
    /// How long one turn takes.
    pub time: Duration,
    /// The program that touches mapped pages.
    pub faults: Option<PathBuf>,
}

/// One column, or two that come from the same turn.
pub struct Measure {
    /// Headings, and whether more is better.
    pub columns: &'static [(&'static str, Better)],
    /// Takes a turn. Nothing where it cannot be measured.
    pub run: fn(&Tools, &Served) -> Option<Vec<f64>>,
}

/// Which way a column is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The higher the better.
    Higher,
    /// The lower the better.
    Lower,
}

use Better::{Higher, Lower};

/// All of them.
pub const MEASURES: [Measure; 7] = [
    Measure { columns: &[("seq 1M MB/s", Higher)], run: |tools, served| sequential(tools, served, 1 << 20) },
    Measure {
        columns: &[("seq 128K MB/s", Higher)],
        run: |tools, served| sequential(tools, served, 128 << 10),
    },
    Measure {
        columns: &[("4K x1 /s", Higher), ("4K x1 p50 us", Lower), ("4K x1 cpu us", Lower)],
        run: random_one,
    },
    Measure { columns: &[("4K x4 /s", Higher)], run: random_four },
    Measure { columns: &[("fault p50 us", Lower), ("fault mean us", Lower)], run: faults },
    Measure { columns: &[("getattr /s", Higher), ("stat /s", Higher)], run: attributes },
    Measure { columns: &[("open+close /s", Higher)], run: opens },
];

/// Reads the file in sequence, by so many bytes at a time.
fn sequential(tools: &Tools, served: &Served, step_bytes: usize) -> Option<Vec<f64>> {
    let file = File::open(&served.big).ok()?;
    let mut buffer = vec![0; step_bytes];
    let (mut spent, mut bytes) = (Duration::ZERO, 0u64);
    while spent < tools.time {
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).ok()?;
        let began = Instant::now();
        for offset in (0..BIG_BYTES).step_by(step_bytes) {
            bytes += file.read_at(&mut buffer, offset).ok()? as u64;
            if spent + began.elapsed() >= tools.time {
                break;
            }
        }
        spent += began.elapsed();
    }
    Some(vec![bytes as f64 / spent.as_secs_f64() / 1e6])
}

/// Reads of single pages with O_DIRECT, so that each is a request: how long each took, in nanoseconds.
fn random_reads(tools: &Tools, served: &Served, seed: u64) -> io::Result<Vec<u32>> {
    let file = OpenOptions::new().read(true).custom_flags(OFlags::DIRECT.bits() as i32).open(&served.big)?;
    let mut space = vec![0; RANDOM_BYTES + ALIGNMENT];
    let skip = space.as_ptr().align_offset(ALIGNMENT);
    let buffer = &mut space[skip..skip + RANDOM_BYTES];
    let (mut state, mut took, began) = (seed, Vec::with_capacity(1 << 17), Instant::now());
    let mut before = Duration::ZERO;
    while before < tools.time {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let page = (state >> 33) % (BIG_BYTES / RANDOM_BYTES as u64);
        file.read_exact_at(buffer, page * RANDOM_BYTES as u64)?;
        let after = began.elapsed();
        took.push((after - before).as_nanos() as u32);
        before = after;
    }
    Ok(took)
}

fn random_one(tools: &Tools, served: &Served) -> Option<Vec<f64>> {
    let before = served.processor_time()?;
    let mut took = random_reads(tools, served, 1).ok()?;
    let spent = served.processor_time()?.saturating_sub(before);
    took.sort_unstable();
    let reads = took.len() as f64;
    let median = f64::from(took[took.len() / 2]) / 1e3;
    Some(vec![reads / tools.time.as_secs_f64(), median, spent.as_secs_f64() * 1e6 / reads])
}

fn random_four(tools: &Tools, served: &Served) -> Option<Vec<f64>> {
    let counts: io::Result<Vec<usize>> = std::thread::scope(|scope| {
        let start = |seed| scope.spawn(move || random_reads(tools, served, seed).map(|took| took.len()));
        let threads: Vec<_> = (1..5).map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client ends")).collect()
    });
    Some(vec![counts.ok()?.iter().sum::<usize>() as f64 / tools.time.as_secs_f64()])
}

fn faults(tools: &Tools, served: &Served) -> Option<Vec<f64>> {
    let time = tools.time.as_millis().to_string();
    let output = Command::new(tools.faults.as_ref()?).arg(&served.big).arg(time).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [_, mean_ns, median_ns] = words[..] else { return None };
    Some(vec![median_ns / 1e3, mean_ns / 1e3])
}

fn per_second(time: Duration, mut step: impl FnMut(usize) -> io::Result<()>) -> Option<f64> {
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < time {
        step(count).ok()?;
        count += 1;
    }
    Some(count as f64 / began.elapsed().as_secs_f64())
}

/// First such that each is a request (`AT_STATX_FORCE_SYNC`), whatever the kernel may believe; then as
/// programs do.
fn attributes(tools: &Tools, served: &Served) -> Option<Vec<f64>> {
    let file = File::open(&served.big).ok()?;
    let fresh = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    let asked = per_second(tools.time / 2, |_| {
        rustix::fs::statx(file.as_fd(), c"", fresh, StatxFlags::BASIC_STATS)?;
        Ok(())
    });
    let plain = per_second(tools.time / 2, |n| {
        fs::metadata(&served.small[n % served.small.len()])?;
        Ok(())
    });
    Some(vec![asked?, plain?])
}

fn opens(tools: &Tools, served: &Served) -> Option<Vec<f64>> {
    let rate = per_second(tools.time, |n| {
        drop(File::open(&served.small[n % served.small.len()])?);
        Ok(())
    });
    Some(vec![rate?])
}
