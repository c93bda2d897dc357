//! Limits on the address space and on data: kept here, since the runtime's own memory lies in the same
//! address space and must not be counted, nor refused.
//!
//! The kernel's soft limits are lifted to the hard ones for as long as the program runs; exec puts the
//! program's back.
//!
//! Of the limit on descriptors the soft one is the kernel's, who hands out the numbers. The hard one is kept
//! here, since the runtime needs descriptors after a program has given up its own: for each of them the soft
//! limit is raised for a moment. Another thread of the program's may have one more than it should in that
//! moment.

use pager_core::addr::PAGE_SIZE;
use pager_core::area::{Area, AreaTree, Holding, KernelReason, Protection, Role};

use crate::lock::{Mutex, Rank};
use crate::sys::file;
use crate::sys::{Errno, task};

pub const RLIMIT_DATA: u64 = 2;
const RLIMIT_STACK: u64 = 3;
pub const RLIMIT_NOFILE: u64 = file::RLIMIT_NOFILE;
const RLIMIT_MEMLOCK: u64 = 8;
pub const RLIMIT_AS: u64 = 9;

/// How many descriptors of the runtime there may be.
const OWN_ROOM: u64 = 4096;
/// A hard limit of the kernel's below this leaves none at all.
const LEAST_DESCRIPTORS: u64 = 8;

/// A soft and a hard limit, in bytes or descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limit {
    soft: u64,
    hard: u64,
}

const NO_LIMIT: Limit = Limit { soft: u64::MAX, hard: u64::MAX };

/// The program's limits that the kernel does not know of.
struct Kept {
    space: Limit,
    data: Limit,
    /// The hard limit on descriptors, where it is lower than the kernel's.
    descriptors: u64,
}

static KEPT: Mutex<Kept> =
    Mutex::new(Rank::Limits, Kept { space: NO_LIMIT, data: NO_LIMIT, descriptors: u64::MAX });

impl Kept {
    fn of(&mut self, which: u64) -> Option<&mut Limit> {
        match which {
            RLIMIT_AS => Some(&mut self.space),
            RLIMIT_DATA => Some(&mut self.data),
            _ => None,
        }
    }
}

fn kernel_limit(which: u64) -> Limit {
    file::limit(which).map_or(NO_LIMIT, |(soft, hard)| Limit { soft, hard })
}

fn set_kernel_limit(which: u64, limit: Limit) {
    let _ = file::set_limit(which, (limit.soft, limit.hard));
}

/// The lock of what is kept, to be held across a fork.
pub fn lock() -> &'static crate::lock::RawMutex {
    KEPT.raw()
}

/// Takes the limits over from the kernel, when the process starts; the hard one on descriptors from the
/// program before.
pub fn take_over(descriptors: Option<u64>) {
    let mut kept = KEPT.lock();
    kept.descriptors = descriptors.unwrap_or(u64::MAX);
    for which in [RLIMIT_AS, RLIMIT_DATA] {
        let limit = kernel_limit(which);
        if let Some(kept) = kept.of(which) {
            *kept = limit;
        }
    }
    drop(kept);
    lift();
}

/// Lifts the kernel's soft limits, so that they do not hit the runtime.
pub fn lift() {
    for which in [RLIMIT_AS, RLIMIT_DATA] {
        let limit = kernel_limit(which);
        if limit.soft != limit.hard {
            set_kernel_limit(which, Limit { soft: limit.hard, ..limit });
        }
    }
}

/// The hard limit on descriptors that the next program is to know of, where the kernel does not.
pub fn hard_descriptors() -> Option<u64> {
    Some(KEPT.lock().descriptors).filter(|hard| *hard != u64::MAX)
}

/// How many descriptors the program that is executed may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Descriptors {
    /// As many as before: it is paged, and needs some of its own.
    Kept,
    /// As many as its limit says.
    HandedBack,
}

/// Gives the limits back to the kernel for exec. One that a vfork child has set for itself stays.
pub fn hand_back(descriptors: Descriptors) {
    let mut kept = KEPT.lock();
    if descriptors == Descriptors::HandedBack && kept.descriptors != u64::MAX {
        let now = kernel_limit(RLIMIT_NOFILE);
        set_kernel_limit(RLIMIT_NOFILE, Limit { hard: kept.descriptors.min(now.hard), ..now });
    }
    for which in [RLIMIT_AS, RLIMIT_DATA] {
        let now = kernel_limit(which);
        if let Some(limit) = kept.of(which)
            && now.soft == now.hard
            && *limit != now
        {
            set_kernel_limit(which, *limit);
        }
    }
}

/// Bytes of stack that there may be.
pub fn stack() -> u64 {
    kernel_limit(RLIMIT_STACK).soft
}

/// How many pages may be locked; none where nothing limits the process.
pub fn locked_pages() -> Option<u64> {
    let soft = kernel_limit(RLIMIT_MEMLOCK).soft;
    (soft != u64::MAX && !task::is_capable(task::CAP_IPC_LOCK)).then_some(soft / PAGE_SIZE)
}

