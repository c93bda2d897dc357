//! The command line of `swapfs mount`, and what it asks for.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args};

use super::settings::Provenance;
use super::usage_error;
use swapfs::accounting::USUAL_FILES;
use swapfs::faults::{FaultRule, parse_faults};
use swapfs::filesystem::caching::Strictness;
use swapfs::images::{ImageSpec, is_image_name};
use swapfs::mounting::{
    Audience, Encryption, Host, MountFlag, MountOptions, PageCache, StoreOptions, StorePlace, SwapSpec,
    Transport, usual_threads,
};
use swapfs::service::is_swap_name;
use swapfs::throttle::{Latency, Limits, Rule, Selector, parse_rules};
use swapfs::units::{UnitError, parse_bytes, parse_count, parse_duration, parse_rate};
use swapfs::wake::Wake;

const MOUNT_USAGE: &str = "swapfs mount [OPTIONS] [--images SRC...] [--image NAME=PATH] [--with-libs PROGRAM...] [--swap NAME:SIZE...] MOUNTPOINT";

const MOUNT_EXAMPLES: &str = "\
Sources:
  --images /opt/tool     the directory, as images/tool
  --images /opt/tool/    its contents, in images/ itself (one such at most)
  --images /bin/ls       the file, as images/ls
  --image old=/opt/t-1   the directory or file, as images/old
  --image root=r.sqfs    what a squashfs or tar archive holds, as images/root:
                         read in place; `--images r.sqfs` shows the file itself
  --with-libs bash       images/usr/bin/bash, its dynamic linker and all its
                         libraries, each where it is on this machine
  Read-only; nothing outside a source can be reached through it.

Sizes: K, M, G, T are powers of 1024; KB, MB, GB, TB of 1000.

