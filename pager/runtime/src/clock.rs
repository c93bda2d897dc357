//! Time without system calls: the processor's counter, scaled once per run. A program may have every read of
//! the counter fault (PR_SET_TSC of prctl(2)); from then on the kernel is asked, and its time is scaled to
//! the counter's.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pager_core::shared::count;

use crate::control;
use crate::row;
use crate::sys::task;

/// How long the first process measures the counter's rate.
const CALIBRATION_NS: u64 = 200_000;

/// Whether some thread of this process must not read the counter. Never cleared.
static FORBIDDEN: AtomicBool = AtomicBool::new(false);
/// What the counter was ahead of the kernel's scaled time when it was forbidden.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// The counter.
pub fn ticks() -> u64 {
    if FORBIDDEN.load(Ordering::Relaxed) {
        return kernel_ticks().wrapping_add(AHEAD.load(Ordering::Relaxed));
    }
    // SAFETY: reads the time stamp counter, which user mode may.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The kernel's time in ticks of the counter.
fn kernel_ticks() -> u64 {
    let multiplier = control::settings().tick_multiplier.load(Ordering::Relaxed).max(1);
    ((u128::from(task::now_ns()) << 32) / u128::from(multiplier)) as u64
}

/// To be called before a thread of this process forbids itself to read the counter.
pub fn forbid_counter() {
    if !FORBIDDEN.load(Ordering::Relaxed) {
        AHEAD.store(ticks().wrapping_sub(kernel_ticks()), Ordering::Relaxed);
        FORBIDDEN.store(true, Ordering::Release);
    }
}

/// Finds out whether the counter may be read, which exec leaves as it was, and measures its rate if no
/// process of the run has done so.
pub fn calibrate() {
    let multiplier = &control::settings().tick_multiplier;
    if task::is_counter_forbidden() {
        FORBIDDEN.store(true, Ordering::Relaxed);
        let _ = multiplier.compare_exchange(0, 1 << 32, Ordering::Relaxed, Ordering::Relaxed);
        return;
    }
    if multiplier.load(Ordering::Relaxed) != 0 {
        return;
    }
    let (start_ns, start) = (task::now_ns(), ticks());
    let mut now_ns = start_ns;
    while now_ns - start_ns < CALIBRATION_NS {
        now_ns = task::now_ns();
    }
    let elapsed = (ticks() - start).max(1);
    multiplier.store(((now_ns - start_ns) << 32) / elapsed, Ordering::Relaxed);
}

/// Nanoseconds since the counter stood at `begin`.
pub fn ns_since(begin: u64) -> u64 {
    let multiplier = control::settings().tick_multiplier.load(Ordering::Relaxed);
    let elapsed = ticks().saturating_sub(begin);
    ((u128::from(elapsed) * u128::from(multiplier)) >> 32) as u64
}

/// Counts a fault that began at `begin` and ends now.
pub fn record_fault(begin: u64) {
    let ns = ns_since(begin);
    if let Some(control) = control::control() {
        control.fault_ns.record(ns);
        count(&control.counts.fault_time_ns, ns);
    }
    if let Some(row) = row::own() {
        count(&row.faults, 1);
    }
}
