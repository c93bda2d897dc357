//! Sampling how much memory the processes of a tree hold, as `/proc/PID/status` tells it.
//!
//! The kernel keeps these counts as it maps and unmaps pages, and since Linux 6.17 adds them up exactly when
//! asked: a sample is of one moment, takes no lock of the process and walks no page table. (`smaps_rollup`
//! walks them while they change: pages that move meanwhile count twice.)

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::processes;

/// The time from one sample of a process to its next, where a cap is checked.
pub const FINE: Duration = Duration::from_millis(2);
/// The same, where only the order of magnitude is wanted.
pub const COARSE: Duration = Duration::from_millis(50);
/// The time from one look for new processes to the next: a walk through /proc is dearer than a sample.
const DISCOVERY: Duration = Duration::from_millis(10);

/// The most that one process was seen to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peak {
    /// The process's name when it was seen last.
    pub name: String,
    /// Bytes of private memory and of files' pages, at their peak.
    pub bytes: u64,
    /// Bytes of shared memory (memfd, tmpfs, System V, anonymous), at their peak: it stays in memory when a
    /// process lets it go.
    pub shared_bytes: u64,
    /// How often it was looked at.
    pub samples: u64,
}

/// What was seen of a tree of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResidentPeaks {
    /// Of each process but the root, by number.
    pub descendants: BTreeMap<i32, Peak>,
    /// Of the root itself.
    pub root: Option<Peak>,
}

impl ResidentPeaks {
    /// The process below the root that held the most.
    #[must_use]
    pub fn largest_descendant(&self) -> Option<&Peak> {
        self.descendants.values().max_by_key(|peak| peak.bytes)
    }

    /// The most that any one process held, the root with the others.
    #[must_use]
    pub fn largest_bytes(&self) -> u64 {
        self.root.iter().chain(self.descendants.values()).map(|peak| peak.bytes).max().unwrap_or(0)
    }
}

/// Samples a tree of processes from a thread of its own until it is stopped.
#[derive(Debug)]
pub struct ResidentSampler {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<ResidentPeaks>>,
}

impl ResidentSampler {
    /// Starts sampling `root` and whatever descends from it, every `interval`.
    #[must_use]
    pub fn start(root: i32, interval: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen_by_thread = Arc::clone(&stop);
        let thread = std::thread::spawn(move || sample_until(&seen_by_thread, root, interval));
        Self { stop, thread: Some(thread) }
    }

    /// Stops and tells what was seen.
    ///
    /// # Panics
    ///
    /// When the sampling thread did.
    #[must_use]
    pub fn finish(mut self) -> ResidentPeaks {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("the thread is joined once");
        thread.join().expect("the sampling thread does not panic")
    }
}

impl Drop for ResidentSampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn sample_until(stop: &AtomicBool, root: i32, interval: Duration) -> ResidentPeaks {
    let mut peaks = ResidentPeaks::default();
    let mut known = Vec::new();
    let mut look_again = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        if started >= look_again {
            known = processes::tree(root);
            look_again = started + DISCOVERY;
        }
        for process in &known {
            if let Some(held) = held_by(process.pid) {
                note(&mut peaks, root, process, held);
            }
        }
        std::thread::sleep(interval.saturating_sub(started.elapsed()));
    }
    peaks
}

/// Takes a sample in.
fn note(peaks: &mut ResidentPeaks, root: i32, process: &processes::Process, held: Held) {
    let fresh = || Peak { name: String::new(), bytes: 0, shared_bytes: 0, samples: 0 };
    let peak = if process.pid == root {
        peaks.root.get_or_insert_with(fresh)
    } else {
        peaks.descendants.entry(process.pid).or_insert_with(fresh)
    };
    peak.name.clone_from(&process.name);
    peak.bytes = peak.bytes.max(held.bytes);
    peak.shared_bytes = peak.shared_bytes.max(held.shared_bytes);
    peak.samples += 1;
}

/// What a process holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Bytes of private memory and of files' pages.
    pub bytes: u64,
    /// Bytes of shared memory.
    pub shared_bytes: u64,
}

/// What `pid` holds now; none when it has ended.
#[must_use]
pub fn held_by(pid: i32) -> Option<Held> {
    parse_status(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn parse_status(text: &str) -> Option<Held> {
    let bytes = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    };
    Some(Held { bytes: bytes("RssAnon:")? + bytes("RssFile:")?, shared_bytes: bytes("RssShmem:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_file_pages_are_added_and_shared_ones_kept_apart() {
        let text = "VmRSS:\t 19 kB\nRssAnon:\t 12 kB\nRssFile:\t       3 kB\nRssShmem:\t 4 kB\n";
        assert_eq!(parse_status(text), Some(Held { bytes: 15 << 10, shared_bytes: 4 << 10 }));
        assert_eq!(parse_status(""), None);
    }

    #[test]
    fn a_process_that_grows_is_seen_to_grow() {
        let own = i32::try_from(std::process::id()).expect("a process number is an i32");
        let sampler = ResidentSampler::start(own, FINE);
        let held = vec![1u8; 64 << 20];
        std::thread::sleep(Duration::from_millis(50));
        let peaks = sampler.finish();
        assert!(peaks.root.expect("the root was sampled").bytes > held.len() as u64);
    }
}
