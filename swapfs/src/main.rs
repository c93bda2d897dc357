//! The `swapfs` command.

mod arguments;
mod commands;

use std::process::ExitCode;

use arguments::Command;

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args_os()) {
        Ok(command) => command,
        // Prints help and version too; usage errors exit with 2.
        Err(error) => error.exit(),
    };
    start_log(command.verbose());
    let done = match command {
        Command::Mount(options) => commands::mount::run(&options),
        Command::Unmount(options) => commands::unmount::run(&options),
        Command::Stat(options) => commands::stat::run(&options),
        Command::Swap(options) => commands::swap::run(&options),
        Command::Top(options) => commands::top::run(&options),
        Command::Throttle(options) => commands::throttle::run(&options),
        Command::Fault(options) => commands::throttle::fault(&options),
        Command::Profiles => commands::throttle::profiles(),
        Command::Trace(options) => commands::trace::run(&options),
        Command::Heatmap(options) => commands::heatmap::run(&options),
        Command::Completions(options) => commands::generate::completions(&options),
        Command::Manpages(options) => commands::generate::manpages(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swapfs: {error:#}");
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
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
