//! Taking a mount away: plainly where nobody uses it, else lazily, and then seeing its daemon off.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::connect::{Lazily, helper_unmount};
use super::place::{Place, PlaceError, resolve};
use super::stopped::continue_daemon;
use crate::accounting::Snapshot;
use crate::mountinfo::{self, FILE_SYSTEM, MountEntry};
use crate::sys::question::statfs_within;

/// How long a daemon may take to answer, and to be gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long it is looked whether a daemon that does not answer is stopped.
const SILENCE: Duration = Duration::from_secs(1);
/// How long the users of a busy mount have to close their files, and a daemon to see that its mount is gone.
pub const GRACE: Duration = Duration::from_millis(500);

/// How a mount went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmounted {
    /// Nobody used it.
    Plainly,
    /// It was in use: it is out of sight, and what was open there fails from now on.
    WhileBusy,
    /// It was gone already.
    GoneBefore,
}

/// Takes away the swapfs (or any dead FUSE) mount on `given`, and waits until its daemon is gone.
///
/// # Errors
/// [`PlaceError`]: nothing of ours is there, or the kernel refuses.
pub fn unmount(given: &Path) -> Result<Unmounted, PlaceError> {
    let path = resolve(given)?;
    let Some(mount) = mountinfo::on_top(&mountinfo::current(), &path) else {
        return Err(PlaceError::NothingThere(path));
    };
    if !mount.file_system.starts_with("fuse") {
        return Err(PlaceError::Foreign { path, file_system: mount.file_system });
    }
    let alive = ask_for_pid(&path, &mount);
    if matches!(alive, Daemon::Alive(None) | Daemon::Silent) && mount.file_system != FILE_SYSTEM {
        return Err(PlaceError::Foreign { path, file_system: mount.file_system });
    }
    let place = Place { id: Some(mount.id), path: path.clone() };
    let mut switch = AbortSwitch::of(&mount);
    if alive == Daemon::Silent && is_only_one(&mount) {
        abort(&path, switch.take());
    }
    let went = take_away(&place).map_err(|source| PlaceError::Unreadable { path: path.clone(), source })?;
    if let Daemon::Alive(Some(daemon)) = alive {
        see_off(&daemon, went, &path, switch);
    }
    Ok(went)
}

/// Ends a FUSE connection, whoever has a copy of the mount. Opened while the mount is there, as its number
/// may be another's later.
#[derive(Debug)]
struct AbortSwitch(File);

impl AbortSwitch {
    /// None where the control file system is not mounted, or not ours to use.
    fn of(mount: &MountEntry) -> Option<Self> {
        let path = format!("/sys/fs/fuse/connections/{}/abort", mount.device_minor?);
        File::options().write(true).open(path).ok().map(AbortSwitch)
    }

    fn press(mut self) {
        if let Err(error) = self.0.write_all(b"1") {
            tracing::debug!("the connection is gone already: {error}");
        }
    }
}

/// Takes away `place`, if it is still there and on top.
pub(super) fn take_away(place: &Place) -> io::Result<Unmounted> {
    let current = mountinfo::on_top(&mountinfo::current(), &place.path);
    if current.is_none() || (place.id.is_some() && current.map(|mount| mount.id) != place.id) {
        return Ok(Unmounted::GoneBefore);
    }
    match kernel_unmount(&place.path, Lazily::No) {
        Ok(()) => Ok(Unmounted::Plainly),
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(Unmounted::GoneBefore),
        Err(_) => kernel_unmount(&place.path, Lazily::Yes).map(|()| Unmounted::WhileBusy),
    }
}

fn kernel_unmount(path: &Path, lazily: Lazily) -> io::Result<()> {
    let flags = match lazily {
        Lazily::No => UnmountFlags::NOFOLLOW,
        Lazily::Yes => UnmountFlags::NOFOLLOW | UnmountFlags::DETACH,
    };
    match rustix::mount::unmount(path, flags) {
        Err(Errno::PERM) => helper_unmount(path, lazily),
        done => Ok(done?),
    }
}

/// The process behind a mount.
#[derive(Debug)]
struct DaemonProcess {
    pid: Pid,
    pidfd: OwnedFd,
    /// Whether it may be told to end: a program that serves from within (a test, a library's user) is not
    /// ours to end.
    ends_on_sigterm: bool,
    /// Where its mount is. Elsewhere stand copies.
    mountpoint: String,
}

impl PartialEq for DaemonProcess {
    fn eq(&self, other: &Self) -> bool {
        self.pid == other.pid
    }
}

