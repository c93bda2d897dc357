//! Asking a mount without waiting for it: a process of its own asks.
//!
//! A client of a daemon that is stopped waits in the kernel, and over io_uring neither a signal nor the end of
//! its process frees it before the daemon goes on. So a second process of this program, the messenger, touches
//! the mount, and the command, which can always be ended, listens to it for as long as it likes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use swapfs::mounting::{DaemonState, daemon_of};
use swapfs::process::close_inherited;

/// Set for a messenger.
const MESSENGER: &str = "_SWAPFS_MESSENGER";
/// After so long without an answer it is looked whether the daemon is stopped.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a daemon that is not stopped may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a messenger that was sent away may take to close its file.
const FAREWELL: Duration = Duration::from_millis(500);
/// What is read at once.
const BATCH_BYTES: usize = 1 << 20;
/// The longest answer that is read of a command that failed.
const LONGEST_COMPLAINT: usize = 4096;

/// What a messenger can do with a control file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Read it whole.
    Read = 1,
    /// Write a text to it and read the answer; where that fails, read what it says of it.
    Exchange = 2,
    /// Open it, for [`Errand::Next`].
    Open = 3,
    /// Read what there is now of the file that is open.
    Next = 4,
}

/// What came of it.
#[derive(Debug)]
pub struct Answer {
    /// What failed, or 0.
    pub errno: i32,
    /// What was read; of an exchange that failed, what the mount says of it.
    pub bytes: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// The daemon is stopped.
    #[error(
        "the swapfs on {mountpoint} does not answer: its daemon (pid {pid}) is {state}; `kill -CONT {pid}` has it go on, \
         `swapfs unmount {mountpoint}` ends it"
    )]
    Stopped {
        /// The mount.
        mountpoint: String,
        /// Its daemon.
        pid: i32,
        /// In words.
        state: DaemonState,
    },
    /// It does not answer, and nobody knows why.
    #[error(
        "the swapfs on {mountpoint} did not answer within {} s{daemon}; `swapfs unmount {mountpoint}` ends it",
        PATIENCE.as_secs()
    )]
    Silent {
        /// The mount.
        mountpoint: String,
        /// Which process it is, where that is known, with its own punctuation.
        daemon: String,
    },
    /// There is no messenger.
    #[error("the process that asks the mount cannot be had, or has ended")]
    Messenger(#[from] io::Error),
}

/// The one who asks, by its other end.
#[derive(Debug)]
pub struct Messenger {
    mountpoint: PathBuf,
    stream: UnixStream,
}

impl Messenger {
    /// Starts one for the mount at `mountpoint`. It ends with this process, and when it is dropped.
    ///
    /// # Errors
    /// When there can be no other process.
    pub fn start(mountpoint: &Path) -> Result<Self, Unheard> {
        let (stream, theirs) = UnixStream::pair()?;
        // In a group of its own: what a terminal or timeout(1) sends to ours is for the command alone.
        Command::new("/proc/self/exe")
            .arg0("swapfs-messenger")
            .env(MESSENGER, "1")
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Messenger { mountpoint: mountpoint.to_owned(), stream })
    }

    /// Sends it to do `errand` with the file at `path`, and hears what came of it.
    ///
    /// # Errors
    /// [`Unheard`]: there is no answer, and none will be heard of this messenger any more.
    pub fn send(&mut self, errand: Errand, path: &Path, text: &[u8]) -> Result<Answer, Unheard> {
        let mut question = vec![errand as u8];
        push(&mut question, path.as_os_str().as_bytes());
        push(&mut question, text);
        self.stream.write_all(&question)?;
        let mut errno = [0; 4];
        self.hear(&mut errno)?;
        let mut len = [0; 8];
        self.hear(&mut len)?;
        let mut bytes = vec![0; usize::try_from(u64::from_le_bytes(len)).map_err(io::Error::other)?];
        self.hear(&mut bytes)?;
        Ok(Answer { errno: i32::from_le_bytes(errno), bytes })
    }

    /// Fills `buffer`; gives up where the daemon is found to be stopped, or after [`PATIENCE`].
    fn hear(&self, buffer: &mut [u8]) -> Result<(), Unheard> {
        let (began, mut filled) = (Instant::now(), 0);
        while filled < buffer.len() {
            match (&self.stream).read(&mut buffer[filled..]) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.look(began.elapsed())?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Nothing was heard for `silent`.
    fn look(&self, silent: Duration) -> Result<(), Unheard> {
        let mountpoint = self.mountpoint.display().to_string();
        match daemon_of(&self.mountpoint) {
            Some((pid, state)) if state != DaemonState::Running => {
                Err(Unheard::Stopped { mountpoint, pid: pid.as_raw_nonzero().get(), state })
            }
            _ if silent < PATIENCE => Ok(()),
            known => {
                let daemon = known.map(|(pid, _)| format!(" (its daemon is pid {})", pid.as_raw_nonzero()));
                Err(Unheard::Silent { mountpoint, daemon: daemon.unwrap_or_default() })
            }
        }
    }
}

impl Drop for Messenger {
    /// Sends it away, and gives it a moment to close its file: who asks the mount next finds it closed. It is
    /// not waited for as a child, as it may be stuck.
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(FAREWELL));
        let _ = self.stream.read(&mut [0]);
    }
}

