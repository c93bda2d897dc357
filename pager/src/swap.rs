//! Swap files: where dirty pages go when the cap is reached.

use std::fs::{File, FileType, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use thiserror::Error;

use crate::descriptors::HighFd;
use crate::size::{ByteSize, PAGE_BYTES};

/// Smallest swap file that is taken.
pub const LEAST_PAGES: u64 = 16;
/// Size of the temporary swap file unless asked otherwise. Sparse, so that it costs what is used of it.
pub const TEMPORARY_BYTES: ByteSize = ByteSize(16 << 30);

/// How long a file may be locked by a run that is gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether the user named the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SwapKind {
    /// By `--swap`.
    Named,
    /// Ours, without a name, gone with the last process.
    Temporary,
}

/// An open, locked swap file, at a number that the processes inherit.
#[derive(Debug)]
pub struct SwapFile {
    /// Path as given, or directory of a temporary one.
    pub path: PathBuf,
    /// Who made it.
    pub kind: SwapKind,
    /// Capacity in pages.
    pub pages: u64,
    /// The descriptor.
    pub fd: HighFd,
    identity: (u64, u64),
}

/// Why a swap file cannot be used.
#[derive(Debug, Error)]
pub enum SwapError {
    /// Nothing there.
    #[error(
        "swap file {path}: there is no such file; make one with `truncate -s 1G {path}`, or leave --swap away"
    )]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// A directory, a pipe, a terminal.
    #[error("swap file {path}: this is {what}; a regular file or a block device is needed")]
    WrongKind {
        /// As given.
        path: PathBuf,
        /// In words.
        what: &'static str,
    },
    /// Under [`LEAST_PAGES`].
    #[error(
        "swap file {path}: {size} is too small, at least {} is needed; enlarge it with `truncate -s 1G {path}`",
        ByteSize::of_pages(LEAST_PAGES)
    )]
    TooSmall {
        /// As given.
        path: PathBuf,
        /// What it has.
        size: ByteSize,
    },
    /// Locked.
    #[error("swap file {path}: another run is using it; name another file or wait for that run to end")]
    Busy {
        /// As given.
        path: PathBuf,
    },
    /// The same file under two names or twice by one.
    #[error("swap file {path}: named twice; each file can be used once")]
    Twice {
        /// The second name.
        path: PathBuf,
    },
    /// The temporary file may not become this large.
    #[error(
        "temporary swap file: {asked} is over the limit on file sizes ({limit}, `ulimit -f`); ask for less with --swap-size"
    )]
    OverLimit {
        /// What was asked for.
        asked: ByteSize,
        /// What is allowed.
        limit: ByteSize,
    },
    /// The temporary file cannot be made.
    #[error(
        "temporary swap file in {directory}: cannot be made; set TMPDIR to a writable directory, or name a file with --swap"
    )]
    Temporary {
        /// Where it was tried.
        directory: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else.
    #[error("swap file {path}: cannot be {action}")]
    Io {
        /// As given.
        path: PathBuf,
        /// Past participle.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl SwapError {
    /// Whether the command line is at fault, rather than the machine at this moment.
    pub fn is_usage(&self) -> bool {
        !matches!(self, SwapError::Busy { .. } | SwapError::Temporary { .. } | SwapError::Io { .. })
    }
}

impl SwapFile {
    /// Opens and locks the file at `path`. Its contents are ours from now on.
    ///
    /// # Errors
    ///
    /// See [`SwapError`].
    pub fn named(path: &Path) -> Result<SwapFile, SwapError> {
        let io_error = |action| move |source| SwapError::Io { path: path.to_owned(), action, source };
        let kind = path.metadata().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                SwapError::Missing { path: path.to_owned() }
            }
            _ => io_error("looked at")(source),
        })?;
        if let Some(what) = unfit(kind.file_type()) {
            return Err(SwapError::WrongKind { path: path.to_owned(), what });
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io_error("opened for reading and writing"))?;
        lock(&file).map_err(|error| match error {
            TryLockError::WouldBlock => SwapError::Busy { path: path.to_owned() },
            TryLockError::Error(source) => io_error("locked")(source),
        })?;
        // Not the length in the metadata: a block device says 0 there.
        let bytes = file.seek(SeekFrom::End(0)).map_err(io_error("measured"))?;
        if bytes / PAGE_BYTES < LEAST_PAGES {
            return Err(SwapError::TooSmall { path: path.to_owned(), size: ByteSize(bytes) });
        }
        SwapFile::new(path.to_owned(), SwapKind::Named, file, bytes).map_err(io_error("kept open"))
    }

    /// Makes a file without a name in `directory`.
    ///
    /// # Errors
    ///
    /// See [`SwapError`].
    pub fn temporary(directory: &Path, size: ByteSize) -> Result<SwapFile, SwapError> {
        if size.pages() < LEAST_PAGES {
            return Err(SwapError::TooSmall { path: directory.to_owned(), size });
        }
        // Asked here because the kernel would send SIGXFSZ.
        if let Some(limit) = file_size_limit().filter(|&limit| limit < size) {
            return Err(SwapError::OverLimit { asked: size, limit });
        }
        let make = || {
            let file = tempfile::tempfile_in(directory)?;
            file.set_len(size.0)?;
            SwapFile::new(directory.to_owned(), SwapKind::Temporary, file, size.0)
        };
        make().map_err(|source| SwapError::Temporary { directory: directory.to_owned(), source })
    }

    fn new(path: PathBuf, kind: SwapKind, file: File, bytes: u64) -> io::Result<SwapFile> {
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(SwapFile { path, kind, pages: bytes / PAGE_BYTES, fd: HighFd::new(&file)?, identity })
    }
}

