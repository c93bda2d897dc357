//! The runtime: the executable that is started in the program's place and loads it.
//!
//! It is part of the `pager` command, and is given to the kernel as a sealed memory file.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use thiserror::Error;

/// Environment variable that names a file to use instead, for tests.
pub const OVERRIDE: &str = "PAGER_RUNTIME";

static EMBEDDED: &[u8] = include_bytes!(env!("PAGER_RUNTIME_IMAGE"));

/// The runtime cannot be had.
#[derive(Debug, Error)]
pub enum RuntimeImageError {
    /// The file named by [`OVERRIDE`] cannot be opened.
    #[error(
        "{path}: the runtime named by {OVERRIDE} cannot be opened; unset the variable to use the one inside this command"
    )]
    Override {
        /// The variable's value.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No memory file.
    #[error(
        "the runtime cannot be put into a memory file; check vm.memfd_noexec, the memory that is left, and that no sandbox forbids memfd_create"
    )]
    MemoryFile(#[from] io::Error),
}

/// The runtime, ready for exec.
///
/// # Errors
///
/// See [`RuntimeImageError`].
pub fn open() -> Result<File, RuntimeImageError> {
    match env::var_os(OVERRIDE).filter(|path| !path.is_empty()) {
        Some(path) => {
            File::open(&path).map_err(|source| RuntimeImageError::Override { path: path.into(), source })
        }
        None => Ok(embedded()?),
    }
}

/// The same contents in another file.
///
/// # Errors
///
/// See [`RuntimeImageError`].
pub fn copy() -> Result<File, RuntimeImageError> {
    match env::var_os(OVERRIDE).filter(|path| !path.is_empty()) {
        Some(_) => {
            let mut file = memory_file()?;
            io::copy(&mut open()?, &mut file)?;
            seal(&file)?;
            Ok(file)
        }
        None => Ok(embedded()?),
    }
}

fn embedded() -> io::Result<File> {
    let mut file = memory_file()?;
    file.write_all(EMBEDDED)?;
    seal(&file)?;
    Ok(file)
}

/// No process of the run can change the code of another.
///
/// Not by F_SEAL_WRITE: that waits for up to 150 ms, and then fails, while anything in the kernel holds on to
/// a page (batches of another processor that are not put onto their list yet, compaction). What it refuses
/// beyond F_SEAL_FUTURE_WRITE are shared mappings made before, and there are none.
fn seal(file: &File) -> io::Result<()> {
    Ok(fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::all() - SealFlag::F_SEAL_WRITE)).map(drop)?)
}

/// Executable; kernels before 6.3 have no word for it and always are.
fn memory_file() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let executable = flags | MFdFlags::from_bits_retain(libc::MFD_EXEC);
    match memfd_create("pager-runtime", executable) {
        Err(Errno::EINVAL) => Ok(memfd_create("pager-runtime", flags)?.into()),
        made => Ok(made?.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::FileExt;

    use nix::fcntl::{SpliceFFlags, splice};
    use nix::unistd::pipe;

    use super::*;

    #[test]
    fn it_is_sealed_though_the_kernel_holds_on_to_a_page() {
        let mut file = memory_file().expect("a memory file");
        file.write_all(&[7; 4096]).expect("room");
        let (_reader, writer) = pipe().expect("a pipe");
        let spliced = splice(&file, Some(&mut 0), &writer, None, 4096, SpliceFFlags::empty());
        assert_eq!(spliced, Ok(4096), "the pipe holds the page itself");
        seal(&file).expect("it is not waited for");
        assert_eq!(file.write_at(&[8], 0).map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
        assert_eq!(file.set_len(0).map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
        assert_eq!(fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)), Err(Errno::EPERM));
    }
}
