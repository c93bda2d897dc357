//! The control block: what the supervisor and every process of a run share through one memory file.
//!
//! The supervisor lays it out and fills in the [`Settings`]; processes count into it; anybody may read it at
//! any time. All of it is plain atomics, so a process that is killed leaves it readable. Offsets of the
//! variable parts (swap maps) are given in the header.

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::inquiry::Desk;
use crate::pool::{Account, Pool};
use crate::roster::Roster;
use crate::text::Text;

/// First word of a control block; changes with its layout.
pub const MAGIC: u64 = 0x7067_7231_0000_0008;
/// Name of the environment entry by which a process finds its run: see `parse_run` of the runtime's start; -1
/// stands for no slots, no row and no ticket (a claim to a slot, see [`Process::ticket`]). Removed before the
/// program sees it.
pub const ENVIRONMENT_KEY: &str = "__PAGER";
/// Value of a queued SIGSEGV that asks a process to keep to its cap at once.
pub const POKE: u64 = 0x0070_6167_6572_0001;
/// Buckets of a latency histogram, see [`Histogram`].
pub const BUCKETS: usize = 64 * SUB_BUCKETS;
/// Linear steps within a power of two.
pub const SUB_BUCKETS: usize = 8;
/// Images that are counted one by one; what is opened after that counts as "other".
pub const IMAGES: usize = 512;
/// Processes that are shown one by one at any time; a slot is reused after its process ended.
pub const PROCESSES: usize = 1024;
/// Process id in a slot that is being claimed, or kept for a child about to be forked.
///
/// In a PID namespace of its own a process has another number than the supervisor knows it by: its slot says
/// this until the supervisor has asked the kernel who holds the lock on the slot's byte of the control file,
/// see [`lock_byte`].
pub const CLAIMING: u32 = u32::MAX;
/// Process id in a slot that the supervisor is about to free, since nobody took it in time.
pub const ABANDONED: u32 = u32::MAX - 1;
/// Swap files of one run.
pub const SWAP_FILES: usize = 4;

/// The fixed part, at offset 0 of the memory file.
#[repr(C)]
pub struct Control {
    /// [`MAGIC`].
    pub magic: AtomicU64,
    /// Written once by the supervisor before the first process starts.
    pub settings: Settings,
    /// Sums over all processes, alive and gone.
    pub counts: Counts,
    /// How long faults took, in nanoseconds, from entry of the handler to its return.
    pub fault_ns: Histogram,
    /// Why a process could not start or had to be killed; the first one stays.
    pub failure: Failure,
    /// By image.
    pub images: [Image; IMAGES],
    /// By process.
    pub processes: [Process; PROCESSES],
    /// What of a shared cap is nobody's.
    pub pool: Pool,
    /// By process too, those that are gone included.
    pub roster: Roster,
    /// Where a process answers who asks about its pages.
    pub desk: Desk,
}

/// What the user asked for.
#[repr(C)]
pub struct Settings {
    /// Most resident pages of one process, or of all together under [`Children::Share`]; `u64::MAX` for no
    /// cap.
    pub cap_pages: AtomicU64,
    /// Pages mapped by one image fault (1 in exact mode).
    pub fault_around_pages: AtomicU64,
    /// [`FillMode`] as a number.
    pub image_fill: AtomicU32,
    /// 0, or 1 to print runtime events to standard error.
    pub verbose: AtomicU32,
    /// How many entries of `swap` are used.
    pub swap_count: AtomicU32,
    /// Process id of the supervisor; 0 once it was killed, and the run is to end.
    pub supervisor: AtomicU32,
    /// By swap file.
    pub swap: [SwapFile; SWAP_FILES],
    /// Directory under which interpreter and libraries are looked for first; empty for none.
    pub root: Text,
    /// Descriptor of the runtime image, for exec.
    pub runtime_fd: AtomicI64,
    /// Descriptor of a second file with the same contents, that a process maps in the place of the one that
    /// was executed.
    pub runtime_copy_fd: AtomicI64,
    /// Descriptor, in every process, of the reading end of the lifeline: when nobody has the other end any
    /// more the run is to end.
    pub lifeline_fd: AtomicI64,
    /// Descriptor, in every process, of the hatch's inner end: a socket through which descriptors pass
    /// between supervisor and processes.
    pub hatch_fd: AtomicI64,
    /// Descriptor, in every process, of `/dev/userfaultfd`, from which userfaultfds come where the system
    /// call is refused; -1 for none.
    pub userfault_fd: AtomicI64,
    /// Nanoseconds in a tick of the processor's time stamp counter, times 2^32; measured by the first
    /// process. 0 until then.
    pub tick_multiplier: AtomicU64,
    /// [`Engine`] as a number.
    pub engine: AtomicU32,
    /// [`Children`] as a number.
    pub children: AtomicU32,
    /// Process id of the first process, as it sees itself; 0 until it runs.
    pub first: AtomicU32,
    /// [`crate::replacement::PolicyKind`] as a number.
    pub policy: AtomicU32,
    /// Offset in the memory file of the ring for recorded events ([`crate::trace::ring`]).
    pub trace_offset: AtomicU64,
    /// Cells of that ring; 0 where nothing is recorded.
    pub trace_cells: AtomicU64,
    /// 1 once a process of the run has asked to trace another one or to be traced.
    pub tracing: AtomicU32,
    /// 1 once a process of the run has opened a `/proc/PID/mem`.
    pub memory_files: AtomicU32,
    /// PID namespaces that processes of the run were found to be in, beside the supervisor's.
    pub spaces: AtomicU32,
}

