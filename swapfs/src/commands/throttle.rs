//! `swapfs throttle`, `swapfs fault` and `swapfs profiles`: rules of a live mount, and the devices that rules
//! can name.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use swapfs::throttle::profiles::PROFILES;
use swapfs::units::show_text;

use super::client;

const EXAMPLES: &str = "\
Examples:
  swapfs throttle /mnt/s
      Shows the rules in force; the first that accepts a request decides.
  swapfs throttle /mnt/s --set 'images/**: profile=hdd-7200' \\
      --set 'swap/*: read-bw=20M, iops=300, latency=lognormal(2ms,0.5)'
      Puts these in force instead, at once, also for open files and for who waits already.
  swapfs throttle /mnt/s --set 'images/** & comm=sort: bw=1M' --set 'cgroup=/user.slice/**: iops=100'
      The first is for reads by programs called sort, the second for all else in these control groups. pid=N is the third condition.
  swapfs throttle /mnt/s --clear";

const FAULT_EXAMPLES: &str = "\
Examples:
  swapfs fault /mnt/s --set 'swap/*: eio=1e-4, short-read=1e-3, corrupt=1e-6'
  swapfs fault /mnt/s --set 'swap/*: enospc-after=100M, hang=10s@p0.001'
  swapfs fault /mnt/s --set 'images/** & pid=4711: eio=0.01'
  swapfs fault /mnt/s --clear
What hangs is let go when the rules change. What was done so far is counted in .swapfs/stats.json, under `faults`.";

/// `swapfs fault`.
#[derive(Debug, Args)]
#[command(after_help = FAULT_EXAMPLES)]
pub struct FaultArguments {
    #[command(flatten)]
    rules: RuleArguments,
}

/// `swapfs throttle`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ThrottleArguments {
    #[command(flatten)]
    rules: RuleArguments,
}

#[derive(Debug, Args)]
struct RuleArguments {
    /// Where it is mounted
    mountpoint: PathBuf,
    /// Put this rule in force instead of all others (repeatable: the first that matches decides)
    #[arg(long, value_name = "RULE", conflicts_with_all = ["file", "clear"])]
    set: Vec<String>,
    /// Put the rules in this file in force, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "clear")]
    file: Option<PathBuf>,
    /// Have no rules any more
    #[arg(long)]
    clear: bool,
    /// Show the rules in force as a JSON array of strings
    #[arg(long)]
    json: bool,
}

/// Shows or changes the throttle's rules.
pub fn run(arguments: &ThrottleArguments) -> anyhow::Result<()> {
    exchange(&arguments.rules, "throttle")
}

/// Shows or changes the fault rules.
pub fn fault(arguments: &FaultArguments) -> anyhow::Result<()> {
    exchange(&arguments.rules, "faults")
}

fn exchange(arguments: &RuleArguments, file: &str) -> anyhow::Result<()> {
    let text = match &arguments.file {
        Some(path) => {
            Some(std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?)
        }
        None if arguments.clear => Some("# none\n".to_owned()),
        None if arguments.set.is_empty() => None,
        None => Some(arguments.set.join("\n") + "\n"),
    };
    let is_changed = text.is_some();
    let mut mount = client::Mount::at(&arguments.mountpoint)?;
    let rules = match text {
        // An empty write would never reach the mount.
        Some(text) if text.is_empty() => mount.exchange(file, "# none\n")?,
        Some(text) => mount.exchange(file, &text)?,
        None => mount.read(file)?,
    };
    if arguments.json {
        let lines: Vec<&str> = rules.lines().collect();
        client::print(&(serde_json::to_string(&lines)? + "\n"))?;
    } else if arguments.set.is_empty() && arguments.file.is_none() && !arguments.clear {
        client::print(&show_text(&rules))?;
    }
    if is_changed {
        for doubt in mount.command(&format!("doubts {file}"))?.lines() {
            eprintln!("swapfs: {}", show_text(doubt));
        }
    }
    Ok(())
}

/// Lists the profiles.
pub fn profiles() -> anyhow::Result<()> {
    let lines = PROFILES.iter().map(|p| format!("{:<9} {}\n{:<9} ({})\n", p.name, p.settings, "", p.source));
    client::print(&lines.collect::<String>()).map(drop)
}
