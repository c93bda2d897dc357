//! Style that matters is a test that reads the repository: sizes, where `unsafe` may stand, names that say
//! nothing.

use std::fs;
use std::path::{Path, PathBuf};

use integration::binaries;

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 70;
/// Where `unsafe` may stand: what runs inside the guest's threads, the modules that wrap the system, the
/// floors.
const UNSAFE_HOMES: [&str; 5] = [
    "pager/runtime/",
    "pager/src/sys/",
    "swapfs/src/sys/",
    "integration/src/floor/",
    "integration/src/mount.rs",
];
/// Names of modules that say nothing about what they hold.
const EMPTY_NAMES: [&str; 6] = ["common", "helper", "helpers", "manager", "misc", "util"];

struct Source {
    /// From the workspace's root.
    name: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = binaries::workspace();
    let mut folders: Vec<PathBuf> = ["pager", "swapfs", "integration"].map(|name| root.join(name)).into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources can be read").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(source(root, &path));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn source(root: &Path, path: &Path) -> Source {
    let name =
        path.strip_prefix(root).expect("a source lies in the workspace").to_string_lossy().into_owned();
    Source { name, text: fs::read_to_string(path).expect("a source can be read") }
}

/// Fails with all of `complaints`, so that one run shows everything.
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn files_are_short() {
    let long = |source: &Source| {
        let lines = source.text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines", source.name))
    };
    none(sources().iter().filter_map(long).collect());
}

#[test]
fn functions_fit_a_screen() {
    let long = |source: &Source| {
        let functions = functions(&source.text).into_iter().filter(|(_, lines)| *lines > LONGEST_FUNCTION);
        functions
            .map(|(line, lines)| format!("{}:{line}: a function of {lines} lines", source.name))
            .collect::<Vec<_>>()
    };
    none(sources().iter().flat_map(long).collect());
}

/// The first line and the number of lines of each function of a formatted source: rustfmt puts the closing
/// brace under the first letter of the head. The tests at a file's end are left out: a literal for one may be
/// as long as it likes.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().take_while(|line| *line != "#[cfg(test)]").collect();
    let heads = lines.iter().enumerate().filter(|(_, line)| is_head(line));
    heads
        .filter_map(|(first, head)| {
            let indent = head.len() - head.trim_start().len();
            let close = format!("{}}}", " ".repeat(indent));
            let length = lines[first..].iter().position(|line| *line == close)? + 1;
            Some((first + 1, length))
        })
        .collect()
}

fn is_head(line: &str) -> bool {
    let words = line.trim_start().split('(').next().unwrap_or_default();
    let ends_at_once = line.trim_end().ends_with([';', '}']);
    !ends_at_once
        && words.split(' ').any(|word| word == "fn")
        && !words.starts_with("//")
        && !words.contains('"')
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let stray = |source: &Source| {
        let may = UNSAFE_HOMES.iter().any(|home| source.name.starts_with(home))
            || source.name.ends_with("tests/style.rs");
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let uses = code
            .filter(|line| {
                line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
            })
            .count();
        (!may && uses > 0).then(|| format!("{}: {uses} lines with unsafe", source.name))
    };
    none(sources().iter().filter_map(stray).collect());
}

#[test]
fn modules_say_what_they_hold() {
    let empty = |source: &Source| {
        let path = Path::new(&source.name).with_extension("");
        let vague = path.iter().any(|part| EMPTY_NAMES.iter().any(|name| part == *name));
        vague.then(|| format!("{}: an empty name", source.name))
    };
    none(sources().iter().filter_map(empty).collect());
}

#[test]
fn modules_begin_with_what_they_own() {
    let bare = |source: &Source| {
        let begins =
            source.text.lines().next().is_some_and(|line| line.starts_with("//!") || line.starts_with("#!["));
        (!begins).then(|| format!("{}: no words at its head", source.name))
    };
    none(sources().iter().filter_map(bare).collect());
}

#[test]
fn the_top_level_is_tidy() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "pager",
        "swapfs",
        "integration",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "target",
    ];
    let entries = fs::read_dir(binaries::workspace()).expect("the workspace can be read").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    none(names.filter(|name| !name.starts_with('.') && !allowed.contains(&name.as_str())).collect());
}

#[test]
fn a_function_is_measured_from_its_head_to_its_brace() {
    assert_eq!(
        functions("impl A {\n    pub fn a(\n        b: u8,\n    ) {\n        c();\n    }\n}\nfn d() {}\n"),
        [(2, 5)]
    );
}
