//! Where musl's dynamic linker looks for a library, in its order: `load_library` in musl's `ldso/dynlink.c`
//! (1.1.0 to 1.2.5).
//!
//! Unlike glibc's, it is the C library itself; runpaths are heard by all that they lead to, as rpaths are;
//! sonames count for nothing; there is no cache; and the first file of the name is taken, whatever it is.
//! `LD_LIBRARY_PATH` is left out, as with glibc.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::search::{Candidate, Loaded, Way, chain, replace};

/// Where it looks where no file says otherwise.
const BUILT_IN: &str = "/lib:/usr/local/lib:/usr/lib";
/// The linker is every library called `lib`, one of these, a dot and whatever else.
const OWN: [&str; 7] = ["c", "pthread", "rt", "m", "dl", "util", "xnet"];

/// What one such linker knows of this machine.
#[derive(Debug)]
pub(super) struct Musl {
    folders: Vec<PathBuf>,
    /// How it knows them.
    way: Way,
}

impl Musl {
    /// The one that programs name as `interpreter`. Its file of folders lies in the `etc` beside the
    /// interpreter's folder.
    pub(super) fn of(interpreter: &Path) -> Self {
        let prefix =
            Some(interpreter).filter(|path| path.is_absolute()).and_then(|path| path.parent()?.parent());
        let name = Path::new(interpreter.file_name().unwrap_or_default()).with_extension("");
        let list = prefix.unwrap_or(Path::new("/")).join("etc").join(name).with_extension("path");
        match std::fs::read(&list) {
            Ok(text) => Musl { folders: folders(&text), way: Way::Listed(list) },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Musl { folders: folders(BUILT_IN.as_bytes()), way: Way::Direct }
            }
            Err(_) => Musl { folders: vec![], way: Way::Direct },
        }
    }

    /// Whether the linker itself is the library.
    pub(super) fn is_own(wanted: &OsStr) -> bool {
        let rest = wanted.as_bytes().strip_prefix(b"lib").unwrap_or_default();
        OWN.iter().any(|own| rest.strip_prefix(own.as_bytes()).is_some_and(|rest| rest.starts_with(b".")))
    }

    /// As [`super::rules::Rules::candidates`].
    pub(super) fn candidates(&self, loaded: &[Loaded], by: usize, wanted: &OsStr) -> Vec<Candidate> {
        if wanted.as_bytes().contains(&b'/') {
            return vec![Candidate { path: wanted.into(), way: Way::Direct }];
        }
        let told = chain(loaded, by).flat_map(|one| {
            let path = one.binary.runpath.as_ref().unwrap_or(&one.binary.rpath);
            expand(path, one.origin()).unwrap_or_default()
        });
        let told = told.map(|folder| Candidate { path: folder.join(wanted), way: Way::Direct });
        let known =
            self.folders.iter().map(|folder| Candidate { path: folder.join(wanted), way: self.way.clone() });
        told.chain(known).collect()
    }
}

fn folders(text: &[u8]) -> Vec<PathBuf> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let parts = text.split(|byte| b":\n".contains(byte)).filter(|part| !part.is_empty());
    parts.map(|part| OsStr::from_bytes(part).into()).collect()
}

/// A search path with `$ORIGIN` filled in; nothing of it is heard where another token stands anywhere in it.
fn expand(path: &[OsString], origin: &Path) -> Option<Vec<PathBuf>> {
    let filled = path.iter().map(|folder| {
        // A mark that no path holds shows what is left.
        let marked = replace(folder.as_bytes(), "ORIGIN", b"\0");
        (!marked.contains(&b'$')).then(|| {
            let parts: Vec<&[u8]> = marked.split(|byte| *byte == 0).collect();
            OsString::from_vec(parts.join(origin.as_os_str().as_bytes())).into()
        })
    });
    filled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::closure::binary::Binary;
    use crate::images::closure::binary::tests::binary;

    fn loaded(binary: Binary, path: &str, loader: Option<usize>) -> Loaded {
        Loaded { binary, path: path.into(), loader }
    }

    fn paths(musl: &Musl, all: &[Loaded], by: usize, wanted: &str) -> Vec<PathBuf> {
        musl.candidates(all, by, OsStr::new(wanted)).into_iter().map(|candidate| candidate.path).collect()
    }

    #[test]
    fn runpaths_are_heard_by_all_below_and_before_rpaths() {
        let musl = Musl { folders: folders(b"/one:/two\n\n/three\n\0/four"), way: Way::Direct };
        let program =
            Binary { runpath: Some(vec!["$ORIGIN/../r".into()]), rpath: vec!["/unheard".into()], ..binary() };
        let library = Binary { rpath: vec!["/own".into(), "${ORIGIN}".into()], ..binary() };
        let all = [loaded(program, "/opt/bin/p", None), loaded(library, "/opt/lib/l", Some(0))];
        let expected =
            ["/own/l.so", "/opt/lib/l.so", "/opt/bin/../r/l.so", "/one/l.so", "/two/l.so", "/three/l.so"];
        assert_eq!(paths(&musl, &all, 1, "l.so"), expected.map(PathBuf::from));
        assert_eq!(
            paths(&musl, &all, 0, "l.so"),
            expected[2..].iter().map(PathBuf::from).collect::<Vec<_>>()
        );
        assert_eq!(
            paths(&musl, &all, 1, "$ORIGIN/l.so"),
            [Path::new("$ORIGIN/l.so")],
            "a name is no search path"
        );
    }

    #[test]
    fn a_path_with_another_token_is_not_heard() {
        let musl = Musl { folders: vec![], way: Way::Direct };
        let program = Binary { rpath: vec!["/a".into(), "/b/$LIB".into(), "$ORIGIN".into()], ..binary() };
        assert!(paths(&musl, &[loaded(program, "/o/p", None)], 0, "l.so").is_empty());
        let program = Binary { rpath: vec!["/a/$ORIGINAL".into()], ..binary() };
        assert_eq!(
            paths(&musl, &[loaded(program, "/o$x/p", None)], 0, "l.so"),
            [Path::new("/a//o$xAL/l.so")]
        );
    }

    #[test]
    fn the_linker_is_the_c_library_by_all_its_names() {
        for own in
            ["libc.so", "libc.so.6", "libc.musl-x86_64.so.1", "libpthread.so.0", "libm.so", "libdl.so.2"]
        {
            assert!(Musl::is_own(OsStr::new(own)), "{own}");
        }
        for other in ["libcrypt.so", "libz.so.1", "libmd.so", "c.so", "lib", "", "libc"] {
            assert!(!Musl::is_own(OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn folders_come_from_the_file_beside_the_linker_or_are_built_in() {
        let top = tempfile::tempdir().unwrap();
        let interpreter = top.path().join("lib/ld-musl-x86_64.so.1");
        assert_eq!(Musl::of(&interpreter).folders, ["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from));
        assert_eq!(Musl::of(&interpreter).way, Way::Direct);
        let list = top.path().join("etc/ld-musl-x86_64.path");
        std::fs::create_dir_all(list.parent().unwrap()).unwrap();
        std::fs::write(&list, "/x/lib\n/y").unwrap();
        let musl = Musl::of(&interpreter);
        assert_eq!(musl.folders, ["/x/lib", "/y"].map(PathBuf::from));
        assert_eq!(musl.way, Way::Listed(list.clone()));
        std::fs::remove_file(&list).unwrap();
        std::fs::create_dir(&list).unwrap();
        assert!(Musl::of(&interpreter).folders.is_empty(), "one that cannot be read is not taken for none");
    }
}
