//! Where libraries are looked for, whatever the linker.

use std::path::{Path, PathBuf};

use super::binary::Binary;

/// A program or library that was found.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) binary: Binary,
    pub(super) path: PathBuf,
    /// Who needed it, by its place in the list of all; the program itself was needed by nobody.
    pub(super) loader: Option<usize>,
}

impl Loaded {
    /// What `$ORIGIN` in its paths stands for.
    pub(super) fn origin(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }
}

/// Where a library may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) way: Way,
}

/// How a linker came to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// By the binary's own words, or built in.
    Direct,
    /// By this file, so a root without it would not find what is there.
    Listed(PathBuf),
}

/// One who needs a library, and who needed that one, and so on up to the program.
pub(super) fn chain(loaded: &[Loaded], by: usize) -> impl Iterator<Item = &Loaded> {
    std::iter::successors(Some(by), |at| loaded[*at].loader).map(|at| &loaded[at])
}

/// Replaces `$NAME` and `${NAME}`.
pub(super) fn replace(text: &[u8], name: &str, value: &[u8]) -> Vec<u8> {
    let forms = [format!("${{{name}}}").into_bytes(), format!("${name}").into_bytes()];
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        match forms.iter().find(|form| rest.starts_with(form)) {
            Some(form) => {
                replaced.extend_from_slice(value);
                rest = &rest[form.len()..];
            }
            None => {
                replaced.push(*first);
                rest = &rest[1..];
            }
        }
    }
    replaced
}
