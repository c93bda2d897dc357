//! Sources of images: directories and single files, read and never written, and never left.
//!
//! Every access walks from one descriptor of the source's directory with `openat2(2)`, `RESOLVE_BENEATH`, `NO_SYMLINKS`,
//! `NO_MAGICLINKS` and `NO_XDEV`: not a `..`, a link or a mount that appears while we look can lead out. What a source
//! holds besides regular files, directories and symlinks is not shown.

mod listing;
mod source;
mod walk;

pub use listing::Listed;
pub use source::{Placement, Source, SourceError};
pub use walk::{OpenImage, Seen};
