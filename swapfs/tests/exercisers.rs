//! Random operations through the real mount, by a port of fsx's idea: every store keeps every byte.

mod fixture;

use std::process::Command;

use fixture::*;

/// Operations on each store; `INTEGRATION_FULL=1` does more.
fn operations() -> u32 {
    if is_full() { 20_000 } else { 400 }
}

#[test]
fn random_operations_do_to_every_store_what_they_do_to_an_array() {
    for (number, kind) in STORES.into_iter().enumerate() {
        let arguments = [&["--swap", "s:300000"], kind].concat();
        with_mount(
            &arguments,
            |_| {},
            move |mount| {
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fsx.py");
                let (seed, operations) = ((number + 1).to_string(), operations().to_string());
                let mut fsx = Command::new("python3");
                fsx.arg(script).arg(mount.at("swap/s")).args(["524288", &seed, &operations]);
                let output = finish_within(&mut fsx, longest_test());
                assert!(output.status.success(), "{kind:?}: {}", complaint(&output));
            },
        );
    }
}