/// Descriptors of the pager have this number or a higher one, where the limits let them: a fork copies the
/// table up to the highest open number (4,000: nothing that can be measured beside the fork; 20,000: 45 us),
/// and few programs have as many.
pub const OWN_DESCRIPTORS: u32 = 4096;

/// What becomes of the processes that the first one starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Children {
    /// Each is paged, up to a cap of its own.
    Own = 0,
    /// Programs that they execute run natively; a fork that executes nothing stays paged.
    Native = 1,
    /// Each is paged, and all together have one cap; see [`crate::pool`].
    Share = 2,
}

/// How clean image pages get into memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum FillMode {
    /// The file's own pages are mapped, a chunk at a time.
    MapThrough = 0,
    /// Each page is read (`pread` of 4096 bytes) into a private page: every byte is seen by whoever serves
    /// the file.
    Exact = 1,
    /// Runs of pages are read into private pages: for kernels that cannot guard the mapping of a file (before
    /// Linux 6.15).
    Read = 2,
}

/// By which signal a missing page makes itself known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Engine {
    /// The quickest for each kind of page: userfaultfd's SIGBUS for private ones, guard markers' SIGSEGV for
    /// those of a file.
    Auto = 0,
    /// SIGSEGV for all: guard markers on private memory too.
    Sigsegv = 1,
    /// SIGBUS for all: pages of files are copied into private memory.
    Uffd = 2,
    /// No signal at all: a thread of the runtime's is told of each fault and resolves it, while the program's
    /// thread sleeps. Slow; the oracle that the others are compared with.
    Thread = 3,
}

/// A swap file and where its map lies.
#[repr(C)]
pub struct SwapFile {
    /// Descriptor number in every process of the run.
    pub fd: AtomicI64,
    /// Capacity in pages.
    pub pages: AtomicU64,
    /// Offset in the memory file of `pages` owner counts (`AtomicU8` each).
    pub owners_offset: AtomicU64,
    /// Offset in the memory file of `pages` checksums (`AtomicU32` each).
    pub checksums_offset: AtomicU64,
    /// Where the next search for free slots starts.
    pub hint: AtomicU64,
    /// Slots in use.
    pub used: AtomicU64,
    /// Most slots ever in use at once.
    pub peak: AtomicU64,
}

