//! Where userfaultfds come from: the system call, or `/dev/userfaultfd` where a sandbox refuses the call.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;

use crate::sandbox;
use crate::sys::probe;

/// The device (Linux 6.1). Who may open it may have userfaultfds.
pub const DEVICE: &str = "/dev/userfaultfd";

/// What there is.
#[derive(Debug)]
pub struct Userfault {
    /// The device, if userfaultfds come from it.
    pub device: Option<File>,
    /// The features (`UFFD_FEATURE_*`).
    pub features: u64,
}

/// Why there is no userfaultfd.
#[derive(Debug)]
pub struct NoUserfault {
    /// What the system call said.
    pub call: io::Error,
    /// What the device said.
    pub device: io::Error,
}

impl fmt::Display for NoUserfault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the system call: {}; {DEVICE}: {}", self.call, self.device)
    }
}

impl Userfault {
    /// Looks for one.
    ///
    /// # Errors
    ///
    /// What both ways said.
    pub fn find() -> Result<Userfault, NoUserfault> {
        match sandbox::probe(|| probe::userfaultfd(None)) {
            Ok(features) => Ok(Userfault { device: None, features }),
            Err(call) => by_device().map_err(|device| NoUserfault { call, device }),
        }
    }
}

fn by_device() -> io::Result<Userfault> {
    let device = OpenOptions::new().read(true).write(true).open(DEVICE)?;
    let features = probe::userfaultfd(Some(&device))?;
    Ok(Userfault { device: Some(device), features })
}
