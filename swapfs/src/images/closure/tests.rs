//! Closures of the machine's own programs, and of some that are made for it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;

fn closure(programs: &[&Path]) -> Result<ClosureTree, ClosureError> {
    ClosureTree::open(&programs.iter().map(|program| (*program).to_owned()).collect::<Vec<_>>())
}

/// All regular files below, by their names.
fn files(tree: &ClosureTree) -> BTreeSet<PathBuf> {
    let (mut files, mut folders) = (BTreeSet::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for listed in tree.list(&folder).unwrap() {
            let path = folder.join(&listed.name);
            match listed.kind {
                FileKind::Directory => folders.push(path),
                FileKind::Regular => drop(files.insert(Path::new("/").join(path))),
                FileKind::Symlink => {
                    let target = tree.read_link(&path).unwrap();
                    assert!(target.is_relative(), "{path:?} -> {target:?}");
                }
            }
        }
    }
    files
}

#[test]
fn a_script_brings_its_interpreter_and_what_env_is_told_to_run() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().canonicalize().unwrap().join(name);
    fs::write(path("plain"), "#!/bin/sh -e\n").unwrap();
    fs::write(path("by-env"), "#!/usr/bin/env sh\n").unwrap();
    let real = |path: &str| Path::new(path).canonicalize().unwrap();
    let plain = files(&closure(&[&path("plain")]).unwrap());
    assert!(plain.contains(&path("plain")) && plain.contains(&real("/bin/sh")), "{plain:?}");
    assert!(plain.contains(&real("/lib64/ld-linux-x86-64.so.2")));
    let mut both = plain;
    both.extend([path("by-env"), real("/usr/bin/env")]);
    assert!(files(&closure(&[&path("by-env"), &path("plain")]).unwrap()).is_superset(&both));
}

#[test]
fn links_on_the_way_are_kept_and_never_lead_out() {
    let scratch = tempfile::tempdir().unwrap();
    let top = scratch.path().canonicalize().unwrap();
    symlink(top.join("b"), top.join("a")).unwrap();
    symlink("../../../../../../../../../../bin/sh", top.join("b")).unwrap();
    let tree = closure(&[&top.join("a")]).unwrap();
    let below = |name: &str| top.join(name).strip_prefix("/").unwrap().to_owned();
    assert_eq!(tree.look(&below("a")).unwrap().kind, FileKind::Symlink);
    assert_eq!(tree.read_link(&below("a")).unwrap(), Path::new("b"));
    assert_eq!(tree.list(&below("")).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let top = scratch.path();
    fs::write(top.join("text"), "no program").unwrap();
    fs::write(top.join("a"), format!("#!{}\n", top.join("a").display())).unwrap();
    fs::write(top.join("damaged"), &fs::read("/bin/sh").unwrap()[..100]).unwrap();
    symlink("loop", top.join("loop")).unwrap();
    assert!(Command::new("mkfifo").arg(top.join("pipe")).status().unwrap().success());
    assert!(matches!(closure(&[&top.join("text")]), Err(ClosureError::NotAProgram(_))));
    assert!(matches!(closure(&[&top.join("a")]), Err(ClosureError::Loops(_))));
    assert!(matches!(closure(&[&top.join("loop")]), Err(ClosureError::Loops(_))));
    assert!(matches!(closure(&[&top.join("damaged")]), Err(ClosureError::Damaged { .. })));
    for unreadable in ["none", "pipe", ""] {
        assert!(matches!(closure(&[&top.join(unreadable)]), Err(ClosureError::Read { .. })), "{unreadable}");
    }
    assert!(matches!(closure(&[Path::new("no-such-program-anywhere")]), Err(ClosureError::NotInPath(_))));
}

#[test]
fn a_file_that_is_replaced_stays_the_one_that_was_found() {
    let scratch = tempfile::tempdir().unwrap();
    let program = scratch.path().canonicalize().unwrap().join("p");
    fs::write(&program, "#!/bin/sh\nold").unwrap();
    let tree = closure(&[&program]).unwrap();
    fs::write(program.with_extension("new"), "#!/bin/sh\nnew").unwrap();
    fs::rename(program.with_extension("new"), &program).unwrap();
    let below = program.strip_prefix("/").unwrap();
    let image = tree.open(below, tree.look(below).unwrap().identity).unwrap();
    let mut bytes = [0; 64];
    let read = image.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes[..read], b"#!/bin/sh\nold");
}
