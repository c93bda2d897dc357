//! Time without system calls: the processor's counter, scaled once per run.

use core::sync::atomic::Ordering;

use pager_core::shared::count;

use crate::row;
use crate::state;
use crate::sys::task;

/// How long the first process measures the counter's rate.
const CALIBRATION_NS: u64 = 200_000;

/// The counter.
pub fn ticks() -> u64 {
    // SAFETY: reads the time stamp counter, which user mode may.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Measures the counter's rate, if no process of the run has done so.
pub fn calibrate() {
    let multiplier = &state::settings().tick_multiplier;
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
    let multiplier = state::settings().tick_multiplier.load(Ordering::Relaxed);
    let elapsed = ticks().saturating_sub(begin);
    ((u128::from(elapsed) * u128::from(multiplier)) >> 32) as u64
}

/// Counts a fault that began at `begin` and ends now.
pub fn record_fault(begin: u64) {
    let ns = ns_since(begin);
    if let Some(control) = state::control() {
        control.fault_ns.record(ns);
        count(&control.counts.fault_time_ns, ns);
    }
    if let Some(row) = row::own() {
        count(&row.faults, 1);
    }
}
