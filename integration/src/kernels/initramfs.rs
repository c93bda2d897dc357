//! The archive that a machine boots into: busybox, the modules and a script, in the format of `cpio -H newc`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::module::Module;
/// Where Debian's `busybox-static` has its program.
pub const BUSYBOX: &str = "/bin/busybox";
const INIT: &str = include_str!("init.sh");
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// Writes the archive for `modules` to `path`: it has the program `kernels` of the folder `programs` compare
/// `cases`, or all where there are none.
///
/// # Errors
///
/// When busybox cannot be read or the archive cannot be written.
pub fn write(path: &Path, modules: &[Module], programs: &Path, cases: &[String]) -> Result<()> {
    let busybox = fs::read(BUSYBOX).with_context(|| format!("cannot read {BUSYBOX}"))?;
    let init = INIT.replace("@PROGRAMS@", &programs.display().to_string());
    let quoted: Vec<String> = cases.iter().map(|case| format!("\"{case}\"")).collect();
    let init = init.replace("@CASES@", &quoted.join(" "));
    let mut archive = Archive::default();
    for folder in ["bin", "modules", "host", "proc", "sys", "dev"] {
        archive.add(folder, FOLDER, &[]);
    }
    archive.add("init", PROGRAM, init.as_bytes());
    archive.add("bin/busybox", PROGRAM, &busybox);
    for (place, module) in modules.iter().enumerate() {
        archive.add(&format!("modules/{place:02}-{}.ko", module.name), PROGRAM, &module.contents);
    }
    fs::write(path, archive.finish()).with_context(|| format!("cannot write {}", path.display()))
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: usize,
}

impl Archive {
    /// Header in hexadecimal, name with its zero byte, contents; the last two padded to four bytes.
    fn add(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let (inode, links, size, name_size) = (self.entries, 1, contents.len(), name.len() + 1);
        // Magic, inode, mode, uid, gid, links, time, size, device, special device (major and minor each),
        // length of the name, check sum.
        let numbers = [inode, mode as usize, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend(b"070701");
        numbers.iter().for_each(|number| self.bytes.extend(format!("{number:08x}").bytes()));
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_of_110_bytes_a_name_and_contents() {
        let mut archive = Archive::default();
        archive.add("abc", PROGRAM, b"hello");
        assert_eq!(archive.bytes.len(), (110usize + 4).next_multiple_of(4) + 8);
        assert!(archive.bytes.starts_with(b"070701000000010000"));
        assert_eq!(&archive.bytes[110..114], b"abc\0");
        assert!(archive.finish().windows(10).any(|window| window == b"TRAILER!!!"));
    }
}
