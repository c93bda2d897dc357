//! Random operations natively and under the pager: what the program sees must be the same after every step,
//! with every engine, at every cap.
//!
//! `INTEGRATION_FULL=1` compares at least a million operations. A seed can be given as `DIFFERENTIAL_SEED`;
//! the one that is drawn is printed. What was found on the way stands by name in `memory_calls.rs`.

use std::time::{SystemTime, UNIX_EPOCH};

use integration::differential::{Differential, Kind, SETTINGS, Sequence, Setting};
use integration::workloads::Scale;

/// Small enough to be drowned in, large enough that a cap of 2M evicts.
const SIZES: [usize; 2] = [128, 768];

/// The number of operations that are compared with the native run at full size.
const FULL: usize = 1_000_000;
const STEPS: usize = 500;

/// Compares one sequence with each of `settings`; the number of operations compared.
fn compare(differential: &Differential, kind: Kind, seed: u64, steps: usize, settings: &[Setting]) -> usize {
    let sequence = Sequence { kind, seed, steps, pages: SIZES[(seed % 2) as usize] };
    differential.compare(sequence, settings).unwrap_or_else(|difference| panic!("{difference}"));
    steps * settings.len()
}

fn drawn_seed() -> u64 {
    let given = std::env::var("DIFFERENTIAL_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        u64::from(now.subsec_nanos()) << 8
    })
}

#[test]
fn a_known_seed_does_the_same_with_every_setting() {
    println!("{} operations compared", compare(&Differential::new(), Kind::Every, 1, 250, &SETTINGS));
}

/// At full size every kind meets every setting, seed after seed.
#[test]
fn a_drawn_seed_does_the_same_as_natively() {
    let first = drawn_seed();
    println!("DIFFERENTIAL_SEED={first}");
    let differential = Differential::new();
    let mut compared = 0;
    match Scale::asked() {
        Scale::Quick => {
            for (kind, setting) in Kind::ALL.into_iter().zip(SETTINGS.iter().cycle()) {
                compared += compare(&differential, kind, first, 150, &[*setting]);
            }
        }
        Scale::Full => {
            for seed in first.. {
                compared += Kind::ALL
                    .map(|kind| compare(&differential, kind, seed, STEPS, &SETTINGS))
                    .iter()
                    .sum::<usize>();
                if compared >= FULL {
                    break;
                }
            }
        }
    }
    println!("{compared} operations compared");
}
