//! The guests: small C programs of one behaviour each, built at test time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::{binaries, tools};

/// How a guest is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Position-independent, with shared libraries: what a distribution ships.
    Dynamic,
    /// At a fixed address, with shared libraries.
    FixedDynamic,
    /// At a fixed address, without shared libraries.
    Static,
    /// Position-independent, without shared libraries.
    StaticPie,
}

impl Link {
    /// Every way.
    pub const ALL: [Link; 4] = [Link::Dynamic, Link::FixedDynamic, Link::Static, Link::StaticPie];

    fn flag(self) -> &'static str {
        match self {
            Link::Dynamic => "-pie",
            Link::FixedDynamic => "-no-pie",
            Link::Static => "-static",
            Link::StaticPie => "-static-pie",
        }
    }
}

/// The program of the guest `name`, built if its source is newer.
///
/// # Panics
///
/// When gcc is missing or does not build it.
pub fn build(name: &str, link: Link) -> PathBuf {
    // Two threads of one test run must not write the same program; two processes rename over each other
    // harmlessly.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _guard = BUILDING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    tools::require(&[tools::GCC, tools::HEADERS]);
    let folder = binaries::target().join("guests").join(link.flag().trim_start_matches('-'));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let (source, program) = (source_of(name), folder.join(name));
    // Parts of one guest lie in a folder of its name.
    let parts =
        std::fs::read_dir(sources().join(name)).into_iter().flatten().flatten().map(|part| part.path());
    if parts.chain([source.clone(), sources().join("guest.h")]).any(|part| is_older(&program, &part)) {
        compile(&source, &program, link);
    }
    program
}

/// The folder of the guests' sources.
#[must_use]
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests")
}

fn source_of(name: &str) -> PathBuf {
    sources().join(format!("{name}.c"))
}

fn compile(source: &Path, program: &Path, link: Link) {
    let unfinished = program.with_extension(std::process::id().to_string());
    let status = Command::new(tools::GCC.path)
        .args(["-O1", "-g", "-Wall", "-Wextra", "-Wno-clobbered", "-pthread", link.flag(), "-o"])
        .arg(&unfinished)
        .arg(source)
        .args(["-lm", "-ldl"])
        .status()
        .expect("gcc can be started");
    assert!(status.success(), "gcc does not build {}", source.display());
    std::fs::rename(&unfinished, program).expect("a built guest can be renamed");
}

fn is_older(program: &Path, source: &Path) -> bool {
    let modified = |path: &Path| {
        std::fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    modified(program) <= modified(source)
}
