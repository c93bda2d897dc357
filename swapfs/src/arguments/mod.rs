//! What is typed: the command line, with help that teaches by examples.

pub mod interval;
mod mount;
mod mount_call;
mod settings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use mount::{Ground, Memory, MountArguments, MountCommand};

use crate::commands::generate::{CompletionsArguments, GenerateArguments, ManpagesArguments};
use crate::commands::heatmap::HeatmapArguments;
use crate::commands::stat::StatArguments;
use crate::commands::swap::SwapArguments;
use crate::commands::throttle::{FaultArguments, ThrottleArguments};
use crate::commands::top::TopArguments;
use crate::commands::trace::TraceArguments;
use settings::Provenance;
use swapfs::config::{self, Entry};

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
    #[command(visible_alias = "umount")]
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
    /// Write manual pages and completions of all shells into a directory, laid out as /usr/share
    Generate(GenerateArguments),
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

/// Who calls, and so which exit codes mean what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A user or a script: 2 for usage errors, 1 for all others.
    User,
    /// mount(8), for a mount of type `fuse.swapfs`: 1 for usage errors, 32 for a mount that failed.
    Mount,
}

/// Who calls by this line.
pub fn caller(line: &[OsString]) -> Caller {
    let names = |verb: &clap::Command| {
        [verb.get_name()].into_iter().chain(verb.get_all_aliases()).map(str::to_owned).collect::<Vec<_>>()
    };
    let verbs: Vec<String> = definition().get_subcommands().flat_map(names).collect();
    if mount_call::is_call(line, &verbs) { Caller::Mount } else { Caller::User }
}

/// Our own command line for a call by mount(8); `None` if nothing is to be done.
///
/// # Errors
/// What is wrong with the call.
pub fn from_mount(line: &[OsString]) -> Result<Option<Vec<OsString>>, clap::Error> {
    match mount_call::request(line, &definition()).map_err(|why| usage_error(&why))? {
        mount_call::Request::Nothing => Ok(None),
        mount_call::Request::Mount(ours) => Ok(Some([vec!["swapfs".into()], ours].concat())),
    }
}

/// Reads a command line, and the configuration that it names.
///
/// # Errors
/// A usage error (exit code 2), or help or version to be shown.
pub fn parse(words: &[OsString]) -> Result<CommandLine, clap::Error> {
    let matches = CommandLine::command().try_get_matches_from(words)?;
    let mut line = CommandLine::from_arg_matches(&matches)?;
    let (Verb::Mount(arguments), Some(("mount", matches))) = (&mut line.verb, matches.subcommand()) else {
        return Ok(line);
    };
    arguments.find_mountpoint(matches);
    arguments.words = words.get(1..).unwrap_or_default().to_vec();
    match arguments.config.clone() {
        Some(file) => with_config(words, matches, arguments, &file),
        None => Ok(line),
    }
}

/// The same line with what the file adds: options that were not typed.
fn with_config(
    words: &[OsString],
    typed: &ArgMatches,
    arguments: &MountArguments,
    file: &Path,
) -> Result<CommandLine, clap::Error> {
    let shown = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| usage_error(&format!("--config {shown}: {error}")))?;
    let entries = config::parse(&text, &settings::known(&definition()));
    let entries = entries.map_err(|error| usage_error(&format!("--config {shown}, {error}")))?;
    if let Some(key) = arguments.without.iter().find(|key| !entries.iter().any(|entry| entry.key == **key)) {
        return Err(usage_error(&format!("--without {key}: {shown} has no such key")));
    }
    let missing = |entry: &&Entry| match entry.key.as_str() {
        key if arguments.without.iter().any(|without| without == key) => false,
        settings::MOUNTPOINT => arguments.mountpoint.is_none(),
        key => !settings::was_typed(typed, key),
    };
    let (places, options): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().filter(missing).partition(|entry| entry.key == settings::MOUNTPOINT);
    let after_verb = 1 + words.iter().position(|word| word == "mount").unwrap_or(words.len() - 1);
    let (head, tail) = words.split_at(after_verb);
    let added = places.into_iter().chain(options).flat_map(settings::arguments);
    let merged: Vec<OsString> = head.iter().cloned().chain(added).chain(tail.iter().cloned()).collect();
    let provenance = Provenance::of(file, &entries);
    let explained = |error: clap::Error| match provenance.explain(&first_line(&error)) {
        Some(complaint) => usage_error(&complaint),
        None => error,
    };
    let matches = CommandLine::command().try_get_matches_from(&merged).map_err(explained)?;
    let mut line = CommandLine::from_arg_matches(&matches)?;
    if let (Verb::Mount(arguments), Some(("mount", matches))) = (&mut line.verb, matches.subcommand()) {
        arguments.find_mountpoint(matches);
        (arguments.provenance, arguments.words) = (provenance, merged[1..].to_vec());
    }
    Ok(line)
}

/// What an error is, without the hints below it.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn usage_error(message: &str) -> clap::Error {
    let mut command = CommandLine::command();
    command.build();
    match command.find_subcommand_mut("mount") {
        Some(mount) => mount.error(ErrorKind::ValueValidation, message),
        None => command.error(ErrorKind::ValueValidation, message),
    }
}
