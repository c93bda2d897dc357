//! What the dynamic linker reads of an ELF file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::read::{Error, FileKind, ReadCache, ReadRef, StringTable};
use object::{Endianness, ReadCacheOps};

/// What machine code is for: a library of another kind is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    class: u8,
    number: u16,
}

/// The dynamic linker's view of a program or library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binary {
    pub(super) machine: Machine,
    /// Its `PT_INTERP`: the dynamic linker. Libraries and static programs have none.
    pub(super) interpreter: Option<PathBuf>,
    /// The name that it answers to besides its file's.
    pub(super) soname: Option<OsString>,
    /// Names of what it needs, in its order.
    pub(super) needed: Vec<OsString>,
    /// Where it and what it loads are looked for. Counts only without a runpath.
    pub(super) rpath: Vec<OsString>,
    /// Where what it needs itself is looked for.
    pub(super) runpath: Option<Vec<OsString>>,
}

impl Binary {
    /// Reads what is needed of `file` and no more; nothing where it is no ELF file.
    ///
    /// # Errors
    /// Where it is a damaged one.
    pub(super) fn read(file: File) -> Result<Option<Binary>, Error> {
        let data = &ReadCache::new(file);
        match FileKind::parse(data) {
            Ok(FileKind::Elf32) => parse::<FileHeader32<Endianness>, _>(data).map(Some),
            Ok(FileKind::Elf64) => parse::<FileHeader64<Endianness>, _>(data).map(Some),
            _ => Ok(None),
        }
    }
}

fn parse<E, R>(data: &ReadCache<R>) -> Result<Binary, Error>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadCacheOps,
{
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let machine = Machine { class: header.e_ident().class, number: header.e_machine(endian) };
    let mut binary =
        Binary { machine, interpreter: None, soname: None, needed: vec![], rpath: vec![], runpath: None };
    let segments = header.program_headers(endian, data)?;
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, data)? {
            binary.interpreter = Some(OsStr::from_bytes(path).into());
        }
        let Some(entries) = segment.dynamic(endian, data)? else { continue };
        let end = entries
            .iter()
            .position(|entry| entry.tag32(endian) == Some(elf::DT_NULL))
            .unwrap_or(entries.len());
        let entries = &entries[..end];
        let strings = strings::<E, _>(segments, entries, endian, data).unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.is_string(endian)) {
            let text = || entry.string(endian, strings).map(|text| OsString::from_vec(text.to_vec()));
            match entry.tag32(endian) {
                Some(elf::DT_NEEDED) => binary.needed.push(text()?),
                Some(elf::DT_SONAME) => binary.soname = Some(text()?),
                Some(elf::DT_RPATH) => binary.rpath = split(&text()?),
                Some(elf::DT_RUNPATH) => binary.runpath = Some(split(&text()?)),
                _ => {}
            }
        }
    }
    Ok(binary)
}

/// The string table of the dynamic section, which names it by its address in memory.
fn strings<'data, E, R>(
    segments: &[E::ProgramHeader],
    entries: &[<E as FileHeader>::Dyn],
    endian: Endianness,
    data: R,
) -> Option<StringTable<'data, R>>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let value = |tag| {
        entries.iter().find(|entry| entry.tag32(endian) == Some(tag)).map(|entry| entry.d_val(endian).into())
    };
    let (address, size): (u64, u64) = (value(elf::DT_STRTAB)?, value(elf::DT_STRSZ)?);
    segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|segment| {
        let (offset, held) = segment.file_range(endian);
        let within = address.checked_sub(segment.p_vaddr(endian).into()).filter(|within| *within < held)?;
        let start = offset.checked_add(within)?;
        Some(StringTable::new(data, start, start.checked_add(size.min(held - within))?))
    })
}

fn split(path: &OsStr) -> Vec<OsString> {
    let parts = path.as_bytes().split(|byte| *byte == b':').filter(|part| !part.is_empty());
    parts.map(|part| OsStr::from_bytes(part).to_owned()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One that needs nothing.
    pub(in super::super) fn binary() -> Binary {
        let machine = Machine { class: elf::ELFCLASS64, number: elf::EM_X86_64 };
        Binary { machine, interpreter: None, soname: None, needed: vec![], rpath: vec![], runpath: None }
    }

    #[test]
    fn a_program_of_this_machine_needs_libc_and_a_linker() {
        let read = Binary::read(File::open("/bin/sh").unwrap()).unwrap().unwrap();
        assert_eq!(read.machine, binary().machine);
        assert!(read.interpreter.is_some_and(|path| path.is_absolute()));
        assert!(read.needed.contains(&"libc.so.6".into()), "{:?}", read.needed);
    }

    #[test]
    fn what_is_damaged_anywhere_is_read_in_bounds() {
        let whole = std::fs::read("/bin/sh").unwrap();
        let scratch = tempfile::NamedTempFile::new().unwrap();
        let mut random = 7u64;
        for _ in 0..300 {
            let mut damaged = whole.clone();
            for _ in 0..8 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Half of them in the headers, where sizes and places stand.
                let reach = if random & 1 == 0 { 1024 } else { damaged.len() };
                damaged[(random >> 33) as usize % reach] = (random >> 24) as u8;
            }
            std::fs::write(scratch.path(), &damaged).unwrap();
            if let Ok(Some(read)) = Binary::read(File::open(scratch.path()).unwrap()) {
                let text: usize = read.needed.iter().map(|name| name.len()).sum();
                assert!(text <= whole.len());
            }
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_an_error_or_no_binary() {
        let whole = std::fs::read("/bin/sh").unwrap();
        let scratch = tempfile::NamedTempFile::new().unwrap();
        for len in (0..whole.len()).step_by(whole.len() / 61) {
            std::fs::write(scratch.path(), &whole[..len]).unwrap();
            let read = Binary::read(File::open(scratch.path()).unwrap());
            assert!(len > 64 || !matches!(read, Ok(Some(_))), "{len}: {read:?}");
        }
    }
}
