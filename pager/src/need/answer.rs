//! What `pager need` tells: for people, and as JSON whose keys stay as they are.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::search::Slowdown;
use super::trial::Trial;
use crate::analysis::curve::Recording;
use crate::analysis::plot::bar;
use crate::cli::CurvePolicy;
use crate::size::ByteSize;

/// The program paged, without a cap.
#[derive(Clone, PartialEq, Debug)]
pub struct Uncapped {
    /// Median time.
    pub elapsed: Duration,
    /// Most pages of all processes together.
    pub peak_pages: u64,
    faults: u64,
    unmanaged_bytes: u64,
    native_execs: u64,
}

impl Uncapped {
    /// What `report` of a run that took `elapsed` says.
    pub fn of(report: &Value, elapsed: Duration) -> Uncapped {
        let number = |key: &str| report.pointer(key).and_then(Value::as_u64).unwrap_or(0);
        Uncapped {
            elapsed,
            peak_pages: number("/resident_all_peak_pages"),
            faults: misses(report),
            unmanaged_bytes: number("/unmanaged_shared_bytes") + number("/unmanaged_other_bytes"),
            native_execs: number("/execs_native") + number("/execs_native_children"),
        }
    }
}

/// Faults on pages that were not in memory.
fn misses(report: &Value) -> u64 {
    let number = |key: &str| report.pointer(key).and_then(Value::as_u64).unwrap_or(0);
    number("/faults/image") + number("/faults/zero") + number("/faults/swap_in")
}

/// What a slowdown is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// The native run.
    Native(Duration),
    /// The paged run without a cap, because that alone takes longer than the slowdown allows.
    Uncapped(Duration),
}

impl Base {
    /// The time.
    pub fn time(self) -> Duration {
        match self {
            Base::Native(time) | Base::Uncapped(time) => time,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Base::Native(_) => "native",
            Base::Uncapped(_) => "uncapped",
        }
    }
}

/// The runs at one cap.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// The cap.
    pub cap_pages: u64,
    /// How long they took.
    pub elapsed: Vec<Duration>,
    faults: Option<u64>,
    timed_out: bool,
    failed: Option<String>,
}

impl Row {
    /// With a first run.
    pub fn new(cap_pages: u64, trial: &Trial) -> Row {
        let mut row = Row { cap_pages, elapsed: Vec::new(), faults: None, timed_out: false, failed: None };
        row.add(trial);
        row
    }

    /// With one more.
    pub fn add(&mut self, trial: &Trial) {
        // A run that failed is none that is quick enough.
        self.failed = self.failed.take().or(trial.failed());
        self.elapsed.push(if trial.failed().is_some() { Duration::MAX } else { trial.elapsed });
        self.elapsed.sort_unstable();
        self.timed_out |= trial.timed_out;
        self.faults = trial.report.as_ref().map(misses).or(self.faults);
    }

    /// The middle one of the times.
    pub fn median(&self) -> Duration {
        self.elapsed.get(self.elapsed.len() / 2).copied().unwrap_or(Duration::MAX)
    }
}

/// A cap for a slowdown.
#[derive(Clone, PartialEq, Debug)]
pub struct Need {
    /// The slowdown.
    pub slowdown: Slowdown,
    cap_pages: u64,
    base: Base,
    median: Duration,
    runs: usize,
    fails: Option<u64>,
}

impl Need {
    /// `cap_pages` does, as `runs` runs with that median show; `fails` does not.
    pub fn new(
        slowdown: Slowdown,
        cap_pages: u64,
        base: Base,
        median: Duration,
        runs: usize,
        fails: Option<u64>,
    ) -> Need {
        Need { slowdown, cap_pages, base, median, runs, fails }
    }

    fn measured(&self) -> f64 {
        self.median.as_secs_f64() / self.base.time().as_secs_f64().max(1e-9) - 1.0
    }
}

/// What the recorded run says about a cap.
#[derive(Clone, PartialEq, Debug)]
pub struct Predicted {
    cap_pages: u64,
    faults: u64,
    elapsed: Duration,
}

impl Predicted {
    /// About `cap_pages`.
    pub fn of(recording: &Recording, cap_pages: u64) -> Predicted {
        let misses = recording.misses(CurvePolicy::live(), cap_pages);
        let elapsed = Duration::from_nanos(recording.costs.elapsed_with(&misses));
        Predicted { cap_pages, faults: misses.total(), elapsed }
    }
}

/// All of it.
pub struct Answer {
    /// The program with its arguments.
    pub command: String,
    /// Median time of the native runs.
    pub native: Duration,
    /// The paged runs without a cap.
    pub uncapped: Uncapped,
    /// By cap, the largest first.
    pub rows: Vec<Row>,
    /// By slowdown, the smallest first.
    pub needs: Vec<Need>,
    /// By cap, the smallest first.
    pub predicted: Vec<Predicted>,
    /// Whether Ctrl-C came before the end.
    pub interrupted: bool,
}

#[derive(Serialize)]
struct JsonNeed {
    slowdown: f64,
    cap_bytes: u64,
    base: &'static str,
    base_ns: u64,
    measured_ns: u64,
    measured_slowdown: f64,
    runs: usize,
    largest_failing_cap_bytes: Option<u64>,
}

