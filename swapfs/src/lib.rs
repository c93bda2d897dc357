//! `swapfs`: a FUSE file system of executable images and swap files whose every read and write is counted and
//! throttled.
//!
//! ```text
//! MNT/images/...     sources, read-only            images  -> filesystem (rules), accounting
//! MNT/swap/NAME      swap files                     store   -> filesystem (rules), accounting
//! MNT/.swapfs/...    counts, as JSON and metrics    control
//! MNT/.swapfs/trace  every request, one by one       trace
//! ```
//!
//! [`filesystem`] and [`throttle`] decide: no I/O, no lock, no clock, no FUSE types. [`service`] owns the
//! state and does the I/O. [`fuse`] decodes, calls and replies. [`gate`] sends the answers that have to wait.
//! [`mounting`] puts it all at a mount point and takes it away. `unsafe` stands in `sys` only, which wraps
//! what the system offers through raw pointers.
//!
//! Lock order: no lock is held while another is taken, but for a process's name under [`gate`]'s (see
//! [`service`]), nor during I/O.

#![deny(unsafe_code)]

pub mod accounting;
pub mod clock;
pub mod config;
pub mod control;
pub mod faults;
pub mod filesystem;
pub mod fuse;
pub mod gate;
pub mod heatmap;
pub mod hints;
pub mod images;
pub mod metrics;
pub mod mountinfo;
pub mod mounting;
pub mod process;
pub mod selection;
pub mod service;
pub mod store;
mod sys;
pub mod table;
pub mod throttle;
pub mod trace;
pub mod units;
pub mod wake;