/// Counters. Each is a sum over the run unless its name says otherwise.
#[repr(C)]
pub struct Counts {
    /// Faults that brought in image pages.
    pub faults_image: AtomicU64,
    /// Faults that made zero pages.
    pub faults_zero: AtomicU64,
    /// Faults that read swap slots.
    pub faults_swap_in: AtomicU64,
    /// First writes to clean pages.
    pub faults_protection: AtomicU64,
    /// Faults on a page that another thread was just bringing in.
    pub faults_waited: AtomicU64,
    /// Faults that became the program's own SIGSEGV or SIGBUS.
    pub faults_program: AtomicU64,
    /// Nanoseconds in faults.
    pub fault_time_ns: AtomicU64,
    /// Pages brought in from images (mapped through or read).
    pub pages_image: AtomicU64,
    /// Zero pages made.
    pub pages_zero: AtomicU64,
    /// Pages read from swap.
    pub pages_swap_in: AtomicU64,
    /// Of the pages that were brought in, those that nobody had touched yet: neighbours, and read ahead.
    pub pages_ahead: AtomicU64,
    /// Pages taken out of memory, clean or dirty.
    pub pages_evicted: AtomicU64,
    /// Of those, pages written to swap.
    pub pages_written: AtomicU64,
    /// Of those, dropped because they held only zeros.
    pub pages_zero_dropped: AtomicU64,
    /// Bytes read from images by fills that copy (exact mode, writable data) and by the reading of headers.
    pub bytes_image_read: AtomicU64,
    /// Write calls to swap files.
    pub swap_writes: AtomicU64,
    /// Read calls to swap files.
    pub swap_reads: AtomicU64,
    /// Resident pages found to be filled because a system call needed them.
    pub pages_for_calls: AtomicU64,
    /// System calls trapped.
    pub calls_trapped: AtomicU64,
    /// Of those, ours to do (memory, signals, processes).
    pub calls_managed: AtomicU64,
    /// Of those, answered as an older kernel would.
    pub calls_refused: AtomicU64,
    /// Of those, with numbers the table does not know.
    pub calls_unknown: AtomicU64,
    /// Signals delivered to the program's handlers.
    pub signals_delivered: AtomicU64,
    /// Processes started (first, fork, vfork).
    pub processes: AtomicU64,
    /// Threads started.
    pub threads: AtomicU64,
    /// Programs started with exec, the first included.
    pub execs: AtomicU64,
    /// Programs that had to run natively (32-bit, setuid, file capabilities, not to be read).
    pub execs_native: AtomicU64,
    /// Programs that ran natively because [`Children::Native`] says so.
    pub execs_native_children: AtomicU64,
    /// Bytes ever mapped that are left to the kernel: shared memory without a file.
    pub unmanaged_shared_bytes: AtomicU64,
    /// The same: device memory, huge pages and everything else.
    pub unmanaged_other_bytes: AtomicU64,
    /// Swapped pages whose checksum did not match.
    pub checksum_errors: AtomicU64,
    /// Reads or writes of images and swap that failed.
    pub io_errors: AtomicU64,
    /// Pages resident now, over all processes.
    pub resident_now: AtomicU64,
    /// Largest peak of a process whose slot was since taken again (by the next process, or by itself at
    /// exec).
    pub resident_peak: AtomicU64,
    /// Room for counters to come.
    pub reserved: [AtomicU64; 30],
}

/// A log-linear histogram: eight linear buckets in each power of two, so an error of at most an eighth.
#[repr(C)]
pub struct Histogram {
    /// Number of values by [`Histogram::bucket`].
    pub buckets: [AtomicU64; BUCKETS],
}

impl Histogram {
    /// The bucket that counts `value`.
    pub const fn bucket(value: u64) -> usize {
        if value < SUB_BUCKETS as u64 {
            return value as usize;
        }
        let exponent = 63 - value.leading_zeros() as usize;
        let step = (value >> (exponent - 3)) as usize & (SUB_BUCKETS - 1);
        (exponent - 2) * SUB_BUCKETS + step
    }

    /// The smallest value that `bucket` counts.
    pub const fn lower_bound(bucket: usize) -> u64 {
        if bucket < SUB_BUCKETS {
            return bucket as u64;
        }
        let exponent = bucket / SUB_BUCKETS + 2;
        ((SUB_BUCKETS + bucket % SUB_BUCKETS) as u64) << (exponent - 3)
    }

    /// Counts one value.
    pub fn record(&self, value: u64) {
        self.buckets[Histogram::bucket(value)].fetch_add(1, Ordering::Relaxed);
    }
}

/// A file from which pages were brought in.
#[repr(C)]
pub struct Image {
    /// 0 free, 1 being claimed, 2 in use.
    pub state: AtomicU32,
    /// Device and inode, which identify the file.
    pub device: AtomicU64,
    /// See `device`.
    pub inode: AtomicU64,
    /// Path it was opened by.
    pub path: Text,
    /// Pages brought in from it, again after an eviction too.
    pub pages_filled: AtomicU64,
    /// Of those, mapped through (the rest was read).
    pub pages_mapped: AtomicU64,
    /// Bytes read from it with `pread`, headers included.
    pub bytes_read: AtomicU64,
    /// Of `bytes_read`, for headers.
    pub bytes_headers: AtomicU64,
    /// Pages mapped through from it that were dropped to make room.
    pub pages_evicted: AtomicU64,
    /// Bytes of it mapped into processes, summed over mappings.
    pub bytes_mapped: AtomicU64,
}

