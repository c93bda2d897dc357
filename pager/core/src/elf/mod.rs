//! What an exec needs to know of an ELF file, read from hostile bytes.
//!
//! Follows `fs/binfmt_elf.c` and `fs/binfmt_script.c` of Linux: what the kernel runs, this accepts, except
//! where running it could only end in a crash (truncated files, overlapping segments). Takes byte slices,
//! does no I/O, never panics, allocates only the list of segments, whose length the format bounds. Does *not*
//! read sections, symbols, notes or relocations: those are the interpreter's business.
//!
//! Use: read the first bytes of the file; if [`script()`] answers, start its interpreter instead; else
//! [`Header::parse`], read [`Header::table_bytes`] bytes at [`Header::phoff`], then [`Program::parse`].

mod error;
mod pieces;
mod program;
mod script;
mod segment;

pub use error::ElfError;
pub use pieces::{Piece, PieceBacking, pieces};
pub use program::{Interpreter, Program};
pub use script::{SCRIPT_BYTES, Script, script};
pub use segment::Segment;

use field::{u16_at, u32_at, u64_at};

/// Bytes of the ELF header, the least that [`Header::parse`] needs.
pub const HEADER_BYTES: usize = 64;
/// Bytes of one program header.
pub const ENTRY_BYTES: usize = 56;
/// Most bytes of a program header table that Linux reads.
pub const TABLE_BYTES_MAX: u64 = 65536;

/// Whether the file says where it is to be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `ET_EXEC`: at the addresses it names.
    Fixed,
    /// `ET_DYN`: anywhere; the distances between segments are fixed.
    Pie,
}

/// The ELF header, as far as an exec needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Whether the addresses in the file are final.
    pub kind: Kind,
    /// Address of the first instruction, before any bias. Not checked: a wrong one is the program's own
    /// fault.
    pub entry: u64,
    /// File offset of the program header table, which lies inside the file.
    pub phoff: u64,
    /// Bytes of an entry, [`ENTRY_BYTES`].
    pub phentsize: u16,
    /// Number of entries, 1 to 1170.
    pub phnum: u16,
}

impl Header {
    /// Reads the header from the file's first bytes ([`HEADER_BYTES`] or more).
    pub fn parse(first_bytes: &[u8], file_len: u64) -> Result<Header, ElfError> {
        if !first_bytes.starts_with(b"\x7fELF") {
            return Err(ElfError::NotElf);
        }
        check_identity(first_bytes)?;
        if first_bytes.len() < HEADER_BYTES || file_len < HEADER_BYTES as u64 {
            return Err(ElfError::HeaderTruncated { have: file_len.min(first_bytes.len() as u64) });
        }
        let kind = match u16_at(first_bytes, 16) {
            2 => Kind::Fixed,
            3 => Kind::Pie,
            other => return Err(ElfError::Type(other)),
        };
        match u16_at(first_bytes, 18) {
            62 => {}
            other => return Err(ElfError::Machine(other)),
        }
        match u32_at(first_bytes, 20) {
            1 => {}
            other => return Err(ElfError::Version(other)),
        }
        let header = Header {
            kind,
            entry: u64_at(first_bytes, 24),
            phoff: u64_at(first_bytes, 32),
            phentsize: u16_at(first_bytes, 54),
            phnum: u16_at(first_bytes, 56),
        };
        header.check_table(file_len)?;
        Ok(header)
    }

    /// Bytes of the program header table, at most [`TABLE_BYTES_MAX`].
    pub const fn table_bytes(&self) -> u64 {
        self.phentsize as u64 * self.phnum as u64
    }

    fn check_table(&self, file_len: u64) -> Result<(), ElfError> {
        if self.phentsize as usize != ENTRY_BYTES {
            return Err(ElfError::EntrySize(self.phentsize));
        }
        if self.phnum == 0 {
            return Err(ElfError::NoTable);
        }
        if self.table_bytes() > TABLE_BYTES_MAX {
            return Err(ElfError::TableTooLarge { entries: self.phnum });
        }
        match self.phoff.checked_add(self.table_bytes()) {
            Some(end) if end <= file_len => Ok(()),
            _ => Err(ElfError::TableOutsideFile { offset: self.phoff }),
        }
    }
}

/// Class, byte order and version in the identification bytes, as far as they are there.
fn check_identity(first_bytes: &[u8]) -> Result<(), ElfError> {
    match first_bytes.get(4) {
        Some(2) => {}
        Some(1) => return Err(ElfError::Class32),
        Some(&other) => return Err(ElfError::Class(other)),
        None => return Err(ElfError::HeaderTruncated { have: first_bytes.len() as u64 }),
    }
    match first_bytes.get(5) {
        Some(1) | None => {}
        Some(&other) => return Err(ElfError::ByteOrder(other)),
    }
    match first_bytes.get(6) {
        Some(1) | None => Ok(()),
        Some(&other) => Err(ElfError::Version(other.into())),
    }
}

/// Little-endian fields of a record whose length the caller has checked; what lies past its end reads as
/// zero.
mod field {
    fn bytes_at<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
        record.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }

    pub fn u16_at(record: &[u8], at: usize) -> u16 {
        u16::from_le_bytes(bytes_at(record, at))
    }

    pub fn u32_at(record: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes_at(record, at))
    }

    pub fn u64_at(record: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes_at(record, at))
    }
}
