//! Names for places in programs and libraries: functions, inlined ones too, and lines of source.
//!
//! Debug information comes from the file itself, from `/usr/lib/debug/.build-id` or from the file's
//! `.gnu_debuglink`; without any, functions are named by the symbol tables, and what those do not name has no
//! function. Nothing is fetched from anywhere.

mod module;

use std::collections::HashMap;
use std::path::Path;

use module::Module;

pub use module::Frame;

/// Files by path, opened once.
#[derive(Default)]
pub struct Symbols {
    modules: HashMap<String, Option<Module>>,
}

impl Symbols {
    /// The frames at byte `offset` of the file at `path`, the outermost first; none where nothing is known.
    pub fn frames(&mut self, path: &str, offset: u64) -> Vec<Frame> {
        let module =
            self.modules.entry(path.to_owned()).or_insert_with(|| Module::open(Path::new(path)).ok());
        module.as_ref().map_or_else(Vec::new, |module| module.frames(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own executable has line tables and symbols; in its file this function is somewhere.
    #[test]
    fn a_function_of_this_program_is_found_by_its_place_in_the_file() {
        let program = std::env::current_exe().expect("a test has a file");
        let path = program.to_str().expect("text");
        let module = Module::open(&program).expect("an ELF file");
        let (offset, name) = module.some_function("a_function_of_this_program").expect("in the symbol table");
        assert!(name.contains("a_function_of_this_program"), "{name}");
        let frames = Symbols::default().frames(path, offset);
        assert!(
            frames.iter().any(|frame| frame.function.contains("a_function_of_this_program")),
            "{frames:?}"
        );
        let line = frames.first().and_then(|frame| frame.line.clone()).expect("debug information");
        assert!(line.contains("symbols/mod.rs:"), "{line}");
    }

    #[test]
    fn what_is_no_program_has_no_names() {
        let mut symbols = Symbols::default();
        assert!(symbols.frames("/etc/passwd", 10).is_empty());
        assert!(symbols.frames("/no/such/file", 10).is_empty());
    }
}
