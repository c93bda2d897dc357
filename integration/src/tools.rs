//! The programs of others that tests and demo use, and the Debian packages that bring them.

use std::path::{Path, PathBuf};

/// A program that a Debian package brings.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Where the package installs it.
    pub path: &'static str,
    /// The package.
    pub package: &'static str,
}

/// Unmounting by an ordinary user, and `/etc/fuse.conf`.
pub const FUSERMOUNT: Tool = Tool { path: "/usr/bin/fusermount3", package: "fuse3" };
/// The C compiler that builds the guests.
pub const GCC: Tool = Tool { path: "/usr/bin/gcc", package: "gcc" };
/// Version control.
pub const GIT: Tool = Tool { path: "/usr/bin/git", package: "git" };
/// Debian's own CPython.
pub const PYTHON: Tool = Tool { path: "/usr/bin/python3", package: "python3" };
/// The database shell.
pub const SQLITE: Tool = Tool { path: "/usr/bin/sqlite3", package: "sqlite3" };
/// The C library's headers, needed with `GCC`.
pub const HEADERS: Tool = Tool { path: "/usr/include/stdio.h", package: "libc6-dev" };

/// All of them.
pub const ALL: [Tool; 6] = [FUSERMOUNT, GCC, HEADERS, GIT, PYTHON, SQLITE];

/// What `cargo test --workspace` needs, and what its tests of `swapfs` compare with: a test without it fails
/// or says that it was skipped.
pub const TESTS: [Tool; 9] = [
    Tool { path: "/usr/bin/fio", package: "fio" },
    FUSERMOUNT,
    GCC,
    HEADERS,
    GIT,
    PYTHON,
    SQLITE,
    Tool { path: "/usr/bin/mksquashfs", package: "squashfs-tools" },
    Tool { path: "/usr/bin/strace", package: "strace" },
];

/// The packages of `tools` that are not installed.
#[must_use]
pub fn missing(tools: &[Tool]) -> Vec<&'static str> {
    tools.iter().filter(|tool| !Path::new(tool.path).exists()).map(|tool| tool.package).collect()
}

/// One line that says how to install what is missing of `tools`, or nothing.
#[must_use]
pub fn advice(tools: &[Tool]) -> Option<String> {
    let missing = missing(tools);
    if missing.is_empty() {
        return None;
    }
    Some(format!("missing Debian packages: apt-get install -y --no-install-recommends {}", missing.join(" ")))
}

/// The paths of `tools`, all installed.
///
/// # Panics
///
/// With the line of [`advice`] when one is not.
pub fn require(tools: &[Tool]) {
    if let Some(advice) = advice(tools) {
        panic!("{advice}");
    }
}

/// The first of the folders in `PATH` that holds `program`.
#[must_use]
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}
