//! `--root`: where interpreter, libraries and programs are looked for before the system's own places.

use alloc::vec::Vec;

use crate::control;
use crate::sys::file;

/// Whether there is one.
pub fn is_set() -> bool {
    control::settings().root.iter().next().is_some()
}

/// `path` under the root, zero-terminated, if something is there.
pub fn under(path: &[u8]) -> Option<Vec<u8>> {
    let root: Vec<u8> = control::settings().root.iter().collect();
    if root.is_empty() || path.first() != Some(&b'/') || path.starts_with(&root) {
        return None;
    }
    let mut full = root;
    full.extend_from_slice(path);
    full.push(0);
    file::stat_path(&full).is_ok().then_some(full)
}

/// The same for a path that names a shared library.
pub fn library(path: &[u8]) -> Option<Vec<u8>> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let is_library = name.windows(3).any(|part| part == b".so") && !name.ends_with(b".cache");
    if is_library { under(path) } else { None }
}
