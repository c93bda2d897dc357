//! Sampling how much memory the processes of a tree hold, as `/proc/PID/smaps_rollup` tells it.

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
    /// Bytes resident.
    pub bytes: u64,
    /// How often it was looked at.
    pub samples: u64,
    /// How often looking took longer than from one sample to the next, so that it says nothing: pages that moved meanwhile are counted
    /// twice, where they left and where they came in.
    pub torn: u64,
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
            let looked = Instant::now();
            if let Some(bytes) = resident_bytes(process.pid) {
                let whole = looked.elapsed() <= interval;
                note(&mut peaks, root, process, whole.then_some(bytes));
            }
        }
        std::thread::sleep(interval.saturating_sub(started.elapsed()));
    }
    peaks
}

/// Takes a sample in; one without bytes was torn.
fn note(peaks: &mut ResidentPeaks, root: i32, process: &processes::Process, bytes: Option<u64>) {
    let fresh = || Peak { name: String::new(), bytes: 0, samples: 0, torn: 0 };
    let peak = if process.pid == root {
        peaks.root.get_or_insert_with(fresh)
    } else {
        peaks.descendants.entry(process.pid).or_insert_with(fresh)
    };
    peak.name.clone_from(&process.name);
    peak.bytes = peak.bytes.max(bytes.unwrap_or(0));
    peak.samples += 1;
    peak.torn += u64::from(bytes.is_none());
}

/// The `Rss:` line of a process's rollup, in bytes; none when the process has ended.
#[must_use]
pub fn resident_bytes(pid: i32) -> Option<u64> {
    parse_rollup(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?)
}

fn parse_rollup(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rollup_counts_in_kilobytes() {
        assert_eq!(parse_rollup("5581-7fff [rollup]\nRss:     12 kB\nPss: 3 kB\n"), Some(12 << 10));
        assert_eq!(parse_rollup(""), None);
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
