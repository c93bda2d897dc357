//! Where a report goes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;

use super::Report;
use super::summary::{self, Manner};
use super::text::render;
use crate::say::to_stderr;

/// The value of `--stats`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StatsTarget {
    /// At most four lines to standard error.
    Summary,
    /// Text to standard error.
    Text,
    /// JSON to standard error.
    Json,
    /// Nowhere.
    Silent,
    /// JSON into a file.
    File(PathBuf),
}

impl From<OsString> for StatsTarget {
    fn from(value: OsString) -> Self {
        match value.to_str() {
            Some("summary") => StatsTarget::Summary,
            Some("text") => StatsTarget::Text,
            Some("json") => StatsTarget::Json,
            Some("none") => StatsTarget::Silent,
            _ => StatsTarget::File(value.into()),
        }
    }
}

/// An opened target.
#[derive(Debug)]
pub enum Writer {
    /// Four lines to standard error at the end; text when asked for in between.
    Summary(Manner),
    /// Text to standard error.
    Text,
    /// JSON to standard error.
    Json,
    /// Nothing at the end; text when asked for in between.
    Silent,
    /// The file.
    File(File),
}

/// Which report it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// Somebody asked while the program runs.
    Asked,
    /// The program has ended.
    End,
}

impl Writer {
    /// Opens the target, so that a file that cannot be written is known before the program starts. A summary is
    /// written in this `manner`.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn open(target: &StatsTarget, manner: Manner) -> io::Result<Writer> {
        Ok(match target {
            StatsTarget::Summary => Writer::Summary(manner),
            StatsTarget::Text => Writer::Text,
            StatsTarget::Json => Writer::Json,
            StatsTarget::Silent => Writer::Silent,
            StatsTarget::File(path) => Writer::File(File::create(path)?),
        })
    }

    /// Writes `report`. In a regular file it takes the place of the one before.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn write(&mut self, report: &Report, occasion: Occasion) -> io::Result<()> {
        match self {
            Writer::Summary(manner) if occasion == Occasion::End => {
                to_stderr(&summary::render(report, manner))
            }
            Writer::Text | Writer::Summary(_) => to_stderr(&render(report)),
            Writer::Json => to_stderr(&report.to_json()),
            Writer::Silent if occasion == Occasion::Asked => to_stderr(&render(report)),
            Writer::Silent => Ok(()),
            Writer::File(file) => replace(file, &report.to_json()),
        }
    }
}

fn replace(file: &mut File, text: &str) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.rewind()?;
        file.set_len(0)?;
    }
    file.write_all(text.as_bytes())
}

/// Turns the argument into a target.
pub fn parse(value: &OsStr) -> StatsTarget {
    value.to_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_forms_and_all_else_is_a_file() {
        assert_eq!(parse("summary".as_ref()), StatsTarget::Summary);
        assert_eq!(parse("text".as_ref()), StatsTarget::Text);
        assert_eq!(parse("json".as_ref()), StatsTarget::Json);
        assert_eq!(parse("none".as_ref()), StatsTarget::Silent);
        assert_eq!(parse("./text".as_ref()), StatsTarget::File("./text".into()));
    }

    #[test]
    fn a_later_report_takes_the_place_of_an_earlier_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("report");
        let mut file = File::create(&path).expect("a file");
        replace(&mut file, "long text").expect("written");
        replace(&mut file, "text").expect("written");
        assert_eq!(std::fs::read_to_string(path).expect("readable"), "text");
    }
}
