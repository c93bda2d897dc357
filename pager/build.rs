//! Builds the freestanding runtime image, so that the command can embed it.
//!
//! A nested cargo with a target directory of its own: the image is linked without std, so its dependencies
//! must not share features with those of the command.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Has every acquisition of a lock of the runtime checked (`runtime/src/lock.rs`).
const LOCK_ORDER: [&str; 2] = ["--features", "lock-order"];

fn main() {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    let inputs = ["runtime/src", "runtime/Cargo.toml", "runtime/image", "engine/src", "engine/Cargo.toml"];
    for input in inputs.into_iter().chain(["core/src", "core/Cargo.toml"]) {
        println!("cargo::rerun-if-changed={}", manifest.join(input).display());
    }
    let target = out.join("runtime-image");
    // The image is optimised either way; its checks come with debug builds of the command.
    let checks: &[&str] =
        if env::var("PROFILE").is_ok_and(|profile| profile == "debug") { &LOCK_ORDER } else { &[] };
    let status = Command::new(env::var("CARGO").expect("set by cargo"))
        .args(["build", "--release", "--quiet"])
        .args(checks)
        .arg("--manifest-path")
        .arg(manifest.join("runtime/image/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "the runtime image does not build; see above");
    println!("cargo::rustc-env=PAGER_RUNTIME_IMAGE={}", target.join("release/pager-runtime").display());
}
