//! A throttled mount never gives more than was asked: rate, no burst at the start, latency.
//!
//! Assumes: root or fusermount3. How little less it gives is measured, not asserted: a busy machine stalls
//! the reader (`cargo bench -p swapfs --bench accuracy`). `INTEGRATION_FULL=1` reads for 10 s at each rate.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use integration::mount::MountPlan;
use integration::scratch::Scratch;
use integration::workloads::Scale;

/// How far the rate may be above what was asked.
const RATE_TOLERANCE: f64 = 0.02;
/// How far the first half second may be above it.
const BURST_TOLERANCE: f64 = 0.05;
const START: Duration = Duration::from_millis(500);
/// So much of a latency may pass on the way between client and mount, at most (`swapfs::gate`), rounded up.
const LONGEST_WAY: Duration = Duration::from_micros(200);

/// One at a time: they measure time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A sparse file: the source must not be what limits the rate.
fn source(scratch: &Scratch) -> PathBuf {
    let path = scratch.join("source");
    File::create(&path).and_then(|file| file.set_len(4 << 30)).expect("a sparse file can be made");
    path
}

/// How fast reads went, in parts of what was asked.
struct Pace {
    whole: f64,
    at_start: f64,
}

/// Reads `file` from its start for the length of this scale.
fn pace_of(file: &File, bytes_a_second: f64, request: usize) -> Pace {
    let length = Duration::from_secs(Scale::asked().pick(3, 10));
    let (mut done, mut at_start) = (0, None);
    let mut buffer = vec![0; request];
    let started = Instant::now();
    let pace = |done: u64| done as f64 / started.elapsed().as_secs_f64() / bytes_a_second;
    while started.elapsed() < length {
        file.read_exact_at(&mut buffer, done).expect("an image can be read");
        done += request as u64;
        if at_start.is_none() && started.elapsed() >= START {
            at_start = Some(pace(done));
        }
    }
    Pace { whole: pace(done), at_start: at_start.expect("the reads took longer than the start") }
}

/// Never faster than asked, at the start and on the whole.
fn rate_is_kept(option: &str, bytes_a_second: f64, request: usize) {
    let _alone = alone();
    let scratch = Scratch::new("throttle");
    // The request that ends the half second counts whole.
    let most_at_start = 1.0 + BURST_TOLERANCE + request as f64 / START.as_secs_f64() / bytes_a_second;
    let plan = MountPlan::new().image(source(&scratch)).strict().option("--read-bw", option);
    let mount = plan.mount().unwrap_or_else(|reason| panic!("{reason}"));
    let file = File::open(mount.image("source")).expect("an image can be opened");
    let pace = pace_of(&file, bytes_a_second, request);
    println!("{option}: {:.4} of what was asked, {:.4} in the first half second", pace.whole, pace.at_start);
    assert!(pace.whole <= 1.0 + RATE_TOLERANCE, "{option}: {:.4} of what was asked", pace.whole);
    assert!(pace.at_start <= most_at_start, "{option}: {:.4} of what was asked at first", pace.at_start);
    drop(file);
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
fn one_megabyte_a_second() {
    rate_is_kept("1MB", 1e6, 16 << 10);
}

#[test]
fn ten_megabytes_a_second() {
    rate_is_kept("10MB", 1e7, 64 << 10);
}

#[test]
fn a_hundred_megabytes_a_second() {
    rate_is_kept("100MB", 1e8, 128 << 10);
}

#[test]
fn two_milliseconds_of_latency() {
    const READS: u64 = 200;
    const ASKED: Duration = Duration::from_millis(2);
    let _alone = alone();
    let scratch = Scratch::new("latency");
    let plan = MountPlan::new().image(source(&scratch)).strict().option("--read-latency", "2ms");
    let mount = plan.mount().unwrap_or_else(|reason| panic!("{reason}"));
    let file = File::open(mount.image("source")).expect("an image can be opened");
    let mut buffer = vec![0; 4096];
    let mut times: Vec<Duration> = (0..READS)
        .map(|index| {
            let started = Instant::now();
            file.read_exact_at(&mut buffer, index * 8192).expect("an image can be read");
            started.elapsed()
        })
        .collect();
    times.sort();
    println!("2 ms asked: {:?} at least, {:?} at the median", times[0], times[times.len() / 2]);
    assert!(times[0] + LONGEST_WAY >= ASKED, "a read was done after {:?}", times[0]);
}
