//! A report for tests of its forms.

use super::Report;
use super::model::{Calls, FaultTime, Faults, Image, Pages, Resident, SCHEMA_VERSION, Swap, SwapFile};
use super::processes::{ProcessEnd, ProcessRow, Started};
use crate::histogram::Bucket;
use crate::outcome::Outcome;

/// A row of the table of processes.
pub fn first() -> ProcessRow {
    ProcessRow {
        pid: 4711,
        parent: 4710,
        program: "/usr/bin/sort".into(),
        started: Started::First,
        faults: 91_237,
        resident_peak_bytes: 32 << 20,
        swap_peak_bytes: 210 << 20,
        unmanaged_shared_bytes: 1 << 20,
        unmanaged_huge_bytes: 0,
        unmanaged_device_bytes: 0,
        exit: Some(ProcessEnd::Seen(Outcome::code(0))),
    }
}

/// A run under a cap that swapped.
pub fn sample() -> Report {
    Report {
        schema_version: SCHEMA_VERSION,
        complete: true,
        program: "/usr/bin/sort".into(),
        arguments: vec!["big.txt".into()],
        supervisor_pid: 100,
        pid: 101,
        elapsed_ns: 2_531_000_000,
        page_bytes: 4096,
        exit: Some(Outcome::code(0)),
        resident: resident(),
        faults: faults(),
        fault_time: fault_time(),
        pages: pages(),
        bytes_image_read: 401_408,
        swap: swap(),
        images: images(),
        calls: Calls { trapped: 4000, managed: 120, refused: 2, unknown: 0 },
        signals_delivered: 0,
        processes: 1,
        threads: 2,
        execs: 1,
        execs_native: 0,
        execs_native_children: 0,
        process_table: vec![first()],
        process_table_dropped: 0,
        unmanaged_shared_bytes: 1 << 20,
        unmanaged_other_bytes: 0,
        unmanaged: vec!["1M of shared mappings were left to the kernel, outside the cap".into()],
        checksum_errors: 0,
        io_errors: 0,
        failure: None,
    }
}

fn resident() -> Resident {
    Resident {
        cap_pages: Some(8192),
        cap_bytes: Some(32 << 20),
        resident_peak_pages: 8190,
        resident_peak_bytes: 8190 * 4096,
        resident_mean_pages: 7000,
        resident_mean_bytes: 7000 * 4096,
        resident_all_peak_pages: 8190,
        resident_all_peak_bytes: 8190 * 4096,
        ..Resident::default()
    }
}

fn faults() -> Faults {
    Faults {
        image: 812,
        zero: 51_002,
        swap_in: 20_110,
        protection: 19_310,
        waited: 3,
        program: 0,
        total: 91_237,
    }
}

fn fault_time() -> FaultTime {
    FaultTime {
        count: 91_237,
        total_ns: 312_000_000,
        mean_ns: 3419,
        p50_ns: 2047,
        p90_ns: 4351,
        p99_ns: 12_287,
        p999_ns: 90_111,
        max_ns: 1_310_719,
        buckets: vec![Bucket { from: 1920, to: 2047, count: 91_237 }],
    }
}

fn pages() -> Pages {
    Pages {
        filled: 83_104,
        image: 992,
        image_mapped: 900,
        image_read: 92,
        zero: 51_002,
        swap_in: 31_110,
        for_calls: 77,
        ahead: 40_123,
        evicted: 70_000,
        written: 40_000,
        zero_dropped: 12,
    }
}

fn swap() -> Swap {
    Swap {
        capacity_bytes: 16 << 30,
        used_bytes: 0,
        peak_bytes: 210 << 20,
        reads: 2000,
        writes: 700,
        files: vec![SwapFile {
            path: "/tmp".into(),
            temporary: true,
            capacity_bytes: 16 << 30,
            used_bytes: 0,
            peak_bytes: 210 << 20,
        }],
    }
}

fn images() -> Vec<Image> {
    vec![Image {
        path: "/usr/bin/sort".into(),
        device: 2,
        inode: 3,
        pages_filled: 30,
        pages_mapped: 26,
        pages_read: 4,
        bytes_read: 20_480,
        bytes_headers: 4096,
        pages_evicted: 11,
        bytes_mapped: 122_880,
    }]
}
