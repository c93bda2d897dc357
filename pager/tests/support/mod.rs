//! What the tests of the command share.
#![allow(dead_code, missing_docs)]

use std::fs::File;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A shell in the runtime's place: `pager run -- NAME ARGS` then is that shell with ARGS, not paged, so that
/// the supervisor is tested by itself.
pub const SHELL: &str = "/bin/sh";

/// The command, about to run its embedded runtime.
pub fn pager() -> Command {
    let mut command = Command::cargo_bin("pager").expect("built by cargo");
    command.env_remove("PAGER_RUNTIME").timeout(std::time::Duration::from_secs(30));
    command
}

/// The command as a child that is waited for by hand.
pub fn pager_process() -> std::process::Command {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("pager"));
    command.env("PAGER_RUNTIME", SHELL);
    command
}

/// A file of `bytes` zeros in `directory`.
pub fn file(directory: &Path, name: &str, bytes: u64) -> PathBuf {
    let path = directory.join(name);
    File::create(&path).and_then(|file| file.set_len(bytes)).expect("a file");
    path
}