/// Opens all of `paths`.
///
/// # Errors
///
/// Of the first that cannot be used; see [`SwapError`].
pub fn open_named(paths: &[PathBuf]) -> Result<Vec<SwapFile>, SwapError> {
    let mut files: Vec<SwapFile> = Vec::with_capacity(paths.len());
    for path in paths {
        // Before the lock is tried, which our own first lock would refuse.
        let identity = path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
        if files.iter().any(|file| Some(file.identity) == identity) {
            return Err(SwapError::Twice { path: path.clone() });
        }
        files.push(SwapFile::named(path)?);
    }
    Ok(files)
}

/// Size of a temporary file that nobody chose: the default, or less where the limit on file sizes is lower.
pub fn default_size() -> ByteSize {
    file_size_limit().map_or(TEMPORARY_BYTES, |limit| limit.min(TEMPORARY_BYTES))
}

fn file_size_limit() -> Option<ByteSize> {
    let (soft, _) = getrlimit(Resource::RLIMIT_FSIZE).ok()?;
    (soft != RLIM_INFINITY).then_some(ByteSize(soft))
}

/// What a file is that cannot hold swap.
fn unfit(kind: FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() || kind.is_block_device() => None,
        kind if kind.is_dir() => Some("a directory"),
        kind if kind.is_fifo() => Some("a pipe"),
        kind if kind.is_socket() => Some("a socket"),
        kind if kind.is_char_device() => Some("a character device"),
        _ => Some("not a file"),
    }
}

/// Locks `file`. A run that was killed a moment ago has it until the kernel is done with its processes, which
/// nobody can see any more.
fn lock(file: &File) -> Result<(), TryLockError> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => std::thread::sleep(PATIENCE / 100),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(directory: &tempfile::TempDir, name: &str, bytes: u64) -> PathBuf {
        let path = directory.path().join(name);
        File::create(&path).and_then(|file| file.set_len(bytes)).expect("a file");
        path
    }

    #[test]
    fn capacity_is_whole_pages() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = file_of(&directory, "swap", 16 * 4096 + 4095);
        let swap = SwapFile::named(&path).expect("usable");
        assert_eq!((swap.pages, swap.kind), (16, SwapKind::Named));
    }

    #[test]
    fn a_second_user_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = file_of(&directory, "swap", 1 << 20);
        let first = SwapFile::named(&path).expect("usable");
        assert!(matches!(SwapFile::named(&path), Err(SwapError::Busy { .. })));
        drop(first);
        SwapFile::named(&path).expect("usable again");
    }

    #[test]
    fn missing_small_and_wrong_files_say_so() {
        let directory = tempfile::tempdir().expect("a directory");
        let small = file_of(&directory, "small", 16 * 4096 - 1);
        assert!(matches!(SwapFile::named(&small), Err(SwapError::TooSmall { .. })));
        assert!(matches!(SwapFile::named(&directory.path().join("none")), Err(SwapError::Missing { .. })));
        assert!(matches!(
            SwapFile::named(directory.path()),
            Err(SwapError::WrongKind { what: "a directory", .. })
        ));
        assert!(matches!(SwapFile::named(Path::new("/dev/null")), Err(SwapError::WrongKind { .. })));
    }

    #[test]
    fn one_file_under_two_names_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = file_of(&directory, "swap", 1 << 20);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(matches!(open_named(&[path, link]), Err(SwapError::Twice { .. })));
    }

    #[test]
    fn a_temporary_file_is_sparse_and_nameless() {
        let directory = tempfile::tempdir().expect("a directory");
        let swap = SwapFile::temporary(directory.path(), ByteSize(1 << 30)).expect("made");
        assert_eq!(swap.pages, 1 << 18);
        assert_eq!(directory.path().read_dir().expect("readable").count(), 0);
    }
}
