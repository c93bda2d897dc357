//! A program with the libraries that it needs, as copies that nobody else has in memory.
//!
//! Pages of files are charged to the control group that reads them first. Those of the C library were read
//! long before any measurement: a group would have them for nothing, and could not get rid of them either.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::control_group::Group;
use crate::run::Run;
use crate::scratch::Scratch;

/// A dynamically linked program, its interpreter and its libraries.
#[derive(Debug)]
pub struct ColdCopy {
    program: PathBuf,
    interpreter: PathBuf,
    folder: Scratch,
}

impl ColdCopy {
    /// Copies `program` and what ldd names.
    ///
    /// # Panics
    ///
    /// When `program` is not dynamically linked, or a copy cannot be made.
    #[must_use]
    pub fn of(program: &Path) -> Self {
        let output = Command::new("ldd").arg(program).output().expect("ldd can be started");
        let folder = Scratch::new("cold");
        let copy = |path: &Path| {
            let to = folder.join(&path.file_name().expect("a file has a name").to_string_lossy());
            fs::copy(path, &to)
                .unwrap_or_else(|error| panic!("{} cannot be copied: {error}", path.display()));
            to
        };
        let mut interpreter = None;
        for (name, path) in libraries(&String::from_utf8_lossy(&output.stdout)) {
            let to = copy(&path);
            if name.starts_with('/') {
                interpreter = Some(to);
            }
        }
        let interpreter = interpreter.unwrap_or_else(|| panic!("{} has no interpreter", program.display()));
        Self { program: copy(program), interpreter, folder }
    }

    /// Has the kernel forget what it holds of the files.
    ///
    /// # Panics
    ///
    /// When they are gone.
    pub fn chill(&self) {
        for entry in fs::read_dir(self.folder.path()).expect("the folder is there").flatten() {
            let file = File::open(entry.path()).expect("a copy can be opened");
            // What was not written yet stays.
            file.sync_all().expect("a copy can be written");
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
                .expect("a copy can be forgotten");
        }
    }

    /// The command that runs the copy in `group`; arguments are added to it.
    #[must_use]
    pub fn command(&self, group: &Group) -> Run {
        group.command(&self.interpreter).arg("--library-path").arg(self.folder.path()).arg(&self.program)
    }
}

/// What ldd's lines name, with where it is; the interpreter by its path.
fn libraries(text: &str) -> Vec<(String, PathBuf)> {
    let parse = |line: &str| {
        let (line, _address) = line.trim().rsplit_once(" (")?;
        let (name, path) = line.split_once(" => ").unwrap_or((line, line));
        path.starts_with('/').then(|| (name.to_owned(), PathBuf::from(path)))
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_is_understood() {
        let text = "\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let found = libraries(text);
        let expected =
            [("libc.so.6", "/lib/libc.so.6"), ("/lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2")];
        assert_eq!(found, expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path))));
    }

    #[test]
    fn a_copy_runs_as_the_program_does() {
        let Ok(group) = Group::new() else { return };
        let copy = ColdCopy::of(Path::new("/usr/bin/sort"));
        copy.chill();
        let outcome = copy.command(&group).arg("--version").outcome();
        assert!(
            String::from_utf8_lossy(&outcome.stdout).starts_with("sort (GNU coreutils)"),
            "{}",
            outcome.complaint()
        );
    }
}
