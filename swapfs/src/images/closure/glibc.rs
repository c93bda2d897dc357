//! Where glibc's dynamic linker looks for a library, in its order: ld.so(8).
//!
//! `LD_LIBRARY_PATH` and `LD_PRELOAD` are of whoever runs a program and not of the program: they are left
//! out. So is `/etc/ld.so.conf`, which the linker never reads itself: `ldconfig` makes the cache from it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::cache::{self, LinkerCache};
use super::search::{Candidate, Loaded, Way, chain, replace};

/// Built into the linker: on Debian those of the architecture, elsewhere `lib64`.
const BUILT_IN: [&str; 8] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/i386-linux-gnu",
    "/usr/lib/i386-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];
/// What `$LIB` may stand for.
const LIB: [&str; 3] = ["lib/x86_64-linux-gnu", "lib64", "lib"];
const PLATFORM: &str = "x86_64";

/// What the linker knows of this machine.
#[derive(Debug)]
pub(super) struct Glibc {
    pub(super) cache: LinkerCache,
    /// Below `glibc-hwcaps`, the best first: libraries for processors that can do more.
    pub(super) levels: Vec<&'static str>,
}

impl Glibc {
    /// Those of the machine that this runs on.
    pub(super) fn of_host() -> Self {
        Glibc { cache: LinkerCache::of_host(), levels: levels() }
    }

    /// As [`super::rules::Rules::candidates`].
    pub(super) fn candidates(&self, loaded: &[Loaded], by: usize, wanted: &OsStr) -> Vec<Candidate> {
        let needing = &loaded[by];
        let direct = |path| Candidate { path, way: Way::Direct };
        if wanted.as_bytes().contains(&b'/') {
            return expand(wanted, needing.origin()).into_iter().map(direct).collect();
        }
        let mut folders = Vec::new();
        match &needing.binary.runpath {
            Some(runpath) => {
                folders.extend(runpath.iter().flat_map(|folder| expand(folder, needing.origin())))
            }
            None => folders.extend(inherited(loaded, by)),
        }
        let within = |folder: PathBuf| self.with_levels(&folder, wanted).into_iter().map(direct);
        let mut found: Vec<_> = folders.into_iter().flat_map(within).collect();
        found.extend(self.cache.find(wanted, &self.levels).map(cached));
        found.extend(BUILT_IN.iter().map(PathBuf::from).flat_map(within));
        found
    }

    fn with_levels(&self, folder: &Path, name: &OsStr) -> Vec<PathBuf> {
        let levels = self.levels.iter().map(|level| folder.join("glibc-hwcaps").join(level).join(name));
        levels.chain([folder.join(name)]).collect()
    }
}

/// What is found by the cache; the linker would find it without where it looks anyway.
fn cached(path: PathBuf) -> Candidate {
    let way = if is_built_in(&path) { Way::Direct } else { Way::Listed(cache::PATH.into()) };
    Candidate { path, way }
}

/// Whether the linker looks into the folder of `path` without being told to.
fn is_built_in(path: &Path) -> bool {
    path.parent().is_some_and(|folder| BUILT_IN.iter().any(|built_in| folder == Path::new(built_in)))
}

/// The rpaths of a binary and of all that led to it, of those without a runpath.
fn inherited(loaded: &[Loaded], by: usize) -> Vec<PathBuf> {
    let heard = chain(loaded, by).filter(|one| one.binary.runpath.is_none());
    heard.flat_map(|one| one.binary.rpath.iter().flat_map(|folder| expand(folder, one.origin()))).collect()
}

/// A path with `$ORIGIN`, `$LIB` and `$PLATFORM` filled in.
fn expand(path: &OsStr, origin: &Path) -> Vec<PathBuf> {
    let with_origin = replace(
        &replace(path.as_bytes(), "ORIGIN", origin.as_os_str().as_bytes()),
        "PLATFORM",
        PLATFORM.as_bytes(),
    );
    let mut paths: Vec<PathBuf> = LIB
        .iter()
        .map(|lib| OsString::from_vec(replace(&with_origin, "LIB", lib.as_bytes())).into())
        .collect();
    paths.dedup();
    paths
}

/// As the x86-64 psABI defines them, of what can be asked of the processor.
fn levels() -> Vec<&'static str> {
    use std::arch::is_x86_feature_detected as has;
    let second = has!("popcnt") && has!("sse3") && has!("sse4.1") && has!("sse4.2") && has!("ssse3");
    let third = second
        && has!("avx2")
        && has!("bmi1")
        && has!("bmi2")
        && has!("f16c")
        && has!("fma")
        && has!("lzcnt");
    let third = third && has!("movbe");
    let fourth = third && has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq");
    let fourth = fourth && has!("avx512vl");
    let all = [(fourth, "x86-64-v4"), (third, "x86-64-v3"), (second, "x86-64-v2")];
    all.into_iter().filter(|(can, _)| *can).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::closure::binary::Binary;
    use crate::images::closure::binary::tests::binary;

    fn loaded(binary: Binary, path: &str, loader: Option<usize>) -> Loaded {
        Loaded { binary, path: path.into(), loader }
    }

    fn first(glibc: &Glibc, all: &[Loaded], by: usize, count: usize) -> Vec<PathBuf> {
        glibc
            .candidates(all, by, OsStr::new("l.so"))
            .into_iter()
            .take(count)
            .map(|found| found.path)
            .collect()
    }

    #[test]
    fn a_runpath_is_for_its_own_binary_and_an_rpath_for_all_that_it_leads_to() {
        let glibc = Glibc { cache: LinkerCache::default(), levels: vec!["x86-64-v3"] };
        let program = Binary { rpath: vec!["$ORIGIN/../r".into()], ..binary() };
        let library =
            Binary { runpath: Some(vec!["/run".into()]), rpath: vec!["/unheard".into()], ..binary() };
        let all = [
            loaded(program, "/opt/bin/p", None),
            loaded(library, "/opt/lib/l", Some(0)),
            loaded(binary(), "/x/l", Some(0)),
        ];
        let of_rpath = ["/opt/bin/../r/glibc-hwcaps/x86-64-v3/l.so", "/opt/bin/../r/l.so"].map(PathBuf::from);
        assert_eq!(first(&glibc, &all, 0, 2), of_rpath);
        assert_eq!(first(&glibc, &all, 2, 2), of_rpath, "inherited");
        assert_eq!(first(&glibc, &all, 1, 2)[1], Path::new("/run/l.so"));
        assert!(first(&glibc, &all, 1, 3)[2].starts_with("/lib"), "an rpath beside a runpath is not heard");
    }

    #[test]
    fn tokens_are_filled_in() {
        let expanded = |text: &str| expand(OsStr::new(text), Path::new("/o"));
        assert_eq!(expanded("${ORIGIN}/a$ORIGIN"), [Path::new("/o/a/o")]);
        assert_eq!(
            expanded("/x/$LIB"),
            [Path::new("/x/lib/x86_64-linux-gnu"), Path::new("/x/lib64"), Path::new("/x/lib")]
        );
        assert_eq!(expanded("/x/$PLATFORM/$"), [Path::new("/x/x86_64/$")]);
    }

    #[test]
    fn a_name_with_a_slash_is_a_path() {
        let glibc = Glibc { cache: LinkerCache::default(), levels: vec![] };
        let all = [loaded(binary(), "/o/p", None)];
        assert_eq!(
            glibc.candidates(&all, 0, OsStr::new("$ORIGIN/l.so")),
            [Candidate { path: "/o/l.so".into(), way: Way::Direct }]
        );
    }
}
