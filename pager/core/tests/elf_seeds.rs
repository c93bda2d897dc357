//! The fuzz target's checks without a fuzzer: on its seed corpus, and on mutations of it.

mod elf_support;

use std::path::Path;

use elf_support::{build, check};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds");

/// With `UPDATE_SEEDS=1` writes the corpus anew.
#[test]
fn the_seed_corpus_is_the_one_the_builder_makes() {
    let seeds = build::seeds();
    assert!(seeds.iter().map(|(_, file)| file.len()).sum::<usize>() < 10_000);
    for (name, made) in &seeds {
        let path = Path::new(SEEDS).join(name);
        if std::env::var_os("UPDATE_SEEDS").is_some() {
            std::fs::write(&path, made).unwrap();
        }
        assert!(
            std::fs::read(&path).unwrap() == *made,
            "{} differs: run with UPDATE_SEEDS=1",
            path.display()
        );
    }
}

#[test]
fn all_seeds_pass_the_checks() {
    let mut replayed = 0;
    for entry in std::fs::read_dir(SEEDS).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= build::seeds().len());
}

/// Values that sit at the edges of what fields may hold.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..0x3000u64,
        prop::sample::select(vec![
            u64::MAX,
            u64::MAX - 0xfff,
            1 << 47,
            0x7fff_ffff_f000,
            0x7fff_ffff_efff,
            1 << 63,
            1 << 48
        ]),
    ]
}

#[derive(Clone, Debug)]
enum Mutation {
    Byte(Index, u8),
    Field(Index, u64),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        6 => (any::<Index>(), edge()).prop_map(|(at, value)| Mutation::Field(at, value)),
        1 => any::<Index>().prop_map(Mutation::Cut),
    ]
}

fn mutate(file: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Byte(at, byte) if !file.is_empty() => {
            let at = at.index(file.len());
            file[at] = *byte;
        }
        // Header and table are made of fields of 8 bytes, more or less.
        Mutation::Field(at, value) if file.len() >= 64 => {
            let at = at.index(file.len().min(400) / 8) * 8;
            file[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        Mutation::Cut(at) => file.truncate(at.index(file.len() + 1)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn mutated_seeds_pass_the_checks(seed in any::<Index>(), mutations in vec(mutation(), 0..6)) {
        let mut file = seed.get(&build::seeds()).1.clone();
        mutations.iter().for_each(|mutation| mutate(&mut file, mutation));
        check(&file);
    }

    #[test]
    fn arbitrary_bytes_pass_the_checks(mut file in vec(any::<u8>(), 0..400), script in any::<bool>()) {
        if script && file.len() >= 2 {
            file[..2].copy_from_slice(b"#!");
        }
        check(&file);
    }
}
