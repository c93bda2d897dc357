//! The fuzz target's checks without a fuzzer: on its seed corpus, and on mutations of it.

mod archive_support;

use std::path::Path;
use std::sync::Arc;

use archive_support::check;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use swapfs::images::Tree;
use swapfs::images::archive::{SquashfsTree, TarTree};

fn seeds() -> Vec<Vec<u8>> {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds");
    let mut seeds: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    seeds.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn all_seeds_pass_the_checks() {
    for seed in seeds() {
        let bytes = Arc::new(seed.clone());
        let tree: Box<dyn Tree> = match TarTree::open(bytes.clone()) {
            Ok(tree) => Box::new(tree),
            Err(_) => Box::new(SquashfsTree::open(bytes).unwrap()),
        };
        let seen = tree.look(Path::new("d/data")).unwrap();
        let mut buffer = vec![0; 9001];
        assert_eq!(
            tree.open(Path::new("d/data"), seen.identity).unwrap().read_at(&mut buffer, 0).unwrap(),
            9000
        );
        assert!((0..9000).all(|at| buffer[at] == ((at * 7 + at / 256) % 256) as u8));
        check(&seed);
    }
}

#[derive(Clone, Debug)]
enum Mutation {
    Byte(Index, u8),
    Number(Index, u64, usize),
    Digits(Index, u64),
    Cut(Index),
}

fn edge() -> impl Strategy<Value = u64> {
    let edges = [
        0,
        1,
        3,
        0xff,
        0x1ff,
        0x7fff,
        0x8000,
        0xffff,
        0xff_ffff,
        1 << 24,
        u32::MAX.into(),
        1 << 62,
        u64::MAX,
    ];
    prop_oneof![any::<u64>(), 0..0x4000u64, select(edges.to_vec())]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        4 => (any::<Index>(), edge(), select(vec![2, 4, 8])).prop_map(|(at, n, len)| Mutation::Number(at, n, len)),
        2 => (any::<Index>(), edge()).prop_map(|(at, n)| Mutation::Digits(at, n)),
        1 => any::<Index>().prop_map(Mutation::Cut),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let (at, new) = match mutation {
        Mutation::Byte(at, byte) => (at.index(bytes.len()), vec![*byte]),
        Mutation::Number(at, number, len) => (at.index(bytes.len()), number.to_le_bytes()[..*len].to_vec()),
        Mutation::Digits(at, number) => (at.index(bytes.len()), format!("{number:o}").into_bytes()),
        Mutation::Cut(at) => return bytes.truncate(at.index(bytes.len())),
    };
    let room = new.len().min(bytes.len() - at);
    bytes[at..at + room].copy_from_slice(&new[..room]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn mutations_of_seeds_pass_the_checks(seed in select(seeds()), mutations in vec(mutation(), 1..6)) {
        let mut bytes = seed;
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        check(&bytes);
    }
}
