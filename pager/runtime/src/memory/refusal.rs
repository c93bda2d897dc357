//! What is left when the kernel refuses to move a mapping to a place of the caller's.
//!
//! On older kernels (6.1, 6.12) mremap with `MREMAP_FIXED` unmaps the target, and what lies behind the new
//! length, before it looks at the mapping that is to be moved: where it then refuses, both have gone. Newer
//! ones (6.18) look first, and a refusal changes nothing. We do as the kernel here does.

use core::sync::atomic::{AtomicU8, Ordering};

use pager_core::addr::PAGE_SIZE;

use crate::sys::memory::{self as kernel, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE};

const MAYMOVE_FIXED: u64 = 3;
/// An advice that changes nothing here, and that is refused where nothing is mapped.
const NORMAL: u64 = 0;

const UNKNOWN: u8 = 0;
const LOOKS_FIRST: u8 = 1;
const UNMAPS_FIRST: u8 = 2;
/// Which sort of kernel this is, once it was asked. Of all processes alike, so that a fork may copy it.
static ORDER: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether a refused move to a place of the caller's has unmapped that place.
///
/// The writers' lock of the areas must be held: a mapping is made and goes again.
pub fn unmaps_first() -> bool {
    match ORDER.load(Ordering::Relaxed) {
        UNKNOWN => {
            let order = ask();
            ORDER.store(order, Ordering::Relaxed);
            order == UNMAPS_FIRST
        }
        order => order == UNMAPS_FIRST,
    }
}

/// Has a mapping of one page grow from two to three pages at the end of a place of six: refused, since the
/// second page is not mapped.
fn ask() -> u8 {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    let Ok(place) = kernel::mmap(0, 6 * PAGE_SIZE, PROT_NONE, flags, -1, 0) else { return LOOKS_FIRST };
    let target = place + 3 * PAGE_SIZE;
    let refused = kernel::munmap(place + PAGE_SIZE, PAGE_SIZE)
        .and_then(|()| kernel::mremap(place, 2 * PAGE_SIZE, 3 * PAGE_SIZE, MAYMOVE_FIXED, target));
    let is_gone = refused.is_err() && kernel::madvise(target, PAGE_SIZE, NORMAL).is_err();
    // Unmapping what is partly unmapped succeeds.
    let _gone = kernel::munmap(place, 6 * PAGE_SIZE);
    if is_gone { UNMAPS_FIRST } else { LOOKS_FIRST }
}
