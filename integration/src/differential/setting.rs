//! How the pager is set for a comparison, and what kinds of operations a sequence is made of.

use std::fmt;

use crate::paged::Paging;

/// An engine and a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// As it is given to `--engine`.
    pub engine: &'static str,
    /// As it is given to `--resident`; unlimited where there is none.
    pub cap: Option<&'static str>,
}

impl Setting {
    /// `engine` with `cap`.
    #[must_use]
    pub const fn new(engine: &'static str, cap: Option<&'static str>) -> Self {
        Self { engine, cap }
    }

    /// The options for it.
    #[must_use]
    pub fn paging(self) -> Paging {
        let paging = Paging::new().option("--engine", self.engine);
        self.cap.map_or(paging.clone(), |cap| paging.resident(cap))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--engine {} --resident {}", self.engine, self.cap.unwrap_or("unlimited"))
    }
}

/// Every engine without a cap, and under caps that evict a little and nearly everything.
pub const SETTINGS: [Setting; 9] = [
    Setting::new("auto", None),
    Setting::new("auto", Some("8M")),
    Setting::new("auto", Some("2M")),
    Setting::new("sigsegv", None),
    Setting::new("sigsegv", Some("2M")),
    Setting::new("uffd", None),
    Setting::new("uffd", Some("2M")),
    Setting::new("thread", None),
    Setting::new("thread", Some("2M")),
];

/// A group of the guest's operations. All sequences touch memory and map it; a kind says what else they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// mmap with its flags, munmap, brk, mincore, msync, shared memory of all sorts.
    Memory,
    /// mremap.
    Remap,
    /// mprotect.
    Protect,
    /// madvise.
    Advise,
    /// Threads that fault beside each other, and beside memory calls.
    Threads,
    /// Signals, their handlers, masks and queues.
    Signals,
    /// Children, and children of children.
    Fork,
    /// Mappings of files, and files that are written and cut under them.
    Files,
    /// Resource limits, locked memory, stacks.
    Limits,
    /// System calls with buffers anywhere.
    Transfer,
    /// PID namespaces, and what their first processes do.
    Namespaces,
    /// Seccomp filters.
    Filters,
    /// exec with signals pending, blocked and ignored.
    Exec,
    /// Protection keys.
    Keys,
    /// Memory of oneself and of children by way of the kernel.
    Reach,
    /// All of the above.
    Every,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 16] = [
        Kind::Memory,
        Kind::Remap,
        Kind::Protect,
        Kind::Advise,
        Kind::Threads,
        Kind::Signals,
        Kind::Fork,
        Kind::Files,
        Kind::Limits,
        Kind::Transfer,
        Kind::Namespaces,
        Kind::Filters,
        Kind::Exec,
        Kind::Keys,
        Kind::Reach,
        Kind::Every,
    ];

    /// Its bits in the guest's `enum kind`.
    pub(super) fn bits(self) -> u64 {
        match self {
            Kind::Every => 32767,
            kind => 1 << kind as u32,
        }
    }
}