#[derive(Serialize)]
struct JsonRow {
    cap_bytes: Option<u64>,
    faults: Option<u64>,
    elapsed_ns: Option<u64>,
    runs: usize,
    timed_out: bool,
    failed: Option<String>,
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn bytes(pages: u64) -> u64 {
    ByteSize::of_pages(pages).0
}

impl Answer {
    /// One line of JSON.
    pub fn to_json(&self) -> String {
        let needs: Vec<JsonNeed> = self.needs.iter().map(json_need).collect();
        let measured: Vec<JsonRow> = self.rows.iter().map(json_row).collect();
        let predicted: Vec<JsonRow> = self.predicted.iter().map(json_predicted).collect();
        let mut text = serde_json::json!({
            "command": self.command,
            "native_ns": nanoseconds(self.native),
            "uncapped_ns": nanoseconds(self.uncapped.elapsed),
            "peak_bytes": bytes(self.uncapped.peak_pages),
            "unmanaged_bytes": self.uncapped.unmanaged_bytes,
            "native_execs": self.uncapped.native_execs,
            "needs": needs,
            "measured": measured,
            "predicted": predicted,
            "interrupted": self.interrupted,
        })
        .to_string();
        text.push('\n');
        text
    }

    /// The answer first, then the table behind it.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for need in &self.needs {
            text += &self.sentence(need);
        }
        text += &format!("\n{:>10} {:>9} {:>9} {:>9}  {:>4}\n", "cap", "misses", "time", "slower", "runs");
        text += &format!("{:>10} {:>9} {:>9}\n", "natively", "-", seconds(self.native));
        text += &self.line("no cap", Some(self.uncapped.faults), self.uncapped.elapsed, "", 0);
        let most = self.rows.iter().filter_map(|row| row.faults).max().unwrap_or(0);
        for row in &self.rows {
            let cap = ByteSize::of_pages(row.cap_pages).to_string();
            let plot = bar(row.faults.unwrap_or(0), most, 24);
            let note = match (&row.failed, row.timed_out) {
                (Some(failed), _) => failed.clone(),
                (None, true) => "ended: too slow".to_owned(),
                (None, false) => plot,
            };
            text += &self.line(&cap, row.faults, row.median(), &note, row.elapsed.len());
        }
        if !self.predicted.is_empty() {
            text += "\npredicted from the recorded run:\n";
            for point in &self.predicted {
                let cap = ByteSize::of_pages(point.cap_pages).to_string();
                text += &self.line(&cap, Some(point.faults), point.elapsed, "", 0);
            }
        }
        text + &self.caveats()
    }

    fn sentence(&self, need: &Need) -> String {
        let base = match need.base {
            Base::Native(_) => "slower than natively",
            Base::Uncapped(_) => {
                "slower than paged without a cap (being paged alone takes longer than that natively)"
            }
        };
        let cap = ByteSize::of_pages(need.cap_pages);
        let sure = match (need.runs, need.fails) {
            (0, _) => "all that it ever has at once".to_owned(),
            (runs, Some(fails)) => format!("{runs} runs; {} is too little", ByteSize::of_pages(fails)),
            (runs, None) => format!("{runs} runs; the smallest cap there is"),
        };
        format!(
            "{} needs {cap} to be at most {:.0} % {base}: {:.1} % measured ({sure})\n",
            self.command,
            need.slowdown.0 * 100.0,
            need.measured() * 100.0
        )
    }

    fn line(&self, cap: &str, faults: Option<u64>, elapsed: Duration, note: &str, runs: usize) -> String {
        let slower = (elapsed.as_secs_f64() / self.native.as_secs_f64().max(1e-9) - 1.0) * 100.0;
        let slower = if elapsed == Duration::MAX { "-".to_owned() } else { format!("{slower:.1} %") };
        let faults = faults.map_or("-".to_owned(), |faults| faults.to_string());
        let runs = if runs == 0 { String::new() } else { runs.to_string() };
        let line = format!("{cap:>10} {faults:>9} {:>9} {slower:>9}  {runs:>4}  {note}", seconds(elapsed));
        line.trim_end().to_owned() + "\n"
    }

    fn caveats(&self) -> String {
        let mut text = String::new();
        if self.uncapped.unmanaged_bytes > 0 {
            let bytes = ByteSize(self.uncapped.unmanaged_bytes);
            text +=
                &format!("\n{bytes} of shared memory were left to the kernel and come on top of any cap.\n");
        }
        if self.uncapped.native_execs > 0 {
            text += &format!(
                "\n{} programs ran without being paged, outside of any cap.\n",
                self.uncapped.native_execs
            );
        }
        if self.interrupted {
            text += "\nInterrupted: this is what was known by then.\n";
        }
        text
    }
}

fn seconds(time: Duration) -> String {
    if time == Duration::MAX { "-".to_owned() } else { format!("{:.3} s", time.as_secs_f64()) }
}

fn json_need(need: &Need) -> JsonNeed {
    JsonNeed {
        slowdown: need.slowdown.0,
        cap_bytes: bytes(need.cap_pages),
        base: need.base.name(),
        base_ns: nanoseconds(need.base.time()),
        measured_ns: nanoseconds(need.median),
        measured_slowdown: need.measured(),
        runs: need.runs,
        largest_failing_cap_bytes: need.fails.map(bytes),
    }
}

fn json_row(row: &Row) -> JsonRow {
    JsonRow {
        cap_bytes: Some(bytes(row.cap_pages)),
        faults: row.faults,
        elapsed_ns: Some(row.median()).filter(|&time| time != Duration::MAX).map(nanoseconds),
        runs: row.elapsed.len(),
        timed_out: row.timed_out,
        failed: row.failed.clone(),
    }
}

fn json_predicted(point: &Predicted) -> JsonRow {
    JsonRow {
        cap_bytes: Some(bytes(point.cap_pages)),
        faults: Some(point.faults),
        elapsed_ns: Some(nanoseconds(point.elapsed)),
        runs: 0,
        timed_out: false,
        failed: None,
    }
}
