//! `docs/SEMANTICS.md` promises nothing that no test holds it to: each promise names a test, and each test
//! that it names is there. So it is with each row of `docs/FAULTS.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where tests may be, from this crate's directory.
const TESTS: [&str; 3] = ["src", "tests", "../integration/tests"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = TESTS.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// The names of all functions that stand under `#[test]`.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources() {
        let text = fs::read_to_string(source).unwrap();
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            match line.strip_prefix("fn ") {
                Some(rest) if marked => {
                    names.insert(rest.split(['(', '<']).next().unwrap().to_owned());
                    marked = false;
                }
                _ => marked = line == "#[test]" || (marked && line.starts_with("#[")),
            }
        }
    }
    names
}

/// Keys of `stats.json` and names of metrics, which look like a test's.
const KEYS: [&str; 3] = ["reads_per_block", "read_ahead_ops", "swapfs_faults_made_total"];

/// Names in backquotes that can only be a test's: words in a row with underscores between.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && text.matches('_').count() >= 2
    };
    quoted.filter(is_name).filter(|name| !KEYS.contains(name)).collect()
}

/// Each promise, with its first words: a paragraph that begins in bold, or a section that has none.
fn promises(text: &str) -> Vec<(&str, &str)> {
    let mut promises = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap();
        let bold: Vec<&str> =
            body.split("\n\n").map(str::trim).filter(|block| block.starts_with("**")).collect();
        match bold.is_empty() {
            true => promises.push((title, body)),
            false => promises.extend(bold.iter().map(|block| (block.split("**").nth(1).unwrap(), *block))),
        }
    }
    promises
}

fn text() -> String {
    fs::read_to_string(root().join("docs/SEMANTICS.md")).unwrap()
}

#[test]
fn every_promise_names_a_test() {
    let text = text();
    let promises = promises(&text);
    assert!(promises.len() > 40, "the promises were not found");
    let bare: Vec<&str> =
        promises.iter().filter(|(_, text)| named(text).is_empty()).map(|(words, _)| *words).collect();
    assert!(bare.is_empty(), "no test is named of: {bare:#?}");
}

#[test]
fn every_test_that_is_named_is_there() {
    let (text, tests) = (text(), tests());
    let lost: Vec<&str> = named(&text).into_iter().filter(|name| !tests.contains(*name)).collect();
    assert!(lost.is_empty(), "named and not there: {lost:#?}");
    let paths = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.ends_with(".rs") || quoted.starts_with("src/"));
    let is_there = |path: &str| [root(), root().parent().unwrap()].iter().any(|top| top.join(path).exists());
    paths.for_each(|path| assert!(is_there(path), "{path} is not there"));
}

#[test]
fn each_of_the_twenty_faults_names_tests_that_are_there() {
    let (text, tests) = (fs::read_to_string(root().join("docs/FAULTS.md")).unwrap(), tests());
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows: Vec<(u32, &str)> =
        rows.filter_map(|(number, rest)| Some((number.parse().ok()?, rest))).collect();
    assert!(rows.iter().map(|(number, _)| *number).eq(1..=20), "{rows:?}");
    for (number, row) in rows {
        let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let in_files = quoted.iter().filter_map(|name| name.split_once("::"));
        let (mut alone, mut found) = (named(row), 0);
        for (file, name) in in_files {
            let text =
                fs::read_to_string(root().join("tests").join(format!("{file}.rs"))).unwrap_or_default();
            assert!(text.contains(&format!("#[test]\nfn {name}()")), "{number}: {file}::{name}");
            found += 1;
        }
        alone.retain(|name| !tests.contains(*name));
        assert!(alone.is_empty(), "{number}: not there: {alone:?}");
        assert!(found + named(row).len() > 0, "{number} names no test");
    }
}

#[test]
fn promises_and_names_are_told_from_other_text() {
    let text = "# T\n\nIntro `not_of_a_section`.\n\n## A\n\n**One.** Says `a_test_of_one` and `st_blocks`.\n\nNo promise.\n\n## B\nPlain.\n";
    let promises = promises(text);
    assert_eq!(promises.iter().map(|(words, _)| *words).collect::<Vec<_>>(), ["One.", "B"]);
    assert_eq!(named(promises[0].1), ["a_test_of_one"]);
    assert!(tests().contains("promises_and_names_are_told_from_other_text"));
}
