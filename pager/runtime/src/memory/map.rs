//! mmap.

use pager_core::addr::{PAGE_SIZE, PageRange, USER_END, VirtAddr};
use pager_core::area::{
    Area, AreaTree, Backing, Growth, Holding, KernelReason, Key, Locking, Protection, Role,
};
use pager_core::shared::FillMode;

use core::sync::atomic::Ordering;

use super::populate::populate;
use super::range::page_align;
use super::{
    count_unmanaged, deny, discard, is_ours, limits, locks, make_private, register_afresh, rights_at_once,
    seal,
};
use crate::control;
use crate::engine;
use crate::images::IMAGES;
use crate::images::{self, Use};
use crate::markers;
use crate::space::SPACE;
use crate::sys::Errno;
use crate::sys::file::{self, Fd};
use crate::sys::memory::PROT_NONE;
use crate::sys::memory::{
    self as kernel, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_HUGETLB, MAP_LOCKED,
};
use crate::sys::memory::{MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_TYPE};

pub const MAP_GROWSDOWN: u64 = 0x100;
const MAP_NONBLOCK: u64 = 0x10000;
const MAP_DROPPABLE: u64 = 8;
const MAP_SYNC: u64 = 0x80000;
/// Larger mappings of files get no markers: the kernel's own tables for them would take 2 MiB for each
/// gibibyte.
pub const MOST_GUARDED: u64 = 8 << 30;

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
/// As mmap(2), looked for in Linux's order.
pub fn mmap(request: Request) -> Result<u64, Errno> {
    if !request.offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    // Linux looks at the descriptor before anything else. One that names a path is none.
    let stat = if request.flags & MAP_ANONYMOUS == 0 {
        let fd = Fd(request.fd as i32);
        if file::status_flags(fd)? & file::O_PATH != 0 {
            return Err(Errno::EBADF);
        }
        Some(file::stat_fd(fd)?)
    } else {
        None
    };
    let request = placed(request)?;
    let addr = match kind(&request, stat)? {
        Kind::Kernel(reason) => map_by_kernel(&request, reason),
        Kind::Anonymous => map_anonymous(&request, Role::Mapping),
        Kind::File(stat) => map_file(&request, &stat),
    }?;
    if request.flags & (MAP_POPULATE | MAP_LOCKED) != 0 && request.flags & MAP_NONBLOCK == 0 {
        populate(addr, request.len, request.prot);
    }
    Ok(addr)
}

/// The request with its length rounded up, if it can be placed where it says.
fn placed(request: Request) -> Result<Request, Errno> {
    if request.len == 0 {
        return Err(Errno::EINVAL);
    }
    let len = match page_align(request.len) {
        0 => return Err(Errno::ENOMEM),
        len if len > USER_END => return Err(Errno::ENOMEM),
        len => len,
    };
    let request = Request { len, ..request };
    if request.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) == 0 {
        return Ok(request);
    }
    if request.addr > USER_END - len {
        return Err(Errno::ENOMEM);
    }
    let range = PageRange::touching(VirtAddr(request.addr), len).ok_or(Errno::ENOMEM)?;
    if !request.addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let keeps = request.flags & MAP_FIXED_NOREPLACE != 0;
    if keeps && SPACE.areas.read().overlapping(range).next().is_some() {
        return Err(Errno::EEXIST);
    }
    if is_ours(range) { Err(if keeps { Errno::EEXIST } else { Errno::ENOMEM }) } else { Ok(request) }
}

enum Kind {
    Kernel(KernelReason),
    Anonymous,
    File(file::Stat),
}

