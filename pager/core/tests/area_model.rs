//! `AreaTree` against a naive model: one record for each page.

use std::collections::BTreeMap;

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange};
use pager_core::area::{
    Access, Area, AreaError, AreaTree, Backing, ForkPolicy, Growth, Holding, ImageId, KernelReason, Key,
    Locking, PageSource, Protection, Role, Sealing,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Pages in play: few, so that operations meet each other.
const PAGES: u64 = 48;

/// What the model knows of a page: everything that an area says, for this page alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Record {
    protection: Protection,
    holding: Holding,
    fork: ForkPolicy,
    role: Role,
    key: Key,
    /// Image, file offset of the page, bytes of it that come from the file.
    image: Option<(ImageId, u64, u64)>,
}

impl Record {
    fn of(area: &Area, page: u64) -> Record {
        let before = (page - area.range.start().0) * PAGE_SIZE;
        let image = match area.backing {
            Backing::Zero => None,
            Backing::Image { image, offset, valid } => {
                Some((image, offset + before, valid.saturating_sub(before).min(PAGE_SIZE)))
            }
        };
        Record {
            protection: area.protection,
            holding: area.holding,
            fork: area.fork,
            role: area.role,
            key: area.key,
            image,
        }
    }

    fn runs_on_in(&self, next: &Record) -> bool {
        let backing = match (self.image, next.image) {
            (None, None) => true,
            (Some((image, offset, valid)), Some((next_image, next_offset, next_valid))) => {
                image == next_image
                    && offset + PAGE_SIZE == next_offset
                    && (valid == PAGE_SIZE || next_valid == 0)
            }
            _ => false,
        };
        backing && Record { image: None, ..*self } == Record { image: None, ..*next }
    }
}

type Model = BTreeMap<u64, Record>;

/// Number of areas that the model's pages make when all that can be joined is.
fn runs(model: &Model) -> usize {
    let breaks = model.iter().filter(|(page, record)| match model.get(&(*page + 1)) {
        Some(next) => !record.runs_on_in(next),
        None => true,
    });
    breaks.count()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Area),
    Remove(PageRange),
    Protect(PageRange, Protection),
    Fork(PageRange, ForkPolicy),
    Rebase(PageRange),
    Overlapping(PageRange),
    Covers(PageRange),
    FreeGap(u64, PageRange),
}

fn range() -> impl Strategy<Value = PageRange> {
    (0..PAGES, 1..=12u64).prop_map(|(start, count)| PageRange::with_count(PageNum(start), count).unwrap())
}

fn protection() -> impl Strategy<Value = Protection> {
    prop_oneof![Just(Protection::READ), Just(Protection::READ | Protection::WRITE)]
}

