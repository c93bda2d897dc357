//! What the user types.

mod looking;

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use pager_core::replacement::PolicyKind;

use crate::cap::Limit;
use crate::need::search::Slowdown;
use crate::report::StatsTarget;
use crate::size::ByteSize;

pub use looking::{
    CurveArgs, CurvePolicy, EventsArgs, EventsFormat, ExplainArgs, Interval, ReportArgs, ReportFormat,
    StatArgs, TopArgs, WatchArgs, Weight,
};

const ABOUT: &str = "Runs unmodified Linux programs with their memory demand-paged in user space.";

const RUN_EXAMPLES: &str = "\
Examples:
  pager run -- sort big.txt
      page everything, without a cap; four lines at the end say what it took
  pager run --resident 32M -- sort big.txt
      at most 32 MiB in memory, the rest in a temporary swap file
  pager run --resident 32M --swap swap0 -- make
      the same, into a swap file of your own
  pager run --stats report.json -- python3 job.py
      the report as JSON, in a file
  pager run --exact --stats json -- gzip -k f
      every page read by itself, so that whoever serves the file counts the same
  pager run --resident 64M -- make -j2
      make and all that it starts have 64 MiB together (--children own: each of them)
  pager run --resident 64M --children native -- make
      page make alone: the compilers that it starts run as without pager
  pager run --root mnt/images --swap mnt/swap/swap0 --resident 32M -- sort big.txt
      program and libraries from an image mounted by swapfs, swap in the same mount

Sizes: 32M, 1G (powers of 1024: K, M, G, T), 32MB (powers of 1000: KB, MB, GB, TB), or bytes.

Signals: `kill -USR1 PID-OF-PAGER` shows the report so far. TERM, HUP, INT, QUIT, USR2, WINCH,
CONT and TSTP sent to pager go on to the program. If pager is killed, so is the program.

Exit status: the program's own; if a signal ended it, pager ends by the same one.
  127  the program was not found
  126  it cannot be executed
  125  a failure inside the pager
    2  wrong usage
    1  anything else that kept the program from starting";

const NEED_EXAMPLES: &str = "\
Examples:
  pager need -- sort big.txt
      the memory at which sort is at most 5 %, and at most 25 %, slower
  pager need --slowdown 10% --json -- make -B
  pager need -- python3 job.py < input
      standard input is kept, and given to every run

The program is run some ten to twenty times, natively and at caps: it must do the same each time, and end with 0.
What it prints is thrown away. Ctrl-C ends the search and tells what is known by then.

Exit status: 0 if there is an answer, 1 if the program cannot be run or does not end well.";

const OOM_EXAMPLES: &str = "\
Examples:
  pager oom -- sort big.txt
      the smallest memory.max, without swap, in which sort ends
  pager oom --patience 3 --json -- make -B
      one that takes more than three times as long counts as one that does not end

Memory that was written to has to stay, and a run is over when that does not fit; text and unchanged pages of
files come back from where they came from. The program is run some ten to twenty times, as by `pager need`.

Exit status: 0 if there is an answer, 1 if the program cannot be run or does not end well with all its memory.";

const MRC_EXAMPLES: &str = "\
Examples:
  pager run --resident 4M --record sort.trace -- sort big.txt
      record at a small cap: a hit is never seen, so a trace says nothing about caps below its own
  pager mrc sort.trace
      misses at 10 % to 100 % of the working set, for each policy and the optimum
  pager sim sort.trace --policy 2q,lru,opt --cap 8M,16M,32M --json
      chosen policies and caps, for scripts

Under fifo, clock, lru, mru, random, arc and s3-fifo the simulator shows the policy each recorded reference,
hits included; 2q is the live pager's own code and is shown misses only. Times are the recorded run's own time
and the recorded mean cost of each kind of fault.";

const REPORT_EXAMPLES: &str = "\
Examples:
  pager run --resident 16M --record t -- sort big.txt
  pager report t
      writes t.html: one file, to be opened in any browser, that needs no network
  pager report t --format json | jq '.functions[0]'
  pager report t --format perfetto -o t.json
      every fault, for ui.perfetto.dev
  pager report t --format folded --weight faults > t.folded
      for flamegraph.pl and inferno-flamegraph
  pager report t --format speedscope -o t.speedscope.json

Functions and lines come from the programs' own symbols and debug information, from /usr/lib/debug where
packages put it, and from nowhere else.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  pager doctor            a table: what is there, what is missing, what is used instead
  pager doctor --json     the same for scripts