fn kind(request: &Request, stat: Option<file::Stat>) -> Result<Kind, Errno> {
    if request.flags & MAP_HUGETLB != 0 {
        return Ok(Kind::Kernel(KernelReason::Huge));
    }
    match (request.flags & MAP_TYPE, stat) {
        // Memory that is storage: there is nothing to page.
        (MAP_SHARED_VALIDATE, Some(_)) if request.flags & MAP_SYNC != 0 => {
            Ok(Kind::Kernel(KernelReason::Shared))
        }
        (MAP_SHARED | MAP_SHARED_VALIDATE, Some(stat)) if stat.is_regular() => Ok(Kind::File(stat)),
        (MAP_SHARED | MAP_SHARED_VALIDATE, _) => Ok(Kind::Kernel(KernelReason::Shared)),
        (MAP_PRIVATE, Some(stat)) if stat.is_regular() => Ok(Kind::File(stat)),
        (MAP_PRIVATE, Some(_)) => Ok(Kind::Kernel(KernelReason::Device)),
        (MAP_PRIVATE, None) => Ok(Kind::Anonymous),
        (MAP_DROPPABLE, None) if request.flags & MAP_LOCKED == 0 => Ok(Kind::Kernel(KernelReason::Other)),
        _ => Err(Errno::EINVAL),
    }
}

fn is_shared(request: &Request) -> bool {
    request.flags & MAP_TYPE != MAP_PRIVATE
}

/// Whether the program may have what it asks for, and how it will be locked.
///
/// # Errors
/// EPERM and EAGAIN for locking, ENOMEM past a limit.
fn admit(areas: &AreaTree, request: &Request, holding: Holding, role: Role) -> Result<Locking, Errno> {
    let pages = request.len / PAGE_SIZE;
    let asked = if request.flags & MAP_LOCKED != 0 { Locking::Locked } else { Locking::Pageable };
    let locking = locks::for_new(areas, asked, pages)?;
    let replaced = match PageRange::touching(VirtAddr(request.addr), request.len) {
        Some(range) if request.flags & MAP_FIXED != 0 => {
            areas.overlapping(range).map(|area| area.range.count()).sum()
        }
        _ => 0,
    };
    let charge = limits::Charge::of(Protection::from_prot(request.prot), holding, role);
    limits::may_expand(areas, pages, replaced, charge)?;
    Ok(locking)
}

fn growth(request: &Request) -> Growth {
    if request.flags & MAP_GROWSDOWN != 0 { Growth::Down } else { Growth::Fixed }
}

/// Frees the place that a fixed request names.
///
/// # Errors
/// EPERM where something sealed lies there.
fn clear(areas: &mut AreaTree, request: &Request) -> Result<(), Errno> {
    if request.flags & MAP_FIXED != 0
        && request.flags & MAP_FIXED_NOREPLACE == 0
        && let Some(range) = PageRange::touching(VirtAddr(request.addr), request.len)
    {
        seal::may_go(areas, range)?;
        discard(range);
        areas.remove(range);
    }
    Ok(())
}

fn insert(areas: &mut AreaTree, area: Area) -> Result<(), Errno> {
    areas.insert(area).map_err(|error| {
        crate::die::internal(format_args!("the kernel mapped over an area: {error}"));
    })?;
    crate::record::mapped(&area);
    Ok(())
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
    let mut areas = SPACE.areas.write();
    let (protection, holding) = (Protection::from_prot(request.prot), Holding::Kernel(reason));
    let locking = admit(&areas, request, holding, Role::Mapping)?;
    probe(request)?;
    clear(&mut areas, request)?;
    let flags = request.flags & !MAP_LOCKED;
    let addr = kernel::mmap(request.addr, request.len, request.prot, flags, request.fd, request.offset)?;
    let key = Key::of_mapping(request.prot);
    let area =
        Area { locking, key, ..Area::new(range_of(addr, request.len)?, protection, holding, Role::Mapping) };
    count_unmanaged(&area);
    insert(&mut areas, area)?;
    Ok(addr)
}

