//! Commands: a line written to `.swapfs/command` is done at once, and its answer is read from the same open
//! file. A command that fails fails the write, and its answer says why.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use parking_lot::RwLock;

use super::answers::complaint;
use super::swap_names::AddError;
use super::{RuleKind, Service, since_1970_ns};
use crate::filesystem::FsError;
use crate::units::parse_bytes;

/// The longest command.
const LONGEST: usize = 8192;
/// Parts that a heatmap may have.
const MOST_CELLS: usize = 1 << 20;

const KNOWN: &str = "`reset`, `heat CELLS PATH`, `doubts throttle`, `doubts faults`, `swap add NAME SIZE`, `swap resize NAME SIZE`, `swap remove NAME`, `swap list`";

/// A command, read from its line.
#[derive(Debug, PartialEq, Eq)]
enum Command<'a> {
    Reset,
    Heat { cells: usize, path: &'a Path },
    Doubts(RuleKind),
    SwapAdd(&'a str, u64),
    SwapResize(&'a str, u64),
    SwapRemove(&'a str),
    SwapList,
}

/// Why a command was not done, and what its client's write is answered with.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: String,
    pub(super) error: FsError,
}

impl Refusal {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Refusal { why: why.into(), error: FsError::Invalid }
    }

    fn of_swap(name: &str, error: FsError) -> Self {
        match error {
            FsError::NotFound => {
                Refusal { why: format!("there is no swap file `{name}`; see `swap list`"), error }
            }
            error => Refusal { why: format!("swap file `{name}`: {error}{}", cause(&error)), error },
        }
    }
}

impl Service {
    /// Does the command in `data`, and puts its answer, or why it was not done, into `answer`.
    pub(super) fn command(&self, answer: &RwLock<String>, data: &[u8]) -> Result<usize, FsError> {
        let done = read_line(data).and_then(parse).and_then(|command| self.perform(&command));
        let (text, outcome) = match done {
            Ok(text) => (text, Ok(data.len())),
            Err(Refusal { why, error }) => (complaint(&why), Err(error)),
        };
        *answer.write() = text;
        outcome
    }

    fn perform(&self, command: &Command) -> Result<String, Refusal> {
        match *command {
            Command::Reset => {
                self.books.ledger.reset();
                self.release_folded();
                self.faults.lock().reset_counts();
                self.counted_since_ns.store(since_1970_ns(SystemTime::now()), Ordering::Relaxed);
                Ok("reset\n".to_owned())
            }
            Command::SwapAdd(name, size_bytes) => match self.add_swap(name, size_bytes) {
                Ok(_) => Ok(format!("added {name}\n")),
                Err(error) => Err(refuse_add(name, error)),
            },
            Command::SwapResize(name, size_bytes) => {
                self.resize_swap(name, size_bytes).map_err(|error| Refusal::of_swap(name, error))?;
                Ok(format!("resized {name}\n"))
            }
            Command::SwapRemove(name) => {
                self.remove_swap(name).map_err(|error| Refusal::of_swap(name, error))?;
                Ok(format!("removed {name}\n"))
            }
            Command::SwapList => Ok(self.list_swaps()),
            Command::Doubts(about) => Ok(self.doubts(about).iter().map(|line| format!("{line}\n")).collect()),
            Command::Heat { cells, path } => match self.books.ledger.heat(path, cells) {
                Some(heat) => Ok(serde_json::to_string(&heat).unwrap_or_default() + "\n"),
                None => Err(Refusal {
                    why: format!(
                        "no file `{}` was opened yet; paths look like images/ls or swap/swap0",
                        path.display()
                    ),
                    error: FsError::NotFound,
                }),
            },
        }
    }
}

fn cause(error: &FsError) -> String {
    std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"))
}

fn refuse_add(name: &str, error: AddError) -> Refusal {
    let why = match &error {
        AddError::Name => format!("`{name}` cannot be a file's name"),
        AddError::Exists => format!("there is a swap file `{name}` already; resize or remove it"),
        AddError::Store(error) => error.to_string(),
    };
    Refusal { why, error: error.into() }
}

fn read_line(data: &[u8]) -> Result<&str, Refusal> {
    if data.len() > LONGEST {
        return Err(Refusal::invalid(format!("a command has at most {LONGEST} bytes")));
    }
    let text = std::str::from_utf8(data).map_err(|_| Refusal::invalid("a command is text in UTF-8"))?;
    Ok(text.trim_end_matches('\n'))
}

fn parse(line: &str) -> Result<Command<'_>, Refusal> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match verb {
        "reset" if rest.is_empty() => Ok(Command::Reset),
        "heat" => {
            let (cells, path) = rest.split_once(' ').unwrap_or((rest, ""));
            let wanted = cells.parse().ok().filter(|cells| (1..=MOST_CELLS).contains(cells));
            match wanted {
                Some(cells) if !path.is_empty() => Ok(Command::Heat { cells, path: Path::new(path) }),
                _ => Err(Refusal::invalid(format!("write `heat CELLS PATH`, with 1 to {MOST_CELLS} cells"))),
            }
        }
        "doubts" if rest == "throttle" => Ok(Command::Doubts(RuleKind::Throttle)),
        "doubts" if rest == "faults" => Ok(Command::Doubts(RuleKind::Faults)),
        "swap" => parse_swap(rest),
        _ => Err(Refusal::invalid(format!("`{line}` is not a command; known are {KNOWN}"))),
    }
}

