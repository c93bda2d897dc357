//! What the dynamic linker would load: breadth first, each name once, as glibc's and musl's do.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::binary::Binary;
use super::collector::Collector;
use super::error::ClosureError;
use super::glibc::Glibc;
use super::held::HeldFile;
use super::rules::Rules;
use super::search::{Candidate, Loaded, Way};
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
            let is_env = interpreter.file_name() == Some(OsStr::new("env"));
            return match argument.filter(|_| is_env).and_then(|argument| told_to_env(&argument)) {
                Some(told) if told.as_bytes().contains(&b'/') => {
                    self.add_program(Path::new(&told), depth + 1)
                }
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
                    return Err(ClosureError::Missing {
                        library: wanted.into(),
                        by: loaded[by].path.clone(),
                    });
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
            (None, Rules::Musl(_)) => {
                return Err(ClosureError::NoLibrary { path, program: loaded[0].path.clone() });
            }
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

/// The program that `env` runs when a script's first line gives it `argument`, by env(1): the first word that
/// is neither an option nor an assignment. `-S`, by which it has several words, may be glued to other options
/// and to its text.
fn told_to_env(argument: &[u8]) -> Option<OsString> {
    let mut words = split_as_env(argument).into_iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        match text.strip_prefix('-') {
            None if text.contains('=') => {}
            None => return Some(word),
            Some("u" | "C" | "-unset" | "-chdir") => drop(words.next()),
            Some(long) if long.starts_with('-') => {
                if let Some(glued) = long.strip_prefix("-split-string=").filter(|glued| !glued.is_empty()) {
                    return Some(glued.into());
                }
            }
            // `-u` and `-C` take the rest of the word for their value.
            Some(short) => match short.find(['S', 'u', 'C']) {
                Some(at) if short[at..].starts_with('S') && at + 1 < short.len() => {
                    return Some(short[at + 1..].into());
                }
                _ => {}
            },
        }
    }
    None
}

/// Words as `env -S` splits them, as far as scripts use it: at blanks that do not stand between quotes.
fn split_as_env(text: &[u8]) -> Vec<OsString> {
    let (mut words, mut quote) = (vec![None::<Vec<u8>>], None);
    for byte in text {
        match (byte, quote) {
            (byte, Some(mark)) if *byte == mark => quote = None,
            (b'"' | b'\'', None) => {
                quote = Some(*byte);
                words.last_mut().into_iter().for_each(|word| _ = word.get_or_insert_default());
            }
            (byte, None) if byte.is_ascii_whitespace() => words.push(None),
            (byte, _) => {
                words.last_mut().into_iter().for_each(|word| word.get_or_insert_default().push(*byte))
            }
        }
    }
    words.into_iter().flatten().map(OsString::from_vec).collect()
}

/// The interpreter of a script and all that its line gives it: one argument, as the kernel sees it.
fn script(path: &Path) -> std::io::Result<Option<(PathBuf, Option<Vec<u8>>)>> {
    let mut start = Vec::new();
    File::open(path)?.take(FIRST_LINE).read_to_end(&mut start)?;
    let Some(line) = start.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next())
    else {
        return Ok(None);
    };
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (interpreter, argument) = (OsStr::from_bytes(&line[..end]), line[end..].trim_ascii());
    Ok((end > 0).then(|| (interpreter.into(), (!argument.is_empty()).then(|| argument.to_vec()))))
}

fn in_path(name: &OsStr) -> Result<PathBuf, ClosureError> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut places =
        std::env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    let found =
        places.find(|path| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file());
    found.ok_or_else(|| ClosureError::NotInPath(name.into()))
}

fn unreadable(path: &Path, source: std::io::Error) -> ClosureError {
    ClosureError::Read { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_env_is_told_to_run() {
        for (argument, program) in [
            ("bash", Some("bash")),
            ("-S bash -e", Some("bash")),
            ("-Sbash -e", Some("bash")),
            ("-vS python3 -u", Some("python3")),
            ("-iS PATH=/bin X='a b' \"perl\" -w", Some("perl")),
            ("-S -i -u HOME -C /tmp --unset=X awk -f", Some("awk")),
            ("--split-string=node --harmony", Some("node")),
            ("--split-string node --harmony", Some("node")),
            ("-S /bin/sh -e", Some("/bin/sh")),
            ("-S -- ruby", Some("ruby")),
            ("- ruby", Some("ruby")),
            ("-S A=b", None),
            ("-i", None),
        ] {
            assert_eq!(told_to_env(argument.as_bytes()), program.map(OsString::from), "{argument}");
        }
    }
}
