//! Random operations through the real mount, by a port of fsx's idea and by fio: every store keeps every byte.

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

/// What `fio` wrote with four jobs at once, each to its own swap file, it finds again.
#[test]
#[ignore = "needs fio: apt-get install fio; then cargo test -p swapfs --test exercisers -- --ignored"]
fn fio_finds_again_what_its_four_jobs_wrote() {
    assert!(Command::new("fio").arg("--version").output().is_ok(), "fio is missing: apt-get install fio");
    for kind in STORES {
        let arguments = [&["--swap", "fio.0.0:64M", "fio.1.0:64M", "fio.2.0:64M", "fio.3.0:64M"], kind].concat();
        with_mount(
            &arguments,
            |_| {},
            move |mount| {
                let mut fio = Command::new("fio");
                fio.arg(format!("--directory={}", mount.at("swap").display())).args([
                    "--name=fio",
                    "--numjobs=4",
                    "--size=64M",
                    "--rw=randrw",
                    "--bsrange=512-64k",
                    "--bs_unaligned",
                    "--ioengine=psync",
                    "--verify=crc32c",
                    "--verify_fatal=1",
                    "--do_verify=1",
                    "--fsync=64",
                    "--refill_buffers",
                    "--buffer_compress_percentage=50",
                    "--output-format=terse",
                ]);
                let output = finish_within(&mut fio, longest_test());
                assert!(output.status.success(), "{kind:?}: {}", complaint(&output));
                let stats = mount.stats();
                let written = stats.files.iter().filter(|file| file.figures.write_bytes > 1 << 20).count();
                assert_eq!(written, 4, "all four were used");
            },
        );
    }
}
