//! What the first two steps of a fault cost: finding the area and reading the page table entry.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use pager_core::addr::{PageNum, PageRange};
use pager_core::area::{
    Area, AreaTree, Backing, ForkPolicy, Growth, Holding, Key, Locking, Protection, Role, Sealing,
};
use pager_core::entry::{Dirt, Entry};
use pager_core::table::PageTable;

const AREA_COUNTS: [u64; 3] = [1, 1_000, 1_000_000];
/// Pages from one area to the next; areas are half of that.
const STRIDE: u64 = 32;
/// Where the areas start, as mmap places them.
const BASE: u64 = 0x7_0000_0000;

fn area(index: u64) -> Area {
    Area {
        range: PageRange::with_count(PageNum(BASE + index * STRIDE), STRIDE / 2).unwrap(),
        protection: Protection::READ | Protection::WRITE,
        holding: Holding::Private,
        backing: Backing::Zero,
        fork: ForkPolicy::Copy,
        role: Role::Mapping,
        locking: Locking::Pageable,
        growth: Growth::Fixed,
        sealing: Sealing::Open,
        key: Key::Number(0),
    }
}

fn tree(count: u64) -> AreaTree {
    let mut tree = AreaTree::new();
    (0..count).for_each(|index| tree.insert(area(index)).unwrap());
    tree
}

/// Numbers below `limit` without an order that caches could guess.
fn scattered(limit: u64) -> impl FnMut() -> u64 {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    }
}

fn areas(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("areas");
    for count in AREA_COUNTS {
        let mut tree = tree(count);
        let mut next = scattered(count * STRIDE);
        group.bench_function(BenchmarkId::new("find", count), |bencher| {
            bencher.iter(|| tree.find(black_box(PageNum(BASE + next()))).is_some());
        });
        let mut next = scattered(count);
        group.bench_function(BenchmarkId::new("remove and insert", count), |bencher| {
            bencher.iter(|| {
                let area = area(next());
                tree.remove(area.range);
                tree.insert(area).unwrap();
            });
        });
        let mut next = scattered(count);
        group.bench_function(BenchmarkId::new("protect four pages and back", count), |bencher| {
            bencher.iter(|| {
                let middle = PageRange::with_count(area(next()).range.start().plus(4), 4).unwrap();
                tree.update(middle, |area| area.protection = Protection::READ);
                tree.update(middle, |area| area.protection = Protection::READ | Protection::WRITE);
            });
        });
    }
    group.finish();
}

fn entries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("page table");
    for pages in [1_000u64, 1_000_000] {
        let table = PageTable::new();
        (0..pages)
            .for_each(|page| table.entry(PageNum(BASE + page)).overwrite(Entry::Resident(Dirt::Dirty, None)));
        let mut next = scattered(pages);
        group.bench_function(BenchmarkId::new("load", pages), |bencher| {
            bencher.iter(|| table.entry(black_box(PageNum(BASE + next()))).load());
        });
        let mut next = scattered(pages);
        group.bench_function(BenchmarkId::new("take and settle", pages), |bencher| {
            bencher.iter(|| {
                let cell = table.entry(PageNum(BASE + next()));
                cell.take(cell.load());
                cell.settle(Entry::Resident(Dirt::Dirty, None))
            });
        });
    }
    group.bench_function("first touch of a leaf", |bencher| {
        bencher.iter_batched_ref(
            PageTable::new,
            |table| table.entry(PageNum(BASE)).load(),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, areas, entries);
criterion_main!(benches);
