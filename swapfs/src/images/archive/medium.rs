//! The bytes of an archive.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;

use crate::images::directory::read_up_to;

/// Where an archive's bytes are. Called from several threads at once.
pub trait Medium: Send + Sync + std::fmt::Debug {
    /// How many there are.
    fn size_bytes(&self) -> u64;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` where there are not so many bytes, and what the medium says.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// An archive that is a file of the host, held open. As long as it is not written to, it gives the bytes of the moment when it was
/// opened, also when its name is gone; once it was written to, `ESTALE`.
#[derive(Debug)]
pub struct HostArchive {
    file: File,
    state: State,
}

/// What changes when a file is written to. (The time of change also moves when it is renamed.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    size_bytes: u64,
    modified: (i64, u32),
}

impl HostArchive {
    /// Holds `file` as it is now.
    ///
    /// # Errors
    /// What `statx` says.
    pub fn new(file: File) -> io::Result<Self> {
        let state = State::of(&file)?;
        Ok(HostArchive { file, state })
    }
}

impl State {
    fn of(file: &File) -> io::Result<Self> {
        let stat = rustix::fs::statx(file.as_fd(), c"", AtFlags::EMPTY_PATH, StatxFlags::SIZE | StatxFlags::MTIME)?;
        Ok(State { size_bytes: stat.stx_size, modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec) })
    }
}

impl Medium for HostArchive {
    fn size_bytes(&self) -> u64 {
        self.state.size_bytes
    }

    /// Looks at the file's state after reading, so bytes that were written before the read are never taken for the old ones.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let filled = read_up_to(&self.file, buffer, offset)?;
        if State::of(&self.file)? != self.state {
            return Err(Errno::STALE.into());
        }
        if filled == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Medium for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let bytes = from.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn an_archive_that_was_written_to_is_stale() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("archive");
        std::fs::write(&path, "old bytes").unwrap();
        let archive = HostArchive::new(File::open(&path).unwrap()).unwrap();
        let mut buffer = [0; 3];
        std::fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        std::fs::write(&path, "new bytes").unwrap();
        archive.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"old");
        assert_eq!(archive.read_exact_at(&mut buffer, 8).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let writer = File::options().write(true).open(directory.path().join("elsewhere")).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        writer.write_all_at(b"x", 0).unwrap();
        assert_eq!(archive.read_exact_at(&mut buffer, 4).unwrap_err().raw_os_error(), Some(116));
    }
}