/// A name may have blanks: the size is what stands after the last one.
fn parse_swap(text: &str) -> Result<Command<'_>, Refusal> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let sized = || {
        let usage =
            || Refusal::invalid(format!("write `swap {verb} NAME SIZE`, such as `swap {verb} swap1 1G`"));
        let (name, size) = rest.rsplit_once(' ').ok_or_else(usage)?;
        let bytes = parse_bytes(size).map_err(|error| Refusal::invalid(error.to_string()))?;
        match bytes {
            0 => Err(Refusal::invalid("a swap file has at least one byte; use `swap remove`")),
            bytes if i64::try_from(bytes).is_err() => {
                Err(Refusal::invalid(format!("`{size}` is too large for a file")))
            }
            bytes => Ok((name, bytes)),
        }
    };
    match verb {
        "add" => sized().map(|(name, bytes)| Command::SwapAdd(name, bytes)),
        "resize" => sized().map(|(name, bytes)| Command::SwapResize(name, bytes)),
        "remove" if !rest.is_empty() => Ok(Command::SwapRemove(rest)),
        "list" if rest.is_empty() => Ok(Command::SwapList),
        _ => Err(Refusal::invalid(format!("`swap {text}` is not a command; known are {KNOWN}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands() {
        assert_eq!(parse("reset").unwrap(), Command::Reset);
        assert_eq!(
            parse("heat 10 images/a b").unwrap(),
            Command::Heat { cells: 10, path: Path::new("images/a b") }
        );
        assert_eq!(parse("swap add a b 1M").unwrap(), Command::SwapAdd("a b", 1 << 20));
        assert_eq!(parse("swap remove a").unwrap(), Command::SwapRemove("a"));
        for wrong in ["swap", "swap add a", "swap add a 0", "swap resize a 99E", "swap remove", "swap list x"]
        {
            assert!(!parse(wrong).unwrap_err().why.is_empty());
        }
        for wrong in ["", "reset x", "heat", "heat 0 a", "heat 10", "heat 99999999 a", "dance"] {
            assert!(!parse(wrong).unwrap_err().why.is_empty());
        }
        assert!(read_line(&[0xff]).is_err() && read_line(&[b'a'; LONGEST + 1]).is_err());
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,40}") {
            let _ = parse(&line);
        }
    }
}
