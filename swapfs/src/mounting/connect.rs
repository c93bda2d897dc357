//! Getting a connection to the kernel: by mount(2) where we may, else through `fusermount3`, which passes one
//! over a socket.

use std::ffi::CString;
use std::io::{self, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use rustix::mount::MountFlags;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::flag::MountFlag;
use super::options::{Audience, MountError, MountOptions};
use crate::filesystem::Owner;
use crate::mountinfo::FILE_SYSTEM;

const NO_DEVICE: &str =
    ", is the fuse module loaded (`modprobe fuse`), or, in a container, /dev/fuse passed in?";
const NOT_YOURS: &str = ", /dev/fuse is not open to you (`chmod 666 /dev/fuse` as root)";
const NO_HELPER: &str = ", an ordinary user needs fusermount3 (Debian: apt-get install fuse3)";
const HELPER: &str = "fusermount3";

/// Mounts on `path` and returns the connection.
pub(super) fn connect(path: &Path, owner: Owner, options: &MountOptions) -> Result<OwnedFd, MountError> {
    let failed = |source: io::Error, hint| MountError::Connect { path: path.to_owned(), source, hint };
    let device = match rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        Ok(device) => device,
        Err(error @ (Errno::ACCESS | Errno::PERM)) => return Err(failed(error.into(), NOT_YOURS)),
        Err(error) => return Err(failed(error.into(), NO_DEVICE)),
    };
    match mount(path, &device, owner, options) {
        Ok(()) => Ok(device),
        Err(Errno::PERM) => ask_helper(path, options).map_err(|error| {
            // What the search of PATH says: a folder in it that may not be looked into counts more than those
            // that lack it. What the helper itself says is of another kind.
            let is_missing =
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
            failed(error, if is_missing { NO_HELPER } else { "" })
        }),
        Err(error) => Err(failed(error.into(), "")),
    }
}

fn mount(path: &Path, device: &OwnedFd, owner: Owner, options: &MountOptions) -> Result<(), Errno> {
    let others = match options.audience {
        Audience::Owner => "",
        Audience::Everyone => ",allow_other",
    };
    let (fd, Owner { uid, gid }) = (device.as_raw_fd(), owner);
    let data = format!("fd={fd},rootmode=40000,user_id={uid},group_id={gid},default_permissions{others}");
    let data = CString::new(data).map_err(|_| Errno::INVAL)?;
    let asked: MountFlags = options.flags.iter().map(|flag| flag.bits()).collect();
    let flags = MountFlags::NOSUID | MountFlags::NODEV | asked;
    rustix::mount::mount(&options.shown_as, path, FILE_SYSTEM, flags, data.as_c_str())
}

/// Runs `fusermount3`, which finds our socket's number in its environment.
fn ask_helper(path: &Path, mount: &MountOptions) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    rustix::io::fcntl_setfd(&theirs, FdFlags::empty())?;
    let others = match mount.audience {
        Audience::Owner => "",
        Audience::Everyone => ",allow_other",
    };
    // It takes a comma for the end of the name unless it is told.
    let name = mount.shown_as.replace('\\', "\\\\").replace(',', "\\,");
    let (known, unknown): (Vec<MountFlag>, Vec<MountFlag>) =
        mount.flags.iter().copied().partition(|flag| flag.is_known_to_helper());
    // relatime is what the kernel does in any case.
    for flag in unknown.into_iter().filter(|flag| *flag != MountFlag::RelAtime) {
        tracing::warn!("{HELPER} takes no `{}` from an ordinary user; mounting without", flag.name());
    }
    let asked: String = known.into_iter().map(|flag| format!(",{}", flag.name())).collect();
    let options = format!("fsname={name},subtype=swapfs,default_permissions,nosuid,nodev{others}{asked}");
    let mut helper = Command::new(HELPER)
        .args(["-o", &options, "--"])
        .arg(path)
        .env("_FUSE_COMMFD", theirs.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(theirs);
    let received = receive(&ours);
    let mut complaint = String::new();
    if let Some(stderr) = &mut helper.stderr {
        stderr.read_to_string(&mut complaint)?;
    }
    helper.wait()?;
    match received? {
        Some(connection) => Ok(connection),
        None => Err(io::Error::other(complaint.trim().replace('\n', "; "))),
    }
}

/// The descriptor that comes over `socket`; `None` if the other side hangs up instead.
fn receive(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0u8];
    let mut parts = [IoSliceMut::new(&mut byte)];
    rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket.as_fd(), &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let connection = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(connection)
}

/// Unmounts through the helper, as an ordinary user must.
pub(super) fn helper_unmount(path: &Path, lazily: Lazily) -> io::Result<()> {
    let flags: &[&str] = match lazily {
        Lazily::No => &["-u"],
        Lazily::Yes => &["-u", "-z"],
    };
    let output = Command::new(HELPER).args(flags).arg("--").arg(path).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
}

/// Whether a mount that is in use may go too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lazily {
    /// Only if nobody uses it.
    No,
    /// Always: it vanishes from sight, and for good when the last user closes.
    Yes,
}
