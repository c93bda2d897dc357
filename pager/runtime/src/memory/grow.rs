//! Areas that grow down to where they are touched: the first stack, and `MAP_GROWSDOWN`.

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{Area, AreaTree, Growth, Locking};

use super::limits::{self, Charge};
use super::{locks, make_private};
use crate::space::SPACE;

/// What stays free between a growing area and an accessible one below it (`stack_guard_gap`).
const GAP_PAGES: u64 = 256;
/// Below this nobody maps anything (`mmap_min_addr`).
const LOWEST: PageNum = PageNum(16);
/// What is added at a time where there is room: growing costs three calls.
const STEP_PAGES: u64 = 16;

/// Makes the hole at `page` part of the growing area above it, if Linux would; whether there is an area now.
///
/// No lock may be held.
pub fn down_to(page: PageNum) -> bool {
    if page < LOWEST || !is_below_growing(&SPACE.areas.read(), page) {
        return false;
    }
    let mut areas = SPACE.areas.write();
    if areas.find(page).is_some() {
        return true;
    }
    let Some(above) = above(&areas, page).filter(|above| above.growth == Growth::Down) else { return false };
    let further = PageNum(page.0 - page.0 % STEP_PAGES);
    [further, page].into_iter().any(|first| grow(&mut areas, &above, first))
}

fn above(areas: &AreaTree, page: PageNum) -> Option<Area> {
    let rest = PageRange::new(page, PageNum(pager_core::addr::USER_END / PAGE_SIZE))?;
    areas.overlapping(rest).next()
}

fn is_below_growing(areas: &AreaTree, page: PageNum) -> bool {
    above(areas, page).is_some_and(|above| above.growth == Growth::Down)
}

/// Lets `above` begin at `first`.
fn grow(areas: &mut AreaTree, above: &Area, first: PageNum) -> bool {
    let Some(more) = PageRange::new(first, above.range.start()) else { return false };
    let size = (above.range.end().0 - first.0) * PAGE_SIZE;
    if size > limits::stack() || is_too_near(areas, first) || !may_have(areas, above, more.count()) {
        return false;
    }
    let area = Area { range: more, ..*above };
    make_private(&area).is_ok() && areas.insert(area).is_ok()
}

fn is_too_near(areas: &AreaTree, first: PageNum) -> bool {
    areas.below(first).is_some_and(|below| {
        let touches = below.range.end() > first;
        let guarded = below.growth == Growth::Fixed && !below.protection.is_empty();
        touches || guarded && first.0 - below.range.end().0 < GAP_PAGES
    })
}

fn may_have(areas: &AreaTree, above: &Area, more: u64) -> bool {
    let charge = Charge::of(above.protection, above.holding, above.role);
    let lockable = above.locking == Locking::Pageable || locks::may_lock(areas, more).is_ok();
    lockable && limits::may_expand(areas, more, 0, charge).is_ok()
}
