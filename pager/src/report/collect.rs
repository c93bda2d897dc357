//! The report's numbers, from the control block.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use pager_core::roster::ROWS;
use pager_core::shared::{Control, Counts, IMAGES};

use super::model::{
    Calls, Children, FaultTime, Faults, Image, Pages, Report, Resident, SCHEMA_VERSION, Swap, SwapFile,
};
use super::processes;
use crate::failure::{Failure, printable};
use crate::histogram::{Distribution, PerMille};
use crate::outcome::Outcome;
use crate::sampler::Residency;
use crate::size::{ByteSize, PAGE_BYTES};
use crate::swap::SwapKind;

/// State of an image slot that is in use.
const IMAGE_IN_USE: u32 = 2;

/// What the report is about: known to the supervisor, not in the control block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Path of the program.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// Process id of the program.
    pub pid: u32,
    /// Swap files in the order of the control block.
    pub swap: Vec<(PathBuf, SwapKind)>,
}

impl Report {
    /// The state of `control` now. A run that goes on may move between two numbers.
    pub fn new(
        subject: &Subject,
        control: &Control,
        residency: &Residency,
        elapsed: Duration,
        exit: Option<Outcome>,
    ) -> Report {
        let counts = &control.counts;
        let images = images(control);
        Report {
            schema_version: SCHEMA_VERSION,
            complete: exit.is_some(),
            program: subject.program.clone(),
            arguments: subject.arguments.clone(),
            supervisor_pid: std::process::id(),
            pid: subject.pid,
            elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            page_bytes: PAGE_BYTES,
            exit,
            resident: resident(control, residency),
            faults: faults(counts),
            fault_time: fault_time(control),
            pages: pages(counts, &images),
            bytes_image_read: load(&counts.bytes_image_read),
            swap: swap(control, subject),
            calls: calls(counts),
            signals_delivered: load(&counts.signals_delivered),
            processes: load(&counts.processes),
            threads: load(&counts.threads),
            execs: load(&counts.execs),
            execs_native: load(&counts.execs_native),
            execs_native_children: load(&counts.execs_native_children),
            process_table: processes::rows(control, subject.pid, exit),
            process_table_dropped: control.roster.dropped(),
            unmanaged_shared_bytes: load(&counts.unmanaged_shared_bytes),
            unmanaged_other_bytes: load(&counts.unmanaged_other_bytes),
            unmanaged: unmanaged(counts, images.len(), control.roster.dropped()),
            images,
            checksum_errors: load(&counts.checksum_errors),
            io_errors: load(&counts.io_errors),
            failure: Failure::of(control),
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

/// Saturating: the program can write nonsense into the block, which must not hurt us.
fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

fn bytes(pages: u64) -> u64 {
    ByteSize::of_pages(pages).0
}

fn resident(control: &Control, seen: &Residency) -> Resident {
    let cap_pages = Some(load(&control.settings.cap_pages)).filter(|&pages| pages != u64::MAX);
    Resident {
        cap_pages,
        cap_bytes: cap_pages.map(bytes),
        children: children(control),
        resident_peak_pages: seen.peak_one,
        resident_peak_bytes: bytes(seen.peak_one),
        resident_mean_pages: seen.mean(),
        resident_mean_bytes: bytes(seen.mean()),
        resident_all_peak_pages: seen.peak_all,
        resident_all_peak_bytes: bytes(seen.peak_all),
        resident_now_pages: seen.now,
        resident_now_bytes: bytes(seen.now),
    }
}

fn children(control: &Control) -> Children {
    use pager_core::shared::Children as Setting;
    match control.settings.children.load(Relaxed) {
        number if number == Setting::Share as u32 => Children::Share,
        number if number == Setting::Native as u32 => Children::Native,
        _ => Children::Own,
    }
}

fn faults(counts: &Counts) -> Faults {
    let mut faults = Faults {
        image: load(&counts.faults_image),
        zero: load(&counts.faults_zero),
        swap_in: load(&counts.faults_swap_in),
        protection: load(&counts.faults_protection),
        waited: load(&counts.faults_waited),
        program: load(&counts.faults_program),
        total: 0,
    };
    faults.total =
        sum([faults.image, faults.zero, faults.swap_in, faults.protection, faults.waited, faults.program]);
    faults
}

fn fault_time(control: &Control) -> FaultTime {
    let distribution = Distribution::of(&control.fault_ns);
    let total_ns = load(&control.counts.fault_time_ns);
    FaultTime {
        count: distribution.count(),
        total_ns,
        mean_ns: total_ns.checked_div(distribution.count()).unwrap_or(0),
        p50_ns: distribution.percentile(PerMille(500)),
        p90_ns: distribution.percentile(PerMille(900)),
        p99_ns: distribution.percentile(PerMille(990)),
        p999_ns: distribution.percentile(PerMille(999)),
        max_ns: distribution.max(),
        buckets: distribution.buckets().to_vec(),
    }
}

fn pages(counts: &Counts, images: &[Image]) -> Pages {
    let (image, zero, swap_in) =
        (load(&counts.pages_image), load(&counts.pages_zero), load(&counts.pages_swap_in));
    let image_mapped = sum(images.iter().map(|image| image.pages_mapped));
    Pages {
        filled: sum([image, zero, swap_in]),
        image,
        image_mapped,
        image_read: image.saturating_sub(image_mapped),
        zero,
        swap_in,
        for_calls: load(&counts.pages_for_calls),
        ahead: load(&counts.pages_ahead),
        evicted: load(&counts.pages_evicted),
        written: load(&counts.pages_written),
        zero_dropped: load(&counts.pages_zero_dropped),
    }
}

fn swap(control: &Control, subject: &Subject) -> Swap {
    let file = |(slot, (path, kind)): (&pager_core::shared::SwapFile, &(PathBuf, SwapKind))| SwapFile {
        path: path.clone(),
        temporary: *kind == SwapKind::Temporary,
        capacity_bytes: bytes(load(&slot.pages)),
        used_bytes: bytes(load(&slot.used)),
        peak_bytes: bytes(load(&slot.peak)),
    };
    let files: Vec<SwapFile> = control.settings.swap.iter().zip(&subject.swap).map(file).collect();
    Swap {
        capacity_bytes: sum(files.iter().map(|file| file.capacity_bytes)),
        used_bytes: sum(files.iter().map(|file| file.used_bytes)),
        peak_bytes: sum(files.iter().map(|file| file.peak_bytes)),
        reads: load(&control.counts.swap_reads),
        writes: load(&control.counts.swap_writes),
        files,
    }
}

/// Images in use, those with the most pages first.
fn images(control: &Control) -> Vec<Image> {
    let used = control.images.iter().filter(|image| image.state.load(Acquire) == IMAGE_IN_USE);
    let mut images: Vec<Image> = used.map(image).collect();
    images.sort_by(|a, b| {
        (b.pages_filled, b.bytes_read, &a.path).cmp(&(a.pages_filled, a.bytes_read, &b.path))
    });
    images
}

fn image(slot: &pager_core::shared::Image) -> Image {
    let (pages_filled, pages_mapped) = (load(&slot.pages_filled), load(&slot.pages_mapped));
    Image {
        path: printable(&slot.path),
        device: load(&slot.device),
        inode: load(&slot.inode),
        pages_filled,
        pages_mapped,
        pages_read: pages_filled.saturating_sub(pages_mapped),
        bytes_read: load(&slot.bytes_read),
        bytes_headers: load(&slot.bytes_headers),
        pages_evicted: load(&slot.pages_evicted),
        bytes_mapped: load(&slot.bytes_mapped),
    }
}

fn calls(counts: &Counts) -> Calls {
    Calls {
        trapped: load(&counts.calls_trapped),
        managed: load(&counts.calls_managed),
        refused: load(&counts.calls_refused),
        unknown: load(&counts.calls_unknown),
    }
}

/// What was not paged or not counted, one sentence each.
fn unmanaged(counts: &Counts, images: usize, dropped: u64) -> Vec<String> {
    let size = |counter| ByteSize(load(counter));
    let (shared, other) = (size(&counts.unmanaged_shared_bytes), size(&counts.unmanaged_other_bytes));
    let (native, unknown) = (load(&counts.execs_native), load(&counts.calls_unknown));
    let children = load(&counts.execs_native_children);
    let sentences = [
        (shared.0 != 0, format!("{shared} of shared mappings were left to the kernel, outside the cap")),
        (
            other.0 != 0,
            format!(
                "{other} of device memory, huge pages and the like were left to the kernel, outside the cap"
            ),
        ),
        (
            native != 0,
            format!(
                "{native} programs ran natively, without paging (32-bit, set-id or with file capabilities)"
            ),
        ),
        (
            children != 0,
            format!("{children} programs of children ran natively, without paging (--children native)"),
        ),
        (
            unknown != 0,
            format!("{unknown} system calls had unknown numbers: what looked like a buffer was filled"),
        ),
        (
            dropped != 0,
            format!("{dropped} processes found the table of {ROWS} full: they are counted in the sums only"),
        ),
        (
            images == IMAGES,
            format!("more than {IMAGES} images were opened: the later ones are counted in the sums only"),
        ),
    ];
    sentences.into_iter().filter(|(applies, _)| *applies).map(|(_, sentence)| sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ControlFile;
    use crate::plan::Plan;
    use crate::swap::SwapFile as OpenSwap;
    use pager_core::shared::FailureKind;

    fn control() -> (ControlFile, Subject) {
        let swap = [OpenSwap::temporary(&std::env::temp_dir(), ByteSize(1 << 20)).expect("a swap file")];
        let plan = Plan::for_tests(Some(100), pager_core::shared::Children::Own);
        let swap_names = swap.iter().map(|file| (file.path.clone(), file.kind)).collect();
        let subject = Subject { program: "/bin/x".into(), arguments: Vec::new(), pid: 7, swap: swap_names };
        (ControlFile::new(&plan, &swap, -1).expect("made"), subject)
    }

    fn report(control: &Control, subject: &Subject) -> Report {
        Report::new(subject, control, &Residency::default(), Duration::from_secs(1), Some(Outcome::code(0)))
    }

    fn open_image(slot: &pager_core::shared::Image, path: &str, filled: u64, mapped: u64) {
        slot.state.store(IMAGE_IN_USE, Relaxed);
        slot.path.set(path.as_bytes());
        slot.pages_filled.store(filled, Relaxed);
        slot.pages_mapped.store(mapped, Relaxed);
    }

    #[test]
    fn a_fresh_block_is_all_zero() {
        let (control, subject) = control();
        let report = report(&control, &subject);
        assert_eq!((report.faults.total, report.pages.filled, report.images.len()), (0, 0, 0));
        assert_eq!((report.swap.capacity_bytes, report.swap.files.len()), (1 << 20, 1));
        assert!(report.unmanaged.is_empty() && report.failure.is_none());
    }

    #[test]
    fn images_come_by_pages_and_split_into_mapped_and_read() {
        let (control, subject) = control();
        open_image(&control.images[0], "/small", 3, 1);
        open_image(&control.images[2], "/large", 30, 20);
        control.counts.pages_image.store(33, Relaxed);
        let report = report(&control, &subject);
        let paths: Vec<&str> = report.images.iter().map(|image| image.path.as_str()).collect();
        assert_eq!(paths, ["/large", "/small"]);
        assert_eq!((report.images[0].pages_mapped, report.images[0].pages_read), (20, 10));
        assert_eq!((report.pages.image_mapped, report.pages.image_read), (21, 12));
    }

    #[test]
    fn the_first_failure_is_shown_and_cannot_move_the_cursor() {
        let (control, subject) = control();
        control.failure.report(FailureKind::Internal, 7, 1, b"bad \x1b[2J");
        control.failure.report(FailureKind::SwapFull, 8, 0, b"");
        let failure = report(&control, &subject).failure.expect("reported");
        assert_eq!((failure.kind, failure.pid), ("internal", 7));
        assert!(!failure.message.contains('\x1b'), "{}", failure.message);
    }

    #[test]
    fn what_was_left_out_is_said() {
        let (control, subject) = control();
        control.counts.unmanaged_shared_bytes.store(1 << 20, Relaxed);
        control.counts.execs_native.store(2, Relaxed);
        let sentences = report(&control, &subject).unmanaged;
        assert!(
            sentences[0].starts_with("1M of shared mappings")
                && sentences[1].starts_with("2 programs ran natively")
        );
    }

    #[test]
    fn nonsense_in_the_block_does_no_harm() {
        let (control, subject) = control();
        for counter in [&control.counts.pages_image, &control.counts.pages_zero, &control.counts.faults_image]
        {
            counter.store(u64::MAX, Relaxed);
        }
        control.counts.faults_zero.store(9, Relaxed);
        control.settings.cap_pages.store(0, Relaxed);
        control.settings.swap[0].peak.store(u64::MAX, Relaxed);
        for bucket in &control.fault_ns.buckets {
            bucket.store(u64::MAX, Relaxed);
        }
        control.failure.pid.store(1, Relaxed);
        control.failure.text.len.store(u32::MAX, Relaxed);
        control.failure.kind.store(77, Relaxed);
        let report = report(&control, &subject);
        assert!(crate::report::text::render(&report).lines().count() > 5);
        assert!(report.to_json().ends_with("}\n"));
    }
}
