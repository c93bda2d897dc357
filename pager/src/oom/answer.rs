//! What `pager oom` tells: for people, and as JSON whose keys stay as they are.

use std::time::Duration;

use serde_json::{Value, json};

use crate::need::search::Bracket;
use crate::need::trial::Trial;
use crate::size::{ByteSize, PAGE_BYTES};

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// With 0.
    Well,
    /// It did not fit: in the pager's words.
    OutOfMemory(String),
    /// With something else, of its own doing.
    Badly(String),
    /// Not within the time that there was.
    TooSlow,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Try {
    /// Its memory.
    pub cap_pages: u64,
    /// How it ended.
    pub end: End,
    elapsed: Duration,
}

impl Try {
    /// What came of a run in `cap_pages`.
    pub fn of(cap_pages: u64, trial: &Trial) -> Try {
        let failure =
            trial.report.as_ref().and_then(|report| report.pointer("/failure")).filter(|f| !f.is_null());
        let message =
            || failure.and_then(|f| f.get("message")).and_then(Value::as_str).unwrap_or("no swap left");
        let is_full = failure.and_then(|f| f.get("kind")).is_some_and(|kind| kind == "swap_full");
        let end = match trial.failed() {
            _ if trial.timed_out => End::TooSlow,
            None => End::Well,
            Some(_) if is_full => End::OutOfMemory(message().to_owned()),
            Some(status) => End::Badly(status),
        };
        Try { cap_pages, end, elapsed: trial.elapsed }
    }
}

/// Most pages of all processes together, by a report.
pub fn peak_pages(report: &Value) -> u64 {
    report.pointer("/resident_all_peak_pages").and_then(Value::as_u64).unwrap_or(0)
}

/// Everything.
#[derive(Debug)]
pub struct Answer {
    /// The command line.
    pub command: String,
    /// Most that it had resident without a cap.
    pub peak_pages: u64,
    /// How long it took then.
    pub elapsed: Duration,
    /// In the order in which they were made.
    pub tries: Vec<Try>,
    /// Whether somebody did not want to wait for more.
    pub interrupted: bool,
}

impl Answer {
    fn bracket(&self) -> Bracket {
        let tried = self.tries.iter().map(|one| (one.cap_pages, one.end == End::Well));
        Bracket::of(self.peak_pages, tried)
    }

    /// The last run in the largest memory that was too small.
    fn below(&self) -> Option<&Try> {
        let fails = self.bracket().fails?;
        self.tries.iter().rev().find(|one| one.cap_pages == fails && one.end != End::Well)
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let bracket = self.bracket();
        let size = |pages| ByteSize::of_pages(pages);
        let mut text = format!(
            "{} ends in {}, without swap; left to itself it has {} resident\n",
            self.command,
            size(bracket.passes),
            size(self.peak_pages)
        );
        match self.below() {
            Some(below) => {
                let how = match &below.end {
                    End::OutOfMemory(message) => format!("it is ended: {message}"),
                    End::Badly(status) => format!("it ends with {status}"),
                    End::TooSlow | End::Well => {
                        format!(
                            "it is not done after {:.1} s (alone {:.1} s)",
                            below.elapsed.as_secs_f64(),
                            self.elapsed.as_secs_f64()
                        )
                    }
                };
                text.push_str(&format!("  in {}  {how}\n", size(below.cap_pages)));
            }
            None => text.push_str("  it ends in the least memory that a process can have\n"),
        }
        let runs = self.tries.iter().filter(|one| one.cap_pages == bracket.passes).count();
        text.push_str(&format!(
            "  sure    {} runs, {runs} of them in {}{}\n",
            self.tries.len(),
            size(bracket.passes),
            if self.interrupted { "; interrupted, so that less may do" } else { "" }
        ));
        text.push_str(&format!("  next    pager need -- {}\n", self.command));
        text
    }

    /// For scripts.
    pub fn to_json(&self) -> String {
        let bracket = self.bracket();
        let bytes = |pages: u64| pages * PAGE_BYTES;
        let tries: Vec<Value> = self.tries.iter().map(json_try).collect();
        let mut text = json!({
            "command": self.command,
            "smallest_cap_bytes": bytes(bracket.passes),
            "too_small_bytes": bracket.fails.map(bytes),
            "uncapped_peak_bytes": bytes(self.peak_pages),
            "uncapped_ns": self.elapsed.as_nanos() as u64,
            "interrupted": self.interrupted,
            "tries": tries,
        })
        .to_string();
        text.push('\n');
        text
    }
}

fn json_try(one: &Try) -> Value {
    let (end, detail) = match &one.end {
        End::Well => ("well", None),
        End::OutOfMemory(message) => ("out_of_memory", Some(message)),
        End::Badly(status) => ("badly", Some(status)),
        End::TooSlow => ("too_slow", None),
    };
    json!({
        "cap_bytes": one.cap_pages * PAGE_BYTES,
        "end": end,
        "detail": detail,
        "elapsed_ns": one.elapsed.as_nanos() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(cap_pages: u64, end: End) -> Try {
        Try { cap_pages, end, elapsed: Duration::from_secs(2) }
    }

    fn answer(tries: Vec<Try>) -> Answer {
        let elapsed = Duration::from_secs(1);
        Answer { command: "sort big".to_owned(), peak_pages: 2048, elapsed, tries, interrupted: false }
    }

    #[test]
    fn it_names_the_smallest_memory_and_what_happens_below() {
        let full = End::OutOfMemory("swap is full".to_owned());
        let tries = vec![one(512, full.clone()), one(1024, End::Well), one(1000, full), one(1024, End::Well)];
        let text = answer(tries.clone()).to_text();
        assert!(
            text.starts_with("sort big ends in 4M, without swap; left to itself it has 8M resident\n"),
            "{text}"
        );
        assert!(
            text.contains("in 3.9M  it is ended: swap is full\n") && text.contains("4 runs, 2 of them in 4M"),
            "{text}"
        );
        let json: Value = serde_json::from_str(&answer(tries).to_json()).expect("JSON");
        assert_eq!(
            (json["smallest_cap_bytes"].as_u64(), json["too_small_bytes"].as_u64()),
            (Some(4 << 20), Some(4_096_000))
        );
        assert_eq!(json["tries"][0]["end"], "out_of_memory");
    }

    #[test]
    fn one_that_ends_anywhere_and_one_that_takes_too_long_are_told_apart() {
        assert!(
            answer(vec![one(64, End::Well)]).to_text().contains("the least memory that a process can have")
        );
        assert!(answer(vec![one(64, End::TooSlow)]).to_text().contains("not done after 2.0 s (alone 1.0 s)"));
    }
}
