//! Programs shown with their libraries (`swapfs mount --with-libs`): the listing is what `ldd` finds, and
//! they run from it.
//!
//! Assumes: root or fusermount3, and the packages of `integration::tools`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use integration::mount::{Mount, MountPlan};
use integration::paged::Paging;
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;
use integration::tools;

fn succeeded(outcome: &Outcome) -> String {
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

/// What the machine's own linker says that a program loads, by the names that it uses.
fn loaded(program: &Path) -> Vec<PathBuf> {
    let said = succeeded(&Run::new("ldd").arg(program).env("LD_LIBRARY_PATH", "").outcome());
    assert!(!said.contains("not found"), "{said}");
    let paths = said.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().expect("a file of the machine has a real name")
}

/// All regular files below `top`, by their names on the machine.
fn listed(top: &Path) -> BTreeSet<PathBuf> {
    let (mut files, mut folders) = (BTreeSet::new(), vec![top.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the mount can be read").flatten() {
            let kind = entry.file_type().expect("the mount says what its files are");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let below = entry.path().strip_prefix(top).expect("it lies below").to_owned();
                files.insert(Path::new("/").join(below));
            }
        }
    }
    files
}

fn mounted(program: &Path) -> Mount {
    MountPlan::new()
        .option("--with-libs", program)
        .strict()
        .mount()
        .unwrap_or_else(|reason| panic!("{reason}"))
}