Exit status: 0 if `pager run` can work here, 1 if something that it needs is missing.";

/// The command line.
#[derive(Parser, Debug)]
#[command(name = "pager", version, about = ABOUT, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a program with its memory paged, and report what happened
    #[command(after_help = RUN_EXAMPLES, override_usage = "pager run [OPTIONS] [--] PROGRAM [ARGS]...")]
    Run(RunArgs),
    /// Look at what this kernel offers and say what is used
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// How much memory does a program need? Finds the smallest cap at which it stays within a slowdown
    #[command(after_help = NEED_EXAMPLES, override_usage = "pager need [OPTIONS] [--] PROGRAM [ARGS]...")]
    Need(NeedArgs),
    /// In how little memory, without swap, does a program still end? And what does it die of in less?
    #[command(after_help = OOM_EXAMPLES, override_usage = "pager oom [OPTIONS] [--] PROGRAM [ARGS]...")]
    Oom(OomArgs),
    /// How many faults other caps and policies would cost, from a recorded run: a table and a plot
    #[command(after_help = MRC_EXAMPLES)]
    Mrc(CurveArgs),
    /// The same as `mrc`, for chosen policies and caps
    #[command(after_help = MRC_EXAMPLES)]
    Sim(CurveArgs),
    /// Print a recorded run event by event
    Events(EventsArgs),
    /// Write a page about a recorded run: when, where and because of which function it faulted. Or other forms
    /// of it
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Say what is at an address of a paged process, and which sentences of the textbook apply
    Explain(ExplainArgs),
    /// Show what a run under way has counted, or what it does at intervals
    Stat(StatArgs),
    /// Show all paged programs of yours that run now, on a screen
    Top(TopArgs),
    /// Show one run as it goes, on a screen from which its cap can be changed
    Watch(WatchArgs),
    /// Change the cap of a run that is under way; its paged processes keep to it at once, whichever of them
    /// is named
    Limit(LimitArgs),
    /// Write manual pages and completions of all shells into a directory, laid out as /usr/share
    Generate(GenerateArgs),
}

/// Arguments of `pager generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// Where, such as target/share; what is missing of it is made
    pub directory: PathBuf,
}

/// Arguments of `pager limit`.
#[derive(Args, Debug)]
pub struct LimitArgs {
    /// Process id of a `pager run`, or of a program in it
    pub pid: u32,

    /// The new cap, such as 64M, or `none`
    #[arg(value_name = "SIZE")]
    pub limit: Limit,
}

/// Arguments of `pager need`.
#[derive(Args, Debug)]
pub struct NeedArgs {
    /// How much slower it may be; repeatable
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', default_value = "5%,25%")]
    pub slowdown: Vec<Slowdown>,

    /// For how many caps the recorded run's prediction is shown
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(2..=100))]
    pub caps: u64,

    /// Replacement policy, as for `pager run`
    #[arg(long, value_enum, default_value_t)]
    pub policy: PolicyChoice,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// The program, looked for in $PATH if it has no slash, and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// Arguments of `pager oom`.
#[derive(Args, Debug)]
pub struct OomArgs {
    /// How many times the time that it takes with all its memory is waited for
    #[arg(long, value_name = "TIMES", default_value = "20")]
    pub patience: NonZeroU32,

    /// Replacement policy, as for `pager run`
    #[arg(long, value_enum, default_value_t)]
    pub policy: PolicyChoice,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// The program, looked for in $PATH if it has no slash, and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// The replacement policies of the live pager. They see misses only.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PolicyChoice {
    /// 2Q: pages that are missed again soon after they went are protected from those that are used once
    #[default]
    #[value(name = "2q")]
    TwoQueue,
    /// First in, first out
    Fifo,
}

impl PolicyChoice {
    /// Name for people and scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            PolicyChoice::TwoQueue => "2q",
            PolicyChoice::Fifo => "fifo",
        }
    }
}

impl From<PolicyChoice> for PolicyKind {
    fn from(choice: PolicyChoice) -> Self {
        match choice {
            PolicyChoice::TwoQueue => Self::TwoQueue,
            PolicyChoice::Fifo => Self::Fifo,
        }
    }
}

/// The engines by name.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EngineChoice {
    /// SIGBUS for private pages, SIGSEGV for pages of files
    #[default]
    Auto,
    /// SIGSEGV for all pages, by guard markers
    Sigsegv,
    /// SIGBUS for all pages, by userfaultfd; pages of files are copied
    Uffd,
    /// No signals: a thread of the pager's own resolves all faults; slow, for comparison
    Thread,
}

