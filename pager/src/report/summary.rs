//! The end of a run in at most four lines, for somebody who has not read a word about the pager: how long it
//! took, how much memory, what the faults cost, and what to type next.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::PathBuf;

use super::model::{Children, Report};
use crate::colour::Colour;
use crate::failure::printable_text;
use crate::outcome::Outcome;
use crate::size::ByteSize;
use crate::units::{count, duration, percent};

/// Longest command that is repeated whole.
const LONGEST_COMMAND: usize = 60;

/// What the summary says beside the numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manner {
    /// Where events were recorded.
    pub record: Option<PathBuf>,
    /// Whether it goes to a terminal.
    pub colour: Colour,
}

/// The lines, each ending in a newline.
pub fn render(report: &Report, manner: &Manner) -> String {
    let colour = manner.colour;
    let mut text = colour.bold(&headline(report)) + "\n";
    for (label, line) in [("memory", memory(report)), ("faults", faults(report))] {
        let _ = writeln!(text, "  {}  {line}", colour.dim(label));
    }
    let (command, why) = next(report, manner);
    let _ = writeln!(text, "  {}    {}  {}", colour.dim("next"), colour.command(&command), colour.dim(&why));
    text
}

fn headline(report: &Report) -> String {
    let program = printable_text(&report.program.display().to_string());
    match report.exit {
        Some(exit) => format!("pager: {program} {exit} after {}", duration(report.elapsed_ns)),
        None => format!("pager: {program} runs since {}", duration(report.elapsed_ns)),
    }
}

/// The peak of what the cap is for, beside the cap.
fn memory(report: &Report) -> String {
    let resident = &report.resident;
    let is_shared = resident.children == Children::Share;
    let peak = ByteSize(match is_shared {
        true => resident.resident_all_peak_bytes,
        false => resident.resident_peak_bytes,
    });
    let processes = match report.processes {
        0 | 1 => String::new(),
        many if is_shared => format!(", {} processes together", count(many)),
        many => format!(" in the largest of {} processes", count(many)),
    };
    let cap = match resident.cap_bytes {
        Some(cap) => format!(" of the {} allowed", ByteSize(cap)),
        None => " (no cap)".to_owned(),
    };
    let swap = match report.swap.peak_bytes {
        0 => String::new(),
        peak => format!(", and at most {} in swap", ByteSize(peak)),
    };
    format!("at most {peak}{cap}{processes}{swap}")
}

/// How many, what they cost, and the part of them that more memory would have saved.
fn faults(report: &Report) -> String {
    let (faults, time) = (&report.faults, report.fault_time.total_ns);
    let is_one_thread = report.processes <= 1 && report.threads <= 1 && time <= report.elapsed_ns;
    let share = match is_one_thread {
        true => format!(" ({:.0} % of the run)", percent(time, report.elapsed_ns)),
        false => " over all threads".to_owned(),
    };
    let again = match report.pages.swap_in {
        0 => String::new(),
        _ => format!("; {} of them had to fetch a page back from swap", count(faults.swap_in)),
    };
    format!("{} took {}{share}{again}", count(faults.total), duration(time))
}

/// What to type next, and what it answers.
fn next(report: &Report, manner: &Manner) -> (String, String) {
    let command = command_line(report);
    let ended_well = report.exit == Some(Outcome::code(0));
    match (&manner.record, report.resident.cap_bytes) {
        (Some(record), _) => {
            (format!("pager report {}", quoted(record.as_os_str())), "a page about this run".into())
        }
        (None, Some(cap)) if report.pages.swap_in > 0 => (
            format!("pager run --resident {} --record t -- {command}", ByteSize(cap).exact()),
            "then `pager report t`".into(),
        ),
        (None, _) if ended_well => (format!("pager need -- {command}"), "how little memory would do".into()),
        (None, _) => (format!("pager run --stats text -- {command}"), "all that was counted".into()),
    }
}

/// Program and arguments as they can be typed; without the arguments where they are many.
fn command_line(report: &Report) -> String {
    let program = quoted(report.program.as_os_str());
    let whole =
        report.arguments.iter().fold(program.clone(), |line, word| format!("{line} {}", quoted(word)));
    match whole.chars().count() <= LONGEST_COMMAND {
        true => whole,
        false => format!("{program} ..."),
    }
}

/// A word as a shell takes it.
fn quoted(word: &OsStr) -> String {
    let word = printable_text(&word.to_string_lossy());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::sample;

    const PLAIN: Manner = Manner { record: None, colour: Colour::Off };

    #[test]
    fn a_run_under_a_cap() {
        let expected = "\
pager: /usr/bin/sort exited with 0 after 2.53 s
  memory  at most 31.9M of the 32M allowed, and at most 210M in swap
  faults  91,237 took 312.0 ms over all threads; 20,110 of them had to fetch a page back from swap
  next    pager run --resident 32M --record t -- /usr/bin/sort big.txt  then `pager report t`
";
        assert_eq!(render(&sample(), &PLAIN), expected);
    }

    #[test]
    fn there_are_never_more_than_four_lines_and_each_next_step_fits() {
        let recorded = Manner { record: Some("my trace".into()), colour: Colour::Off };
        assert!(render(&sample(), &recorded).contains("pager report 'my trace'"));
        let mut free = sample();
        (free.resident.cap_bytes, free.pages.swap_in) = (None, 0);
        assert!(render(&free, &PLAIN).contains("pager need -- /usr/bin/sort big.txt"));
        free.exit = Some(Outcome::code(1));
        free.arguments = vec!["a b".into(), "it's".into(), "\x1b[2J\n".into()];
        let text = render(&free, &PLAIN);
        assert!(text.contains(r"--stats text -- /usr/bin/sort 'a b' 'it'\''s'"), "{text}");
        assert!(text.lines().count() == 4 && !text.contains('\x1b'), "{text}");
        free.arguments = vec!["x".repeat(100).into()];
        assert!(render(&free, &PLAIN).contains("/usr/bin/sort ..."));
        free.processes = 3;
        free.resident.children = Children::Share;
        assert!(render(&free, &PLAIN).contains("3 processes together"));
    }

    #[test]
    fn colours_are_for_terminals() {
        let bright = Manner { record: None, colour: Colour::On };
        let text = render(&sample(), &bright);
        assert!(
            text.starts_with("\x1b[1mpager: ")
                && text.lines().all(|line| line.ends_with("\x1b[0m") || line.contains("\x1b[2m"))
        );
        assert!(!render(&sample(), &PLAIN).contains('\x1b'));
    }
}
