//! A mounted `swapfs` that goes when its owner goes, however that happens.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::report::Report;
use crate::run::{Outcome, Run};
use crate::scratch::Scratch;
use crate::{binaries, processes};

/// How long a mount may take to appear, and to go.
const PATIENCE: Duration = Duration::from_secs(15);

/// What to mount.
#[derive(Debug, Clone, Default)]
pub struct MountPlan {
    arguments: Vec<OsString>,
}

impl MountPlan {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows `source` under `images/`; one that ends in `/` shows its contents there.
    #[must_use]
    pub fn image(self, source: impl AsRef<OsStr>) -> Self {
        self.option("--images", source)
    }

    /// Adds a swap file, `NAME:SIZE`.
    #[must_use]
    pub fn swap(self, swap: &str) -> Self {
        self.option("--swap", swap)
    }

    /// Every page read is seen and counted.
    #[must_use]
    pub fn strict(self) -> Self {
        self.flag("--strict")
    }

    /// Any other option with a value.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.arguments.extend([name.into(), value.as_ref().to_owned()]);
        self
    }

    /// Any other option without a value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.arguments.push(name.into());
        self
    }

    /// Mounts it on a scratch folder and waits until it answers.
    ///
    /// # Errors
    ///
    /// What the daemon said, when it ended instead, or that it did not answer in time.
    pub fn mount(&self) -> Result<Mount, String> {
        let scratch = Scratch::new("mount");
        let point = scratch.folder("mnt");
        let complaint = scratch.join("stderr");
        let daemon =
            self.start(&point, &complaint).map_err(|error| format!("swapfs does not start: {error}"))?;
        let mut mount = Mount { point, daemon, scratch };
        match mount.wait_for_answer() {
            Ok(()) => Ok(mount),
            Err(reason) => {
                Err(format!("{reason}: {}", fs::read_to_string(&complaint).unwrap_or_default().trim()))
            }
        }
    }

    /// The daemon gets SIGTERM when the thread that started it ends without dropping the mount (a killed test
    /// run).
    fn start(&self, point: &Path, complaint: &Path) -> std::io::Result<Child> {
        let mut command = Command::new(binaries::swapfs());
        command.arg("mount").args(&self.arguments).arg(point);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(complaint)?);
        let end_with_parent = || {
            // SAFETY: prctl with PR_SET_PDEATHSIG takes a signal number and no pointer, and is
            // async-signal-safe.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
            Ok(())
        };
        // SAFETY: the closure makes one async-signal-safe system call and touches no memory of the parent.
        unsafe { command.pre_exec(end_with_parent) };
        command.spawn()
    }
}

/// A mounted file system and its daemon. Dropping it unmounts lazily and ends the daemon.
#[derive(Debug)]
pub struct Mount {
    point: PathBuf,
    daemon: Child,
    // Dropped last: the mount point lies in it.
    scratch: Scratch,
}

impl Mount {
    /// The mount point.
    #[must_use]
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// The folder of images.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.point.join("images")
    }

    /// The image `name`.
    #[must_use]
    pub fn image(&self, name: &str) -> PathBuf {
        self.images().join(name.trim_start_matches('/'))
    }

    /// The swap file `name`.
    #[must_use]
    pub fn swap(&self, name: &str) -> PathBuf {
        self.point.join("swap").join(name)
    }

    /// A folder beside the mount point that goes with it.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The daemon's process number.
    ///
    /// # Panics
    ///
    /// Never: process numbers fit.
    #[must_use]
    pub fn daemon(&self) -> i32 {
        i32::try_from(self.daemon.id()).expect("a process number is an i32")
    }

    /// The counts of this moment.
    #[must_use]
    pub fn stats(&self) -> Report {
        Report::read(&self.stats_path())
    }

    /// Unmounts as a user would, and waits for the daemon.
    ///
    /// # Errors
    ///
    /// What `swapfs unmount` said, when it failed, or that the daemon stayed.
    pub fn unmount(mut self) -> Result<(), String> {
        let outcome = self.ask_to_unmount();
        if outcome.end != crate::run::End::Code(0) {
            return Err(format!("swapfs unmount: {:?}: {}", outcome.end, outcome.complaint().trim()));
        }
        let gone = processes::wait_until(PATIENCE, || matches!(self.daemon.try_wait(), Ok(Some(_))));
        if gone { Ok(()) } else { Err("the daemon stays after swapfs unmount".to_owned()) }
    }

    fn ask_to_unmount(&self) -> Outcome {
        Run::new(binaries::swapfs()).arg("unmount").arg(&self.point).limit(PATIENCE).outcome()
    }

    fn stats_path(&self) -> PathBuf {
        self.point.join(".swapfs/stats.json")
    }

    fn wait_for_answer(&mut self) -> Result<(), String> {
        let stats = self.stats_path();
        let mut ended = None;
        let answered = processes::wait_until(PATIENCE, || {
            ended = self.daemon.try_wait().ok().flatten();
            ended.is_some() || stats.exists()
        });
        match (ended, answered) {
            (Some(status), _) => Err(format!("swapfs mount ended with {status}")),
            (None, true) => Ok(()),
            (None, false) => Err("swapfs mount does not answer".to_owned()),
        }
    }

    fn wait_for_end(&mut self, limit: Duration) -> bool {
        processes::wait_until(limit, || matches!(self.daemon.try_wait(), Ok(Some(_)) | Err(_)))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            let daemon = Pid::from_raw(self.daemon());
            // Each step is for the case that the one before it did not help; a daemon already gone is no
            // error.
            let _already_gone = kill(daemon, Signal::SIGTERM);
            if !self.wait_for_end(Duration::from_secs(3)) {
                let _already_gone = kill(daemon, Signal::SIGKILL);
                self.wait_for_end(Duration::from_secs(3));
            }
        }
        detach(&self.point);
    }
}

/// Whether something is mounted on `point`.
#[must_use]
pub fn is_mounted(point: &Path) -> bool {
    let Ok(table) = fs::read_to_string("/proc/self/mounts") else { return false };
    let wanted = point.to_string_lossy();
    table.lines().any(|line| line.split(' ').nth(1) == Some(&wanted))
}

/// Takes whatever is mounted on `point` out of the tree, even when it is in use or its daemon is dead.
pub fn detach(point: &Path) {
    if is_mounted(point) && umount2(point, MntFlags::MNT_DETACH).is_err() {
        // An ordinary user needs the setuid helper; when that fails too there is nothing left to try.
        let _nothing_left_to_try = Command::new("fusermount3").arg("-uzq").arg(point).status();
    }
}