/// Asks the kernel what it thinks of a request with a fixed address, without losing what is mapped there.
fn probe(request: &Request) -> Result<(), Errno> {
    if request.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) == 0 || request.flags & MAP_ANONYMOUS != 0 {
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
    let protection = Protection::from_prot(request.prot);
    deny::admits(protection)?;
    let at_once = rights_at_once(protection);
    let mut areas = SPACE.areas.write();
    let locking = admit(&areas, request, Holding::Private, role)?;
    clear(&mut areas, request)?;
    let flags = placing(request.flags) | kernel::MAP_NORESERVE;
    let addr = kernel::mmap(request.addr, request.len, at_once, flags, -1, 0)?;
    let range = range_of(addr, request.len)?;
    let (growth, key) = (growth(request), Key::of_mapping(request.prot));
    let area = Area { locking, growth, key, ..Area::new(range, protection, Holding::Private, role) };
    register_afresh(addr, request.len, at_once)?;
    engine::mark(range, protection);
    if request.prot != PROT_NONE {
        kernel::mprotect(addr, request.len, super::prot_bits(protection))?;
    }
    insert(&mut areas, area)?;
    Ok(addr)
}

fn map_file(request: &Request, stat: &file::Stat) -> Result<u64, Errno> {
    let protection = Protection::from_prot(request.prot);
    let role = match protection.contains(Protection::WRITE) {
        _ if is_shared(request) => Role::Mapping,
        true => Role::Data,
        false => Role::Text,
    };
    let fd = Fd(request.fd as i32);
    // The pages of a shared mapping are never read by us. A descriptor kept for that would keep locks, and
    // closing it would drop others.
    let use_of = if is_shared(request) { Use::LetThrough } else { Use::Read };
    let image = IMAGES.lock().enter(fd, stat, &images::path_of(fd), use_of)?;
    let backing = Backing::Image { image, offset: request.offset, valid: request.len };
    map_image(request, backing, role)
}

/// Maps a regular file: its own pages behind guards where they are shared or only read, else memory of ours.
///
/// # Errors
/// As mmap(2).
pub fn map_image(request: &Request, backing: Backing, role: Role) -> Result<u64, Errno> {
    let mut areas = SPACE.areas.write();
    let protection = Protection::from_prot(request.prot);
    let charged_as = if is_shared(request) { Holding::SharedThrough } else { Holding::Private };
    let locking = admit(&areas, request, charged_as, role)?;
    probe(request)?;
    clear(&mut areas, request)?;
    let flags = request.flags & !(MAP_POPULATE | MAP_LOCKED);
    let addr = kernel::mmap(request.addr, request.len, request.prot, flags, request.fd, request.offset)?;
    let range = range_of(addr, request.len)?;
    let holding = choose_holding(request, range, protection);
    let kept = if matches!(holding, Holding::Kernel(_)) { Backing::Zero } else { backing };
    let key = Key::of_mapping(request.prot);
    let area = Area { backing: kept, locking, key, ..Area::new(range, protection, holding, role) };
    if holding == Holding::Private {
        make_private(&area)?;
    }
    count_unmanaged(&area);
    insert(&mut areas, area)?;
    IMAGES.lock().sweep(&areas);
    drop(areas);
    if let Backing::Image { image, .. } = backing {
        images::count_mapping(image, range);
    }
    Ok(addr)
}

/// Guards a fresh file mapping if it can be held as such.
fn choose_holding(request: &Request, range: PageRange, protection: Protection) -> Holding {
    let through = control::settings().image_fill.load(Ordering::Relaxed) == FillMode::MapThrough as u32;
    let may = through && engine::maps_through() && range.bytes() <= MOST_GUARDED;
    let is_files = is_shared(request) || !protection.contains(Protection::WRITE);
    match (may && is_files && markers::try_install(range), is_shared(request)) {
        (true, false) => Holding::MapThrough,
        (true, true) => Holding::SharedThrough,
        (false, false) => Holding::Private,
        (false, true) => Holding::Kernel(KernelReason::Shared),
    }
}
