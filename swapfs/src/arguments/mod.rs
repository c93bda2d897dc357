//! What is typed: the command line, with help that teaches by examples.

mod mount;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use mount::{Ground, Memory, MountArguments, MountCommand};

use crate::commands::generate::{CompletionsArguments, ManpagesArguments};
use crate::commands::heatmap::HeatmapArguments;
use crate::commands::stat::StatArguments;
use crate::commands::swap::SwapArguments;
use crate::commands::throttle::{FaultArguments, ThrottleArguments};
use crate::commands::top::TopArguments;
use crate::commands::trace::TraceArguments;
use swapfs::units::{UnitError, parse_duration};

const EXAMPLES: &str = "\
Examples:
  swapfs mount --images /usr/bin/python3 --swap swap0:1G --daemon /mnt/s
      Shows one program, as /mnt/s/images/python3, and a swap file of
      1 GiB, kept in memory, as /mnt/s/swap/swap0.
  swapfs mount --images / --strict /mnt/s
      Shows the whole root directory below /mnt/s/images and counts
      every single read; Ctrl-C unmounts.
  swapfs stat /mnt/s --interval 1
      Shows what is read and written, once a second, as iostat does.
  swapfs top /mnt/s
      The same as a screen: busiest files first, with trends and heat.
  swapfs trace /mnt/s --format fio --out io.log
      Records each request until Ctrl-C, for `fio --read_iolog=io.log`.
  swapfs heatmap /mnt/s images/python3 --svg heat.svg
      Which parts of the file were read, and how often.
  swapfs swap add /mnt/s swap1 512M
      One more swap file, while mounted.
  swapfs unmount /mnt/s";

/// Programs' images and swap files as a file system: every read and write is counted, and can be slowed
#[derive(Debug, Parser)]
#[command(name = "swapfs", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct CommandLine {
    /// Say more (twice: much more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 900)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Mount images and swap files; serves until Ctrl-C, SIGTERM or `swapfs unmount`
    Mount(Box<MountArguments>),
    /// Unmount, and wait until the daemon is gone; a mount in use is detached and its users' files fail
    Unmount(UnmountArguments),
    /// Show what was read from and written to a live mount
    Stat(StatArguments),
    /// Watch a live mount: busiest files first, with trends and heat
    Top(TopArguments),
    /// Show or change how a live mount is slowed
    Throttle(ThrottleArguments),
    /// Show or change what fails on purpose in a live mount
    Fault(FaultArguments),
    /// List the devices that a throttle rule can name with profile=
    Profiles,
    /// Record every request of a live mount, one by one
    Trace(TraceArguments),
    /// Draw which parts of a file were read and written, and how often
    Heatmap(HeatmapArguments),
    /// Make, resize, remove and list the swap files of a live mount
    Swap(SwapArguments),
    /// Write what a shell needs for completing our command lines to the standard output
    Completions(CompletionsArguments),
    /// Write our manual pages into a directory
    Manpages(ManpagesArguments),
}

/// `swapfs unmount`.
#[derive(Debug, Args)]
pub struct UnmountArguments {
    /// Where it is mounted
    pub mountpoint: PathBuf,
}

/// The whole command line, for what is made of it: completions and manual pages.
pub fn definition() -> clap::Command {
    CommandLine::command()
}

/// Reads a command line.
///
/// # Errors
/// A usage error (exit code 2), or help or version to be shown.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, clap::Error> {
    let matches = CommandLine::command().try_get_matches_from(arguments)?;
    let mut line = CommandLine::from_arg_matches(&matches)?;
    if let (Verb::Mount(arguments), Some(("mount", matches))) = (&mut line.verb, matches.subcommand()) {
        arguments.find_mountpoint(matches);
    }
    Ok(line)
}

/// A span of time that is not zero.
pub fn interval(text: &str) -> Result<Duration, UnitError> {
    match parse_duration(text)? {
        Duration::ZERO => Err(UnitError::Zero(text.to_owned())),
        interval => Ok(interval),
    }
}

fn usage_error(message: &str) -> clap::Error {
    let mut command = CommandLine::command();
    command.build();
    match command.find_subcommand_mut("mount") {
        Some(mount) => mount.error(ErrorKind::ValueValidation, message),
        None => command.error(ErrorKind::ValueValidation, message),
    }
}