/// Few kinds, and offsets that follow from addresses, so that neighbours often can be joined.
fn area() -> impl Strategy<Value = Area> {
    let backing = prop_oneof![
        2 => Just(None),
        3 => (0..2u16, 0..3u64, prop_oneof![2 => Just(u64::MAX), 1 => 0..=12 * PAGE_SIZE, 1 => Just(0)]).prop_map(Some),
    ];
    let holding = prop_oneof![Just(Holding::Private), Just(Holding::Kernel(KernelReason::Shared))];
    let key = prop_oneof![4 => Just(Key::Number(0)), 1 => Just(Key::Number(3)), 1 => Just(Key::ExecuteOnly)];
    (range(), protection(), holding, backing, key).prop_map(|(range, protection, holding, backing, key)| {
        Area {
            range,
            protection,
            holding,
            backing: match backing {
                None => Backing::Zero,
                Some((image, shift, valid)) => Backing::Image {
                    image: ImageId(image),
                    offset: (range.start().0 + shift / 2) * PAGE_SIZE,
                    valid,
                },
            },
            fork: ForkPolicy::Copy,
            role: Role::Mapping,
            locking: Locking::Pageable,
            growth: Growth::Fixed,
            sealing: Sealing::Open,
            key,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => area().prop_map(Step::Insert),
        2 => range().prop_map(Step::Remove),
        1 => (range(), protection()).prop_map(|(range, protection)| Step::Protect(range, protection)),
        1 => (range(), prop_oneof![Just(ForkPolicy::Copy), Just(ForkPolicy::Wipe)]).prop_map(|(range, fork)| Step::Fork(range, fork)),
        1 => range().prop_map(Step::Rebase),
        1 => range().prop_map(Step::Overlapping),
        1 => range().prop_map(Step::Covers),
        1 => (1..=8u64, range()).prop_map(|(count, within)| Step::FreeGap(count, within)),
    ]
}

/// Pieces must be ascending, disjoint, inside `range`, and say of each page what the model says.
fn check_pieces(pieces: &[Area], range: PageRange, model: &Model) {
    let mut reached = range.start();
    for piece in pieces {
        assert!(reached <= piece.range.start() && piece.range.end() <= range.end());
        reached = piece.range.end();
        for page in piece.range.iter() {
            assert_eq!(Some(&Record::of(piece, page.0)), model.get(&page.0), "{page:?}");
        }
    }
    let pages: u64 = pieces.iter().map(|piece| piece.range.count()).sum();
    assert_eq!(pages as usize, model.range(range.start().0..range.end().0).count());
}

fn apply(tree: &mut AreaTree, model: &mut Model, step: &Step) {
    match step {
        Step::Insert(area) => {
            let in_the_way = area.range.iter().find(|page| model.contains_key(&page.0));
            match tree.insert(*area) {
                Ok(()) => {
                    assert_eq!(in_the_way, None);
                    model.extend(area.range.iter().map(|page| (page.0, Record::of(area, page.0))));
                }
                Err(AreaError::Overlap { wanted, existing }) => {
                    assert_eq!(wanted, area.range);
                    assert!(existing.contains(in_the_way.unwrap()));
                }
            }
        }
        Step::Remove(range) => {
            let removed = tree.remove(*range);
            check_pieces(&removed, *range, model);
            model.retain(|&page, _| !range.contains(PageNum(page)));
        }
        Step::Protect(range, protection) => {
            tree.update(*range, |area| area.protection = *protection);
            change(model, *range, |record| record.protection = *protection);
        }
        Step::Fork(range, fork) => {
            tree.update(*range, |area| area.fork = *fork);
            change(model, *range, |record| record.fork = *fork);
        }
        Step::Rebase(range) => {
            tree.update(*range, |area| area.backing = Backing::Zero);
            change(model, *range, |record| record.image = None);
        }
        Step::Overlapping(range) => {
            check_pieces(&tree.overlapping(*range).collect::<Vec<_>>(), *range, model)
        }
        Step::Covers(range) => {
            assert_eq!(tree.covers(*range), range.iter().all(|page| model.contains_key(&page.0)));
        }
        Step::FreeGap(count, within) => {
            let lowest = within
                .iter()
                .filter_map(|page| PageRange::with_count(page, *count))
                .find(|gap| gap.end() <= within.end() && gap.iter().all(|page| !model.contains_key(&page.0)));
            assert_eq!(tree.free_gap(*count, *within), lowest);
        }
    }
}

fn change(model: &mut Model, range: PageRange, change: impl Fn(&mut Record)) {
    model.range_mut(range.start().0..range.end().0).for_each(|(_, record)| change(record));
}

fn check(tree: &AreaTree, model: &Model) {
    for page in 0..PAGES + 16 {
        let found = tree.find(PageNum(page)).map(|area| Record::of(area, page));
        assert_eq!(found.as_ref(), model.get(&page), "page {page}");
    }
    let areas: Vec<Area> = tree.iter().copied().collect();
    assert!(
        areas.windows(2).all(|pair| pair[0].range.end() <= pair[1].range.start()),
        "sorted and disjoint: {areas:#?}"
    );
    assert_eq!(tree.len(), areas.len());
    assert_eq!(tree.len(), runs(model), "joined as far as can be: {areas:#?}");
    assert_eq!(tree.pages() as usize, model.len());
    assert_eq!(tree.is_empty(), model.is_empty());
    for area in areas {
        if let Backing::Image { valid, .. } = area.backing {
            assert!(valid <= area.range.bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_tree_says_what_the_model_says(steps in vec(step(), 1..60)) {
        let mut tree = AreaTree::new();
        let mut model = Model::new();
        for step in &steps {
            apply(&mut tree, &mut model, step);
            check(&tree, &model);
        }
    }

    #[test]
    fn a_clipped_area_says_of_each_page_what_the_whole_says(area in area(), range in range()) {
        match area.clip(range) {
            None => prop_assert!(area.range.intersect(range).is_none()),
            Some(piece) => for page in piece.range.iter() {
                prop_assert!(range.contains(page));
                prop_assert_eq!(Record::of(&piece, page.0), Record::of(&area, page.0));
                prop_assert_eq!(piece.backing_at(page), area.backing_at(page));
            }
        }
    }
}

fn image_area(start: u64, count: u64, offset: u64, valid: u64) -> Area {
    Area {
        range: PageRange::with_count(PageNum(start), count).unwrap(),
        protection: Protection::READ,
        holding: Holding::MapThrough,
        backing: Backing::Image { image: ImageId(7), offset, valid },
        fork: ForkPolicy::Copy,
        role: Role::Text,
        locking: Locking::Pageable,
        growth: Growth::Fixed,
        sealing: Sealing::Open,
        key: Key::Number(0),
    }
}

#[test]
fn backing_ends_inside_a_page_and_zeros_follow() {
    let area = image_area(10, 3, 0x5000, PAGE_SIZE + 100);
    let image = ImageId(7);
    assert_eq!(area.backing_at(PageNum(10)), PageSource::Image { image, offset: 0x5000, valid_bytes: 4096 });
    assert_eq!(area.backing_at(PageNum(11)), PageSource::Image { image, offset: 0x6000, valid_bytes: 100 });
    assert_eq!(area.backing_at(PageNum(12)), PageSource::Zero);
}

#[test]
fn a_hole_punched_and_mended_leaves_one_area() {
    let mut tree = AreaTree::new();
    let whole = image_area(100, 50, 0, 50 * PAGE_SIZE);
    tree.insert(whole).unwrap();
    let hole = PageRange::with_count(PageNum(120), 5).unwrap();
    let removed = tree.remove(hole);
    assert_eq!(tree.len(), 2);
    assert_eq!(removed, [image_area(120, 5, 20 * PAGE_SIZE, 5 * PAGE_SIZE)]);
    tree.insert(removed[0]).unwrap();
    assert_eq!(tree.iter().collect::<Vec<_>>(), [&whole]);
}

#[test]
fn file_offsets_near_the_end_of_numbers_do_not_panic() {
    let mut tree = AreaTree::new();
    tree.insert(image_area(0, 8, u64::MAX - 4095, u64::MAX)).unwrap();
    assert_eq!(tree.remove(PageRange::with_count(PageNum(3), 2).unwrap()).len(), 1);
    assert_eq!(tree.len(), 2);
}

#[test]
fn write_or_execute_alone_can_be_read() {
    let allowed = |bits: u64| {
        [Access::Read, Access::Write, Access::Execute]
            .map(|access| Protection::from_prot(bits).allows(access))
    };
    assert_eq!(allowed(0), [false, false, false]);
    assert_eq!(allowed(1), [true, false, false]);
    assert_eq!(allowed(2), [true, true, false]);
    assert_eq!(allowed(3), [true, true, false]);
    assert_eq!(allowed(4), [true, false, true]);
    assert_eq!(allowed(5), [true, false, true]);
    assert_eq!(allowed(6), [true, true, true]);
    assert_eq!(allowed(7), [true, true, true]);
    assert_eq!(Protection::from_prot(0x0100_0000 | 3).bits(), 3, "PROT_GROWSDOWN is dropped");
}

#[test]
fn mprotect_takes_the_key_for_execution_and_gives_it_back() {
    let (read, exec, semaphores) = (1, 4, 8);
    let given = Key::Number(5);
    assert_eq!(Key::of_mapping(read), Key::Number(0));
    assert_eq!(Key::of_mapping(exec), Key::ExecuteOnly);
    assert_eq!(Key::of_mapping(exec | semaphores), Key::Number(0), "only PROT_EXEC and nothing else");
    assert_eq!(given.after_mprotect(read | exec), given);
    assert_eq!(given.after_mprotect(exec), Key::ExecuteOnly);
    assert_eq!(Key::ExecuteOnly.after_mprotect(exec), Key::ExecuteOnly);
    assert_eq!(Key::ExecuteOnly.after_mprotect(read), Key::Number(0));
}
