//! The differential runner: one program of random operations (`guests/differential.c`), natively and under
//! the pager, compared line by line.
//!
//! A difference is shrunk by leaving out steps: each step draws its numbers from the seed and its own number
//! alone, so what is left does the same as before.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::guests::{self, Link};
use crate::run::{End, Outcome, Run};
use crate::scratch::Scratch;

/// How long one run of the guest may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How many replays the shrinking of one difference may take.
const REPLAYS: usize = 400;

mod setting;

pub use setting::{Kind, SETTINGS, Setting};

/// One sequence of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    /// What they do.
    pub kind: Kind,
    /// What all of its random numbers come from.
    pub seed: u64,
    /// How many operations.
    pub steps: usize,
    /// The size of the memory that they work on.
    pub pages: usize,
}

/// Where the two runs parted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The sequence.
    pub sequence: Sequence,
    /// How the pager was set.
    pub setting: Setting,
    /// The line of the native run.
    pub native: String,
    /// The line of the paged run, or how it ended.
    pub paged: String,
    /// The steps that are left after shrinking, as the native run tells them.
    pub minimal: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sequence { kind, seed, steps, pages } = self.sequence;
        writeln!(
            f,
            "differential {seed} {steps} {pages} {} ({kind:?}) differs with {}",
            kind.bits(),
            self.setting
        )?;
        writeln!(
            f,
            "  native {}\n  paged  {}\n  shrunk to {} steps:",
            self.native,
            self.paged,
            self.minimal.len()
        )?;
        self.minimal.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// The guest, and a folder for its files.
#[derive(Debug)]
pub struct Differential {
    program: PathBuf,
    folder: Scratch,
}

impl Default for Differential {
    fn default() -> Self {
        Self::new()
    }
}

impl Differential {
    /// Builds the guest.
    #[must_use]
    pub fn new() -> Self {
        Self { program: guests::build("differential", Link::Dynamic), folder: Scratch::new("differential") }
    }

    /// Runs `sequence` natively and with each of `settings`.
    ///
    /// # Errors
    ///
    /// The first difference, shrunk.
    ///
    /// # Panics
    ///
    /// When the native run does not end well or does not repeat itself.
    pub fn compare(&self, sequence: Sequence, settings: &[Setting]) -> Result<(), Box<Difference>> {
        let native = self.native(sequence, None);
        for setting in settings {
            let paged = self.paged(sequence, *setting, None);
            if same(&native, &paged) {
                continue;
            }
            let again = self.native(sequence, None);
            assert!(same(&native, &again), "the native run does not repeat itself: {sequence:?}");
            return Err(Box::new(self.shrunk(sequence, *setting, &native, &paged)));
        }
        Ok(())
    }

    fn shrunk(&self, sequence: Sequence, setting: Setting, native: &Outcome, paged: &Outcome) -> Difference {
        let (at, native_line, paged_line) = parting(native, paged);
        let mut mask: Vec<bool> = (0..sequence.steps).map(|step| step <= at).collect();
        self.leave_out(sequence, setting, &mut mask);
        let minimal = lines(&self.native(sequence, Some(&mask)));
        Difference { sequence, setting, native: native_line, paged: paged_line, minimal }
    }

    /// Leaves out ever smaller runs of steps as long as a difference remains.
    fn leave_out(&self, sequence: Sequence, setting: Setting, mask: &mut [bool]) {
        let mut replays = 0;
        let mut size = mask.len().next_power_of_two() / 2;
        while size > 0 {
            let mut start = 0;
            while start < mask.len() {
                let end = (start + size).min(mask.len());
                if mask[start..end].contains(&true) && replays < REPLAYS {
                    let mut shorter = mask.to_vec();
                    shorter[start..end].fill(false);
                    replays += 1;
                    if self.differs(sequence, setting, &shorter) {
                        mask.copy_from_slice(&shorter);
                    }
                }
                start = end;
            }
            size /= 2;
        }
    }

    fn differs(&self, sequence: Sequence, setting: Setting, mask: &[bool]) -> bool {
        !same(&self.native(sequence, Some(mask)), &self.paged(sequence, setting, Some(mask)))
    }

    fn native(&self, sequence: Sequence, mask: Option<&[bool]>) -> Outcome {
        let outcome = self.prepare(Run::new(&self.program), sequence, mask).outcome();
        assert_eq!(outcome.end, End::Code(0), "the native run of {sequence:?}: {}", outcome.complaint());
        outcome
    }

    fn paged(&self, sequence: Sequence, setting: Setting, mask: Option<&[bool]>) -> Outcome {
        setting.paging().run(&self.program, |run| self.prepare(run, sequence, mask)).outcome
    }

    fn prepare(&self, run: Run, sequence: Sequence, mask: Option<&[bool]>) -> Run {
        let numbers = [sequence.seed, sequence.steps as u64, sequence.pages as u64, sequence.kind.bits()]
            .map(|number| number.to_string());
        let run = run.args(numbers).folder(self.folder.path()).limit(LIMIT);
        match mask {
            Some(mask) => run.arg(self.mask_file(mask)),
            None => run,
        }
    }

    fn mask_file(&self, mask: &[bool]) -> PathBuf {
        let text: String = mask.iter().map(|chosen| if *chosen { '1' } else { '0' }).collect();
        let path: &Path = self.folder.path();
        std::fs::write(path.join("mask"), text).expect("the scratch folder can be written");
        path.join("mask")
    }
}

/// Standard error is left out: the pager tells there of children that die by a signal, as some do on purpose.
fn same(one: &Outcome, other: &Outcome) -> bool {
    one.end == other.end && one.stdout == other.stdout
}

fn lines(outcome: &Outcome) -> Vec<String> {
    String::from_utf8_lossy(&outcome.stdout).lines().map(str::to_owned).collect()
}

/// The number of the first line that is not the same, and both sides of it.
fn parting(native: &Outcome, paged: &Outcome) -> (usize, String, String) {
    let (natives, pageds) = (lines(native), lines(paged));
    let at = natives.iter().zip(&pageds).position(|(one, other)| one != other);
    let at = at.unwrap_or(natives.len().min(pageds.len()));
    let side = |lines: &[String], outcome: &Outcome| {
        lines.get(at).cloned().unwrap_or_else(|| format!("{:?}: {}", outcome.end, outcome.complaint()))
    };
    (at, side(&natives, native), side(&pageds, paged))
}
