//! The bytes of an archive.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;

use super::prints::{CHUNK_BYTES, Prints};
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

/// An archive that is a file of the host, held open. It gives the bytes of the moment when it was opened, also
/// when its name is gone, or `ESTALE` where it was written to. Its times may be set to anything (`touch`): the
/// contents are the same. A new time of change alone (`touch -m`) is told by the kernel as a write is; from
/// then on each read is checked against what the bytes were, as far as that is known (`Prints`).
#[derive(Debug)]
pub struct HostArchive {
    file: File,
    size_bytes: u64,
    /// Held for a look only.
    known: Mutex<Known>,
    /// Tells a new time of change that was set from one that a write brought; where there is none, every new
    /// time may be of a write.
    watch: Option<OwnedFd>,
    prints: Prints,
}

/// What is known of the contents by now.
#[derive(Debug)]
struct Known {
    /// A state in which they are those that were opened.
    same: State,
    /// Whether it may have been written to since.
    in_doubt: bool,
}

/// What inotify(7) has told since the last look.
#[derive(Debug, Default)]
struct Told {
    written: bool,
    attributes_set: bool,
}

/// How long the kernel may take from setting a time to telling of it, or from a write's beginning to its end.
const TOLD_WITHIN: Duration = Duration::from_millis(20);

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
        // Before the look, so that nothing falls between them.
        let watch = watch(&file).inspect_err(|error| tracing::debug!("archive is not watched: {error}")).ok();
        let same = State::of(&file)?;
        let known = Mutex::new(Known { same, in_doubt: false });
        Ok(HostArchive { file, size_bytes: same.size_bytes, known, watch, prints: Prints::default() })
    }

    /// Takes note of what the next bytes are. Whether more may follow.
    pub(super) fn take_print(&self) -> bool {
        let is_unchanged = || State::of(&self.file).is_ok_and(|now| self.is_unchanged(now));
        self.prints.take_next(&self.file, self.size_bytes, is_unchanged)
    }

    /// Fills `buffer` from `offset` with bytes that are known to be those that were opened.
    fn read_checked(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size_bytes);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        while at < end {
            let (index, inside) = (at / CHUNK_BYTES, (at % CHUNK_BYTES) as usize);
            let chunk = self.prints.read(&self.file, index, self.size_bytes)?.ok_or(Errno::STALE)?;
            let bytes = chunk.get(inside..).filter(|bytes| !bytes.is_empty()).ok_or(Errno::STALE)?;
            let len = bytes.len().min((end - at) as usize);
            buffer[(at - offset) as usize..][..len].copy_from_slice(&bytes[..len]);
            at += len as u64;
        }
        Ok(())
    }

    /// Whether the file that is in the state `now` is known to have the contents that were opened.
    fn is_unchanged(&self, now: State) -> bool {
        let began = Instant::now();
        loop {
            let mut known = self.known.lock();
            if known.in_doubt || now == known.same {
                return !known.in_doubt;
            }
            let told = self.watch.as_ref().map(told).unwrap_or_default();
            known.in_doubt = told.written || now.size_bytes != self.size_bytes;
            if told.attributes_set && !known.in_doubt {
                known.same = now;
                return true;
            }
            drop(known);
            if self.watch.is_none() || began.elapsed() > TOLD_WITHIN {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn watch(file: &File) -> rustix::io::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    inotify::add_watch(&watch, path, WatchFlags::MODIFY | WatchFlags::ATTRIB)?;
    Ok(watch)
}

fn told(watch: &OwnedFd) -> Told {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let (mut events, mut told) = (inotify::Reader::new(watch, &mut buffer), Told::default());
    while let Ok(event) = events.next() {
        let what = event.events();
        told.written |= what.intersects(ReadFlags::MODIFY | ReadFlags::QUEUE_OVERFLOW);
        told.attributes_set |= what.contains(ReadFlags::ATTRIB);
    }
    told
}

impl State {
    fn of(file: &File) -> io::Result<Self> {
        let stat =
            rustix::fs::statx(file.as_fd(), c"", AtFlags::EMPTY_PATH, StatxFlags::SIZE | StatxFlags::MTIME)?;
        Ok(State { size_bytes: stat.stx_size, modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec) })
    }
}

impl Medium for HostArchive {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Looks at the file's state after reading, so bytes that were written before the read are never taken
    /// for the old ones. What is read again and checked is what is given.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let filled = read_up_to(&self.file, buffer, offset)?;
        if !self.is_unchanged(State::of(&self.file)?) {
            return self.read_checked(buffer, offset);
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
    use std::fs::FileTimes;
    use std::os::unix::fs::FileExt;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn times_that_are_set_change_nothing_but_a_write_does() {
        let scratch = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(scratch.path(), "old bytes").unwrap();
        let archive = HostArchive::new(File::open(scratch.path()).unwrap()).unwrap();
        let mut buffer = [0; 3];
        let writer = File::options().write(true).open(scratch.path()).unwrap();
        // Both times, as touch(1) does: the kernel tells of a new time of change alone as of a write.
        let set = |time: SystemTime| {
            writer.set_times(FileTimes::new().set_accessed(time).set_modified(time)).unwrap()
        };
        for seconds in [1, 1 << 30, 77] {
            set(UNIX_EPOCH + Duration::from_secs(seconds));
            archive.read_exact_at(&mut buffer, 0).unwrap();
            archive.read_exact_at(&mut buffer, 4).unwrap();
        }
        set(SystemTime::now());
        archive.read_exact_at(&mut buffer, 0).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        writer.write_all_at(b"x", 0).unwrap();
        set(UNIX_EPOCH);
        assert_eq!(archive.read_exact_at(&mut buffer, 4).unwrap_err().raw_os_error(), Some(116));
        // That one is for good.
        set(UNIX_EPOCH + Duration::from_secs(77));
        assert_eq!(archive.read_exact_at(&mut buffer, 4).unwrap_err().raw_os_error(), Some(116));
    }

    #[test]
    fn a_time_of_change_that_is_set_alone_changes_nothing_where_the_bytes_are_known() {
        let len = (4 * CHUNK_BYTES + 100) as usize;
        let bytes: Vec<u8> = (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let scratch = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(scratch.path(), &bytes).unwrap();
        let archive = HostArchive::new(File::open(scratch.path()).unwrap()).unwrap();
        // All chunks but the last have their numbers.
        assert!((0..4).all(|_| archive.take_print()));
        let writer = File::options().write(true).open(scratch.path()).unwrap();
        writer.set_times(FileTimes::new().set_modified(UNIX_EPOCH)).unwrap();
        let read = |offset: u64, len: usize| {
            let mut buffer = vec![0; len];
            archive.read_exact_at(&mut buffer, offset).map(|()| buffer)
        };
        let is_stale = |offset, len| read(offset, len).is_err_and(|error| error.raw_os_error() == Some(116));
        let from = CHUNK_BYTES as usize - 5;
        assert_eq!(read(CHUNK_BYTES - 5, 10).unwrap(), bytes[from..from + 10]);
        assert_eq!(read(0, 4 * CHUNK_BYTES as usize).unwrap(), bytes[..4 * CHUNK_BYTES as usize]);
        assert!(is_stale(4 * CHUNK_BYTES - 1, 2) && !archive.take_print());
        assert_eq!(read(len as u64 - 1, 2).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        writer.write_all_at(&[!bytes[from]], from as u64).unwrap();
        assert!(is_stale(0, 1) && read(CHUNK_BYTES, 1).unwrap() == [bytes[CHUNK_BYTES as usize]]);
        writer.write_all_at(&[bytes[from]], from as u64).unwrap();
        assert_eq!(read(0, 1).unwrap(), bytes[..1], "what was written back is what was there");
        writer.set_len(CHUNK_BYTES + 7).unwrap();
        assert!(is_stale(CHUNK_BYTES, 1) && is_stale(3 * CHUNK_BYTES, 1) && !is_stale(0, 1));
    }

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
