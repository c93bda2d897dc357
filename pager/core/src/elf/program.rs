//! The program header table: what is to be mapped, and what else the kernel takes from it.

use alloc::vec::Vec;

use crate::addr::{PAGE_SIZE, PageRange, USER_END};
use crate::area::Protection;
use crate::elf::field::{u32_at, u64_at};
use crate::elf::segment::Segment;
use crate::elf::{ENTRY_BYTES, ElfError, Header, Piece, pieces};

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;
/// Longest interpreter path with its NUL byte, as Linux' `PATH_MAX`.
const INTERPRETER_BYTES_MAX: u64 = 4096;

/// Where the interpreter's path stands in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interpreter {
    /// File offset of the path.
    pub offset: u64,
    /// Its length with the NUL byte at its end, 2 to 4096.
    pub len: u64,
}

/// A program or interpreter, ready to be mapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// The file's header.
    pub header: Header,
    /// What to map, at least one, ascending and without overlap. Two may share a page: the later one then has
    /// it.
    pub segments: Vec<Segment>,
    /// The program that does the rest of the loading.
    pub interpreter: Option<Interpreter>,
    /// Whether the program asks for an executable stack. One that says nothing does not get one (x86-64,
    /// Linux 5.8 and later).
    pub stack_executable: bool,
    /// Address of the program header table in memory, before any bias, if it is mapped: `AT_PHDR`.
    pub phdr_vaddr: Option<u64>,
    /// What the bias of a position-independent program must be a multiple of: the largest alignment of a
    /// segment, at least a page.
    pub align: u64,
}

impl Program {
    /// Reads the program header table, the [`Header::table_bytes`] bytes of the file at [`Header::phoff`].
    pub fn parse(header: Header, table: &[u8], file_len: u64) -> Result<Program, ElfError> {
        if (table.len() as u64) < header.table_bytes() {
            return Err(ElfError::TableShort { have: table.len() as u64 });
        }
        let mut program = Program {
            header,
            segments: Vec::new(),
            interpreter: None,
            stack_executable: false,
            phdr_vaddr: None,
            align: PAGE_SIZE,
        };
        for (index, record) in table.chunks_exact(ENTRY_BYTES).take(header.phnum.into()).enumerate() {
            program.take_entry(index as u16, &Entry::read(record), file_len)?;
        }
        if program.segments.is_empty() {
            return Err(ElfError::NoSegment);
        }
        Ok(program)
    }

    /// The pages from the lowest segment's first to the highest's last, before any bias.
    pub fn span(&self) -> PageRange {
        let pages = |segment: Option<&Segment>| segment.and_then(Segment::pages);
        pages(self.segments.first())
            .zip(pages(self.segments.last()))
            .and_then(|(first, last)| PageRange::new(first.start(), last.end()))
            .expect("a parsed program has ascending segments that are not empty")
    }

    /// All pieces of all segments, ascending and disjoint: where two segments share a page, it is the later
    /// one's.
    pub fn pieces(&self, bias: u64) -> impl Iterator<Item = Piece> + '_ {
        self.segments.iter().enumerate().flat_map(move |(index, segment)| {
            let next = self.segments.get(index + 1).and_then(|next| pieces(next, bias).next());
            pieces(segment, bias).filter_map(move |piece| match next {
                Some(next) => piece.below(next.range.start()),
                None => Some(piece),
            })
        })
    }

    fn take_entry(&mut self, index: u16, entry: &Entry, file_len: u64) -> Result<(), ElfError> {
        match entry.kind {
            PT_LOAD => self.take_segment(index, entry, file_len),
            PT_INTERP if self.interpreter.is_none() => {
                let inside = ends_inside(entry.offset, entry.filesz, file_len);
                if !inside || !(2..=INTERPRETER_BYTES_MAX).contains(&entry.filesz) {
                    return Err(ElfError::Interpreter { segment: index, len: entry.filesz });
                }
                self.interpreter = Some(Interpreter { offset: entry.offset, len: entry.filesz });
                Ok(())
            }
            PT_GNU_STACK => {
                self.stack_executable = entry.flags & PF_X != 0;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_segment(&mut self, index: u16, entry: &Entry, file_len: u64) -> Result<(), ElfError> {
        if entry.align.is_power_of_two() {
            self.align = self.align.max(entry.align);
        }
        if entry.memsz == 0 && entry.filesz == 0 {
            return Ok(());
        }
        check_segment(index, entry, file_len)?;
        if self.segments.last().is_some_and(|last| entry.vaddr < last.vaddr + last.memsz) {
            return Err(ElfError::Overlap { segment: index, vaddr: entry.vaddr });
        }
        // A table that starts inside the segment but ends outside is found by its address, as Linux has it.
        if let Some(into) = self.header.phoff.checked_sub(entry.offset).filter(|into| *into < entry.filesz) {
            self.phdr_vaddr = Some(entry.vaddr + into);
        }
        self.segments.push(Segment {
            vaddr: entry.vaddr,
            memsz: entry.memsz,
            filesz: entry.filesz,
            offset: entry.offset,
            protection: protection(entry.flags),
            file_len,
        });
        Ok(())
    }
}

fn check_segment(index: u16, entry: &Entry, file_len: u64) -> Result<(), ElfError> {
    let segment = index;
    if entry.filesz > entry.memsz {
        return Err(ElfError::FileLarger { segment, filesz: entry.filesz });
    }
    if !ends_inside(entry.vaddr, entry.memsz, USER_END) {
        return Err(ElfError::OutsideUser { segment, vaddr: entry.vaddr });
    }
    if entry.filesz == 0 {
        return Ok(());
    }
    if !ends_inside(entry.offset, entry.filesz, file_len) {
        return Err(ElfError::Truncated { segment, end: entry.offset.saturating_add(entry.filesz) });
    }
    if (entry.vaddr ^ entry.offset) & (PAGE_SIZE - 1) != 0 {
        return Err(ElfError::NotCongruent { segment, vaddr: entry.vaddr });
    }
    Ok(())
}

fn ends_inside(start: u64, len: u64, limit: u64) -> bool {
    start.checked_add(len).is_some_and(|end| end <= limit)
}

fn protection(flags: u32) -> Protection {
    [(PF_R, Protection::READ), (PF_W, Protection::WRITE), (PF_X, Protection::EXEC)]
        .into_iter()
        .filter(|(flag, _)| flags & flag != 0)
        .map(|(_, right)| right)
        .collect()
}

/// One program header as it stands in the file.
struct Entry {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
}

impl Entry {
    fn read(record: &[u8]) -> Entry {
        Entry {
            kind: u32_at(record, 0),
            flags: u32_at(record, 4),
            offset: u64_at(record, 8),
            vaddr: u64_at(record, 16),
            filesz: u64_at(record, 32),
            memsz: u64_at(record, 40),
            align: u64_at(record, 48),
        }
    }
}
