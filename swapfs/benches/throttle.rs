//! Does the throttle give what was asked?  `cargo bench -p swapfs --bench throttle [-- quick]`
//!
//! For 1, 10 and 100 MB/s: ten seconds of reads by one client, the rate over all of it, and over the first half second
//! (a burst would show there). Then a latency of 2 ms, against the same reads without. Through a real mount, in strict
//! mode, so that each read comes to the throttle. Prints asked, got and per cent; the figures stand in
//! docs/decisions/deadline-scheduler.md.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const FILE_BYTES: u64 = 256 << 20;
const FIRST: Duration = Duration::from_millis(500);

/// A mount that goes with its owner.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new(env!("CARGO_BIN_EXE_swapfs")).arg("unmount").arg(self.0).status();
    }
}

fn mount<'a>(point: &'a Path, source: &Path, limits: &[&str]) -> Mount<'a> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swapfs"));
    command.args(["mount", "--strict", "--daemon"]).args(limits).arg("--images").arg(source).arg(point);
    assert!(command.status().expect("swapfs starts").success(), "the mount fails");
    Mount(point)
}

/// What a client got.
struct Got {
    bytes_per_second: f64,
    first_bytes_per_second: f64,
    reads: u64,
}

fn read_for(file: &File, time: Duration, size: usize) -> Got {
    let mut buffer = vec![0; size];
    let (began, mut bytes, mut first, mut reads) = (Instant::now(), 0u64, 0u64, 0u64);
    while began.elapsed() < time {
        let offset = bytes % (FILE_BYTES - size as u64);
        bytes += file.read_at(&mut buffer, offset).expect("a read") as u64;
        reads += 1;
        if began.elapsed() <= FIRST {
            first = bytes;
        }
    }
    let bytes_per_second = bytes as f64 / began.elapsed().as_secs_f64();
    Got { bytes_per_second, first_bytes_per_second: first as f64 / FIRST.as_secs_f64(), reads }
}

/// Several clients at once; their rates added up.
fn read_together(path: &Path, time: Duration, size: usize, clients: usize) -> Got {
    let results: Vec<Got> = std::thread::scope(|scope| {
        let client = || read_for(&File::open(path).expect("the image opens"), time, size);
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    Got {
        bytes_per_second: results.iter().map(|got| got.bytes_per_second).sum(),
        first_bytes_per_second: results.iter().map(|got| got.first_bytes_per_second).sum(),
        reads: results.iter().map(|got| got.reads).sum(),
    }
}

fn rate_row(point: &Path, source: &Path, asked: u64, size: usize, clients: usize, time: Duration) {
    let _mount = mount(point, source, &["--read-bw", &format!("{asked}MB")]);
    let got = read_together(&point.join("images/data"), time, size, clients);
    let (rate, first) = (got.bytes_per_second / 1e6, got.first_bytes_per_second / 1e6);
    let percent = |got: f64| got / asked as f64 * 100.0 - 100.0;
    println!(
        "{asked:>6} MB/s  {:>5} KiB  {clients} client(s)  got {rate:>8.3} MB/s {:>+7.2} %   first 0.5 s {first:>8.3} MB/s {:>+7.2} %  ({} reads)",
        size / 1024,
        percent(rate),
        percent(first),
        got.reads
    );
}

fn median_read(path: &Path, reads: usize) -> (f64, f64, f64) {
    let file = File::open(path).expect("the image opens");
    let mut buffer = [0; 4096];
    let mut times: Vec<f64> = (0..reads)
        .map(|n| {
            let began = Instant::now();
            file.read_exact_at(&mut buffer, (n as u64 * 7919 % (FILE_BYTES / 4096)) * 4096).expect("a read");
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let mean = times.iter().sum::<f64>() / reads as f64;
    (times[reads / 2], mean, times[reads * 99 / 100])
}

fn latency_rows(point: &Path, source: &Path, reads: usize) {
    let measure = |limits: &[&str]| {
        let _mount = mount(point, source, limits);
        median_read(&point.join("images/data"), reads)
    };
    let plain = measure(&[]);
    let slow = measure(&["--read-latency", "2ms"]);
    println!("latency 0    4 KiB reads: p50 {:.3} ms, mean {:.3} ms, p99 {:.3} ms", plain.0, plain.1, plain.2);
    println!("latency 2 ms 4 KiB reads: p50 {:.3} ms, mean {:.3} ms, p99 {:.3} ms", slow.0, slow.1, slow.2);
    let added = slow.1 - plain.1;
    println!("added (mean): {added:.3} ms for 2 ms asked, {:+.2} %", added / 2.0 * 100.0 - 100.0);
}

/// So many writes wait for 5 s each; how long does an unthrottled read take meanwhile?
fn waiting_rows(point: &Path, source: &Path, waiting: u64) {
    let _mount = mount(point, source, &["--swap", "s:1G", "--write-latency", "5s"]);
    let quiet = median_read(&point.join("images/data"), 5000);
    let swap = fs::OpenOptions::new().write(true).open(point.join("swap/s")).expect("the swap file opens");
    let crowded = std::thread::scope(|scope| {
        for n in 0..waiting {
            let builder = std::thread::Builder::new().stack_size(64 << 10);
            let swap = &swap;
            builder.spawn_scoped(scope, move || swap.write_all_at(&[1; 512], n * 4096)).expect("a thread");
        }
        std::thread::sleep(Duration::from_millis(500));
        let stats = fs::read_to_string(point.join(".swapfs/stats.json")).expect("the counts");
        let line = stats.lines().find(|line| line.contains("waiting_requests")).unwrap_or_default().trim().to_owned();
        println!("{waiting} writers started: {line}");
        median_read(&point.join("images/data"), 5000)
    });
    println!("4 KiB reads, nobody waiting: p50 {:.4} ms, p99 {:.4} ms", quiet.0, quiet.2);
    println!("4 KiB reads, writers waiting: p50 {:.4} ms, p99 {:.4} ms", crowded.0, crowded.2);
}

fn main() {
    // `cargo test --all-targets` starts benches too, without this argument: nothing to be checked then.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let quick = std::env::args().any(|argument| argument == "quick");
    let time = if quick { Duration::from_secs(2) } else { Duration::from_secs(10) };
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let (point, source) = (scratch.path().join("mnt"), scratch.path().join("data"));
    fs::create_dir(&point).expect("a mount point");
    let block: Vec<u8> = (0..1 << 20).map(|n: u32| (n * 31 + n / 251) as u8).collect();
    fs::write(&source, block.repeat((FILE_BYTES >> 20) as usize)).expect("a source");
    for (asked, size) in [(1, 4096), (10, 4096), (100, 4096), (10, 128 << 10), (100, 128 << 10), (100, 1 << 20)] {
        rate_row(&point, &source, asked, size, 1, time);
    }
    rate_row(&point, &source, 100, 4096, 8, time);
    latency_rows(&point, &source, if quick { 200 } else { 2000 });
    waiting_rows(&point, &source, 10_000);
}
