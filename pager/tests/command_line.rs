//! Wrong usage and what is missing: one clear line, and the exit status that a script can rely on. None of it
//! starts the runtime.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use predicates::prelude::*;
use support::{file, pager};

/// Runs `pager run` with `options` and a program that exists, and checks exit status and the words of the one
/// line.
fn refused(options: &[&str], code: i32, words: &[&str]) {
    let output =
        pager().arg("run").args(options).args(["--", "true"]).assert().code(code).get_output().clone();
    let line = String::from_utf8(output.stderr).expect("text");
    for word in words {
        assert!(line.contains(word), "`{word}` is not in: {line}");
    }
    assert!(output.stdout.is_empty());
}

fn one_line(text: &str) -> bool {
    text.starts_with("pager: ") && text.lines().count() == 1
}

#[test]
fn no_command_shows_the_help() {
    pager().assert().code(2).stderr(predicate::str::contains("Usage: pager"));
}

#[test]
fn help_teaches_by_examples() {
    let examples = predicate::str::contains("pager run --resident 32M --swap swap0 -- make");
    pager().args(["run", "--help"]).assert().success().stdout(examples);
    pager().args(["doctor", "--help"]).assert().success().stdout(predicate::str::contains("Exit status"));
}

#[test]
fn no_program_is_usage() {
    pager().arg("run").assert().code(2).stderr(predicate::str::contains("PROGRAM"));
}

#[test]
fn unknown_options_are_usage() {
    refused(&["--residnt", "32M"], 2, &["--residnt"]);
}

#[test]
fn bad_sizes_are_usage() {
    refused(&["--resident", "32X"], 2, &["`X` is not a unit", "K, M, G, T"]);
    refused(&["--resident", "lots"], 2, &["a size starts with a whole number"]);
    refused(&["--swap-size", "1.5G"], 2, &["`.5G` is not a unit"]);
    refused(&["--fault-around", "100"], 2, &["smallest is 4K"]);
}

#[test]
fn a_cap_under_the_minimum_names_the_minimum() {
    refused(&["--resident", "255K"], 2, &["--resident 255K", "smallest that works is 256K"]);
}

#[test]
fn a_missing_swap_file_says_how_to_make_one() {
    refused(&["--swap", "/no/such/swap"], 2, &["/no/such/swap", "there is no such file", "truncate"]);
}

#[test]
fn a_swap_file_that_is_too_small_says_what_is_needed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "swap", 60 << 10);
    refused(&["--swap", path.to_str().expect("text")], 2, &["60K is too small", "at least 64K"]);
}

#[test]
fn what_is_no_swap_file_is_named() {
    refused(&["--swap", "/tmp"], 2, &["/tmp", "a directory"]);
    refused(&["--swap", "/dev/null"], 2, &["/dev/null", "a character device"]);
}

#[test]
fn a_swap_file_named_twice_is_usage() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "swap", 1 << 20);
    let twice = format!("{0},{0}", path.display());
    refused(&["--swap", &twice], 2, &["named twice"]);
}

#[test]
fn a_swap_file_in_use_is_busy() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "swap", 1 << 20);
    let holder = fs::File::open(&path).expect("a file");
    holder.lock().expect("a lock");
    refused(&["--swap", path.to_str().expect("text")], 1, &["another run is using it"]);
}

#[test]
fn a_temporary_swap_file_needs_a_directory() {
    let output = pager()
        .env("TMPDIR", "/no/such/directory")
        .args(["run", "--", "true"])
        .assert()
        .code(1)
        .get_output()
        .clone();
    let line = String::from_utf8(output.stderr).expect("text");
    assert!(one_line(&line) && line.contains("TMPDIR"), "{line}");
}

#[test]
fn a_root_that_is_no_directory_is_usage() {
    refused(&["--root", "/no/such/root"], 2, &["--root /no/such/root"]);
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_start() {
    refused(&["--stats", "/no/such/directory/report"], 1, &["--stats /no/such/directory/report"]);
}

#[test]
fn a_program_that_is_not_there_gives_127() {
    for name in ["no-such-program-anywhere", "./no/such/program", "/etc/passwd/program"] {
        let output = pager().args(["run", "--", name]).assert().code(127).get_output().clone();
        let line = String::from_utf8(output.stderr).expect("text");
        assert!(one_line(&line) && line.contains(name), "{line}");
    }
}

#[test]
fn a_program_that_cannot_be_executed_gives_126() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "program", 100);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("a mode");
    for name in [path.as_path(), directory.path(), Path::new("/dev/null")] {
        let output = pager().args(["run", "--"]).arg(name).assert().code(126).get_output().clone();
        let line = String::from_utf8(output.stderr).expect("text");
        assert!(one_line(&line), "{line}");
    }
}

#[test]
fn a_runtime_that_is_not_there_is_named() {
    let missing = predicate::str::contains("/no/such/runtime").and(predicate::str::contains("PAGER_RUNTIME"));
    pager()
        .env("PAGER_RUNTIME", "/no/such/runtime")
        .args(["run", "--", "true"])
        .assert()
        .code(1)
        .stderr(missing);
}

#[test]
fn nothing_is_left_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    pager().env("TMPDIR", directory.path()).args(["run", "--", "no-such-program"]).assert().code(127);
    assert_eq!(directory.path().read_dir().expect("readable").count(), 0);
}

#[test]
fn doctor_shows_a_table_and_json() {
    pager().arg("doctor").assert().stdout(predicate::str::contains("userfaultfd_sigbus"));
    let output = pager().args(["doctor", "--json"]).output().expect("runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(json["features"].as_array().is_some_and(|features| features.len() > 5));
    assert_eq!(json["can_run"].as_bool(), Some(output.status.success()));
}
