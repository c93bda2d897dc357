//! Arguments of the commands that look at a recorded run, or at one under way.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pager_core::simulator::policies::PolicyName;

use crate::analysis::caps::Caps;

/// Arguments of `pager mrc` and `pager sim`.
#[derive(Args, Debug)]
pub struct CurveArgs {
    /// A trace written by `pager run --record`, at a cap smaller than all that are asked about
    pub file: PathBuf,

    /// Policies: fifo, clock, lru, mru, random, 2q (the live one), arc, s3-fifo, opt (the lower bound), or
    /// all
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = CurvePolicy::parse, default_value = "all")]
    pub policy: Vec<CurvePolicy>,

    /// Caps: sizes (64M), parts of the working set (50%), series of parts (10%..100%)
    #[arg(long, value_name = "CAPS", value_delimiter = ',', default_value = "10%..100%")]
    pub cap: Vec<Caps>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A policy of the simulator, or the lower bound of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CurvePolicy {
    /// What can be done without knowing the future.
    Live(PolicyName),
    /// What needs the future.
    Opt,
    /// Each of them.
    All,
}

impl CurvePolicy {
    /// The one that textbooks compare with.
    pub const LRU: CurvePolicy = CurvePolicy::Live(PolicyName::Lru);

    /// The live pager's own.
    pub const fn live() -> CurvePolicy {
        CurvePolicy::Live(PolicyName::TwoQueue)
    }

    /// Name for people and scripts.
    pub const fn name(self) -> &'static str {
        match self {
            CurvePolicy::Live(policy) => policy.as_str(),
            CurvePolicy::Opt => "opt",
            CurvePolicy::All => "all",
        }
    }

    /// The policies that are meant.
    pub fn expand(self) -> Vec<CurvePolicy> {
        match self {
            CurvePolicy::All => {
                PolicyName::ALL.into_iter().map(CurvePolicy::Live).chain([CurvePolicy::Opt]).collect()
            }
            one => vec![one],
        }
    }

    fn parse(text: &str) -> Result<CurvePolicy, String> {
        let live = PolicyName::ALL.into_iter().map(CurvePolicy::Live);
        let known = || live.clone().chain([CurvePolicy::Opt, CurvePolicy::All]);
        known().find(|policy| policy.name() == text).ok_or_else(|| {
            let names: Vec<&str> = known().map(CurvePolicy::name).collect();
            format!("the policies are {}", names.join(", "))
        })
    }
}

/// Forms of `pager events`.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EventsFormat {
    /// A line for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
    /// Comma-separated values
    Csv,
}

/// Arguments of `pager events`.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// A trace written by `pager run --record`
    pub file: PathBuf,

    /// Form
    #[arg(long, value_enum, default_value_t)]
    pub format: EventsFormat,
}

/// Forms of `pager report`.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReportFormat {
    /// A page for people, into FILE.html unless told otherwise
    #[default]
    Html,
    /// What the page shows, for scripts
    Json,
    /// What happened over time, by process
    Csv,
    /// Every fault, for ui.perfetto.dev
    Perfetto,
    /// Stacks with weights, for flame graph tools
    Folded,
    /// The same for speedscope
    Speedscope,
}

/// What counts in stacks.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Weight {
    /// Nanoseconds in faults
    #[default]
    Time,
    /// Faults
    Faults,
}

/// Arguments of `pager report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// A trace written by `pager run --record`
    pub file: PathBuf,

    /// Where the report goes; `-` for standard output [default: FILE.html for html, else standard output]
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,

    /// Form
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,

    /// What counts in `folded` and `speedscope`
    #[arg(long, value_enum, default_value_t)]
    pub weight: Weight,
}

/// Arguments of `pager explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// Process id of a paged program
    pub pid: Option<u32>,

    /// Addresses in it, such as 0x7ffc12345678
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<Address>,

    /// Print JSON, an object a line
    #[arg(long)]
    pub json: bool,

    /// Print the textbook's sentences, each with the code, the test and the command that show it
    #[arg(long, conflicts_with = "pid")]
    pub sentences: bool,
}

/// An address in hexadecimal, or with `0d` before it in decimal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address(pub u64);

impl std::str::FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, Self::Err> {
        let parsed = match text.strip_prefix("0d") {
            Some(decimal) => decimal.parse().ok(),
            None => u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok(),
        };
        parsed.map(Address).ok_or("an address is a number in hexadecimal, such as 0x7ffc12345678")
    }
}

/// Arguments of `pager stat`.
#[derive(Args, Debug)]
pub struct StatArgs {
    /// Process id of a `pager run`, or of a program in it
    pub pid: u32,

    /// Print what happens each so many seconds, until the run ends
    #[arg(long, value_name = "SECONDS")]
    pub interval: Option<Interval>,

    /// Stop after so many intervals
    #[arg(long, value_name = "N", requires = "interval")]
    pub count: Option<u64>,

    /// Print the whole report as JSON, as `pager run --stats json` does, a line for each look
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pager watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Process id of a `pager run`, or of a program in it
    pub pid: u32,

    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub interval: Interval,
}

/// Arguments of `pager top`.
#[derive(Args, Debug)]
pub struct TopArgs {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub interval: Interval,

    /// Print the reports of all runs as JSON, a line each, and end
    #[arg(long)]
    pub json: bool,
}

/// How often something is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interval(pub Duration);

impl std::str::FromStr for Interval {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Interval, Self::Err> {
        let seconds = text.parse().ok().filter(|seconds| (0.05..=86_400.0).contains(seconds));
        let interval = seconds.map(|seconds| Interval(Duration::from_secs_f64(seconds)));
        interval.ok_or("it is a number of seconds, from 0.05 on")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_number_of_seconds() {
        assert_eq!("0.5".parse(), Ok(Interval(Duration::from_millis(500))));
        for text in ["0", "-1", "nan", "inf", "often", "1e9"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