impl From<EngineChoice> for pager_core::shared::Engine {
    fn from(choice: EngineChoice) -> Self {
        match choice {
            EngineChoice::Auto => Self::Auto,
            EngineChoice::Sigsegv => Self::Sigsegv,
            EngineChoice::Uffd => Self::Uffd,
            EngineChoice::Thread => Self::Thread,
        }
    }
}

/// What becomes of the programs that the program starts.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ChildrenChoice {
    /// Each process is paged, and all of them together have the one cap
    #[default]
    Share,
    /// Each process is paged, up to a cap of its own
    Own,
    /// Programs that a child executes run as without pager, outside the cap; a fork that executes nothing
    /// stays paged
    Native,
}

impl From<ChildrenChoice> for pager_core::shared::Children {
    fn from(choice: ChildrenChoice) -> Self {
        match choice {
            ChildrenChoice::Own => Self::Own,
            ChildrenChoice::Native => Self::Native,
            ChildrenChoice::Share => Self::Share,
        }
    }
}

/// Arguments of `pager run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Most memory that all processes together may have resident (with --children own: each); over it pages
    /// go to the swap file [default: no cap]
    #[arg(long, value_name = "SIZE")]
    pub resident: Option<ByteSize>,

    /// Swap file to use: an existing regular file or block device, whose contents are overwritten; repeatable
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub swap: Vec<PathBuf>,

    /// Size of the temporary swap file in $TMPDIR that is used without --swap; takes space only as it fills
    /// [default: 16G]
    #[arg(long, value_name = "SIZE", conflicts_with = "swap")]
    pub swap_size: Option<ByteSize>,

    /// What is told at the end: a `summary` of four lines, all of it as `text` or `json`, on standard error;
    /// `none`; or a FILE for JSON
    #[arg(long, value_name = "summary|text|json|none|FILE", default_value = "summary", value_parser = OsStringValueParser::new().map(StatsTarget::from))]
    pub stats: StatsTarget,

    /// Write what happens to each page (faults, evictions, mappings) to FILE, for `pager mrc`, `pager sim`
    /// and `pager events`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Most that the file of --record may take; what comes after is counted as dropped
    #[arg(long, value_name = "SIZE", default_value = "4G", requires = "record")]
    pub record_limit: ByteSize,

    /// Read every image page by itself (4096 bytes, no mapping, no fault-around): slower, but every byte is
    /// seen by who serves the file
    #[arg(long)]
    pub exact: bool,

    /// By which signal missing pages make themselves known: `sigsegv` and `uffd` (SIGBUS) force one, `auto`
    /// takes the quickest for each
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineChoice,

    /// Which pages go when the cap is reached
    #[arg(long, value_enum, default_value_t)]
    pub policy: PolicyChoice,

    /// What becomes of the processes that the program starts
    #[arg(long, value_enum, default_value_t)]
    pub children: ChildrenChoice,

    /// How much of an image one fault brings in
    #[arg(long, value_name = "SIZE", default_value = "64K", conflicts_with = "exact")]
    pub fault_around: ByteSize,

    /// Directory under which program, interpreter and libraries are looked for first
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Tell what the runtime does inside the program, on standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// The program, looked for in $PATH if it has no slash, and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// Arguments of `pager doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_args(line: &[&str]) -> Result<RunArgs, clap::Error> {
        let words = ["pager", "run"].iter().chain(line);
        match Cli::try_parse_from(words)?.command {
            Command::Run(args) => Ok(args),
            _ => unreachable!("the line says run"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_after_the_program_is_its_own() {
        for line in [&["--", "ls", "-l", "--exact"][..], &["ls", "-l", "--exact"][..]] {
            let args = run_args(line).expect("a valid line");
            assert_eq!(args.command, ["ls", "-l", "--exact"]);
            assert!(!args.exact);
        }
    }

    #[test]
    fn swap_files_come_by_comma_or_one_by_one() {
        let args = run_args(&["--swap", "a,b", "--swap", "c", "--", "true"]).expect("a valid line");
        assert_eq!(args.swap, ["a", "b", "c"].map(PathBuf::from));
    }

    #[test]
    fn an_unknown_option_is_not_taken_for_the_program() {
        assert!(run_args(&["--residnt", "32M", "--", "true"]).is_err());
    }

    #[test]
    fn a_temporary_size_and_a_swap_file_exclude_each_other() {
        assert!(run_args(&["--swap", "a", "--swap-size", "1G", "--", "true"]).is_err());
    }
}
