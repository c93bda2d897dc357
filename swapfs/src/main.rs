//! The `swapfs` command.

mod arguments;
mod commands;

use std::ffi::OsString;
use std::process::ExitCode;

use arguments::{Caller, Verb};
use commands::mount::DaemonEnded;
use swapfs::process::survive_size_limit;
use swapfs::units::show_text;

fn main() -> ExitCode {
    if let Some(ended) = commands::messenger::serve_where_wanted() {
        return ended;
    }
    if let Err(error) = commands::mount::stand_apart().and_then(|()| survive_size_limit()) {
        eprintln!("swapfs: cannot start: {error}");
        return ExitCode::FAILURE;
    }
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let caller = arguments::caller(&words);
    if caller == Caller::Mount {
        match arguments::from_mount(&words) {
            Ok(Some(ours)) => words = ours,
            Ok(None) => return ExitCode::SUCCESS,
            Err(error) => return refuse(caller, &error),
        }
    }
    let line = match arguments::parse(&words) {
        Ok(line) => line,
        Err(error) => return refuse(caller, &error),
    };
    start_log(line.verbose);
    let done = match line.verb {
        Verb::Mount(arguments) => match arguments.command() {
            Ok(command) => commands::mount::run(&command),
            Err(error) => return refuse(caller, &error),
        },
        Verb::Unmount(options) => commands::unmount::run(&options),
        Verb::Stat(options) => commands::stat::run(&options),
        Verb::Swap(options) => commands::swap::run(&options),
        Verb::Top(options) => commands::top::run(&options),
        Verb::Throttle(options) => commands::throttle::run(&options),
        Verb::Fault(options) => commands::throttle::fault(&options),
        Verb::Profiles => commands::throttle::profiles(),
        Verb::Trace(options) => commands::trace::run(&options),
        Verb::Heatmap(options) => commands::heatmap::run(&options),
        Verb::Completions(options) => commands::generate::completions(&arguments::definition(), &options),
        Verb::Generate(options) => commands::generate::all(&arguments::definition(), &options),
        Verb::Manpages(options) => commands::generate::manpages(&arguments::definition(), &options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let said = error.downcast_ref::<DaemonEnded>();
            if said.is_none() {
                eprintln!("swapfs: {}", show_text(&format!("{error:#}")));
            }
            match caller {
                Caller::User => ExitCode::from(said.and_then(|daemon| daemon.code).unwrap_or(1)),
                Caller::Mount => ExitCode::from(32),
            }
        }
    }
}

/// Says what is wrong with a command line; shows help and version too.
fn refuse(caller: Caller, error: &clap::Error) -> ExitCode {
    match caller {
        Caller::User => error.exit(),
        Caller::Mount => {
            eprintln!("swapfs: {}", error.to_string().lines().next().unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

fn start_log(verbose: u8) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::prelude::*;
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // fuser warns of each request that is left unanswered on purpose.
    let filter = Targets::new().with_default(level).with_target("fuser", LevelFilter::ERROR);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
