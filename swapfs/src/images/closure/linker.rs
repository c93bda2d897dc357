//! What the dynamic linker would load: breadth first, each name once, as glibc's and musl's do.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::binary::Binary;
use super::collector::Collector;
use super::glibc::Glibc;
use super::rules::{Candidate, Loaded, Rules, Way};
use super::{ClosureError, HeldFile};
use crate::images::index::Index;

/// As the kernel: a script's interpreter may be a script, and so on.
const MOST_INTERPRETERS: u32 = 5;
/// What the kernel reads of a script's first line.
const FIRST_LINE: u64 = 256;

/// All files that `programs` need to start.
///
/// # Errors
/// [`ClosureError`] for the first thing that is missing.
pub(super) fn collect(programs: &[PathBuf]) -> Result<Index<HeldFile>, ClosureError> {
    let mut linker = Linker { collector: Collector::new()?, glibc: Glibc::of_host() };
    for program in programs {
        let path = match program.as_os_str().as_bytes().contains(&b'/') {
            true => std::path::absolute(program).map_err(|source| unreadable(program, source))?,
            false => in_path(program.as_os_str())?,
        };
        linker.add_program(&path, 0)?;
    }
    Ok(linker.collector.finish())
}

struct Linker {
    collector: Collector,
    glibc: Glibc,
}

impl Linker {
    fn add_program(&mut self, path: &Path, depth: u32) -> Result<(), ClosureError> {
        if depth > MOST_INTERPRETERS {
            return Err(ClosureError::Loops(path.to_owned()));
        }
        let real = self.collector.take(path)?;
        let interpreters = script(&real).map_err(|source| unreadable(&real, source))?;
        if let Some((interpreter, argument)) = interpreters {
            self.add_program(&interpreter, depth + 1)?;
            // `env` runs what it is told to.
            return match argument.filter(|_| interpreter.file_name() == Some(OsStr::new("env"))) {
                Some(told) => self.add_program(&in_path(&told)?, depth + 1),
                None => Ok(()),
            };
        }
        match read(&real)? {
            Some(binary) => self.add_binary(&real, binary),
            None => Err(ClosureError::NotAProgram(real)),
        }
    }

    fn add_binary(&mut self, real: &Path, binary: Binary) -> Result<(), ClosureError> {
        let (mut known, mut linker, mut rules) = (BTreeSet::new(), None, Rules::Glibc(&self.glibc));
        if let Some(interpreter) = &binary.interpreter {
            known.insert(interpreter.clone().into_os_string());
            linker = read(&self.collector.take(interpreter)?)?;
            rules = match Rules::of(interpreter, linker.as_ref(), &self.glibc) {
                Some(rules) => rules,
                None if binary.needed.is_empty() => return Ok(()),
                None => {
                    let (program, interpreter) = (real.to_owned(), interpreter.clone());
                    return Err(ClosureError::UnknownLinker { program, interpreter });
                }
            };
        }
        let mut loaded = vec![Loaded { path: real.to_owned(), binary, loader: None }];
        let mut by = 0;
        while by < loaded.len() {
            for wanted in loaded[by].binary.needed.clone() {
                if rules.is_own(linker.as_ref(), &wanted) || !known.insert(wanted.clone()) {
                    continue;
                }
                let Some((found, library)) = find(&rules, &loaded, by, &wanted)? else {
                    return Err(ClosureError::Missing { library: wanted.into(), by: loaded[by].path.clone() });
                };
                self.collector.take(&found.path)?;
                if let Way::Listed(list) = found.way {
                    self.collector.take(&list)?;
                }
                known.extend(rules.known_as(&library));
                loaded.push(Loaded { path: found.path, binary: library, loader: Some(by) });
            }
            by += 1;
        }
        Ok(())
    }
}

/// The library that the linker takes.
fn find(
    rules: &Rules<'_>,
    loaded: &[Loaded],
    by: usize,
    wanted: &OsStr,
) -> Result<Option<(Candidate, Binary)>, ClosureError> {
    for candidate in rules.candidates(loaded, by, wanted) {
        let Ok(path) = std::path::absolute(&candidate.path) else { continue };
        let library = match read(&path) {
            Err(ClosureError::Read { .. }) => continue,
            read => read.ok().flatten().filter(|library| library.machine == loaded[0].binary.machine),
        };
        match (library, rules) {
            (Some(library), _) => return Ok(Some((Candidate { path, ..candidate }, library))),
            (None, Rules::Glibc(_)) => {}
            (None, Rules::Musl(_)) => return Err(ClosureError::NoLibrary { path, program: loaded[0].path.clone() }),
        }
    }
    Ok(None)
}

/// Only a regular file is opened to be read: another kind could block, or act.
fn read(path: &Path) -> Result<Option<Binary>, ClosureError> {
    let opened = path.metadata().and_then(|metadata| match metadata.is_file() {
        true => File::open(path),
        false => Err(std::io::ErrorKind::InvalidInput.into()),
    });
    let file = opened.map_err(|source| unreadable(path, source))?;
    Binary::read(file).map_err(|source| ClosureError::Damaged { path: path.to_owned(), source })
}

/// The interpreter of a script and its first argument.
fn script(path: &Path) -> std::io::Result<Option<(PathBuf, Option<OsString>)>> {
    let mut start = Vec::new();
    File::open(path)?.take(FIRST_LINE).read_to_end(&mut start)?;
    let Some(line) = start.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next()) else {
        return Ok(None);
    };
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    Ok(words.next().map(|interpreter| (interpreter.into(), words.next().map(OsStr::to_owned))))
}

fn in_path(name: &OsStr) -> Result<PathBuf, ClosureError> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut places =
        std::env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    let found = places.find(|path| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file());
    found.ok_or_else(|| ClosureError::NotInPath(name.into()))
}

fn unreadable(path: &Path, source: std::io::Error) -> ClosureError {
    ClosureError::Read { path: path.to_owned(), source }
}