/// A process of the run.
#[repr(C)]
pub struct Process {
    /// Process id, as the supervisor knows it; 0 for a free slot, [`CLAIMING`] while being claimed,
    /// [`ABANDONED`] before it is freed.
    pub pid: AtomicU32,
    /// One more than the number of the process's row in the roster; 0 where it has none.
    pub row: AtomicU32,
    /// Generation of the slot, one more at each claim.
    pub generation: AtomicU32,
    /// Pages resident now.
    pub resident: AtomicU64,
    /// Pages resident when there was last room for all of them: without those that are still to come.
    pub settled: AtomicU64,
    /// Most pages ever resident.
    pub peak: AtomicU64,
    /// What it has of a shared cap.
    pub account: Account,
    /// [`crate::hearing::Hearing`] as a number.
    pub hearing: AtomicU32,
    /// 1 from just before a poke is sent until the process gets it, see [`Process::take_poke`].
    pub unanswered: AtomicU32,
    /// The number of the last request for pages ([`crate::remote`]) that was answered; its lowest bit says
    /// that the first page is there.
    pub answered: AtomicU64,
    /// Path of the program it runs.
    pub program: Text,
}

/// The byte of the control file that the holder of slot `index` locks (fcntl(2), F_SETLK), where its process
/// numbers are not the supervisor's. The kernel says who has the lock in the numbers of whoever asks, and
/// drops it when that process ends. No two are neighbours: those of one process, or of two that share their
/// descriptors, would become one lock.
pub const fn lock_byte(index: usize) -> u64 {
    2 * index as u64
}

impl Process {
    /// What a program that is executed is given to find its slot again: index and generation.
    pub fn ticket(&self, index: usize) -> i64 {
        i64::from(self.generation.load(Ordering::Relaxed)) << 20 | index as i64
    }

    /// The index in a ticket, and the generation.
    pub const fn of_ticket(ticket: i64) -> (usize, u32) {
        ((ticket & 0xf_ffff) as usize, (ticket >> 20) as u32)
    }

    /// Its number, if the slot is in use and the supervisor knows it.
    pub fn known_pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Acquire)).filter(|pid| !matches!(*pid, 0 | CLAIMING | ABANDONED))
    }

    /// Whether somebody holds the slot, in `generation`.
    pub fn is_held(&self, generation: u32) -> bool {
        self.generation.load(Ordering::SeqCst) == generation
            && !matches!(self.pid.load(Ordering::SeqCst), 0 | ABANDONED)
    }
}

/// What a failure was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum FailureKind {
    /// Nothing failed.
    None = 0,
    /// `detail` is an [`crate::shared`] ELF error number; `text` names the file.
    Elf = 1,
    /// The interpreter named in `text` cannot be opened; `detail` is the errno.
    Interpreter = 2,
    /// Every slot of every swap file is in use.
    SwapFull = 3,
    /// The cap (`detail` pages needed) is too small to run.
    CapTooSmall = 4,
    /// A kernel feature named in `text` is missing; `detail` is the errno.
    Kernel = 5,
    /// An invariant was violated; `text` says which.
    Internal = 6,
    /// The program died of a fault at address `detail`; `text` is the diagnosis.
    Fault = 7,
    /// Reading or writing the file in `text` failed; `detail` is the errno.
    Io = 8,
    /// The program `text` was run natively, unpaged; `detail` is a reason number. Not an error.
    Native = 9,
}

/// A failure report slot.
#[repr(C)]
pub struct Failure {
    /// A [`FailureKind`] as a number; written last.
    pub kind: AtomicU32,
    /// Process that failed.
    pub pid: AtomicU32,
    /// Meaning depends on the kind.
    pub detail: AtomicU64,
    /// Meaning depends on the kind.
    pub text: Text,
}

impl Failure {
    /// Writes the failure if none was written before.
    pub fn report(&self, kind: FailureKind, pid: u32, detail: u64, text: &[u8]) {
        if self.pid.compare_exchange(0, pid, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.detail.store(detail, Ordering::Relaxed);
            self.text.set(text);
            self.kind.store(kind as u32, Ordering::SeqCst);
        }
    }
}

/// Adds to a counter; the value before.
pub fn count(counter: &AtomicU64, by: u64) -> u64 {
    counter.fetch_add(by, Ordering::Relaxed)
}
