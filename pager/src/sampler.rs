//! Resident memory over time, and what processes leave behind that died without saying so or run natively.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use pager_core::hearing::Hearing;
use pager_core::roster::End;
use pager_core::shared::{ABANDONED, CLAIMING, Control, Process};
use parking_lot::Mutex;

use crate::balance::{self, Balance};
use crate::bequests::Bequests;
use crate::claims::{self, Claims};
use crate::control::ControlFile;
use crate::members::{Mark, Membership};
use crate::stat::Stat;

/// Time between two samples.
pub const INTERVAL: Duration = Duration::from_millis(10);
/// Samples between two looks for dead processes.
const SWEEP_EVERY: u64 = 10;

/// What was seen so far, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Residency {
    /// Samples taken while a process had pages.
    pub samples: u64,
    /// Sum over samples of the sum over processes.
    pub total: u64,
    /// Largest sum over processes.
    pub peak_all: u64,
    /// Largest peak of one process.
    pub peak_one: u64,
    /// The last sum over processes.
    pub now: u64,
}

impl Residency {
    /// Takes in one sample of `control`.
    pub fn sample(&mut self, control: &Control) {
        self.peak_one = self.peak_one.max(control.counts.resident_peak.load(Relaxed));
        for process in &control.processes {
            // A slot keeps its peak until it is claimed again, when the peak moves to the counts: processes
            // that lived between two samples count too.
            self.peak_one = self.peak_one.max(process.peak.load(Relaxed));
        }
        let now = resident(control);
        self.now = now;
        self.peak_all = self.peak_all.max(now).max(self.peak_one);
        // Before the first process has a page there is nothing to average.
        if now != 0 {
            self.total = self.total.saturating_add(now);
            self.samples += 1;
        }
    }

    /// Mean over time of the sum over processes.
    pub fn mean(&self) -> u64 {
        self.total.checked_div(self.samples).unwrap_or(0)
    }
}

/// A thread that samples until it is dropped.
pub struct Sampler {
    shared: Arc<Shared>,
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    control: Arc<ControlFile>,
    mark: Mark,
    /// Held for the length of one sample.
    seen: Mutex<Residency>,
    /// Held for the length of one look; not together with `seen`.
    bequests: Mutex<Bequests>,
}

impl Shared {
    fn sample(&self) {
        self.seen.lock().sample(&self.control);
    }

    fn seen(&self) -> Residency {
        *self.seen.lock()
    }

    fn run(&self, stopped: &Receiver<()>) {
        let mut round = 0;
        let mut balance = Balance::default();
        let mut claims = Claims::default();
        while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            claims.look(&self.control, |index| self.control.holder(index));
            self.sample();
            balance.look(&self.control, &self.mark);
            self.bequests.lock().settle();
            if round % SWEEP_EVERY == 0 {
                self.sweep();
                balance.audit(&self.control);
                balance.find_idle(&self.control);
            }
            round += 1;
        }
        balance::leave_alone(&self.control);
    }

    fn sweep(&self) {
        sweep(&self.control, exists, |process| has_memory(process, &self.mark));
    }
}

