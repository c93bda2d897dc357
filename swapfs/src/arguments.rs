//! What is typed: the command line, with help that teaches by examples.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::generate::{CompletionsArguments, ManpagesArguments};
use crate::commands::heatmap::HeatmapArguments;
use crate::commands::stat::StatArguments;
use crate::commands::swap::SwapArguments;
use crate::commands::throttle::{FaultArguments, ThrottleArguments};
use crate::commands::top::TopArguments;
use crate::commands::trace::TraceArguments;
use swapfs::faults::{FaultRule, parse_faults};
use swapfs::filesystem::caching::Strictness;
use swapfs::images::{ImageSpec, is_image_name};
use swapfs::mounting::{Audience, Host, MountOptions, StorePlace, SwapSpec};
use swapfs::service::is_swap_name;
use swapfs::throttle::{Glob, Latency, Limits, Rule, parse_rules};
use swapfs::units::{UnitError, parse_bytes, parse_count, parse_duration, parse_rate};

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

const MOUNT_USAGE: &str =
    "swapfs mount [OPTIONS] [--images SRC...] [--image NAME=PATH] [--swap NAME:SIZE...] MOUNTPOINT";

const MOUNT_EXAMPLES: &str = "\
Sources:
  --images /opt/tool     the directory, as images/tool
  --images /opt/tool/    its contents, in images/ itself (one such at most)
  --images /bin/ls       the file, as images/ls
  --image old=/opt/t-1   the directory or file, as images/old
  --image root=r.tar     what the archive holds, as images/root: read in place,
                         not unpacked; `--images r.tar` shows the file itself
  Read-only; nothing outside a source can be reached through it.

Sizes: K, M, G, T are powers of 1024; KB, MB, GB, TB of 1000.

Examples:
  swapfs mount --images /usr/bin /usr/lib --swap swap0:512M \\
      --swap-store /var/tmp/swap /mnt/s
      Swap files are sparse files in /var/tmp/swap and keep their contents
      when the mount is gone.
  swapfs mount --images / --read-latency 2ms --read-bw 20MB /mnt/disk
      How does a program run from a slow disk?  Run /mnt/disk/images/bin/ls
  swapfs mount --images ./prog --strict --daemon /mnt/s
      Every read is counted, also those that the page cache would answer.
      `swapfs stat /mnt/s` shows them, `swapfs unmount /mnt/s` ends it.";

/// Programs' images and swap files as a file system: every read and write is counted, and can be slowed
#[derive(Debug, Parser)]
#[command(name = "swapfs", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct CommandLine {
    /// Say more (twice: much more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 900)]
    verbose: u8,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Mount images and swap files; serves until Ctrl-C, SIGTERM or `swapfs unmount`
    Mount(MountArguments),
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

#[derive(Debug, Args)]
#[command(after_help = MOUNT_EXAMPLES, override_usage = MOUNT_USAGE)]
struct MountArguments {
    /// Directories and files to show below images/ (repeatable)
    #[arg(long, value_name = "SRC", num_args = 1..)]
    images: Vec<OsString>,
    /// A directory, file or archive (tar) to show as images/NAME (repeatable)
    #[arg(long, value_name = "NAME=PATH")]
    image: Vec<OsString>,
    /// Swap files to make below swap/, such as swap0:1G (repeatable)
    #[arg(long, value_name = "NAME:SIZE", num_args = 1..)]
    swap: Vec<OsString>,
    /// Where swap files are kept: a directory, or `memory`
    #[arg(long, value_name = "DIR|memory", default_value = "memory")]
    swap_store: PathBuf,
    /// Count every read: images bypass the page cache and are read without readahead
    #[arg(long)]
    strict: bool,
    /// Serve in the background; returns once the mount works
    #[arg(long)]
    daemon: bool,
    /// Append the daemon's messages to this file
    #[arg(long, value_name = "FILE", requires = "daemon")]
    log: Option<PathBuf>,
    /// Let other users in, as far as the files' modes allow
    #[arg(long)]
    allow_other: bool,
    /// Serving threads
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Slow some files, such as 'swap/*: bw=20M, iops=300' or 'images/**: profile=hdd-7200' (repeatable; first match wins)
    #[arg(long, value_name = "RULE")]
    throttle: Vec<String>,
    /// Fail on purpose, such as 'swap/*: eio=1e-4, hang=10s@p0.001' (repeatable; first match wins)
    #[arg(long, value_name = "RULE")]
    fault: Vec<String>,
    /// What all that is random follows from
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// An existing directory
    mountpoint: Option<OsString>,
    #[command(flatten)]
    read: ReadLimits,
    #[command(flatten)]
    write: WriteLimits,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Throttle, over all files together")]
struct ReadLimits {
    /// Bytes read a second, such as 10M
    #[arg(long, value_name = "RATE", value_parser = rate)]
    read_bw: Option<NonZeroU64>,
    /// Reads a second
    #[arg(long, value_name = "N", value_parser = count)]
    read_iops: Option<NonZeroU64>,
    /// Time that each read takes longer, such as 2ms
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "0")]
    read_latency: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Throttle, over all files together")]
