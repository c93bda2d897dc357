//! By whose rules a program's libraries are found: those of the dynamic linker that it names.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::binary::Binary;
use super::glibc::Glibc;
use super::musl::Musl;
use super::search::{Candidate, Loaded};

/// A dynamic linker whose rules are known.
#[derive(Debug)]
pub(super) enum Rules<'a> {
    Glibc(&'a Glibc),
    Musl(Musl),
}

/// Which linker an interpreter is, by one of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Glibc,
    Musl,
}

impl Family {
    /// None where no linker that we know is called so.
    fn of(name: &OsStr) -> Option<Family> {
        let is = |start: &&str| name.as_bytes().starts_with(start.as_bytes());
        if ["ld-linux", "ld64.so.", "ld.so."].iter().any(is) {
            return Some(Family::Glibc);
        }
        is(&"ld-musl-").then_some(Family::Musl)
    }
}

impl<'a> Rules<'a> {
    /// Those of the linker that programs name as `interpreter`; by its own name where that says nothing.
    pub(super) fn of(interpreter: &Path, linker: Option<&Binary>, glibc: &'a Glibc) -> Option<Self> {
        let own = || Family::of(linker?.soname.as_deref()?);
        let rules = match interpreter.file_name().and_then(Family::of).or_else(own)? {
            Family::Glibc => Rules::Glibc(glibc),
            Family::Musl => Rules::Musl(Musl::of(interpreter)),
        };
        Some(rules)
    }

    /// Where a library `wanted` by `loaded[by]` may be, in the order in which the linker tries.
    pub(super) fn candidates(&self, loaded: &[Loaded], by: usize, wanted: &OsStr) -> Vec<Candidate> {
        match self {
            Rules::Glibc(glibc) => glibc.candidates(loaded, by, wanted),
            Rules::Musl(musl) => musl.candidates(loaded, by, wanted),
        }
    }

    /// Whether the linker itself is the library.
    pub(super) fn is_own(&self, linker: Option<&Binary>, wanted: &OsStr) -> bool {
        match self {
            Rules::Glibc(_) => linker.and_then(|linker| linker.soname.as_deref()) == Some(wanted),
            Rules::Musl(_) => Musl::is_own(wanted),
        }
    }

    /// The name besides the one asked for by which a loaded library is known from then on.
    pub(super) fn known_as(&self, library: &Binary) -> Option<OsString> {
        match self {
            Rules::Glibc(_) => library.soname.clone(),
            Rules::Musl(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linkers_are_known_by_their_names() {
        for name in ["ld-linux-x86-64.so.2", "ld-linux.so.2", "ld64.so.2", "ld.so.1"] {
            assert_eq!(Family::of(OsStr::new(name)), Some(Family::Glibc), "{name}");
        }
        assert_eq!(Family::of(OsStr::new("ld-musl-x86_64.so.1")), Some(Family::Musl));
        for name in ["linker64", "ld-uClibc.so.0", "libc.so", "", "ld"] {
            assert_eq!(Family::of(OsStr::new(name)), None, "{name}");
        }
    }
}
