//! Manual pages and completions are made from the command line's own definition, so none of them can lag
//! behind it.

mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fixture::*;

fn text(arguments: &[&str]) -> String {
    let output = finish(program().args(arguments));
    assert!(output.status.success(), "{}", complaint(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The verbs that the help lists.
fn verbs() -> Vec<String> {
    let help = text(&["--help"]);
    let listed = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    listed
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .map(first_word)
        .collect()
}

fn first_word(line: &str) -> String {
    line.split_whitespace().next().unwrap().to_owned()
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn generated_pages_and_completions_are_of_every_command() {
    let scratch = tempfile::tempdir().unwrap();
    let (share, alone) = (scratch.path().join("not/yet/share"), scratch.path().join("man"));
    fs::create_dir(&alone).unwrap();
    text(&["generate", share.to_str().unwrap()]);
    text(&["manpages", alone.to_str().unwrap()]);
    let pages = share.join("man/man1");
    assert_eq!(names(&pages), names(&alone));
    for name in names(&pages) {
        assert_eq!(fs::read(pages.join(&name)).unwrap(), fs::read(alone.join(&name)).unwrap(), "{name}");
    }
    let verbs = verbs();
    assert!(verbs.len() > 10, "{verbs:?}");
    for verb in &verbs {
        let page = fs::read_to_string(pages.join(format!("swapfs-{verb}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains(".SH"), "{verb}");
    }
    assert!(fs::read_to_string(pages.join("swapfs-mount.1")).unwrap().contains("with\\-libs"));
    let scripts = [
        ("bash", "bash-completion/completions/swapfs"),
        ("zsh", "zsh/site-functions/_swapfs"),
        ("fish", "fish/vendor_completions.d/swapfs.fish"),
    ];
    for (shell, path) in scripts {
        let script = fs::read_to_string(share.join(path)).unwrap();
        assert_eq!(script, text(&["completions", shell]));
        assert!(verbs.iter().all(|verb| script.contains(verb.as_str())), "{shell}");
    }
}

/// What the documentation tells people to type.
#[test]
fn the_alias_of_cargo_is_what_installing_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let aliases = read("../.cargo/config.toml");
    let alias = aliases.lines().find(|line| line.starts_with("swapfs-share = ")).unwrap();
    assert!(alias.contains("\"generate\", \"target/share\""), "{alias}");
    assert!(read("docs/INSTALL.md").contains("cargo swapfs-share && cp -r target/share/. /usr/share/"));
}

#[test]
fn what_cannot_be_written_is_said_in_one_line() {
    let output = finish(program().args(["generate", "/dev/null/share"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("/dev/null/share") && complaint(&output).lines().count() == 1);
}
