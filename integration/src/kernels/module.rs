//! The modules that a machine needs before it sees the host's files, and the order they are loaded in.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What is needed, unless the kernel has it built in: the host's root over 9p, and FUSE.
const WANTED: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "fuse"];

/// A module as the kernel takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name, with underscores.
    pub name: String,
    /// Its contents, unpacked.
    pub contents: Vec<u8>,
}

/// What is needed of the modules in `folder`, each after those that it depends on.
///
/// # Errors
///
/// When a module cannot be read or unpacked.
pub fn needed(folder: &Path) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    find(folder, &mut files)?;
    ensure!(!files.is_empty(), "no modules below {}", folder.display());
    let mut modules = Vec::new();
    for name in WANTED {
        add(name, &files, &mut modules)?;
    }
    Ok(modules)
}

fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some((name, _)) =
            path.file_name().and_then(OsStr::to_str).and_then(|name| name.split_once(".ko"))
        {
            files.insert(name.replace('-', "_"), path.clone());
        }
    }
    Ok(())
}

/// Adds `name` behind what it depends on; what has no file is built into the kernel.
fn add(name: &str, files: &BTreeMap<String, PathBuf>, modules: &mut Vec<Module>) -> Result<()> {
    let known = modules.iter().any(|module| module.name == name);
    let Some(path) = files.get(name).filter(|_| !known) else { return Ok(()) };
    let contents = unpacked(path)?;
    for needed in dependencies(&contents) {
        add(&needed, files, modules)?;
    }
    modules.push(Module { name: name.to_owned(), contents });
    Ok(())
}

fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(OsStr::to_str) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("cannot read {}", path.display())),
    };
    let output =
        Command::new(tool).arg("-dc").arg(path).output().with_context(|| format!("cannot start {tool}"))?;
    ensure!(output.status.success(), "{tool} cannot unpack {}", path.display());
    Ok(output.stdout)
}

/// The modules that `contents` names in its `.modinfo`: strings that end with a zero byte.
fn dependencies(contents: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = contents.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let list = contents[start + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(list);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_and_once() {
        let folder = crate::scratch::Scratch::new("modules");
        let write = |name: &str, depends: &str| {
            let text = format!("\x7fELF\0license=GPL\0depends={depends}\0name={name}\0");
            fs::write(folder.join(&format!("{name}.ko")), text).expect("a scratch file can be written");
        };
        write("9p", "9pnet,netfs");
        write("9pnet-virtio", "9pnet,virtio_ring");
        write("9pnet", "");
        write("virtio_ring", "");
        write("unrelated", "");
        let names: Vec<String> =
            needed(folder.path()).expect("modules").into_iter().map(|module| module.name).collect();
        assert_eq!(names, ["9pnet", "virtio_ring", "9pnet_virtio", "9p"]);
    }
}
