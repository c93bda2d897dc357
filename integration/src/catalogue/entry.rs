//! One program of the list, and reading the list: TOML of nothing but `[[program]]` tables with strings in
//! them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::run::Run;
use crate::tools;

/// Which runs an entry takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A second or two at each cap: part of the default tests.
    Quick,
    /// Only in the full run.
    Full,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is called in the table.
    pub name: String,
    /// The Debian packages that bring it, as apt-get takes them.
    pub package: String,
    /// The command that installs it, where that is not apt-get's.
    pub install_command: Option<String>,
    /// A shell command that tells the version, where no package of Debian does.
    pub version_command: Option<String>,
    /// A file, or the name of a program in PATH, that is there when the packages are installed.
    pub needs: String,
    /// Shell commands, run natively once, that make its inputs.
    pub setup: String,
    /// The shell command that is run and compared.
    pub command: String,
    /// Which runs it takes part in.
    pub size: Size,
}

impl Entry {
    /// Whether its packages are installed.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        if self.needs.starts_with('/') {
            Path::new(&self.needs).exists()
        } else {
            tools::in_path(&self.needs).is_some()
        }
    }

    /// What to say to have it installed.
    #[must_use]
    pub fn installation(&self) -> String {
        self.install_command.clone().unwrap_or_else(|| format!("apt-get install {}", self.package))
    }

    /// The version of its first package, as Debian has it.
    #[must_use]
    pub fn version(&self) -> String {
        let first = self.package.split_whitespace().next().unwrap_or_default();
        let query = format!("dpkg-query -W -f '${{Version}}' {first}");
        let command = self.version_command.as_ref().unwrap_or(&query);
        let told = Run::new("/bin/sh").args(["-c", command]).outcome();
        let text = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        if text.is_empty() { "unknown".to_owned() } else { text }
    }
}

/// The list that stands in the repository.
///
/// # Panics
///
/// When it cannot be read.
#[must_use]
pub fn all() -> Vec<Entry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs.toml");
    parse(&std::fs::read_to_string(path).expect("the list of programs can be read"))
}

/// The entries of `text`.
///
/// # Panics
///
/// With the line at fault, when it is not such a list.
#[must_use]
pub fn parse(text: &str) -> Vec<Entry> {
    let mut tables: Vec<BTreeMap<String, String>> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "[[program]]" {
            tables.push(BTreeMap::new());
        } else if !line.is_empty() && !line.starts_with('#') {
            let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no key and value: {line:?}"));
            let table = tables.last_mut().unwrap_or_else(|| panic!("outside a table: {line:?}"));
            table.insert(key.to_owned(), string(value, &mut lines));
        }
    }
    tables.into_iter().map(entry).collect()
}

/// A string in single quotes, or over several lines in three of them: neither knows escapes.
fn string<'a>(value: &'a str, lines: &mut impl Iterator<Item = &'a str>) -> String {
    if value == "'''" {
        return lines.take_while(|line| *line != "'''").map(|line| format!("{line}\n")).collect();
    }
    let inner = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.unwrap_or_else(|| panic!("no string in single quotes: {value:?}")).to_owned()
}

fn entry(mut table: BTreeMap<String, String>) -> Entry {
    let mut take = |key: &str| table.remove(key);
    let name = take("name").expect("every program has a name");
    let mut need = |key: &str| take(key).unwrap_or_else(|| panic!("{name} has no {key}"));
    let (package, needs, command) = (need("package"), need("needs"), need("command"));
    let setup = take("setup").unwrap_or_default();
    let (install_command, version_command) = (take("install"), take("version"));
    let size = match take("size").as_deref() {
        Some("quick") => Size::Quick,
        None => Size::Full,
        Some(other) => panic!("{name}: no size: {other}"),
    };
    assert!(table.is_empty(), "{name}: unknown keys {:?}", table.keys());
    Entry { name, package, install_command, version_command, needs, setup, command, size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_one_line_and_of_several() {
        let text = "# a list\n\n[[program]]\nname = 'a'\npackage = 'p'\nneeds = 'sh'\ncommand = '''\necho 'x'\ntrue\n'''\n";
        let entries = parse(text);
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].command.as_str(), entries[0].size), ("echo 'x'\ntrue\n", Size::Full));
        assert!(entries[0].is_installed());
    }

    #[test]
    fn the_list_is_long_and_names_are_given_once() {
        let entries = all();
        let names: std::collections::BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
        assert!(entries.len() >= 60, "{} programs", entries.len());
        assert_eq!(names.len(), entries.len());
    }
}
