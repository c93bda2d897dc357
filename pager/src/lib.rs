//! Demand paging in user space: the `pager` command's parts.
//!
//! `pager run` is the supervisor of a run. It opens what the program needs ([`launch`]), shares a [`control`]
//! block with its processes, starts the runtime ([`runtime_image`]) in the program's place and waits
//! ([`supervise`]), while the runtime inside the program does the paging and counts into the block; a
//! [`report`] is made from it. If the supervisor is killed, its [`keeper`] ends what is left; if that is
//! killed too, a [`lifeline`] does. The supervisor touches no page of the program and serves no fault.
//!
//! `unsafe` is only in [`sys`].
#![deny(unsafe_code)]

pub mod analysis;
pub mod attach;
pub mod balance;
pub mod bequests;
pub mod cap;
pub mod claims;
pub mod cli;
pub mod colour;
pub mod control;
pub mod descriptors;
pub mod doctor;
pub mod ending;
pub mod explain;
pub mod export;
pub mod failure;
pub mod generate;
pub mod hatch;
pub mod histogram;
pub mod keeper;
pub mod launch;
pub mod layout;
pub mod lifeline;
pub mod limit;
pub mod live;
pub mod members;
pub mod need;
pub mod oom;
pub mod outcome;
pub mod plan;
pub mod program;
pub mod report;
pub mod run;
pub mod runtime_image;
pub mod sampler;
pub mod sandbox;
pub mod say;
pub mod size;
pub mod stat;
pub mod supervise;
pub mod survey;
pub mod swap;
pub mod symbols;
#[allow(unsafe_code)]
pub mod sys;
pub mod trace;
pub mod units;
pub mod userfault;
