//! Why programs cannot be shown with their libraries.

use std::io;
use std::path::PathBuf;

use crate::images::index::IndexError;

/// Why programs cannot be shown with their libraries.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// A bare name that is nowhere in `PATH`.
    #[error("`{}` is in no directory of PATH", .0.display())]
    NotInPath(PathBuf),
    /// A file that cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither a binary nor a script.
    #[error("{0} is neither an ELF binary nor a script")]
    NotAProgram(PathBuf),
    /// A binary that makes no sense.
    #[error("{path} is a damaged ELF binary")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        source: object::read::Error,
    },
    /// The program would not start here either.
    #[error("{by} needs the library `{}`, which is not found; install it", .library.display())]
    Missing {
        /// Its name.
        library: PathBuf,
        /// Who needs it.
        by: PathBuf,
    },
    /// What musl's linker would take and fail on.
    #[error("{path} is what musl's dynamic linker takes for a library, and is none for {program}")]
    NoLibrary {
        /// What it takes.
        path: PathBuf,
        /// For whom.
        program: PathBuf,
    },
    /// A program of which nobody here knows where its libraries are looked for.
    #[error(
        "{program} is started by {interpreter}, which is neither glibc's nor musl's dynamic linker, so where it looks for libraries is not known; \
         show the program and its libraries with --image NAME=PATH"
    )]
    UnknownLinker {
        /// The program.
        program: PathBuf,
        /// Its interpreter.
        interpreter: PathBuf,
    },
    /// Links or interpreters of scripts that lead nowhere.
    #[error("{0} leads through too many links or interpreters")]
    Loops(PathBuf),
    /// A name that no tree can hold.
    #[error("{path} {why}")]
    Name {
        /// Which.
        path: PathBuf,
        /// Why.
        why: IndexError,
    },
}
