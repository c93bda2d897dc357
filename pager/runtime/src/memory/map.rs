//! mmap.

use pager_core::addr::{PAGE_SIZE, PageRange, VirtAddr};
use pager_core::area::{Access, Area, AreaTree, Backing, ForkPolicy, Holding, KernelReason, Protection, Role};
use pager_core::shared::FillMode;

use core::sync::atomic::Ordering;

use super::{count_unmanaged, discard, is_ours, make_private};
use crate::engine;
use crate::fault;
use crate::fill;
use crate::images::{self, Use};
use crate::state::{self, STATE};
use crate::sys::Errno;
use crate::sys::file::{self, Fd};
use crate::sys::memory::{self as kernel, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_HUGETLB, MAP_LOCKED};
use crate::sys::memory::{MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_TYPE};
use crate::sys::memory::{PROT_NONE, PROT_READ, PROT_WRITE};

const MAP_GROWSDOWN: u64 = 0x100;
/// Larger mappings of files get no markers: the kernel's own tables for them would take 2 MiB for each gibibyte.
const MOST_GUARDED: u64 = 8 << 30;

/// The arguments of mmap.
#[derive(Clone, Copy)]
pub struct Request {
    pub addr: u64,
    pub len: u64,
    pub prot: u64,
    pub flags: u64,
    pub fd: i64,
    pub offset: u64,
}

/// Maps memory for the program; its address.
///
/// # Errors
/// As mmap(2).
pub fn mmap(request: Request) -> Result<u64, Errno> {
    if !request.offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    // Linux looks at the descriptor before the length.
    if request.flags & MAP_ANONYMOUS == 0 {
        file::stat_fd(Fd(request.fd as i32))?;
    }
    let len = request.len.checked_next_multiple_of(PAGE_SIZE).ok_or(Errno::ENOMEM)?;
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let fixed = request.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0;
    if fixed && !request.addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if fixed && crate::arena::reserves(request.addr, len) {
        return Err(Errno::ENOMEM);
    }
    let request = Request { len, ..request };
    let addr = match kind(&request)? {
        Kind::Kernel(reason) => map_by_kernel(&request, reason),
        Kind::Anonymous => map_anonymous(&request, Role::Mapping),
        Kind::File(stat) => map_file(&request, &stat),
    }?;
    if request.flags & (MAP_POPULATE | MAP_LOCKED) != 0 {
        populate(addr, len, request.prot);
    }
    Ok(addr)
}

enum Kind {
    Kernel(KernelReason),
    Anonymous,
    File(file::Stat),
}

fn kind(request: &Request) -> Result<Kind, Errno> {
    if request.flags & MAP_HUGETLB != 0 {
        return Ok(Kind::Kernel(KernelReason::Huge));
    }
    match request.flags & MAP_TYPE {
        MAP_SHARED | MAP_SHARED_VALIDATE if !may_let_through(request) => return Ok(Kind::Kernel(KernelReason::Shared)),
        MAP_SHARED | MAP_SHARED_VALIDATE | MAP_PRIVATE => {}
        _ => return Err(Errno::EINVAL),
    }
    if request.flags & MAP_ANONYMOUS != 0 {
        return Ok(Kind::Anonymous);
    }
    let stat = file::stat_fd(Fd(request.fd as i32))?;
    Ok(match stat.is_regular() {
        true => Kind::File(stat),
        false if is_shared(request) => Kind::Kernel(KernelReason::Shared),
        false => Kind::Kernel(KernelReason::Device),
    })
}

fn is_shared(request: &Request) -> bool {
    request.flags & MAP_TYPE != MAP_PRIVATE
}

/// Whether a shared mapping is of a file and for reading, so that its pages can leave without being written.
fn may_let_through(request: &Request) -> bool {
    request.flags & MAP_ANONYMOUS == 0 && request.prot & PROT_WRITE == 0
}

/// Frees the place that a fixed request names.
fn clear(areas: &mut AreaTree, request: &Request) {
    if request.flags & MAP_FIXED != 0
        && request.flags & MAP_FIXED_NOREPLACE == 0
        && let Some(range) = PageRange::touching(VirtAddr(request.addr), request.len)
    {
        discard(range);
        areas.remove(range);
    }
}

fn insert(areas: &mut AreaTree, area: Area) -> Result<(), Errno> {
    areas.insert(area).map_err(|error| {
        crate::die::internal(format_args!("the kernel mapped over an area: {error}"));
    })
}

fn range_of(addr: u64, len: u64) -> Result<PageRange, Errno> {
    let range = PageRange::touching(VirtAddr(addr), len).ok_or(Errno::ENOMEM)?;
    if is_ours(range) {
        let _ = kernel::munmap(addr, len);
        return Err(Errno::ENOMEM);
    }
    Ok(range)
}

fn map_by_kernel(request: &Request, reason: KernelReason) -> Result<u64, Errno> {
    let mut areas = STATE.areas.write();
    probe(request)?;
    clear(&mut areas, request);
    let addr = kernel::mmap(request.addr, request.len, request.prot, request.flags, request.fd, request.offset)?;
    let area = Area {
        range: range_of(addr, request.len)?,
        protection: Protection::from_prot(request.prot),
        holding: Holding::Kernel(reason),
        backing: Backing::Zero,
        fork: ForkPolicy::Copy,
        role: Role::Mapping,
    };
    count_unmanaged(&area);
    insert(&mut areas, area)?;
    Ok(addr)
}

