//! What an eviction costs before any I/O: choosing victims, finding slots, checksums.

use std::hint::black_box;
use std::sync::atomic::{AtomicU8, AtomicU64};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pager_core::addr::PageNum;
use pager_core::replacement::{Install, Policy, PolicyKind, Replacement};
use pager_core::slots::{SlotMap, checksum};

const BATCH: usize = 32;

/// One page out and one in, at the cap: the cost for each page, batches of 32.
fn replacement(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replacement");
    group.throughput(Throughput::Elements(BATCH as u64));
    for kind in [PolicyKind::Fifo, PolicyKind::TwoQueue] {
        for cap in [8192u64, 1 << 20] {
            let mut policy = Replacement::new(kind, cap);
            (0..cap).for_each(|page| policy.installed(PageNum(page * 5 % cap), Install::First));
            let mut state = 1u64;
            let mut out = Vec::new();
            group.bench_function(BenchmarkId::new(format!("{kind:?}, batch of 32"), cap), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    policy.victims(BATCH, |_| true, &mut out);
                    for _ in 0..BATCH {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        policy.installed(PageNum((state >> 33) % (cap * 2)), Install::First);
                    }
                });
            });
        }
    }
    group.finish();
}

fn slots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("slots");
    let owners: Vec<AtomicU8> = (0..1 << 18).map(|_| AtomicU8::new(0)).collect();
    let (used, peak, hint) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let map = SlotMap { owners: &owners, used: &used, peak: &peak, hint: &hint };
    let release = |first: u32, count: u32| {
        (first..first + count).for_each(|slot| {
            let _ = map.release(slot);
        });
    };
    group.bench_function("allocate and release 32, empty map of 1 GiB", |bencher| {
        bencher.iter(|| {
            let run = map.allocate(32).unwrap();
            release(run.first, run.count);
        });
    });
    while map.allocate(32).is_some() {}
    // Every eighth slot is free: no run longer than one.
    (0..1 << 18).step_by(8).for_each(|slot| release(slot, 1));
    group.bench_function("allocate and release 32, fragmented", |bencher| {
        bencher.iter(|| {
            let run = map.allocate(32).unwrap();
            release(run.first, run.count);
        });
    });
    let page = [7u8; 4096];
    group.throughput(Throughput::Bytes(4096));
    group.bench_function("checksum of a page", |bencher| bencher.iter(|| checksum(black_box(&page))));
    group.finish();
}

criterion_group!(benches, replacement, slots);
criterion_main!(benches);
