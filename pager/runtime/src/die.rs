//! Last words: how the runtime ends a process that cannot go on, and how it says why.

use core::fmt::{self, Write};

use pager_core::shared::FailureKind;

use crate::control;
use crate::sys::{file, task};

/// Exit code for failures of the runtime itself, as `env`(1) uses it.
pub const INTERNAL_EXIT: i32 = 125;

/// A line of text on the stack, cut at its capacity.
pub struct Line {
    bytes: [u8; 240],
    len: usize,
}

impl Line {
    pub const fn empty() -> Line {
        Line { bytes: [0; 240], len: 0 }
    }

    pub fn format(args: fmt::Arguments<'_>) -> Line {
        let mut line = Line::empty();
        let _ = line.write_fmt(args);
        line
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.len;
        let part = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
        Ok(())
    }
}

/// Prints a line to standard error if the user asked for runtime events.
macro_rules! event {
    ($($arg:tt)*) => {
        if $crate::control::verbose() {
            $crate::die::say(format_args!($($arg)*));
        }
    };
}
pub(crate) use event;

/// Prints a line to standard error.
pub fn say(args: fmt::Arguments<'_>) {
    let mut line = Line::empty();
    let _ = writeln!(line, "pager[{}]: {args}", task::pid());
    let _ = file::write(file::Fd(2), line.as_bytes());
}

/// Reports a failure to the supervisor and ends the process.
pub fn fail(kind: FailureKind, detail: u64, text: &[u8], code: i32) -> ! {
    report(kind, detail, text);
    task::exit_group(code)
}

/// Reports a failure to the supervisor; the first one of a run stays.
pub fn report(kind: FailureKind, detail: u64, text: &[u8]) {
    match control::control() {
        Some(control) => control.failure.report(kind, task::pid(), detail, text),
        None => say(format_args!("{kind:?} {detail} {}", core::str::from_utf8(text).unwrap_or("?"))),
    }
}

/// An invariant does not hold: say which, and end the process rather than go on with wrong memory.
pub fn internal(args: fmt::Arguments<'_>) -> ! {
    let line = Line::format(args);
    report(FailureKind::Internal, 0, line.as_bytes());
    say(args);
    task::exit_group(INTERNAL_EXIT)
}

/// The image's panic handler.
pub fn on_panic(info: &core::panic::PanicInfo<'_>) -> ! {
    internal(format_args!("runtime panic: {info}"))
}
