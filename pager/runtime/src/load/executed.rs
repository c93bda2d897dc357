//! What there is to load from: the file, what the kernel gave to the process, and where a file came to lie.

use alloc::vec::Vec;
use core::ops::Range;

use pager_core::area::ImageId;
use pager_core::elf::Program;

use super::itself::Itself;
use crate::sys::file::Fd;

/// A program in memory.
pub struct Loaded {
    pub entry: u64,
    pub bias: u64,
    pub program_headers: u64,
    pub program: Program,
    pub image: ImageId,
    pub first_page: Vec<u8>,
}

/// What was executed.
pub struct Executed<'a> {
    /// The program, open.
    pub fd: Fd,
    /// Where its file is.
    pub path: &'a [u8],
    /// What it is told that it was executed by.
    pub filename: &'a [u8],
    pub itself: Itself,
}

/// What the kernel handed over, and what of it is for the program.
pub struct Inherited {
    pub argv: Vec<Vec<u8>>,
    pub envp: Vec<Vec<u8>>,
    pub auxiliary: Vec<(u64, u64)>,
    pub random: [u8; 16],
    /// Where the kernel put the texts of the arguments. They stay there, never paged: `/proc/PID/cmdline`
    /// shows what the program writes over them.
    pub arguments: Range<u64>,
    /// The same for the environment, without the entry that is ours.
    pub environment: Range<u64>,
    /// Where each argument begins.
    pub argv_at: Vec<u64>,
    /// Where each entry of the environment begins.
    pub envp_at: Vec<u64>,
    /// Value of the [`pager_core::shared::ENVIRONMENT_KEY`].
    pub run: Vec<u8>,
}
