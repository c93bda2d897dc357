//! Fault classification over every combination of area, entry and access.

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{
    Access, Area, Backing, ForkPolicy, Growth, Holding, ImageId, KernelReason, Key, Locking, Protection,
    Role, Sealing,
};
use pager_core::entry::{Dirt, Entry, ImageRow, SwapSlot};
use pager_core::fault::{Plan, around, classify};

const SLOT: SwapSlot = SwapSlot { file: 1, index: 77, tag: 0xabcd };
const IMAGE: ImageId = ImageId(5);
const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Execute];
const HOLDINGS: [Holding; 6] = [
    Holding::Private,
    Holding::MapThrough,
    Holding::Kernel(KernelReason::Shared),
    Holding::Kernel(KernelReason::Device),
    Holding::Kernel(KernelReason::Huge),
    Holding::Kernel(KernelReason::Other),
];
const ENTRIES: [Entry; 11] = [
    Entry::Empty,
    Entry::Resident(Dirt::Clean, None),
    Entry::Resident(Dirt::Clean, Some(SLOT)),
    Entry::Resident(Dirt::Dirty, None),
    Entry::Resident(Dirt::Dirty, Some(SLOT)),
    Entry::Mapped(ImageRow(3)),
    Entry::Zero,
    Entry::Guard,
    Entry::Swapped(SLOT),
    Entry::Busy(None),
    Entry::Busy(Some(SLOT)),
];

fn area(protection: Protection, holding: Holding, backing: Backing) -> Area {
    Area {
        range: PageRange::with_count(PageNum(100), 40).unwrap(),
        protection,
        holding,
        backing,
        fork: ForkPolicy::Copy,
        role: Role::Data,
        locking: Locking::Pageable,
        growth: Growth::Fixed,
        sealing: Sealing::Open,
        key: Key::Number(0),
    }
}

fn image(valid: u64) -> Backing {
    Backing::Image { image: IMAGE, offset: 0x8000, valid }
}

/// What an empty entry of `page` asks for, by backing: whole page of the file, part of one, none.
fn backings() -> [(Backing, Plan); 4] {
    let fill = |valid_bytes| Plan::FillImage { image: IMAGE, offset: 0xa000, valid_bytes };
    [
        (Backing::Zero, Plan::FillZero),
        (image(40 * PAGE_SIZE), fill(4096)),
        (image(2 * PAGE_SIZE + 9), fill(9)),
        (image(2 * PAGE_SIZE), Plan::FillZero),
    ]
}

/// The table, written the other way round than the code: by entry first.
fn expected(area: &Area, entry: Entry, access: Access, fill: Plan) -> Plan {
    let through = area.holding == Holding::MapThrough;
    let allowed = match access {
        Access::Read => area.protection != Protection::empty(),
        Access::Write => area.protection.contains(Protection::WRITE),
        Access::Execute => area.protection.contains(Protection::EXEC),
    };
    match (area.holding, allowed, entry) {
        (Holding::Kernel(_), ..) => Plan::KernelOwned,
        (_, false, _) => Plan::Denied,
        (_, true, Entry::Empty) if through => Plan::MapThrough,
        (_, true, Entry::Empty) => fill,
        (_, true, Entry::Zero) => Plan::FillZero,
        (_, true, Entry::Guard) => Plan::Guarded,
        (_, true, Entry::Swapped(slot)) => Plan::SwapIn(slot),
        (_, true, Entry::Busy(_)) => Plan::Wait,
        (_, true, Entry::Resident(Dirt::Clean, _)) if access == Access::Write && !through => Plan::Unprotect,
        (_, true, Entry::Resident(..) | Entry::Mapped(_)) => Plan::AlreadyThere,
    }
}

#[test]
fn every_combination_has_its_plan() {
    let page = PageNum(102);
    let mut combinations = 0;
    for access in ACCESSES {
        for entry in ENTRIES {
            assert_eq!(classify(None, page, entry, access), Plan::NoArea);
            for holding in HOLDINGS {
                for prot in 0..8 {
                    for (backing, fill) in backings() {
                        let area = area(Protection::from_prot(prot), holding, backing);
                        let plan = classify(Some(&area), page, entry, access);
                        assert_eq!(
                            plan,
                            expected(&area, entry, access, fill),
                            "{area:?} {entry:?} {access:?}"
                        );
                        combinations += 1;
                    }
                }
            }
        }
    }
    assert_eq!(combinations, 3 * 11 * 6 * 8 * 4);
}

fn range(start: u64, count: u64) -> PageRange {
    PageRange::with_count(PageNum(start), count).unwrap()
}

#[test]
fn around_is_the_aligned_chunk_inside_area_and_file() {
    let anonymous = area(Protection::READ, Holding::Private, Backing::Zero);
    assert_eq!(around(&anonymous, PageNum(117), 16), range(112, 16));
    assert_eq!(around(&anonymous, PageNum(101), 16), range(100, 12), "clipped at the area's start");
    assert_eq!(around(&anonymous, PageNum(139), 16), range(128, 12), "clipped at the area's end");
    assert_eq!(around(&anonymous, PageNum(117), 1), range(117, 1));
    assert_eq!(around(&anonymous, PageNum(117), 0), range(117, 1));
    assert_eq!(around(&anonymous, PageNum(117), u64::MAX), range(100, 40));

    let text = area(Protection::READ, Holding::MapThrough, image(14 * PAGE_SIZE + 1));
    assert_eq!(around(&text, PageNum(113), 16), range(112, 3), "up to the page that the file ends in");
    assert_eq!(around(&text, PageNum(115), 16), range(115, 13), "behind the file only what is behind it");
    assert_eq!(around(&text, PageNum(139), 16), range(128, 12));
    let empty = area(Protection::READ, Holding::Private, image(0));
    assert_eq!(around(&empty, PageNum(101), 4), range(100, 4));
}

#[test]
fn around_always_holds_its_page_and_lies_in_the_area() {
    for valid in [0, 1, PAGE_SIZE, 17 * PAGE_SIZE, 40 * PAGE_SIZE] {
        let area = area(Protection::READ, Holding::Private, image(valid));
        for page in area.range.iter() {
            for chunk in 1..50 {
                let chunk_range = around(&area, page, chunk);
                assert!(chunk_range.contains(page) && chunk_range.count() <= chunk);
                assert_eq!(chunk_range.intersect(area.range), Some(chunk_range));
            }
        }
    }
}
