//! The `pager` command.

use std::process::exit;

use anyhow::Error;
use clap::Parser;
use pager::analysis::curve::curve;
use pager::analysis::events::events;
use pager::cli::{Cli, Command};
use pager::doctor::Diagnosis;
use pager::explain::explain;
use pager::export::report;
use pager::generate;
use pager::limit::limit;
use pager::live;
use pager::need::need;
use pager::oom::oom;
use pager::run::{RunError, run};
use pager::say;
use pager::supervise::end_as;

fn main() {
    match Cli::parse().command {
        Command::Run(args) => match run(&args) {
            Ok(outcome) => end_as(outcome),
            Err(error) => fail(error),
        },
        Command::Doctor(args) => {
            let diagnosis = Diagnosis::new();
            say::to_stdout(&if args.json { diagnosis.to_json() } else { diagnosis.to_text() });
            exit(if diagnosis.can_run { 0 } else { 1 })
        }
        Command::Mrc(args) | Command::Sim(args) => {
            curve(&args).unwrap_or_else(|error| end_with(error.into(), 1))
        }
        Command::Need(args) => need(&args).unwrap_or_else(|error| end_with(error.into(), 1)),
        Command::Oom(args) => oom(&args).unwrap_or_else(|error| end_with(error.into(), 1)),
        Command::Events(args) => events(&args).unwrap_or_else(|error| end_with(error.into(), 1)),
        Command::Report(args) => report(&args).unwrap_or_else(|error| end_with(error.into(), 1)),
        Command::Explain(args) => explain(&args).unwrap_or_else(|error| end_with(error.into(), 1)),
        Command::Stat(args) => live::stat(&args).unwrap_or_else(|error| end_with(error.into(), 1)),
        Command::Top(args) => live::top::top(&args).unwrap_or_else(|error| end_with(error.into(), 1)),
        Command::Watch(args) => live::watch::watch(&args).unwrap_or_else(|error| end_with(error.into(), 1)),
        Command::Generate(args) => {
            if let Err(error) = generate::all(&args.directory) {
                say::line(format_args!("cannot write into {}: {error}", args.directory.display()));
                exit(1)
            }
        }
        Command::Limit(args) => {
            if let Err(error) = limit(args.pid, args.limit) {
                let code = error.exit_code();
                end_with(error.into(), code)
            }
        }
    }
}

/// Says in one line what is wrong, and ends.
fn fail(error: RunError) -> ! {
    let code = error.exit_code();
    end_with(error.into(), code)
}

fn end_with(report: Error, code: u8) -> ! {
    let causes: Vec<String> = report.chain().skip(1).map(ToString::to_string).collect();
    match causes.is_empty() {
        true => say::line(report),
        false => say::line(format_args!("{report} ({})", causes.join(": "))),
    }
    exit(code.into())
}