impl Sampler {
    /// Starts sampling `control`, and settling its `bequests`.
    ///
    /// # Errors
    ///
    /// If there can be no more threads.
    pub fn start(control: Arc<ControlFile>, bequests: Bequests) -> std::io::Result<Sampler> {
        let shared = Arc::new(Shared {
            mark: control.mark()?,
            control,
            seen: Mutex::default(),
            bequests: bequests.into(),
        });
        let (stop, stopped) = channel::bounded(0);
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new().name("sampler".into()).spawn(move || worker.run(&stopped))?;
        Ok(Sampler { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// What was seen so far, this moment included. Processes that just died count for the last time, but not
    /// as resident now.
    pub fn residency(&self) -> Residency {
        self.shared.sample();
        self.shared.sweep();
        self.shared.bequests.lock().settle();
        Residency { now: resident(&self.shared.control), ..self.shared.seen() }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether `pid` is a process of the run, paged or native, as far as its processes have said.
pub fn is_alive(control: &Control, pid: u32) -> bool {
    !matches!(pid, 0 | CLAIMING | ABANDONED)
        && (control.processes.iter().any(|process| process.pid.load(Relaxed) == pid)
            || control.roster.of(pid, 0).is_some_and(|row| row.end() == End::None))
}

/// The sum over processes.
fn resident(control: &Control) -> u64 {
    let used = control.processes.iter().filter(|process| process.known_pid().is_some());
    used.map(held).fold(0, u64::saturating_add)
}

/// What a process holds: pages that are still to come do not count.
fn held(process: &Process) -> u64 {
    process.resident.load(Relaxed).min(process.settled.load(Relaxed))
}

/// Whether a process of the run still has the memory that its slot tells of: it has not ended, nor become a
/// native program.
fn has_memory(process: &Process, mark: &Mark) -> bool {
    let pid = process.pid.load(Acquire);
    let is_deaf = || process.hearing.load(Acquire) == Hearing::Deaf as u32;
    exists(pid) && !is_zombie(pid) && !(is_deaf() && mark.membership(pid) == Membership::Stranger)
}

/// Whether all that is left of `pid` is its status. Where only the first thread has ended others go on.
fn is_zombie(pid: u32) -> bool {
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    Stat::of(pid).is_some_and(|stat| stat.has_ended) && threads() <= 1
}

fn exists(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}

/// Frees the slots of processes for which `has_memory` says no, and notes the end of those that do not exist
/// where nobody else did.
fn sweep(control: &Control, exists: impl Fn(u32) -> bool, has_memory: impl Fn(&Process) -> bool) {
    for process in &control.processes {
        if let Some(pid) = process.known_pid()
            && !has_memory(process)
        {
            free(control, process, pid);
        }
    }
    for row in control.roster.taken() {
        let pid = row.outer.load(Acquire);
        if pid != 0 && row.end() == End::None && !exists(pid) {
            // Its parent may be about to tell more.
            row.note_end(End::Unseen);
        }
    }
}

/// Takes the slot from the dead `pid`, its pages from the sum and its credit for others; leaves the peak to
/// be seen.
fn free(control: &Control, process: &Process, pid: u32) {
    if process.pid.compare_exchange(pid, ABANDONED, AcqRel, Relaxed).is_ok() {
        claims::clear(control, process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hatch::Hatch;
    use crate::plan::Plan;
    use pager_core::roster::Start;

    fn control() -> ControlFile {
        let plan = Plan::for_tests(None, pager_core::shared::Children::Own);
        ControlFile::new(&plan, &[], -1).expect("made")
    }

    fn put(control: &Control, slot: usize, pid: u32, resident: u64, peak: u64) {
        let process = &control.processes[slot];
        process.pid.store(pid, Relaxed);
        process.resident.store(resident, Relaxed);
        process.settled.store(resident, Relaxed);
        process.peak.store(peak, Relaxed);
    }

    #[test]
    fn mean_is_over_time_and_peaks_are_by_process_and_together() {
        let control = control();
        let mut seen = Residency::default();
        seen.sample(&control);
        put(&control, 0, 10, 100, 120);
        seen.sample(&control);
        put(&control, 1, 11, 200, 200);
        seen.sample(&control);
        put(&control, 0, 0, 100, 120);
        put(&control, 1, CLAIMING, 200, 200);
        seen.sample(&control);
        assert_eq!(seen, Residency { samples: 2, total: 400, peak_all: 300, peak_one: 200, now: 0 });
        assert_eq!(seen.mean(), 200);
    }

    #[test]
    fn peaks_of_processes_that_no_sample_saw_count() {
        let control = control();
        put(&control, 3, 0, 0, 70);
        control.counts.resident_peak.store(90, Relaxed);
        let mut seen = Residency::default();
        seen.sample(&control);
        assert_eq!(seen.peak_one, 90);
    }

    #[test]
    fn a_dead_process_is_swept_and_a_live_one_is_not() {
        let control = control();
        control.counts.resident_now.store(300, Relaxed);
        put(&control, 0, 10, 100, 120);
        put(&control, 1, 11, 200, 200);
        let free = control.pool.free.load(Relaxed);
        control.processes[0].account.credit.store(130, Relaxed);
        sweep(&control, |pid| pid == 11, |process| process.pid.load(Relaxed) == 11);
        assert_eq!(control.pool.free.load(Relaxed), free + 130);
        assert_eq!((control.processes[0].pid.load(Relaxed), control.processes[1].pid.load(Relaxed)), (0, 11));
        assert_eq!(control.counts.resident_now.load(Relaxed), 200);
        assert_eq!(control.processes[0].peak.load(Relaxed), 120);
    }

    #[test]
    fn an_end_that_nobody_tells_is_noted_as_unseen() {
        let control = control();
        for (pid, end) in [(10, End::None), (11, End::None), (12, End::Code(3))] {
            control.roster.take(pid, 0, 1, Start::Fork).expect("a free row");
            control.roster.of(pid, 0).expect("taken").note_end(end);
        }
        sweep(&control, |pid| pid == 11, |_| true);
        let ends: Vec<End> = control.roster.taken().iter().map(|row| row.end()).collect();
        assert_eq!(ends, [End::Unseen, End::None, End::Code(3)]);
        assert!(is_alive(&control, 11) && !is_alive(&control, 12));
    }

    #[test]
    fn this_process_exists_and_process_zero_does_not() {
        assert!(exists(std::process::id()));
        assert!(!exists(0));
        assert!(!exists(CLAIMING - 1));
    }

    #[test]
    fn a_sampler_stops_when_dropped() {
        let control = Arc::new(control());
        let bequests = Bequests::new(control.clone(), Arc::new(Hatch::new().expect("a socket")));
        let sampler = Sampler::start(control, bequests).expect("a thread");
        assert_eq!(sampler.residency(), Residency::default());
    }
}
