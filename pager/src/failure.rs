//! Failures that processes of the run reported, in words.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use nix::errno::Errno;
use pager_core::elf::ElfError;
use pager_core::shared::{Control, FailureKind};
use pager_core::text::Text;
use serde::Serialize;

use crate::size::ByteSize;

/// What a process wrote before it died, or could not do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Failure {
    /// Kind, as a stable word.
    pub kind: &'static str,
    /// Process that failed.
    pub pid: u32,
    /// Number whose meaning depends on the kind.
    pub detail: u64,
    /// Text whose meaning depends on the kind, mostly a path.
    pub text: String,
    /// All of it in one line: what, where, what to do.
    pub message: String,
    /// What it means for the run.
    #[serde(skip)]
    pub weight: Weight,
}

/// What a failure means for the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// The first program never ran.
    NotStarted,
    /// A process was ended, or lost data.
    Fatal,
    /// Worth knowing.
    Note,
}

impl Failure {
    /// The failure in `control`, if one was reported.
    pub fn of(control: &Control) -> Option<Failure> {
        let failure = &control.failure;
        let number = failure.kind.load(SeqCst);
        if number == FailureKind::None as u32 {
            return None;
        }
        Some(Failure::new(
            number,
            failure.pid.load(Relaxed),
            failure.detail.load(Relaxed),
            printable(&failure.text),
        ))
    }

    fn new(number: u32, pid: u32, detail: u64, text: String) -> Failure {
        let (kind, weight) = class(number);
        let message = message(number, pid, detail, &text);
        Failure { kind, pid, detail, text, message, weight }
    }
}

/// Stored text without what could move a terminal's cursor.
pub fn printable(text: &Text) -> String {
    let bytes: Vec<u8> = text.iter().collect();
    printable_text(&String::from_utf8_lossy(&bytes))
}

/// The same of any text that a program may have had a say in.
pub fn printable_text(text: &str) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(plain).collect()
}

fn class(number: u32) -> (&'static str, Weight) {
    match kind(number) {
        Some(FailureKind::Elf) => ("elf", Weight::NotStarted),
        Some(FailureKind::Interpreter) => ("interpreter", Weight::NotStarted),
        Some(FailureKind::SwapFull) => ("swap_full", Weight::Fatal),
        Some(FailureKind::CapTooSmall) => ("cap_too_small", Weight::Fatal),
        Some(FailureKind::Kernel) => ("kernel", Weight::NotStarted),
        Some(FailureKind::Fault) => ("fault", Weight::Fatal),
        Some(FailureKind::Io) => ("io", Weight::Fatal),
        Some(FailureKind::Native) => ("native", Weight::Note),
        Some(FailureKind::Internal | FailureKind::None) | None => ("internal", Weight::Fatal),
    }
}

fn kind(number: u32) -> Option<FailureKind> {
    use FailureKind::{CapTooSmall, Elf, Fault, Internal, Interpreter, Io, Kernel, Native, SwapFull};
    [Elf, Interpreter, SwapFull, CapTooSmall, Kernel, Internal, Fault, Io, Native]
        .into_iter()
        .find(|&kind| kind as u32 == number)
}

fn message(number: u32, pid: u32, detail: u64, text: &str) -> String {
    match kind(number) {
        Some(FailureKind::Elf) => format!("{text}: {}", elf(ElfError::from_code(detail))),
        Some(FailureKind::Interpreter) => format!(
            "{text}: the interpreter that the program asks for cannot be opened ({}); install it, or name the tree that has it with --root",
            errno(detail)
        ),
        Some(FailureKind::SwapFull) => format!(
            "swap is full: {text} (pid {pid}) was killed; give it a larger --swap or --swap-size, or more memory with --resident"
        ),
        Some(FailureKind::CapTooSmall) => {
            format!(
                "--resident is too small for this program; the smallest that works is {}",
                ByteSize::of_pages(detail)
            )
        }
        Some(FailureKind::Kernel) => {
            format!("this kernel refuses {text} ({}); `pager doctor` shows what is needed", errno(detail))
        }
        Some(FailureKind::Fault) => format!("process {pid} died of a fault of its own: {text}"),
        Some(FailureKind::Io) => {
            format!("{text}: reading or writing failed ({}); check the file and its device", errno(detail))
        }
        Some(FailureKind::Native) => {
            format!("{text}: ran natively, without paging, as 32-bit and set-id programs do")
        }
        Some(FailureKind::Internal | FailureKind::None) => {
            format!("internal error: {text} ({detail:#x}); this is a bug of the pager, please report it")
        }
        None => format!(
            "the memory that the program's processes share with the pager holds nonsense (failure {number}): a process wrote over it, or pager and its runtime do not match"
        ),
    }
}

fn elf(error: ElfError) -> String {
    match error {
        ElfError::NotElf => {
            "neither an ELF program nor a script with #!; check that this is the file you mean".to_owned()
        }
        damaged => format!("{damaged}; the file may be damaged or made for another machine"),
    }
}

fn errno(detail: u64) -> String {
    let number = i32::try_from(detail).unwrap_or(0);
    match Errno::from_raw(number.saturating_abs()) {
        Errno::UnknownErrno => format!("error {detail}"),
        known => known.desc().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: FailureKind, detail: u64, text: &str) -> Failure {
        Failure::new(kind as u32, 7, detail, text.to_owned())
    }

    #[test]
    fn every_kind_has_a_word_and_a_line() {
        for (kind, word) in [
            (FailureKind::Elf, "elf"),
            (FailureKind::Interpreter, "interpreter"),
            (FailureKind::SwapFull, "swap_full"),
            (FailureKind::CapTooSmall, "cap_too_small"),
            (FailureKind::Kernel, "kernel"),
            (FailureKind::Internal, "internal"),
            (FailureKind::Fault, "fault"),
            (FailureKind::Io, "io"),
            (FailureKind::Native, "native"),
        ] {
            let failure = of(kind, 1, "/bin/x");
            assert_eq!(failure.kind, word);
            assert!(!failure.message.contains('\n') && failure.message.len() > 20, "{}", failure.message);
        }
    }

    #[test]
    fn elf_details_come_in_words() {
        assert!(
            of(FailureKind::Elf, ElfError::NotElf.code(), "/tmp/x")
                .message
                .starts_with("/tmp/x: neither an ELF program nor a script")
        );
        assert!(
            of(FailureKind::Elf, ElfError::Machine(183).code(), "/tmp/x").message.contains("machine 183")
        );
    }

    #[test]
    fn errnos_come_in_words() {
        assert!(of(FailureKind::Interpreter, 2, "/lib/ld.so").message.contains("No such file or directory"));
        assert!(of(FailureKind::Io, 0xffff_ffff_ffff, "x").message.contains("error 281474976710655"));
    }

    #[test]
    fn a_kind_of_a_newer_runtime_is_said_to_be_unknown() {
        let failure = Failure::new(99, 7, 0, "x".to_owned());
        assert_eq!((failure.kind, failure.weight), ("internal", Weight::Fatal));
        assert!(failure.message.contains("failure 99"));
    }
}
