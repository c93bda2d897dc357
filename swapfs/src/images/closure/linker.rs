//! What the dynamic linker would load: breadth first, each name once, as glibc's does.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::binary::Binary;
use super::collector::Collector;
use super::places::{Loaded, Places, Way, is_built_in};
use super::{ClosureError, HeldFile, cache};
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
    let mut linker = Linker { collector: Collector::new()?, places: Places::of_host(), farthest: Way::Direct };
    for program in programs {
        let path = match program.as_os_str().as_bytes().contains(&b'/') {
            true => std::path::absolute(program).map_err(|source| unreadable(program, source))?,
            false => in_path(program.as_os_str())?,
        };
        linker.add_program(&path, 0)?;
    }
    if linker.farthest == Way::Cache {
        linker.collector.take(Path::new(cache::PATH))?;
    }
    Ok(linker.collector.finish())
}

struct Linker {
    collector: Collector,
    places: Places,
    /// Whether a root needs the linker's cache, too.
    farthest: Way,
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
        let mut known = BTreeSet::new();
        if let Some(interpreter) = &binary.interpreter {
            known.insert(interpreter.clone().into_os_string());
            let linker = self.collector.take(interpreter)?;
            known.extend(read(&linker)?.and_then(|linker| linker.soname));
        }
        let mut loaded = vec![Loaded { origin: folder(real), binary, loader: None }];
        let mut names = vec![real.to_owned()];
        let mut by = 0;
        while by < loaded.len() {
            for wanted in loaded[by].binary.needed.clone() {
                if !known.insert(wanted.clone()) {
                    continue;
                }
                let Some((path, library)) = self.find(&loaded, by, &wanted)? else {
                    return Err(ClosureError::Missing { library: wanted.into(), by: names[by].clone() });
                };
                known.extend(library.soname.clone());
                loaded.push(Loaded { origin: folder(&path), binary: library, loader: Some(by) });
                names.push(path);
            }
            by += 1;
        }
        Ok(())
    }

    /// The first candidate that is there and for the same machine.
    fn find(
        &mut self,
        loaded: &[Loaded],
        by: usize,
        wanted: &OsStr,
    ) -> Result<Option<(PathBuf, Binary)>, ClosureError> {
        for (path, way) in self.places.candidates(loaded, by, wanted) {
            let Ok(path) = std::path::absolute(path) else { continue };
            let Ok(Some(library)) = read(&path) else { continue };
            if library.machine != loaded[0].binary.machine {
                continue;
            }
            self.collector.take(&path)?;
            if way == Way::Cache && !is_built_in(&path) {
                self.farthest = Way::Cache;
            }
            return Ok(Some((path, library)));
        }
        Ok(None)
    }
}

fn folder(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
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
