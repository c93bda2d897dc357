//! Licences, sources, advisories and yanked versions of all dependencies, checked without network.
//!
//! Assumes: `cargo metadata` works offline, which it does once the workspace has been built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use integration::binaries;
use integration::report::Report;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

struct Package {
    name: String,
    version: String,
    licence: String,
    source: Option<String>,
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(binaries::workspace());
    command.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--offline",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]);
    let output = command.output().expect("cargo can be started");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata = Report::parse(&String::from_utf8_lossy(&output.stdout));
    let used: BTreeSet<String> = metadata.list("resolve.nodes").iter().map(|node| node.text("id")).collect();
    let listed = metadata.list("packages").into_iter().filter(|package| used.contains(&package.text("id")));
    listed
        .map(|package| Package {
            name: package.text("name"),
            version: package.text("version"),
            licence: if package.has("license") { package.text("license") } else { "none stated".to_owned() },
            source: package.has("source").then(|| package.text("source")),
        })
        .collect()
}

/// The quoted words of the `allow` line of `.cargo/deny.toml`.
fn allowed_licences() -> BTreeSet<String> {
    let rules = std::fs::read_to_string(binaries::workspace().join(".cargo/deny.toml"))
        .expect("deny.toml can be read");
    let line = rules
        .lines()
        .find(|line| line.starts_with("allow ="))
        .expect("deny.toml has one line of allowed licences");
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met from `allowed`: some alternative whose every part is allowed.
/// Parentheses are only ever met around alternatives inside a conjunction, which splitting by AND first gets
/// right.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    if expression.contains('(') {
        return flat.split(" AND ").all(|part| part.split(" OR ").any(|one| allowed.contains(one.trim())));
    }
    flat.split(" OR ").any(|part| part.split(" AND ").all(|one| allowed.contains(one.trim())))
}

fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[test]
fn every_licence_is_allowed() {
    let allowed = allowed_licences();
    for package in packages() {
        assert!(
            permits(&package.licence, &allowed),
            "{} {}: {}",
            package.name,
            package.version,
            package.licence
        );
    }
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for package in packages() {
        assert!(
            package.source.as_deref().is_none_or(|source| source == REGISTRY),
            "{}: {:?}",
            package.name,
            package.source
        );
    }
}

#[test]
fn no_dependency_has_a_known_advisory() {
    let text = std::fs::read_to_string(binaries::workspace().join(".cargo/advisories.txt"))
        .expect("the list can be read");
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let fixed: BTreeMap<&str, (&str, &str)> = rows
        .map(|row| {
            let mut words = row.split(' ');
            let mut word = || words.next().expect("a row has three words");
            (word(), (word(), word()))
        })
        .collect();
    for package in packages() {
        let Some((version, advisory)) = fixed.get(package.name.as_str()) else { continue };
        assert!(has_fix(&package.version, version), "{} {}: {advisory}", package.name, package.version);
    }
}

/// Whether `version` has a fix that came with `fixed`, versions in ascending order: that of its own line (the first
/// two numbers), or the last.
fn has_fix(version: &str, fixed: &str) -> bool {
    let (version, fixed) = (numbers(version), fixed.split(',').map(numbers).collect::<Vec<_>>());
    let of_its_line = fixed.iter().find(|fixed| fixed.get(..2) == version.get(..2));
    of_its_line.or(fixed.last()).is_some_and(|fixed| version >= *fixed)
}

#[test]
fn a_fix_may_come_to_older_lines_too() {
    let fixed = "0.8.6,0.9.3,0.10.1";
    for (version, has) in [
        ("0.8.6", true),
        ("0.8.5", false),
        ("0.9.2", false),
        ("0.10.0", false),
        ("0.10.2", true),
        ("1.0.0", true),
    ] {
        assert_eq!(has_fix(version, fixed), has, "{version}");
    }
    assert!(!has_fix("0.7.3", fixed) && has_fix("1.0.103", "1.0.103"));
}

/// Cargo's cached index says which versions were withdrawn; where there is no such file there is nothing to
/// say.
#[test]
fn no_dependency_was_yanked() {
    for package in packages().iter().filter(|package| package.source.is_some()) {
        for entry in index_files(&package.name) {
            let text = String::from_utf8_lossy(&std::fs::read(entry).unwrap_or_default()).into_owned();
            let wanted = format!("\"vers\":\"{}\"", package.version);
            let yanked = text.split('\0').any(|row| row.contains(&wanted) && row.contains("\"yanked\":true"));
            assert!(!yanked, "{} {} was yanked", package.name, package.version);
        }
    }
}

fn index_files(name: &str) -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let Some(Ok(indexes)) = home.map(|home| std::fs::read_dir(home.join("registry/index"))) else {
        return Vec::new();
    };
    let folder = match name.len() {
        1 => "1".to_owned(),
        2 => "2".to_owned(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", &name[..2], &name[2..4]),
    };
    indexes
        .flatten()
        .map(|index| index.path().join(".cache").join(&folder).join(name))
        .filter(|path| path.exists())
        .collect()
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned).into();
    for good in ["MIT", "MIT OR GPL-3.0", "MIT/Apache-2.0", "(MIT OR GPL-3.0) AND Unicode-3.0"] {
        assert!(permits(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "none stated", "(MIT OR Apache-2.0) AND OpenSSL"] {
        assert!(!permits(bad, &allowed), "{bad}");
    }
}
