//! What do waiting requests cost others?  `cargo bench -p swapfs --bench throttle`
//!
//! 10,000 requests for pages of one file wait on a latency of 60 s, while 4 KiB of another are read at a
//! time, and it is opened and closed; and the same while nobody waits, in turns. Prints p50 and p99 of both.
//! How exact the throttle is stands in `accuracy`.

mod throttled;

use std::fs::{self, File};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use throttled::{FILE_BYTES, Mount};

const WAITING: u64 = 10_000;
const READS: u64 = 20_000;
const OPENS: usize = 5000;
const PAGE: u64 = 4096;
const TURNS: usize = 9;

/// p50 and p99 of reads of one page, in microseconds. Each page is read once, so that none is in the page
/// cache.
fn read_pages(mount: &Mount, turn: usize) -> (f64, f64) {
    let file = File::open(mount.path("fast")).expect("the image opens");
    fadvise(&file, 0, None, Advice::DontNeed).expect("pages are dropped");
    fadvise(&file, 0, None, Advice::Random).expect("no readahead");
    let (mut page, pages) = ([0; PAGE as usize], FILE_BYTES / PAGE);
    let times = (0..READS.min(pages)).map(|n| {
        let began = Instant::now();
        file.read_exact_at(&mut page, (n * 7919 + turn as u64) % pages * PAGE).expect("a read");
        began.elapsed().as_secs_f64() * 1e6
    });
    half_and_tail(times)
}

/// The same of opens, each with its close.
fn opens(mount: &Mount) -> (f64, f64) {
    let path = mount.path("fast");
    half_and_tail((0..OPENS).map(|_| {
        let began = Instant::now();
        drop(File::open(&path).expect("the image opens"));
        began.elapsed().as_secs_f64() * 1e6
    }))
}

fn half_and_tail(times: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn waiting(mount: &Mount) -> u64 {
    let stats = fs::read_to_string(mount.point().join(".swapfs/stats.json")).expect("the counts");
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    stats["waiting_requests"].as_u64().expect("a count")
}

/// Asks for pages ahead, one a request; returns when all wait.
fn crowd(mount: &Mount) -> File {
    mount.set("images/i/slow: latency=60s\n");
    let slow = File::open(mount.path("slow")).expect("the image opens");
    fadvise(&slow, 0, None, Advice::DontNeed).expect("pages are dropped");
    for n in 0..WAITING {
        fadvise(&slow, n * PAGE, NonZeroU64::new(PAGE), Advice::WillNeed).expect("advice");
    }
    let began = Instant::now();
    while waiting(mount) < WAITING {
        assert!(began.elapsed() < Duration::from_secs(30), "only {} wait", waiting(mount));
    }
    slow
}

fn main() {
    // `cargo test --all-targets` starts benches too, without this argument: nothing to be checked then.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mount = Mount::new(&["slow", "fast"], &[]);
    let mut ratios = Vec::new();
    for turn in 0..TURNS {
        let (idle, idle_opens) = (read_pages(&mount, turn), opens(&mount));
        let slow = crowd(&mount);
        let (crowded, crowded_opens) = (read_pages(&mount, turn), opens(&mount));
        assert_eq!(waiting(&mount), WAITING);
        mount.set("");
        drop(slow);
        while waiting(&mount) > 0 {}
        for (what, idle, crowded) in [("reads", idle, crowded), ("opens", idle_opens, crowded_opens)] {
            println!(
                "{what}: idle p50 {:.1} us, p99 {:.1} us; {WAITING} waiting p50 {:.1} us, p99 {:.1} us",
                idle.0, idle.1, crowded.0, crowded.1
            );
        }
        ratios.push(crowded.1 / idle.1);
    }
    ratios.sort_by(f64::total_cmp);
    println!("reads have a p99 {:.2} times that of an idle mount (median of {TURNS})", ratios[TURNS / 2]);
}
