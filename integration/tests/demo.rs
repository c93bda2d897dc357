//! The demo ends well, says what it does, and leaves nothing behind.

use std::time::Duration;

use integration::run::{End, Run};
use integration::scratch::Scratch;
use integration::traces;

#[test]
fn the_demo_shows_identical_output() {
    let scratch = Scratch::new("demo");
    let run =
        Run::new(env!("CARGO_BIN_EXE_demo")).env("TMPDIR", scratch.path()).limit(Duration::from_secs(300));
    let outcome = run.outcome();
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert_eq!(outcome.end, End::Code(0), "{said}{}", outcome.complaint());
    for part in ["swapped out", "exit code and output are identical", "Identical output"] {
        assert!(said.contains(part), "{part:?} is missing: {said}");
    }
    println!("{said}");
    traces::none_of(scratch.path());
}
