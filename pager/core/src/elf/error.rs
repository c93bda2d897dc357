//! What can be wrong with an ELF file, in a form that fits the control block.

/// Why a file cannot be run. `segment` is the index of a program header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum ElfError {
    /// The magic number is missing.
    #[error("not an ELF file")]
    NotElf,
    /// A 32-bit file.
    #[error("a 32-bit program; only 64-bit x86 programs can be paged")]
    Class32,
    /// Neither 32-bit nor 64-bit.
    #[error("unknown ELF class {0}")]
    Class(u8),
    /// Not little-endian.
    #[error("unknown or foreign byte order {0}; only little-endian programs can be paged")]
    ByteOrder(u8),
    /// An ELF version other than 1.
    #[error("unknown ELF version {0}")]
    Version(u32),
    /// Made for another processor.
    #[error("a program for machine {0}; this is x86-64 (machine 62)")]
    Machine(u16),
    /// Neither an executable nor a shared object.
    #[error("an ELF file of type {0}, which is not a program")]
    Type(u16),
    /// The file ends inside its header.
    #[error("truncated: only {have} of the 64 bytes of the ELF header are there")]
    HeaderTruncated {
        /// Bytes there are.
        have: u64,
    },
    /// The entries of the program header table are not 56 bytes long.
    #[error("program headers of {0} bytes instead of 56")]
    EntrySize(u16),
    /// No program headers.
    #[error("no program headers: nothing to map")]
    NoTable,
    /// More program headers than fit in 64 KiB.
    #[error("{entries} program headers; at most 1170 are possible")]
    TableTooLarge {
        /// How many.
        entries: u16,
    },
    /// The program header table is not inside the file.
    #[error("truncated: the program headers at offset {offset:#x} are not inside the file")]
    TableOutsideFile {
        /// Where the table should be.
        offset: u64,
    },
    /// Less of the table was read than the header promises.
    #[error("only {have} bytes of the program headers could be read")]
    TableShort {
        /// Bytes there are.
        have: u64,
    },
    /// No segment to load.
    #[error("no loadable segment")]
    NoSegment,
    /// The file ends inside a segment.
    #[error("truncated: segment {segment} needs the file up to offset {end:#x}")]
    Truncated {
        /// Which one.
        segment: u16,
        /// File offset of the segment's end.
        end: u64,
    },
    /// More bytes in the file than in memory.
    #[error("segment {segment} has more bytes in the file ({filesz:#x}) than in memory")]
    FileLarger {
        /// Which one.
        segment: u16,
        /// Its bytes in the file.
        filesz: u64,
    },
    /// Address and file offset differ within a page, so the segment cannot be mapped.
    #[error("segment {segment} at address {vaddr:#x} is not congruent with its file offset")]
    NotCongruent {
        /// Which one.
        segment: u16,
        /// Its address.
        vaddr: u64,
    },
    /// Not inside the addresses of user space, or wrapping around.
    #[error("segment {segment} at address {vaddr:#x} does not fit into user space")]
    OutsideUser {
        /// Which one.
        segment: u16,
        /// Its address.
        vaddr: u64,
    },
    /// Starts below the end of the segment before it.
    #[error("segment {segment} at address {vaddr:#x} overlaps or precedes the segment before it")]
    Overlap {
        /// Which one.
        segment: u16,
        /// Its address.
        vaddr: u64,
    },
    /// The interpreter's path is empty, longer than 4096 bytes, or not inside the file.
    #[error("program header {segment} names an interpreter of {len} bytes, or one outside the file")]
    Interpreter {
        /// Which program header.
        segment: u16,
        /// Length of the path with its NUL byte.
        len: u64,
    },
    /// A number that [`ElfError::code`] never makes.
    #[error("unknown ELF error")]
    Unknown,
}

const KIND_SHIFT: u32 = 59;
const SEGMENT_SHIFT: u32 = 48;
const SEGMENT_MASK: u64 = 0x7ff;
/// The largest value that a code carries.
const VALUE_MAX: u64 = (1 << SEGMENT_SHIFT) - 1;

impl ElfError {
    /// The error as one number for the control block: kind in the top 5 bits, segment in the next 11, value
    /// in the low 48. A value of more than 48 bits, which only a hostile file has, becomes the largest.
    pub fn code(self) -> u64 {
        let (kind, segment, value) = match self {
            ElfError::Unknown => (0, 0, 0),
            ElfError::NotElf => (1, 0, 0),
            ElfError::Class32 => (2, 0, 0),
            ElfError::Class(class) => (3, 0, class.into()),
            ElfError::ByteOrder(order) => (4, 0, order.into()),
            ElfError::Version(version) => (5, 0, version.into()),
            ElfError::Machine(machine) => (6, 0, machine.into()),
            ElfError::Type(kind) => (7, 0, kind.into()),
            ElfError::HeaderTruncated { have } => (8, 0, have),
            ElfError::EntrySize(size) => (9, 0, size.into()),
            ElfError::NoTable => (10, 0, 0),
            ElfError::TableTooLarge { entries } => (11, 0, entries.into()),
            ElfError::TableOutsideFile { offset } => (12, 0, offset),
            ElfError::TableShort { have } => (13, 0, have),
            ElfError::NoSegment => (14, 0, 0),
            ElfError::Truncated { segment, end } => (15, segment, end),
            ElfError::FileLarger { segment, filesz } => (16, segment, filesz),
            ElfError::NotCongruent { segment, vaddr } => (17, segment, vaddr),
            ElfError::OutsideUser { segment, vaddr } => (18, segment, vaddr),
            ElfError::Overlap { segment, vaddr } => (19, segment, vaddr),
            ElfError::Interpreter { segment, len } => (20, segment, len),
        };
        kind << KIND_SHIFT | (u64::from(segment) & SEGMENT_MASK) << SEGMENT_SHIFT | value.min(VALUE_MAX)
    }

    /// The error behind a number that [`ElfError::code`] made; [`ElfError::Unknown`] for other numbers.
    pub fn from_code(code: u64) -> ElfError {
        let segment = (code >> SEGMENT_SHIFT & SEGMENT_MASK) as u16;
        let value = code & VALUE_MAX;
        match code >> KIND_SHIFT {
            1 => ElfError::NotElf,
            2 => ElfError::Class32,
            3 => ElfError::Class(value as u8),
            4 => ElfError::ByteOrder(value as u8),
            5 => ElfError::Version(value as u32),
            6 => ElfError::Machine(value as u16),
            7 => ElfError::Type(value as u16),
            8 => ElfError::HeaderTruncated { have: value },
            9 => ElfError::EntrySize(value as u16),
            10 => ElfError::NoTable,
            11 => ElfError::TableTooLarge { entries: value as u16 },
            12 => ElfError::TableOutsideFile { offset: value },
            13 => ElfError::TableShort { have: value },
            14 => ElfError::NoSegment,
            15 => ElfError::Truncated { segment, end: value },
            16 => ElfError::FileLarger { segment, filesz: value },
            17 => ElfError::NotCongruent { segment, vaddr: value },
            18 => ElfError::OutsideUser { segment, vaddr: value },
            19 => ElfError::Overlap { segment, vaddr: value },
            20 => ElfError::Interpreter { segment, len: value },
            _ => ElfError::Unknown,
        }
    }
}