/// Asks the kernel what it thinks of a request with a fixed address, without losing what is mapped there.
fn probe(request: &Request) -> Result<(), Errno> {
    if request.flags & MAP_FIXED == 0 || request.flags & MAP_ANONYMOUS != 0 {
        return Ok(());
    }
    let flags = request.flags & !(MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_POPULATE | MAP_LOCKED);
    let addr = kernel::mmap(0, request.len, request.prot, flags, request.fd, request.offset)?;
    let _ = kernel::munmap(addr, request.len);
    Ok(())
}

/// Flags that matter to where a private mapping lies, not to what it is.
fn placing(flags: u64) -> u64 {
    flags & !(MAP_POPULATE | MAP_LOCKED | MAP_GROWSDOWN)
}

/// Maps private anonymous memory.
///
/// # Errors
/// As mmap(2).
pub fn map_anonymous(request: &Request, role: Role) -> Result<u64, Errno> {
    let mut areas = STATE.areas.write();
    clear(&mut areas, request);
    let flags = placing(request.flags) | kernel::MAP_NORESERVE;
    let addr = kernel::mmap(request.addr, request.len, PROT_NONE, flags, -1, 0)?;
    let range = range_of(addr, request.len)?;
    let protection = Protection::from_prot(request.prot);
    let area =
        Area { range, protection, holding: Holding::Private, backing: Backing::Zero, fork: ForkPolicy::Copy, role };
    crate::sys::uffd::register(state::uffd(), addr, request.len)?;
    engine::mark(range, protection);
    if request.prot != PROT_NONE {
        kernel::mprotect(addr, request.len, super::prot_bits(protection))?;
    }
    insert(&mut areas, area)?;
    Ok(addr)
}

fn map_file(request: &Request, stat: &file::Stat) -> Result<u64, Errno> {
    let protection = Protection::from_prot(request.prot);
    let role = if protection.contains(Protection::WRITE) { Role::Data } else { Role::Text };
    let fd = Fd(request.fd as i32);
    // The pages of a shared mapping are never read by us. A descriptor kept for that would keep locks, and closing it would drop others.
    let use_of = if is_shared(request) { Use::LetThrough } else { Use::Read };
    let image = STATE.images.lock().enter(fd, stat, &images::path_of(fd), use_of)?;
    let backing = Backing::Image { image, offset: request.offset, valid: request.len };
    map_image(request, backing, role)
}

/// Maps a regular file: its own pages behind guards where they are only read; else memory of ours, or the kernel's where it is shared.
///
/// # Errors
/// As mmap(2).
pub fn map_image(request: &Request, backing: Backing, role: Role) -> Result<u64, Errno> {
    let mut areas = STATE.areas.write();
    probe(request)?;
    clear(&mut areas, request);
    let addr =
        kernel::mmap(request.addr, request.len, request.prot, placing(request.flags), request.fd, request.offset)?;
    let range = range_of(addr, request.len)?;
    let protection = Protection::from_prot(request.prot);
    let holding = choose_holding(request, range, protection);
    if holding == Holding::Private {
        make_private(range, protection, ForkPolicy::Copy)?;
    }
    let kept = if matches!(holding, Holding::Kernel(_)) { Backing::Zero } else { backing };
    let area = Area { range, protection, holding, backing: kept, fork: ForkPolicy::Copy, role };
    count_unmanaged(&area);
    insert(&mut areas, area)?;
    STATE.images.lock().sweep(&areas);
    drop(areas);
    if let Backing::Image { image, .. } = backing {
        images::count_mapping(image, range);
    }
    Ok(addr)
}

/// Guards a fresh file mapping if it can be held as such.
fn choose_holding(request: &Request, range: PageRange, protection: Protection) -> Holding {
    let exact = state::settings().image_fill.load(Ordering::Relaxed) == FillMode::Exact as u32;
    let may =
        !exact && engine::maps_through() && range.bytes() <= MOST_GUARDED && !protection.contains(Protection::WRITE);
    match (may && fill::try_guard(range), is_shared(request)) {
        (true, false) => Holding::MapThrough,
        (true, true) => Holding::SharedThrough,
        (false, false) => Holding::Private,
        (false, true) => Holding::Kernel(KernelReason::Shared),
    }
}

/// Brings pages in ahead of use, as far as they can be had.
pub fn populate(addr: u64, len: u64, prot: u64) {
    let access = if Protection::from_prot(prot).contains(Protection::WRITE) { Access::Write } else { Access::Read };
    if prot & PROT_READ == 0 && access == Access::Read {
        return;
    }
    let Some(range) = PageRange::touching(VirtAddr(addr), len) else { return };
    // More than the cap would only push out what came first.
    for page in range.iter().take((state::cap() / 2).min(usize::MAX as u64) as usize) {
        if fault::make_resident(page.start(), access) != fault::Outcome::Resolved {
            return;
        }
    }
}