fn push(message: &mut Vec<u8>, bytes: &[u8]) {
    message.extend((bytes.len() as u64).to_le_bytes());
    message.extend(bytes);
}

/// Where this process is a messenger: does what it is told until nobody tells it anything.
pub fn serve_where_wanted() -> Option<ExitCode> {
    std::env::var_os(MESSENGER)?;
    let _ = close_inherited();
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let stream = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
    Some(match stream.map(UnixStream::from).map_err(io::Error::from).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn serve(mut stream: UnixStream) -> io::Result<()> {
    let mut held = None;
    let mut kind = [0];
    while stream.read(&mut kind)? > 0 {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(&pull(&mut stream)?));
        let text = pull(&mut stream)?;
        let (errno, bytes) = match kind[0] {
            kind if kind == Errand::Read as u8 => told(std::fs::read(path)),
            kind if kind == Errand::Exchange as u8 => exchange(&path, &text),
            kind if kind == Errand::Open as u8 => told(File::open(path).map(|file| {
                held = Some(file);
                Vec::new()
            })),
            _ => told(next(held.as_ref())),
        };
        let mut answer = errno.to_le_bytes().to_vec();
        push(&mut answer, &bytes);
        stream.write_all(&answer)?;
    }
    // Before the stream, which tells the command that it is closed.
    drop(held);
    Ok(())
}

fn pull(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut len = [0; 8];
    stream.read_exact(&mut len)?;
    let mut bytes = vec![0; usize::try_from(u64::from_le_bytes(len)).map_err(io::Error::other)?];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn told(done: io::Result<Vec<u8>>) -> (i32, Vec<u8>) {
    match done {
        Ok(bytes) => (0, bytes),
        Err(error) => (errno(&error), Vec::new()),
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(Errno::IO.raw_os_error())
}

fn exchange(path: &Path, text: &[u8]) -> (i32, Vec<u8>) {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) => return (errno(&error), Vec::new()),
    };
    if let Err(error) = file.write_all(text) {
        let mut complaint = vec![0; LONGEST_COMPLAINT];
        let told = file.read_at(&mut complaint, 0).unwrap_or(0);
        complaint.truncate(told);
        return (errno(&error), complaint);
    }
    told(whole(&file))
}

fn whole(file: &File) -> io::Result<Vec<u8>> {
    let (mut answer, mut buffer) = (vec![], vec![0; BATCH_BYTES]);
    loop {
        match file.read_at(&mut buffer, answer.len() as u64)? {
            0 => return Ok(answer),
            bytes => answer.extend_from_slice(&buffer[..bytes]),
        }
    }
}

fn next(held: Option<&File>) -> io::Result<Vec<u8>> {
    let file = held.ok_or(Errno::BADF)?;
    let mut buffer = vec![0; BATCH_BYTES];
    let bytes = file.read_at(&mut buffer, 0)?;
    buffer.truncate(bytes);
    Ok(buffer)
}
