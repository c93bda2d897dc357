//! What each way of keeping swap files costs: 4 KiB blocks written and read at random, by one thread, without
//! FUSE; as a ratio to plain memory in the same run. `cargo bench -p swapfs --bench stores`

use std::path::Path;
use std::time::Instant;

use swapfs::store::{Encryption, PageCache, Store, StoreOptions, StorePlace, Stores};
use swapfs::throttle::Random;

const BLOCK: usize = 4096;
const BLOCKS: usize = 16 << 10;
/// Each figure is the median of so many passes over the store.
const PASSES: usize = 5;

/// Pages as they are: a quarter zeros, a quarter of one word, the rest text (compressible) or noise (not).
fn pages(random: &mut Random, noise: bool) -> Vec<[u8; BLOCK]> {
    let page = |number: usize| {
        let mut page = [0; BLOCK];
        match number % 4 {
            0 => {}
            1 => page.fill(number as u8 | 1),
            _ if noise => {
                page.as_chunks_mut().0.iter_mut().for_each(|word| *word = random.bits().to_le_bytes())
            }
            _ => {
                let text =
                    format!("page {number}: all work and no play makes jack a dull boy, {}. ", random.bits());
                page.iter_mut().zip(text.bytes().cycle()).for_each(|(to, from)| *to = from);
            }
        }
        page
    };
    (0..256).map(page).collect()
}

/// Nanoseconds for a block: median over the passes.
fn measure(mut pass: impl FnMut(usize)) -> f64 {
    let mut each: Vec<f64> = (0..PASSES)
        .map(|_| {
            let start = Instant::now();
            (0..BLOCKS).for_each(&mut pass);
            start.elapsed().as_nanos() as f64 / BLOCKS as f64
        })
        .collect();
    each.sort_by(f64::total_cmp);
    each[PASSES / 2]
}

fn run(store: &dyn Store, pages: &[[u8; BLOCK]]) -> (f64, f64) {
    // A walk over all blocks in no order that readahead would like.
    let place = |number: usize| (number * 7919 % BLOCKS * BLOCK) as u64;
    let write =
        measure(|number| store.write_at(&pages[number % pages.len()], place(number)).expect("a write"));
    let mut buffer = [0; BLOCK];
    let read = measure(|number| store.read_at(&mut buffer, place(number)).expect("a read"));
    (write, read)
}

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let in_directory = |page_cache, encryption| {
        let place = StorePlace::Directory(Path::to_owned(directory.path()));
        StoreOptions { place, page_cache, encryption, most_memory_bytes: None }
    };
    let kinds = [
        ("memory", StoreOptions::default()),
        ("compressed", StoreOptions { place: StorePlace::Compressed, ..StoreOptions::default() }),
        ("directory", in_directory(PageCache::Through, Encryption::None)),
        ("directory, direct", in_directory(PageCache::Past, Encryption::None)),
        ("directory, encrypted", in_directory(PageCache::Through, Encryption::OwnKey)),
    ];
    println!("{:<32} {:>9} {:>6} {:>9} {:>6} {:>7}", "store", "write ns", "x", "read ns", "x", "room");
    for (contents, noise) in [("text", false), ("noise", true)] {
        let pages = pages(&mut Random::new(1), noise);
        let mut floor = None;
        for (name, options) in &kinds {
            let stores = Stores::new(options.clone());
            let name_in_directory = format!("{contents}-{}", name.replace([' ', ','], ""));
            let store = stores.create(&name_in_directory, (BLOCKS * BLOCK) as u64).expect("a store");
            let (write, read) = run(&*store, &pages);
            let (write_floor, read_floor) = *floor.get_or_insert((write, read));
            let room = store.allocated_bytes() as f64 / (BLOCKS * BLOCK) as f64 * 100.0;
            let name = format!("{name}: {contents}");
            let (write_x, read_x) = (write / write_floor, read / read_floor);
            println!("{name:<32} {write:>9.0} {write_x:>6.1} {read:>9.0} {read_x:>6.1} {room:>6.0}%");
        }
    }
}
