//! Closures of the machine's own programs, and of some that are made for it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
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
                    let target = tree.read_link(&path, tree.look(&path).unwrap().identity).unwrap();
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
    fs::write(path("by-split"), "#!/usr/bin/env -S LC_ALL=C bash -e\n").unwrap();
    let split = files(&closure(&[&path("by-split")]).unwrap());
    assert!(
        split.is_superset(&[path("by-split"), real("/usr/bin/env"), real("/bin/bash")].into()),
        "{split:?}"
    );
}

#[test]
fn links_on_the_way_are_kept_and_never_lead_out() {
    let scratch = tempfile::tempdir().unwrap();
    let top = scratch.path().canonicalize().unwrap();
    symlink(top.join("b"), top.join("a")).unwrap();
    symlink("../../../../../../../../../../bin/sh", top.join("b")).unwrap();
    let tree = closure(&[&top.join("a")]).unwrap();
    let below = |name: &str| top.join(name).strip_prefix("/").unwrap().to_owned();
    let seen = tree.look(&below("a")).unwrap();
    assert_eq!(seen.kind, FileKind::Symlink);
    assert_eq!(tree.read_link(&below("a"), seen.identity).unwrap(), Path::new("b"));
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

/// A binary of the least that a linker reads.
#[derive(Default)]
struct Made<'a> {
    interpreter: Option<&'a Path>,
    needed: &'a [&'a str],
    runpath: Option<&'a str>,
    soname: Option<&'a str>,
}

impl Made<'_> {
    /// All of it is one segment at address 0.
    fn bytes(&self) -> Vec<u8> {
        const HEADERS: u64 = 64 + 3 * 56;
        let interpreter =
            [self.interpreter.map_or(&b""[..], |path| path.as_os_str().as_bytes()), b"\0"].concat();
        let texts = self.needed.iter().map(|name| (1u64, *name));
        let texts =
            texts.chain(self.runpath.map(|text| (29, text))).chain(self.soname.map(|text| (14, text)));
        let (mut dynamic, mut strings) = (Vec::new(), vec![0u8]);
        for (tag, text) in texts {
            dynamic.extend([tag, strings.len() as u64]);
            strings.extend([text.as_bytes(), b"\0"].concat());
        }
        // The table of strings, its size, and the end.
        let place = HEADERS + interpreter.len() as u64 + 8 * (dynamic.len() as u64 + 6);
        dynamic.extend([5, place, 10, strings.len() as u64, 0, 0]);
        let dynamic: Vec<u8> = dynamic.into_iter().flat_map(u64::to_le_bytes).collect();
        let (at, len) = (HEADERS + interpreter.len() as u64, dynamic.len() as u64);
        let segment = |kind: u32, at: u64, len: u64| {
            [
                &kind.to_le_bytes()[..],
                &4u32.to_le_bytes(),
                &[at, at, at, len, len, 1].map(u64::to_le_bytes).concat(),
            ]
            .concat()
        };
        let whole = segment(1, 0, place + strings.len() as u64);
        let second = if self.interpreter.is_some() { 3 } else { 4 };
        let second = segment(second, HEADERS, interpreter.len() as u64);
        // A shared object for x86-64 whose three segments follow its head.
        let head = [b"\x7fELF\x02\x01\x01", &[0; 9][..], &[3, 0, 62, 0, 1, 0, 0, 0]].concat();
        let head = [head, [0u64, 64, 0].map(u64::to_le_bytes).concat(), vec![0, 0, 0, 0]].concat();
        let head = [head, [64u16, 56, 3, 64, 0, 0].map(u16::to_le_bytes).concat()].concat();
        [head, whole, second, segment(2, at, len), interpreter, dynamic, strings].concat()
    }
}

/// Writes a file and the directories on the way to it.
fn write(path: PathBuf, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_program_for_musl_brings_what_musls_linker_would_load() {
    let scratch = tempfile::tempdir().unwrap();
    let top = scratch.path().canonicalize().unwrap();
    let path = |name: &str| top.join(name);
    let interpreter = path("lib/ld-musl-x86_64.so.1");
    write(path("lib/libc.so"), Made::default().bytes());
    symlink("libc.so", &interpreter).unwrap();
    write(path("etc/ld-musl-x86_64.path"), format!("{}\n{}", path("one").display(), path("two").display()));
    let needed = &["libc.so", "liba.so", "libm.so.6"];
    let program =
        Made { interpreter: Some(&interpreter), needed, runpath: Some("$ORIGIN/../own"), soname: None };
    write(path("bin/p"), program.bytes());
    // For glibc's linker that would be libb.so already.
    write(
        path("own/liba.so"),
        Made { needed: &["libb.so"], soname: Some("libb.so"), ..Made::default() }.bytes(),
    );
    write(path("two/libb.so"), Made { needed: &["libd.so"], ..Made::default() }.bytes());
    let missing = closure(&[&path("bin/p")]);
    assert!(
        matches!(&missing, Err(ClosureError::Missing { by, .. }) if *by == path("two/libb.so")),
        "{missing:?}"
    );
    // The program's runpath is heard for what its libraries need.
    write(path("own/libd.so"), Made::default().bytes());
    let names =
        ["bin/p", "lib/libc.so", "own/liba.so", "two/libb.so", "own/libd.so", "etc/ld-musl-x86_64.path"];
    let tree = closure(&[&path("bin/p")]).unwrap();
    assert_eq!(files(&tree), names.map(path).into());
    assert_eq!(tree.look(interpreter.strip_prefix("/").unwrap()).unwrap().kind, FileKind::Symlink);
    // The first that is there counts, though it is no library.
    write(path("one/libb.so"), "text");
    let refused = closure(&[&path("bin/p")]);
    assert!(
        matches!(&refused, Err(ClosureError::NoLibrary { path: taken, .. }) if *taken == path("one/libb.so"))
    );
}

#[test]
fn a_program_of_an_unknown_linker_is_refused_if_it_needs_libraries() {
    let scratch = tempfile::tempdir().unwrap();
    let top = scratch.path().canonicalize().unwrap();
    let (interpreter, program) = (top.join("linker64"), top.join("p"));
    write(interpreter.clone(), Made::default().bytes());
    let made = |needed| {
        Made { interpreter: Some(&interpreter), needed, runpath: Some("$ORIGIN"), soname: None }.bytes()
    };
    write(program.clone(), made(&["libc.so"]));
    let refused = closure(&[&program]);
    assert!(matches!(refused, Err(ClosureError::UnknownLinker { .. })), "{refused:?}");
    write(top.join("alone"), made(&[]));
    let alone = closure(&[&top.join("alone")]).unwrap();
    assert_eq!(files(&alone), [top.join("alone"), interpreter.clone()].into());
    // It is glibc's by its own name.
    write(interpreter.clone(), Made { soname: Some("ld-linux-x86-64.so.2"), ..Made::default() }.bytes());
    write(top.join("libc.so"), Made { needed: &["ld-linux-x86-64.so.2"], ..Made::default() }.bytes());
    assert_eq!(files(&closure(&[&program]).unwrap()), [program, interpreter, top.join("libc.so")].into());
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
