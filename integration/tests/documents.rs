//! What documents say of tests: every test that one names is there, and every row of a table in
//! `FAITHFULNESS.md` names one.
//!
//! Assumes the repository's source tree. A test is named as `file::function`; `file::begin*` stands for all
//! whose names begin so, and there is one. The tests of `guests` are its guests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate lies in the repository").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files with this ending right in a folder; none where there is no such folder.
fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

/// All tests of all crates, as documents name them.
fn tests() -> BTreeSet<String> {
    let folders = ["integration", "pager", "pager/core", "pager/engine", "pager/capi", "swapfs"]
        .map(|name| repository().join(name).join("tests"));
    let files = folders.iter().flat_map(|folder| files_in(folder, "rs"));
    files
        .flat_map(|path| {
            let module = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let text = read(&path);
            tests_of(&text).into_iter().map(move |name| format!("{module}::{name}")).collect::<Vec<_>>()
        })
        .collect()
}

/// The names in the text of one file: of functions that are tests, and of modules, guests and scenes that a
/// macro makes tests of.
fn tests_of(text: &str) -> Vec<String> {
    let identifier =
        |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("guest!(").or_else(|| line.strip_prefix("mod ")) {
            found.push(identifier(name));
        } else if let Some(name) = line.strip_prefix("fn ").filter(|_| is_test) {
            found.push(identifier(name));
        } else if let Some(scene) = line.strip_suffix(',').filter(|scene| identifier(scene) == **scene) {
            // An element of a list: a scene of the memory calls.
            found.push(scene.to_owned());
        }
        // Attributes may stand between it and the function.
        is_test = line == "#[test]" || is_test && line.starts_with("#[");
    }
    found
}

/// Documents in which such a name is always a test's; in others it may be a module's of a program.
fn tells_of_tests(path: &Path) -> bool {
    ["FAITHFULNESS.md", "ENDINGS.md", "MEMORY_CALLS.md"].iter().any(|name| path.ends_with(name))
}

/// What of a text names a test: `file::function` in code marks, nothing else.
fn named_in(text: &str) -> Vec<&str> {
    let is_name = |text: &&str| {
        let part = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_*".contains(c))
        };
        text.split_once("::").is_some_and(|(module, name)| part(module) && part(name))
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

fn is_there(tests: &BTreeSet<String>, name: &str) -> bool {
    match name.split_once('*') {
        Some((begin, _)) => {
            tests.range(begin.to_owned()..).next().is_some_and(|test| test.starts_with(begin))
        }
        None => tests.contains(name),
    }
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let tests = tests();
    let modules: BTreeSet<&str> = tests.iter().filter_map(|test| test.split("::").next()).collect();
    let documents =
        ["pager/docs", "swapfs/docs", "integration/docs", "pager/docs/decisions", "swapfs/docs/decisions"];
    let mut named = 0;
    let mut missing = Vec::new();
    for path in documents.iter().flat_map(|folder| files_in(&repository().join(folder), "md")) {
        let text = read(&path);
        for name in named_in(&text) {
            named += 1;
            let is_of_a_file = modules.contains(name.split("::").next().unwrap_or(name));
            if (is_of_a_file || tells_of_tests(&path)) && !is_there(&tests, name) {
                missing.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named > 50, "only {named} tests are named");
}

/// A row of the tables says how it is known; so does a paragraph of what is refused.
#[test]
fn every_row_of_faithfulness_names_its_test() {
    let text = read(&repository().join("pager/docs/FAITHFULNESS.md"));
    let mut bare = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let (heading, body) = section.split_once('\n').expect("a section has lines");
        let all_by_one =
            body.lines().take_while(|line| !line.starts_with('|')).any(|line| !named_in(line).is_empty());
        let rows = body.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what |"));
        for row in
            rows.filter(|row| !all_by_one && named_in(row).is_empty() && !row.ends_with("| the same |"))
        {
            bare.push(format!("{heading}: {row}"));
        }
        assert!(!named_in(body).is_empty(), "the section {heading} names no test");
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

#[test]
fn names_are_told_from_other_code() {
    assert_eq!(
        named_in("`guests::spawn`, `a::b*` and `Entry::Busy`, `core::fmt::Debug` or a::b"),
        ["guests::spawn", "a::b*"]
    );
    assert_eq!(
        tests_of("guest!(spawn);\n#[test]\n#[ignore]\nfn one() {}\nfn two() {}\nmod three {"),
        ["spawn", "one", "three"]
    );
}
