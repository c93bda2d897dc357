//! All that can be asked of a mount, and why there may be none.

use std::io;
use std::path::PathBuf;

use super::flag::MountFlag;
use super::place::PlaceError;
use super::transport::{Transport, TransportError};
use crate::faults::FaultRule;
use crate::filesystem::caching::Strictness;
use crate::images::{ImageSpec, SourceError};
use crate::service::Host;
use crate::store::{StoreError, StoreOptions};
use crate::throttle::Rule;
use crate::wake::Wake;

/// Who may use a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// The user who mounted.
    #[default]
    Owner,
    /// All users, as far as the files' modes allow.
    Everyone,
}

/// One swap file to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapSpec {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// All that is asked of a mount.
#[derive(Debug, Clone)]
pub struct MountOptions {
    /// Where.
    pub mountpoint: PathBuf,
    /// What stands for it as the source in `/proc/mounts` and `df`.
    pub shown_as: String,
    /// Sources of images.
    pub images: Vec<ImageSpec>,
    /// Swap files.
    pub swap: Vec<SwapSpec>,
    /// How those are kept.
    pub store: StoreOptions,
    /// What is counted.
    pub strictness: Strictness,
    /// Whose process serves it.
    pub host: Host,
    /// Who may use it.
    pub audience: Audience,
    /// What the kernel is asked for besides, as mount(8) knows it.
    pub flags: Vec<MountFlag>,
    /// What is held back.
    pub rules: Vec<Rule>,
    /// What fails on purpose.
    pub faults: Vec<FaultRule>,
    /// What all that is random follows from.
    pub seed: u64,
    /// Serving threads, at least one.
    pub threads: usize,
    /// How many files have counts of their own, besides those that are open.
    pub stats_files: usize,
    /// What idle processors do while requests keep coming.
    pub wake: Wake,
    /// How requests come.
    pub transport: Transport,
}

/// Why there is no mount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The mount point.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The transport.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The store would be served by the mount that it is for.
    #[error("swap store {0} is below the mount point; use a directory outside of it")]
    StoreInside(PathBuf),
    /// `/dev/fuse` or mount(2).
    #[error("cannot mount on {path}{hint}")]
    Connect {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What to do, with its own punctuation.
        hint: &'static str,
    },
    /// The kernel and fuser did not agree.
    #[error("mounted on {path}, but the kernel's first request failed")]
    Handshake {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
