//! What a directory of a source holds.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Dir, FileType, OFlags};

use super::tree::Listed;
use super::walk::{look, open_below};
use crate::filesystem::{FileKind, FsError};

/// Everything that is shown of the directory `path` below `directory`, without `.` and `..`.
///
/// # Errors
/// As opening and reading a directory.
pub fn list(directory: BorrowedFd<'_>, path: &Path) -> Result<Vec<Listed>, FsError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let opened = open_below(directory, path, flags).map_err(FsError::from_walk)?;
    let mut listed = Vec::new();
    for entry in Dir::new(opened)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if let Some(kind) = shown_kind(directory, path, name, entry.file_type()) {
            listed.push(Listed { name: name.to_owned(), kind });
        }
    }
    Ok(listed)
}

fn shown_kind(directory: BorrowedFd<'_>, path: &Path, name: &OsStr, kind: FileType) -> Option<FileKind> {
    match kind {
        FileType::RegularFile => Some(FileKind::Regular),
        FileType::Directory => Some(FileKind::Directory),
        FileType::Symlink => Some(FileKind::Symlink),
        FileType::Unknown => match look(directory, &path.join(name)) {
            Ok(seen) => Some(seen.kind),
            Err(FsError::NotFound) => None,
            // It is there: who asks for it gets the error. Of what kind it is cannot be known.
            Err(_) => Some(FileKind::Regular),
        },
        _ => None,
    }
}
