//! Says which packages the tests need and this machine lacks.
//!
//! Cargo builds first what most others wait for. This script depends on nothing, and every test of the
//! workspace on it, so that it comes before what takes minutes.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../src/tools.rs"]
mod tools;

fn main() {
    // A file that is not there has the script run again, until it is.
    for tool in tools::TESTS {
        println!("cargo::rerun-if-changed={}", tool.path);
    }
    println!("cargo::rerun-if-changed=../src/tools.rs");
    if let Some(advice) = tools::advice(&tools::TESTS) {
        println!(
            "cargo::warning=the tests need more than is installed ({advice}); the demo as root does not"
        );
    }
}
