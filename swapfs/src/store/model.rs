//! Every kind of store does the same as an array of bytes.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// Not a whole number of blocks.
const SIZE: usize = (1 << 18) + 100;

#[derive(Debug, Clone)]
enum Step {
    Write(usize, Vec<u8>),
    Read(usize, usize),
    Punch(usize, usize),
    Resize(usize),
    Sync,
}

/// Pages as programs have them: of one byte, of text, of noise; whole blocks as often as any range.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 1..9000);
    let flat = (any::<u8>(), 1..20_000usize).prop_map(|(byte, len)| vec![byte; len]);
    let text =
        (1..20_000usize).prop_map(|len| b"all work and no play".iter().copied().cycle().take(len).collect());
    prop_oneof![noise, flat, text, Just(vec![0; 3 * BLOCK])]
}

fn place() -> impl Strategy<Value = usize> {
    prop_oneof![0..SIZE, (0..SIZE / BLOCK).prop_map(|block| block * BLOCK)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (place(), data(), any::<bool>()).prop_map(|(at, mut data, whole)| {
            if whole {
                let len = data.len().next_multiple_of(BLOCK);
                data.resize(len, 5);
            }
            Step::Write(at, data)
        }),
        2 => (place(), place()).prop_map(|(at, len)| Step::Read(at, len)),
        2 => (place(), 1..90_000usize).prop_map(|(at, len)| Step::Punch(at, len)),
        1 => (place(), any::<bool>()).prop_map(|(size, back)| Step::Resize(if back { SIZE } else { size.max(1) })),
        1 => Just(Step::Sync),
    ];
    proptest::collection::vec(step, 1..24)
}

/// Does what a step says to the store and to the model; ranges are cut at the end, as the file system does.
fn perform(store: &dyn Store, model: &mut Vec<u8>, step: Step) {
    let cut =
        |at: usize, len: usize| at.min(model.len())..(at + len).min(model.len()).max(at.min(model.len()));
    match step {
        Step::Write(at, data) => {
            let range = cut(at, data.len());
            store.write_at(&data[..range.len()], range.start as u64).unwrap();
            model[range.clone()].copy_from_slice(&data[..range.len()]);
        }
        Step::Read(at, len) => {
            let range = cut(at, len);
            let mut buffer = vec![1; range.len()];
            store.read_at(&mut buffer, range.start as u64).unwrap();
            assert!(buffer == model[range]);
        }
        Step::Punch(at, len) => {
            let range = cut(at, len);
            if !range.is_empty() {
                store.punch(range.start as u64, range.len() as u64).unwrap();
                model[range].fill(0);
            }
        }
        Step::Resize(size) => {
            store.resize(size as u64).unwrap();
            model.resize(size, 0);
        }
        Step::Sync => store.sync().unwrap(),
    }
}

/// Where a store says that there is a hole, there are zeros; and its answers lead through the whole file.
fn check_holes(store: &dyn Store, model: &[u8]) {
    let (mut at, size) = (0, model.len() as u64);
    while at < size {
        let data = store.seek(Whence::Data, at).unwrap_or(size);
        assert!(data >= at && model[at as usize..data as usize].iter().all(|byte| *byte == 0));
        if data == size {
            break;
        }
        at = store.seek(Whence::Hole, data).unwrap();
        assert!(at > data && at <= size);
    }
    assert_eq!(store.seek(Whence::Data, size).unwrap_err().raw_os_error(), Some(6));
}

fn like_an_array(store: &dyn Store, steps: Vec<Step>) {
    let mut model = vec![0; SIZE];
    for step in steps {
        perform(store, &mut model, step);
        assert_eq!(store.size_bytes(), model.len() as u64);
    }
    let mut all = vec![1; model.len()];
    store.read_at(&mut all, 0).unwrap();
    assert!(all == model);
    check_holes(store, &model);
    // All that is punched is free, at once.
    store.punch(0, model.len() as u64).unwrap();
    assert_eq!((store.allocated_bytes(), store.data_bytes()), (0, 0));
    store.read_at(&mut all, 0).unwrap();
    assert!(all.iter().all(|byte| *byte == 0));
}

fn stores(options: StoreOptions) -> Stores {
    Stores::new(options)
}

fn in_directory(directory: &tempfile::TempDir, page_cache: PageCache, encryption: Encryption) -> Stores {
    let place = StorePlace::Directory(directory.path().to_owned());
    stores(StoreOptions { place, page_cache, encryption, most_memory_bytes: None })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn memory(steps in steps()) {
        let store = stores(StoreOptions::default()).create("s", SIZE as u64).unwrap();
        like_an_array(&*store, steps);
    }

    #[test]
    fn compressed(steps in steps()) {
        let place = StorePlace::Compressed;
        let store = stores(StoreOptions { place, ..StoreOptions::default() }).create("s", SIZE as u64).unwrap();
        like_an_array(&*store, steps);
    }

    #[test]
    fn directory(steps in steps()) {
        let scratch = tempfile::tempdir().unwrap();
        let store = in_directory(&scratch, PageCache::Through, Encryption::None).create("s", SIZE as u64).unwrap();
        like_an_array(&*store, steps);
    }

    #[test]
    fn directory_past_the_page_cache(steps in steps()) {
        let scratch = tempfile::tempdir().unwrap();
        let store = in_directory(&scratch, PageCache::Past, Encryption::None).create("s", SIZE as u64).unwrap();
        like_an_array(&*store, steps);
    }

    #[test]
    fn encrypted(steps in steps(), past in any::<bool>()) {
        let scratch = tempfile::tempdir().unwrap();
        let page_cache = if past { PageCache::Past } else { PageCache::Through };
        let store = in_directory(&scratch, page_cache, Encryption::OwnKey).create("s", SIZE as u64).unwrap();
        like_an_array(&*store, steps);
        prop_assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}

/// Threads that write to parts of the same blocks lose nothing of each other's.
#[test]
fn neighbours_in_a_block_lose_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let kinds = [
        in_directory(&scratch, PageCache::Past, Encryption::None),
        in_directory(&scratch, PageCache::Past, Encryption::OwnKey),
        stores(StoreOptions { place: StorePlace::Compressed, ..StoreOptions::default() }),
    ];
    for (number, kind) in kinds.iter().enumerate() {
        let store: Arc<dyn Store> = kind.create(&format!("n{number}"), 4 * BLOCK as u64).unwrap().into();
        std::thread::scope(|scope| {
            for part in 0..4u8 {
                let store = store.clone();
                scope.spawn(move || {
                    for round in 0..50u8 {
                        let at = u64::from(part) * 1000 + u64::from(round);
                        store.write_at(&[part * 50 + round; 1], at).unwrap();
                        // A whole block, past the page cache where that is asked for, of which nothing else
                        // is written.
                        store.write_at(&[round; BLOCK], 3 * BLOCK as u64).unwrap();
                    }
                });
            }
        });
        let mut all = vec![0; 4 * BLOCK];
        store.read_at(&mut all, 0).unwrap();
        for part in 0..4usize {
            let expected: Vec<u8> = (0..50).map(|round| (part * 50 + round) as u8).collect();
            assert_eq!(all[part * 1000..part * 1000 + 50], expected[..], "store {number}, part {part}");
        }
    }
}
