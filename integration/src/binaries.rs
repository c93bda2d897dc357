//! Finding and building the two programs beside the running test, bench or demo.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The packages whose programs are run; `cargo build` alone must produce a working set of them.
const PACKAGES: [&str; 2] = ["pager", "swapfs"];

/// The folder that cargo puts this profile's programs in, with fresh programs in it.
///
/// # Panics
///
/// When they do not build.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = profile_folder();
        if folder.ends_with("kernels/programs") {
            // Inside a machine, where nothing can be built: `cargo kernels` has put fresh ones there.
            return folder;
        }
        build(&folder);
        folder
    })
}

/// The `pager` program.
#[must_use]
pub fn pager() -> PathBuf {
    folder().join("pager")
}

/// The `swapfs` program.
#[must_use]
pub fn swapfs() -> PathBuf {
    folder().join("swapfs")
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// The folder of cargo's output for all profiles.
#[must_use]
pub fn target() -> PathBuf {
    profile_folder().parent().expect("a profile's folder lies in the target folder").to_owned()
}

/// `target/debug` or its like: the folder of this executable, without `deps`.
fn profile_folder() -> PathBuf {
    let executable = std::env::current_exe().expect("the running executable has a path");
    let folder = executable.parent().expect("an executable lies in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("deps lies in the profile's folder").to_owned()
    } else {
        folder.to_owned()
    }
}

/// Brings the programs in `folder` up to date; cargo does nothing when they are.
fn build(folder: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace()).args(["build", "--quiet"]);
    command.env("CARGO_TARGET_DIR", folder.parent().expect("a profile's folder lies in the target folder"));
    command.args(PACKAGES.iter().flat_map(|package| ["-p", package]));
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(profile) => drop(command.args(["--profile", profile])),
    }
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "the programs do not build: cargo build -p pager -p swapfs says why");
}
