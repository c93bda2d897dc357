//! Which processes belong to a run: those that have its control file open.
//!
//! The kernel is asked and not the control block, whose numbers the programs could write over. Every process
//! of a run has the file under the same number, through fork and exec, and cannot close it; a program that
//! runs natively has it no more.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::fstat;

/// What a run is known by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Device and inode of the control file.
    identity: (u64, u64),
    /// Its descriptor number in every process.
    number: OsString,
}

/// What the kernel says of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// It belongs to the run.
    Member,
    /// It does not, or has ended.
    Stranger,
    /// We may not look: it gave privileges up, and we have none.
    Hidden,
}

impl Mark {
    /// The mark of the run whose control file is `file`, open as `number` in its processes.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn new(file: impl AsFd, number: impl Into<OsString>) -> io::Result<Mark> {
        let data = fstat(file)?;
        Ok(Mark { identity: (data.st_dev, data.st_ino), number: number.into() })
    }

    /// What tells the run from others: device and inode of its control file.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Whether process `pid` belongs to the run.
    pub fn membership(&self, pid: u32) -> Membership {
        self.look(&Path::new("/proc").join(pid.to_string()))
    }

    /// The same for a process whose first thread has ended, and with it the view of its descriptors.
    pub fn is_open_in_a_thread(&self, pid: u32) -> bool {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        threads.map(|thread| self.look(&thread.path())).any(|membership| membership == Membership::Member)
    }

    fn look(&self, task: &Path) -> Membership {
        let link: PathBuf = task.join("fd").join(&self.number);
        match fs::metadata(link) {
            Ok(data) if (data.dev(), data.ino()) == self.identity => Membership::Member,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Membership::Hidden,
            _ => Membership::Stranger,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_process_is_known_by_the_file_and_its_number() {
        let (file, other) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
        let number = |file: &File| file.as_raw_fd().to_string();
        let own = std::process::id();
        let mark = |file: &File, number: String| Mark::new(file, number).expect("a mark");
        assert_eq!(mark(&file, number(&file)).membership(own), Membership::Member);
        assert!(mark(&file, number(&file)).is_open_in_a_thread(own));
        assert_eq!(mark(&file, number(&other)).membership(own), Membership::Stranger);
        assert_eq!(mark(&file, "4000000".to_owned()).membership(own), Membership::Stranger);
    }
}
