//! The `swapfs` command.

mod arguments;
mod commands;

use std::process::ExitCode;

use arguments::Verb;

fn main() -> ExitCode {
    let line = match arguments::parse(std::env::args_os()) {
        Ok(line) => line,
        // Prints help and version too; usage errors exit with 2.
        Err(error) => error.exit(),
    };
    start_log(line.verbose);
    let done = match line.verb {
        Verb::Mount(arguments) => match arguments.command() {
            Ok(command) => commands::mount::run(&command),
            Err(error) => error.exit(),
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
        Verb::Completions(options) => commands::generate::completions(&options),
        Verb::Manpages(options) => commands::generate::manpages(&options),
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