/// The same of musl's linker, which is asked itself.
fn loaded_by_musl(linker: &Path, program: &Path) -> Vec<PathBuf> {
    let said = succeeded(&Run::new(linker).arg("--list").arg(program).outcome());
    let paths = said.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

/// The listing is exactly the closure, each name that the linker uses leads to the same bytes, and the
/// program runs paged from there as it does natively, with nothing read elsewhere that the closure has.
fn is_its_closure_and_runs(program: &Path, arguments: &[&str]) {
    is_closure_and_runs(program, arguments, &loaded(program));
}

fn is_closure_and_runs(program: &Path, arguments: &[&str], loaded: &[PathBuf]) {
    let mount = mounted(program);
    let mut wanted: BTreeSet<PathBuf> = loaded.iter().map(|path| real(path)).collect();
    wanted.insert(real(program));
    assert_eq!(listed(&mount.images()), wanted);
    for path in loaded.iter().map(PathBuf::as_path).chain([program]) {
        let shown = fs::read(mount.image(&path.to_string_lossy()));
        assert!(shown.is_ok_and(|bytes| bytes == fs::read(path).expect("a library can be read")), "{path:?}");
    }
    let native = Run::new(program).args(arguments).outcome();
    let shown = mount.image(&program.to_string_lossy());
    let paged = Paging::new().root(&mount.images()).run(shown, |run| run.args(arguments));
    assert_eq!(succeeded(&paged.outcome), succeeded(&native));
    let images = paged.report().list("images");
    let read: BTreeSet<PathBuf> = images.iter().map(|image| PathBuf::from(image.text("path"))).collect();
    for path in wanted {
        assert!(!read.contains(&path), "{path:?} was mapped from the machine and not from the mount");
    }
    drop(paged);
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
fn bash() {
    is_its_closure_and_runs(Path::new("/bin/bash"), &["-c", "echo $((6 * 7)) {a..e}"]);
}

#[test]
fn python() {
    tools::require(&[tools::PYTHON]);
    is_its_closure_and_runs(Path::new(tools::PYTHON.path), &["-c", "print(6 * 7)"]);
}

#[test]
fn git() {
    tools::require(&[tools::GIT]);
    is_its_closure_and_runs(Path::new(tools::GIT.path), &["--version"]);
}

#[test]
fn sqlite() {
    tools::require(&[tools::SQLITE]);
    is_its_closure_and_runs(Path::new(tools::SQLITE.path), &[":memory:", "select 6 * 7"]);
}

#[test]
fn the_compiler_proper() {
    tools::require(&[tools::GCC]);
    let said = succeeded(&Run::new(tools::GCC.path).arg("-print-prog-name=cc1").outcome());
    is_its_closure_and_runs(Path::new(said.trim()), &["--version"]);
}

/// Libraries found by `$ORIGIN` in an rpath and in a runpath; one of them by the rpath of who needed it.
#[test]
fn a_program_with_libraries_of_its_own() {
    tools::require(&[tools::GCC, tools::HEADERS]);
    let scratch = Scratch::new("own-libraries");
    let (lib, deep, bin) = (scratch.folder("lib"), scratch.folder("lib/deep"), scratch.folder("bin"));
    let below = scratch.file("below.c", "int below(void) { return 40; }");
    let above = scratch.file("above.c", "int below(void); int above(void) { return below() + 2; }");
    let main = scratch.file(
        "main.c",
        "#include <stdio.h>\nint above(void); int main(void) { printf(\"%d\\n\", above()); }",
    );
    let build = |arguments: &[&Path], more: &[&str]| {
        drop(succeeded(&Run::new(tools::GCC.path).args(arguments).args(more).outcome()));
    };
    let folder = |path: &Path| format!("-L{}", path.display());
    let output = Path::new("-o");
    build(&[&below, output, &deep.join("libbelow.so.1")], &["-shared", "-fPIC", "-Wl,-soname,libbelow.so.1"]);
    for (tags, name) in [("-Wl,--disable-new-dtags", "by-rpath"), ("-Wl,--enable-new-dtags", "by-runpath")] {
        let own = if name == "by-rpath" { "-Wl,-z,now" } else { "-Wl,-rpath,$ORIGIN/deep" };
        let library = format!("libabove-{name}.so");
        let needs = ["-shared", "-fPIC", tags, own, "-l:libbelow.so.1", &folder(&deep)];
        build(&[&above, output, &lib.join(&library)], &needs);
        let needs = [
            tags,
            "-Wl,-rpath,$ORIGIN/../lib:$ORIGIN/../lib/deep",
            &format!("-l:{library}"),
            &folder(&lib),
            &format!("-Wl,-rpath-link,{}", deep.display()),
        ];
        build(&[&main, output, &bin.join(name)], &needs);
        is_its_closure_and_runs(&real(&bin.join(name)), &[]);
    }
}

/// Runs where musl is installed (Debian's `musl-tools`): its own linker says what it loads. Its rules are
/// tested without it, in `swapfs`.
#[test]
fn a_program_of_musls() {
    const MUSL_GCC: &str = "/usr/bin/musl-gcc";
    let linker = Path::new("/lib/ld-musl-x86_64.so.1");
    if !Path::new(MUSL_GCC).exists() {
        eprintln!("skipped: there is no musl-gcc here");
        return;
    }
    let scratch = Scratch::new("musl");
    let (lib, bin) = (scratch.folder("lib"), scratch.folder("bin"));
    let six = scratch.file("six.c", "int six(void) { return 6; }");
    let twice = scratch.file("twice.c", "int six(void); int seven(void) { return six() + 1; }");
    let main = scratch.file(
        "main.c",
        "#include <stdio.h>\nint six(void), seven(void); int main(void) { printf(\"%d\\n\", six() * seven()); }",
    );
    let build = |source: &Path, output: &Path, more: &[&str]| {
        drop(succeeded(&Run::new(MUSL_GCC).arg(source).arg("-o").arg(output).args(more).outcome()));
    };
    let search = format!("-L{}", lib.display());
    build(&six, &lib.join("libsix.so"), &["-shared", "-fPIC"]);
    build(&twice, &lib.join("libseven.so"), &["-shared", "-fPIC", &search, "-lsix"]);
    let own = ["-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN/../lib", "-Wl,--no-as-needed"];
    build(&main, &bin.join("p"), &[&own[..], &[&search, "-lseven", "-lsix", "-lm"]].concat());
    let program = real(&bin.join("p"));
    is_closure_and_runs(&program, &[], &loaded_by_musl(linker, &program));
}
