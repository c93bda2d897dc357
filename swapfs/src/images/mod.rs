//! Sources of images: directories, single files, archives, and programs with their libraries; read and never
//! written, and never left.
//!
//! A [`Source`] is a [`Tree`] of files and the place where it is shown. In directories, every access walks
//! from one descriptor of the source's top with `openat2(2)`, `RESOLVE_BENEATH`, `NO_SYMLINKS`,
//! `NO_MAGICLINKS` and `NO_XDEV`: not a `..`, a link or a mount that appears while we look can lead out. What
//! a source holds besides regular files, directories and symlinks is not shown.

pub mod archive;
mod closure;
mod directory;
mod index;
mod listing;
mod source;
mod tree;
mod walk;
mod xattr;

pub use closure::ClosureError;
pub use source::{ImageSpec, Placement, Source, SourceError, is_image_name};
pub use tree::{ImageBytes, Listed, OpenImage, Seen, Space, Tree, Xattrs};
