//! `#!` lines, as `load_script` in `fs/binfmt_script.c` of Linux reads them.

use core::ops::Range;

/// How many of a file's first bytes count (`BINPRM_BUF_SIZE`).
pub const SCRIPT_BYTES: usize = 256;
/// The last byte of the buffer makes way for a NUL.
const LAST: usize = SCRIPT_BYTES - 1;

/// What a script's first line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Script<'a> {
    /// Path of the interpreter. Empty where a NUL byte or the end of the file stands in its place: Linux then
    /// answers `EACCES`.
    pub interpreter: &'a [u8],
    /// The rest of the line, spaces inside it included, as one argument. Empty, but there, where blanks and
    /// then a NUL byte or the end of a short file follow the path: so Linux has it.
    pub argument: Option<&'a [u8]>,
}

/// Reads the `#!` line in a file's first bytes; of more than [`SCRIPT_BYTES`] the rest is not looked at.
/// `None` where there is none that names an interpreter, or where the interpreter's path may go on out of
/// sight.
pub fn script(first_bytes: &[u8]) -> Option<Script<'_>> {
    let buffer = Buffer(first_bytes.get(..SCRIPT_BYTES).unwrap_or(first_bytes));
    if !buffer.0.starts_with(b"#!") {
        return None;
    }
    let mut end = match buffer.newline() {
        Some(newline) => newline,
        None => {
            let name = buffer.not_blank(2, LAST)?;
            buffer.terminator(name, LAST)?;
            LAST
        }
    };
    while is_blank(buffer.at(end - 1)) {
        end -= 1;
    }
    let name = buffer.not_blank(2, end).filter(|name| *name != end)?;
    let separator = buffer.terminator(name, end);
    let argument = separator.filter(|at| buffer.at(*at) != 0).and_then(|at| buffer.not_blank(at, end));
    Some(Script {
        interpreter: buffer.text(name..separator.unwrap_or(end)),
        argument: argument.map(|start| buffer.text(start..end)),
    })
}

/// The kernel's buffer: the file's first bytes, filled up with NUL bytes.
struct Buffer<'a>(&'a [u8]);

impl<'a> Buffer<'a> {
    fn at(&self, index: usize) -> u8 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// The first newline, if no NUL byte stands before it.
    fn newline(&self) -> Option<usize> {
        self.0.iter().position(|&byte| byte == b'\n' || byte == 0).filter(|&at| self.at(at) == b'\n')
    }

    fn not_blank(&self, first: usize, last: usize) -> Option<usize> {
        (first..=last).find(|&at| !is_blank(self.at(at)))
    }

    fn terminator(&self, first: usize, last: usize) -> Option<usize> {
        (first..=last).find(|&at| is_blank(self.at(at)) || self.at(at) == 0)
    }

    /// The bytes of `range`, as a C string: up to a NUL byte, which also stands behind the file's last one.
    fn text(&self, range: Range<usize>) -> &'a [u8] {
        let len = self.0.len();
        let bytes = &self.0[range.start.min(len)..range.end.min(len)];
        bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