struct WriteLimits {
    /// Bytes written a second, such as 10M
    #[arg(long, value_name = "RATE", value_parser = rate)]
    write_bw: Option<NonZeroU64>,
    /// Writes a second
    #[arg(long, value_name = "N", value_parser = count)]
    write_iops: Option<NonZeroU64>,
    /// Time that each write takes longer, such as 2ms
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "0")]
    write_latency: Duration,
}

/// `swapfs unmount`.
#[derive(Debug, Args)]
pub struct UnmountArguments {
    /// Where it is mounted
    pub mountpoint: PathBuf,
}

/// A command line that makes sense.
#[derive(Debug)]
pub enum Command {
    /// `swapfs mount`.
    Mount(MountCommand),
    /// `swapfs unmount`.
    Unmount(UnmountArguments),
    /// `swapfs stat`.
    Stat(StatArguments),
    /// `swapfs top`.
    Top(TopArguments),
    /// `swapfs throttle`.
    Throttle(ThrottleArguments),
    /// `swapfs fault`.
    Fault(FaultArguments),
    /// `swapfs profiles`.
    Profiles,
    /// `swapfs trace`.
    Trace(TraceArguments),
    /// `swapfs heatmap`.
    Heatmap(HeatmapArguments),
    /// `swapfs swap`.
    Swap(SwapArguments),
    /// `swapfs completions`.
    Completions(CompletionsArguments),
    /// `swapfs manpages`.
    Manpages(ManpagesArguments),
}

impl Command {
    /// How often `-v` was given to a mount.
    pub fn verbose(&self) -> u8 {
        match self {
            Command::Mount(mount) => mount.verbose,
            _ => 0,
        }
    }
}

/// Where a mount is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// At the terminal, until Ctrl-C.
    Fore,
    /// In the background.
    Back,
}

/// `swapfs mount`.
#[derive(Debug)]
pub struct MountCommand {
    /// What to mount.
    pub options: MountOptions,
    /// Where to serve it.
    pub ground: Ground,
    /// Where the daemon's messages go.
    pub log: Option<PathBuf>,
    verbose: u8,
}

/// The whole command line, for what is made of it: completions and manual pages.
pub fn definition() -> clap::Command {
    CommandLine::command()
}

/// Reads a command line.
///
/// # Errors
/// A usage error (exit code 2), or help or version to be shown.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let matches = CommandLine::command().try_get_matches_from(arguments)?;
    let line = CommandLine::from_arg_matches(&matches)?;
    match line.verb {
        Verb::Unmount(arguments) => Ok(Command::Unmount(arguments)),
        Verb::Stat(arguments) => Ok(Command::Stat(arguments)),
        Verb::Swap(arguments) => Ok(Command::Swap(arguments)),
        Verb::Top(arguments) => Ok(Command::Top(arguments)),
        Verb::Throttle(arguments) => Ok(Command::Throttle(arguments)),
        Verb::Fault(arguments) => Ok(Command::Fault(arguments)),
        Verb::Profiles => Ok(Command::Profiles),
        Verb::Trace(arguments) => Ok(Command::Trace(arguments)),
        Verb::Heatmap(arguments) => Ok(Command::Heatmap(arguments)),
        Verb::Completions(arguments) => Ok(Command::Completions(arguments)),
        Verb::Manpages(arguments) => Ok(Command::Manpages(arguments)),
        Verb::Mount(mut arguments) => {
            if arguments.mountpoint.is_none()
                && let Some(("mount", matches)) = matches.subcommand()
            {
                arguments.mountpoint = take_last_value(&mut arguments, matches);
            }
            mount_command(arguments, line.verbose).map_err(|message| usage_error(&message))
        }
    }
}

/// `--images A B MNT` and `--swap a:1G MNT` take the mount point for one of theirs: give it back.
fn take_last_value(arguments: &mut MountArguments, matches: &ArgMatches) -> Option<OsString> {
    let last = |id: &str| matches.indices_of(id).and_then(Iterator::last);
    let id = if last("images") > last("swap") { "images" } else { "swap" };
    let in_last_use = matches.get_occurrences::<OsString>(id).and_then(Iterator::last)?.count();
    let values = if id == "images" { &mut arguments.images } else { &mut arguments.swap };
    if in_last_use > 1 { values.pop() } else { None }
}