/// Gives the limit on descriptors the value `wanted`, soft and hard, if there is one; the value before.
///
/// # Errors
/// EINVAL for a soft limit above the hard one, EPERM for a hard one that only privilege may raise.
pub fn exchange_descriptors(wanted: Option<[u64; 2]>) -> Result<[u64; 2], Errno> {
    let before = {
        let mut kept = KEPT.lock();
        let kernel = kernel_limit(RLIMIT_NOFILE);
        let before = Limit { hard: kept.descriptors.min(kernel.hard), ..kernel };
        if let Some([soft, hard]) = wanted {
            if soft > hard {
                return Err(Errno::EINVAL);
            }
            if hard > before.hard && !task::is_capable(task::CAP_SYS_RESOURCE) {
                return Err(Errno::EPERM);
            }
            file::set_limit(RLIMIT_NOFILE, (soft, hard.max(kernel.hard)))?;
            kept.descriptors = if hard < kernel.hard { hard } else { u64::MAX };
        }
        before
    };
    Ok([before.soft, before.hard])
}

/// Runs `open` while the limits let the runtime have descriptors, and numbers where programs have none.
///
/// # Errors
/// What `open` says.
pub fn with_descriptors<T>(open: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let _kept = KEPT.lock();
    with_descriptors_at_rest(open)
}

/// The same for who holds [`lock`].
///
/// # Errors
/// What `open` says.
pub fn with_descriptors_at_rest<T>(open: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let before = kernel_limit(RLIMIT_NOFILE);
    let wide = before.soft.max(file::OWN_FROM + OWN_ROOM);
    // Above the hard limit only with privilege.
    let raised = before.soft < wide
        && (file::set_limit(RLIMIT_NOFILE, (wide, wide.max(before.hard))).is_ok()
            || before.soft < before.hard
                && file::set_limit(RLIMIT_NOFILE, (before.hard, before.hard)).is_ok());
    let opened = open();
    if raised {
        set_kernel_limit(RLIMIT_NOFILE, before);
    }
    opened
}

/// Whether [`with_descriptors`] will find one.
pub fn has_descriptors() -> bool {
    kernel_limit(RLIMIT_NOFILE).hard >= LEAST_DESCRIPTORS || task::is_capable(task::CAP_SYS_RESOURCE)
}

/// The same for one of the limits on memory.
///
/// # Errors
/// As [`exchange_descriptors`].
pub fn exchange(which: u64, wanted: Option<[u64; 2]>) -> Result<[u64; 2], Errno> {
    let before = {
        let mut kept = KEPT.lock();
        let Some(limit) = kept.of(which) else { return Err(Errno::EINVAL) };
        let before = *limit;
        if let Some([soft, hard]) = wanted {
            if soft > hard {
                return Err(Errno::EINVAL);
            }
            if hard > before.hard && !task::is_capable(task::CAP_SYS_RESOURCE) {
                return Err(Errno::EPERM);
            }
            *limit = Limit { soft, hard };
        }
        before
    };
    Ok([before.soft, before.hard])
}

/// What of an area counts as data: private memory that can be written to and is no stack.
pub fn is_data(protection: Protection, holding: Holding, role: Role) -> bool {
    let private = !matches!(
        holding,
        Holding::SharedThrough | Holding::Kernel(KernelReason::Shared | KernelReason::Huge)
    );
    private && protection.contains(Protection::WRITE) && role != Role::Stack
}

fn data_pages(areas: &AreaTree) -> u64 {
    let data = |area: &&Area| is_data(area.protection, area.holding, area.role);
    areas.iter().filter(data).map(|area| area.range.count()).sum()
}

/// Whether memory is data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charge {
    /// It counts against the limit on data, too.
    Data,
    /// It is address space alone.
    Space,
}

impl Charge {
    /// What memory like that is.
    pub fn of(protection: Protection, holding: Holding, role: Role) -> Charge {
        if is_data(protection, holding, role) { Charge::Data } else { Charge::Space }
    }
}

/// Whether the program may have `more` pages, of which `given_up` take the place of others.
///
/// # Errors
/// ENOMEM past a limit.
pub fn may_expand(areas: &AreaTree, more: u64, given_up: u64, charge: Charge) -> Result<(), Errno> {
    let (space, data) = {
        let kept = KEPT.lock();
        (kept.space, kept.data)
    };
    if space.soft != u64::MAX && areas.pages() + more > space.soft / PAGE_SIZE + given_up {
        return Err(Errno::ENOMEM);
    }
    if charge == Charge::Space || data.soft == u64::MAX {
        return Ok(());
    }
    // Linux lets the hard limit count where the soft one is zero, for valgrind's sake.
    let limit = if data.soft == 0 { data.hard } else { data.soft };
    if data_pages(areas) + more > limit / PAGE_SIZE + given_up { Err(Errno::ENOMEM) } else { Ok(()) }
}

/// Whether memory of the program may become data by a change of its protection.
///
/// # Errors
/// ENOMEM past the limit.
pub fn may_become_data(areas: &AreaTree, area: &Area, protection: Protection) -> Result<(), Errno> {
    if is_data(area.protection, area.holding, area.role) || !is_data(protection, area.holding, area.role) {
        return Ok(());
    }
    may_expand(areas, area.range.count(), 0, Charge::Data)
}