#[derive(Debug, PartialEq)]
enum Daemon {
    Gone,
    /// It holds the connection, and says nothing: it is stopped, perhaps.
    Silent,
    /// It holds the connection; its process is known where it said so.
    Alive(Option<DaemonProcess>),
}

/// Waits until the mount answers, and continues a daemon that is found stopped meanwhile. Whether it does.
fn answers(path: &Path, mount: &MountEntry) -> bool {
    let (began, ours) = (Instant::now(), mount.file_system == FILE_SYSTEM);
    while began.elapsed() < PATIENCE {
        // A child asks: one that waits in the kernel must not keep this process from ending.
        match statfs_within(path, SILENCE) {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return true,
        }
        if let Some(pid) = mount.device_minor.filter(|_| ours).and_then(continue_daemon) {
            tracing::warn!("the daemon (pid {}) was stopped; it is continued, to end", pid.as_raw_nonzero());
        }
    }
    false
}

/// Asks the mount itself which process serves it, in a thread of its own as it may be stopped just now.
fn ask_for_pid(path: &Path, mount: &MountEntry) -> Daemon {
    if !answers(path, mount) {
        return Daemon::Silent;
    }
    let (sender, receiver) = mpsc::channel();
    let stats = path.join(".swapfs/stats.json");
    std::thread::spawn(move || sender.send(std::fs::read(stats)));
    match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(json)) => {
            let snapshot = serde_json::from_slice::<Snapshot>(&json).ok();
            Daemon::Alive(snapshot.and_then(|snapshot| open_process(&snapshot)))
        }
        Ok(Err(error)) if super::place::is_not_connected(&error) => Daemon::Gone,
        Ok(Err(_)) => Daemon::Alive(None),
        Err(_) => Daemon::Silent,
    }
}

/// Whether this is the only mount of its connection that we see.
fn is_only_one(mount: &MountEntry) -> bool {
    mountinfo::current().iter().filter(|other| other.device_minor == mount.device_minor).count() <= 1
}

/// Ends the connection of a daemon that says nothing. Its clients wait for answers, this process among them,
/// and can be killed before those come only where the kernel has not handed their requests over, which it
/// does at once over io_uring.
fn abort(path: &Path, switch: Option<AbortSwitch>) {
    match switch {
        Some(switch) => switch.press(),
        // Whether it is busy or not, this ends the connection first.
        None => drop(rustix::mount::unmount(path, UnmountFlags::NOFOLLOW | UnmountFlags::FORCE)),
    }
}

fn open_process(snapshot: &Snapshot) -> Option<DaemonProcess> {
    let pid = Pid::from_raw(i32::try_from(snapshot.pid).ok()?)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let (ends_on_sigterm, mountpoint) = (snapshot.ends_on_sigterm, snapshot.mountpoint.clone());
    Some(DaemonProcess { pid, pidfd, ends_on_sigterm, mountpoint })
}

/// Waits until the daemon of the mount on `path` is gone. One that is kept alive, by busy clients or by
/// copies of the mount in other namespaces (containers, services with PrivateTmp), is told to go. Where only
/// a copy was taken away, the daemon stays.
fn see_off(daemon: &DaemonProcess, went: Unmounted, path: &Path, switch: Option<AbortSwitch>) {
    if is_gone_within(daemon, GRACE)
        || path.to_string_lossy() != daemon.mountpoint
        || !is_in_our_namespace(daemon.pid)
    {
        return;
    }
    match (daemon.ends_on_sigterm, went) {
        (true, _) => drop(rustix::process::pidfd_send_signal(&daemon.pidfd, Signal::TERM)),
        // The program goes on; what is left of its mount can only be copies.
        (false, Unmounted::Plainly) => return switch.map(AbortSwitch::press).unwrap_or_default(),
        (false, _) => return,
    }
    if !is_gone_within(daemon, PATIENCE) {
        let pid = daemon.pid.as_raw_nonzero();
        tracing::warn!("unmounted, but the daemon (pid {pid}) does not end; `kill -9 {pid}` ends it");
    }
}

/// Whether a process sees the mounts that we see; taken for granted where that cannot be told.
fn is_in_our_namespace(pid: Pid) -> bool {
    let theirs = std::fs::read_link(format!("/proc/{}/ns/mnt", pid.as_raw_nonzero()));
    match (theirs, std::fs::read_link("/proc/self/ns/mnt")) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => true,
    }
}

fn is_gone_within(daemon: &DaemonProcess, time: Duration) -> bool {
    let mut watched = [PollFd::new(&daemon.pidfd, PollFlags::IN)];
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    rustix::io::retry_on_intr(|| poll(&mut watched, Some(&time))).is_ok_and(|ready| ready > 0)
}