fn mount_command(arguments: MountArguments, verbose: u8) -> Result<Command, String> {
    let mountpoint = arguments.mountpoint.clone().ok_or("the mount point is missing; it comes last")?;
    let swap = arguments.swap.iter().map(swap_spec).collect::<Result<Vec<_>, _>>()?;
    let images = images(&arguments)?;
    if images.is_empty() && swap.is_empty() {
        return Err("there is nothing to mount; give --images, --image or --swap".to_owned());
    }
    if let Some(twice) = swap.iter().enumerate().find(|(i, spec)| swap[..*i].iter().any(|s| s.name == spec.name)) {
        return Err(format!("two swap files are called `{}`; give each its own name", twice.1.name));
    }
    let rules = rules(&arguments)?;
    let faults = faults(&arguments.fault)?;
    let in_memory = arguments.swap_store.as_os_str() == "memory";
    let options = MountOptions {
        mountpoint: mountpoint.into(),
        images,
        swap,
        store: if in_memory { StorePlace::Memory } else { StorePlace::Directory(arguments.swap_store) },
        strictness: if arguments.strict { Strictness::EveryRead } else { Strictness::CacheMisses },
        host: Host::Daemon,
        audience: if arguments.allow_other { Audience::Everyone } else { Audience::Owner },
        rules,
        faults,
        seed: arguments.seed,
        threads: arguments.threads.into(),
    };
    let ground = if arguments.daemon { Ground::Back } else { Ground::Fore };
    Ok(Command::Mount(MountCommand { options, ground, log: arguments.log, verbose }))
}

/// The rules in the order in which they were given; the plain options are a last one, for everything.
fn rules(MountArguments { read, write, throttle, .. }: &MountArguments) -> Result<Vec<Rule>, String> {
    let latency = |time: Duration| (!time.is_zero()).then_some(Latency::Fixed(time));
    let read = Limits {
        bytes_per_second: read.read_bw,
        operations_per_second: read.read_iops,
        latency: latency(read.read_latency),
        ..Limits::default()
    };
    let write = Limits {
        bytes_per_second: write.write_bw,
        operations_per_second: write.write_iops,
        latency: latency(write.write_latency),
        ..Limits::default()
    };
    let mut rules = Vec::new();
    for text in throttle {
        rules.extend(parse_rules(text).map_err(|error| format!("--throttle `{text}`: {error}"))?);
    }
    if !read.is_none() || !write.is_none() {
        rules.push(Rule { glob: Glob::new("**"), read, write });
    }
    Ok(rules)
}

fn faults(texts: &[String]) -> Result<Vec<FaultRule>, String> {
    let mut rules = Vec::new();
    for text in texts {
        rules.extend(parse_faults(text).map_err(|error| format!("--fault `{text}`: {error}"))?);
    }
    Ok(rules)
}

fn images(arguments: &MountArguments) -> Result<Vec<ImageSpec>, String> {
    let shown = arguments.images.iter().map(|source| Ok(ImageSpec::Shown(source.clone())));
    shown.chain(arguments.image.iter().map(|text| named_image(text))).collect()
}

fn named_image(text: &OsStr) -> Result<ImageSpec, String> {
    let wrong = |why: &str| format!("--image `{}`: {why}; write NAME=PATH, such as tools=/opt/tools", text.display());
    let bytes = text.as_bytes();
    let equals = bytes.iter().position(|byte| *byte == b'=').ok_or_else(|| wrong("no name"))?;
    let (name, path) = (OsStr::from_bytes(&bytes[..equals]), OsStr::from_bytes(&bytes[equals + 1..]));
    if !is_image_name(name) {
        return Err(wrong("the name must be one that a file can have"));
    }
    Ok(ImageSpec::Named { name: name.to_owned(), path: path.into() })
}

fn swap_spec(text: &OsString) -> Result<SwapSpec, String> {
    let wrong = |why: &str| format!("--swap `{}`: {why}; write NAME:SIZE, such as swap0:1G", text.display());
    let (name, size) = text.to_str().and_then(|text| text.rsplit_once(':')).ok_or_else(|| wrong("no size"))?;
    if !is_swap_name(name) {
        return Err(wrong("not a file name"));
    }
    let size_bytes = parse_bytes(size).map_err(|error| wrong(&error.to_string()))?;
    if size_bytes == 0 || i64::try_from(size_bytes).is_err() {
        return Err(wrong("not a size that a file can have"));
    }
    Ok(SwapSpec { name: name.to_owned(), size_bytes })
}

fn rate(text: &str) -> Result<NonZeroU64, UnitError> {
    parse_rate(text).and_then(|rate| NonZeroU64::new(rate).ok_or_else(|| UnitError::Zero(text.to_owned())))
}

fn count(text: &str) -> Result<NonZeroU64, UnitError> {
    parse_count(text).and_then(|count| NonZeroU64::new(count).ok_or_else(|| UnitError::Zero(text.to_owned())))
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