Examples:
  swapfs mount --images /usr/bin /usr/lib --swap swap0:512M \\
      --swap-store /var/tmp/swap /mnt/s
      Swap files are sparse files in /var/tmp/swap and keep their contents
      when the mount is gone.
  swapfs mount --swap swap0:4G --swap-store compressed --swap-limit 1G /mnt/s
      Swap files in at most 1 GiB of memory, compressed by pages.
  swapfs mount --swap swap0:4G --swap-store /var/tmp --swap-encrypt /mnt/s
      Swap files on disk that nobody can read, and that end with the mount.
  swapfs mount --images / --read-latency 2ms --read-bw 20MB /mnt/disk
      How does a program run from a slow disk?  Run /mnt/disk/images/bin/ls
  swapfs mount --images ./prog --strict --daemon /mnt/s
      Every read is counted, also those that the page cache would answer.
      `swapfs stat /mnt/s` shows them, `swapfs unmount /mnt/s` ends it.
  swapfs mount --config /etc/swapfs/a.toml
      All of that from a file, whose keys are the options' names:
          mountpoint = \"/mnt/s\"
          images = [\"/usr/bin\", \"/usr/lib\"]
          swap = [\"swap0:1G\"]
          throttle = [\"swap/*: bw=20M\"]
          strict = true
  mount -t fuse.swapfs /etc/swapfs/a.toml /mnt/s -o threads=4
      The same by mount(8), and so by a line of /etc/fstab.";

/// `swapfs mount`.
#[derive(Debug, Args)]
#[command(after_help = MOUNT_EXAMPLES, override_usage = MOUNT_USAGE)]
pub struct MountArguments {
    /// Read options from a TOML file, such as `swap = ["a:1G"]` or `mountpoint = "/mnt/s"`; what is typed
    /// wins
    #[arg(long, value_name = "FILE.toml")]
    pub(super) config: Option<PathBuf>,
    /// Leave out this key of the file, such as a switch that it turns on (repeatable)
    #[arg(long, value_name = "KEY", requires = "config")]
    pub(super) without: Vec<String>,
    /// Directories and files to show below images/ (repeatable)
    #[arg(long, value_name = "SRC", num_args = 1..)]
    images: Vec<OsString>,
    /// A directory, file or archive (tar, squashfs) to show as images/NAME (repeatable)
    #[arg(long, value_name = "NAME=PATH")]
    image: Vec<OsString>,
    /// A program with its interpreter and libraries, as a minimal root in images/ itself (repeatable)
    #[arg(long, value_name = "PROGRAM")]
    with_libs: Vec<PathBuf>,
    /// Swap files to make below swap/, such as swap0:1G (repeatable)
    #[arg(long, value_name = "NAME:SIZE", num_args = 1..)]
    swap: Vec<OsString>,
    /// Count every read: images bypass the page cache and are read without readahead
    #[arg(long)]
    strict: bool,
    /// Serve in the background; returns once the mount works
    #[arg(long)]
    daemon: bool,
    /// Append the daemon's messages to this file
    #[arg(long, value_name = "FILE", requires = "daemon")]
    log: Option<PathBuf>,
    /// Refuse to start if the daemon's memory cannot be locked (for swapon: see docs/SWAPON.md); it is tried
    /// in any case
    #[arg(long)]
    lock_memory: bool,
    /// Let other users in, as far as the files' modes allow
    #[arg(long)]
    allow_other: bool,
    /// Have the kernel keep to this, as mount(8) knows it: noexec, sync, dirsync, noatime, nodiratime,
    /// relatime, strictatime, lazytime or nosymfollow (repeatable)
    #[arg(long, value_name = "FLAG")]
    mount_flag: Vec<MountFlag>,
    /// What /proc/mounts and df show as the source
    #[arg(long, value_name = "NAME", default_value = "swapfs")]
    fsname: String,
    /// Serving threads: 1 to 64, or three for each processor (4 to 8)
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = threads)]
    threads: usize,
    /// Have idle processors poll, as halted ones may take long to wake (needs root). `auto`: shortly before
    /// throttled answers are due and while they are overdue; `fast`: while requests keep coming, too;
    /// `plain`: leave them to the system
    #[arg(long, value_name = "auto|fast|plain", default_value = "auto", value_parser = wake)]
    wake: Wake,
    /// How the kernel's requests come: by /dev/fuse (`fuser`), or over io_uring in queues by processor
    /// (`uring`: Linux 6.14, /sys/module/fuse/parameters/enable_uring); `auto`: over io_uring where that can
    /// be had
    #[arg(long, value_name = "auto|fuser|uring", default_value = "auto", value_parser = transport)]
    transport: Transport,
    /// Slow some requests, such as 'swap/*: bw=20M, iops=300' or 'images/** & comm=sort: profile=hdd-7200'
    /// (repeatable; first match wins)
    #[arg(long, value_name = "RULE")]
    throttle: Vec<String>,
    /// Fail on purpose, such as 'swap/*: eio=1e-4, hang=10s@p0.001' (repeatable; first match wins)
    #[arg(long, value_name = "RULE")]
    fault: Vec<String>,
    /// Count at most N files apart, and those that are open; the least used of the others are counted in one
    /// row
    #[arg(long, value_name = "N", default_value_t = USUAL_FILES, value_parser = stats_files)]
    stats_files: usize,
    /// What all that is random follows from
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// An existing directory
    pub(super) mountpoint: Option<OsString>,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    read: ReadLimits,
    #[command(flatten)]
    write: WriteLimits,
    /// Where options came from that were not typed.
    #[arg(skip)]
    pub(super) provenance: Provenance,
    /// The whole line without the program.
    #[arg(skip)]
    pub(super) words: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How swap files are kept")]
struct StoreArguments {
    /// Where: in memory, in memory and compressed (LZ4), or as sparse files in a directory
    #[arg(long, value_name = "memory|compressed|DIR", default_value = "memory")]
    swap_store: PathBuf,
    /// In a directory: go past the page cache (O_DIRECT), so that no second copy stays in memory
    #[arg(long)]
    swap_direct: bool,
    /// In a directory: encrypt with a key that goes with the mount; the files have no names there and are
    /// gone after it
    #[arg(long)]
    swap_encrypt: bool,
    /// Compressed: the most memory that all swap files may take together; writes past it fail with ENOSPC
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    swap_limit: Option<u64>,
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

/// Whether the daemon may be paged out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Only where it may not lock its memory.
    LockedIfPossible,
    /// Never: it does not start otherwise.
    Locked,
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
    /// Whether the daemon may be paged out.
    pub memory: Memory,
    /// Where the daemon's messages go.
    pub log: Option<PathBuf>,
    /// The arguments by which the daemon is started.
    pub words: Vec<OsString>,
}

impl MountArguments {
    /// Finds the mount point where an option took it for one of its values.
    pub(super) fn find_mountpoint(&mut self, matches: &ArgMatches) {
        if self.mountpoint.is_none() {
            self.mountpoint = take_last_value(self, matches);
        }
    }

    /// What is asked for.
    ///
    /// # Errors
    /// A usage error.
    pub fn command(self) -> Result<MountCommand, clap::Error> {
        let provenance = self.provenance.clone();
        mount_command(self).map_err(|message| usage_error(&provenance.explain(&message).unwrap_or(message)))
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

fn mount_command(arguments: MountArguments) -> Result<MountCommand, String> {
    let mountpoint = arguments.mountpoint.clone().ok_or("the mount point is missing; it comes last")?;
    let swap = arguments.swap.iter().map(swap_spec).collect::<Result<Vec<_>, _>>()?;
    let images = images(&arguments)?;
    if images.is_empty() && swap.is_empty() {
        return Err("there is nothing to mount; give --images, --image, --with-libs or --swap".to_owned());
    }
    if let Some(twice) =
        swap.iter().enumerate().find(|(i, spec)| swap[..*i].iter().any(|s| s.name == spec.name))
    {
        return Err(format!("two swap files are called `{}`; give each its own name", twice.1.name));
    }
    let rules = rules(&arguments)?;
    let faults = faults(&arguments.fault)?;
    let store = arguments.store.options()?;
    let options = MountOptions {
        mountpoint: mountpoint.into(),
        shown_as: arguments.fsname,
        images,
        swap,
        store,
        strictness: if arguments.strict { Strictness::EveryRead } else { Strictness::CacheMisses },
        host: Host::Daemon,
        audience: if arguments.allow_other { Audience::Everyone } else { Audience::Owner },
        flags: arguments.mount_flag,
        rules,
        faults,
        seed: arguments.seed,
        stats_files: arguments.stats_files,
        threads: arguments.threads,
        wake: arguments.wake,
        transport: arguments.transport,
    };
    let ground = if arguments.daemon { Ground::Back } else { Ground::Fore };
    let memory = if arguments.lock_memory { Memory::Locked } else { Memory::LockedIfPossible };
    Ok(MountCommand { options, ground, memory, log: arguments.log, words: arguments.words })
}

impl StoreArguments {
    fn options(self) -> Result<StoreOptions, String> {
        let place = match self.swap_store.to_str() {
            Some("memory") => StorePlace::Memory,
            Some("compressed") => StorePlace::Compressed,
            _ => StorePlace::Directory(self.swap_store),
        };
        let in_directory = matches!(place, StorePlace::Directory(_));
        if (self.swap_direct || self.swap_encrypt) && !in_directory {
            let option = if self.swap_direct { "--swap-direct" } else { "--swap-encrypt" };
            return Err(format!("{option} is for swap files in a directory; give `--swap-store DIR` too"));
        }
        if self.swap_limit.is_some() && place != StorePlace::Compressed {
            return Err(
                "--swap-limit is for compressed swap files; give `--swap-store compressed` too".to_owned()
            );
        }
        Ok(StoreOptions {
            place,
            page_cache: if self.swap_direct { PageCache::Past } else { PageCache::Through },
            encryption: if self.swap_encrypt { Encryption::OwnKey } else { Encryption::None },
            most_memory_bytes: self.swap_limit,
        })
    }
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
        rules.push(Rule { selector: Selector::of_path("**"), read, write });
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
    let named = arguments.image.iter().map(|text| named_image(text));
    let closure =
        (!arguments.with_libs.is_empty()).then(|| Ok(ImageSpec::WithLibs(arguments.with_libs.clone())));
    shown.chain(named).chain(closure).collect()
}

fn named_image(text: &OsStr) -> Result<ImageSpec, String> {
    let wrong =
        |why: &str| format!("--image `{}`: {why}; write NAME=PATH, such as tools=/opt/tools", text.display());
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
    let (name, size) =
        text.to_str().and_then(|text| text.rsplit_once(':')).ok_or_else(|| wrong("no size"))?;
    if !is_swap_name(name) {
        return Err(wrong("not a file name"));
    }
    let size_bytes = parse_bytes(size).map_err(|error| wrong(&error.to_string()))?;
    if size_bytes == 0 || i64::try_from(size_bytes).is_err() {
        return Err(wrong("not a size that a file can have"));
    }
    Ok(SwapSpec { name: name.to_owned(), size_bytes })
}

fn threads(text: &str) -> Result<usize, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(usual_threads()),
        (_, Ok(number @ 1..=64)) => Ok(number),
        _ => Err("give `auto` or a number from 1 to 64".to_owned()),
    }
}

fn stats_files(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err("give a number from 1 to 1000000".to_owned()),
    }
}

fn wake(text: &str) -> Result<Wake, String> {
    match text {
        "auto" => Ok(Wake::Auto),
        "fast" => Ok(Wake::Fast),
        "plain" => Ok(Wake::Plain),
        _ => Err("give `auto`, `fast` or `plain`".to_owned()),
    }
}

fn transport(text: &str) -> Result<Transport, String> {
    match text {
        "auto" => Ok(Transport::Auto),
        "fuser" => Ok(Transport::Fuser),
        "uring" => Ok(Transport::Uring),
        _ => Err("give `auto`, `fuser` or `uring`".to_owned()),
    }
}

fn rate(text: &str) -> Result<NonZeroU64, UnitError> {
    parse_rate(text).and_then(|rate| NonZeroU64::new(rate).ok_or_else(|| UnitError::Zero(text.to_owned())))
}

fn count(text: &str) -> Result<NonZeroU64, UnitError> {
    parse_count(text).and_then(|count| NonZeroU64::new(count).ok_or_else(|| UnitError::Zero(text.to_owned())))
}
