//! Which source file of a crate uses which other, read from the sources themselves, and the circles among
//! them.
//!
//! Every path counts, wherever it stands: in a `use`, in an expression, inside a macro's arguments. A path
//! through a re-export leads to the file that defines the name. Modules and `use`s for tests only are left
//! out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree, Visibility};

/// The files of a crate and what each uses.
pub struct Imports {
    /// From each file to those it uses, all named from the crate's source folder without `.rs` and `/mod`.
    edges: BTreeMap<String, BTreeSet<String>>,
}

/// One module: where its text is, what it contains and mentions.
#[derive(Default)]
struct Module {
    /// The name of the file that holds it; an inline module is held by its parent's.
    file: String,
    children: BTreeMap<String, usize>,
    parent: Option<usize>,
    /// Names that it makes public from elsewhere, and where those come from.
    exports: BTreeMap<String, Vec<String>>,
    /// Paths that it mentions.
    mentions: Vec<Vec<String>>,
}

impl Imports {
    /// Reads the crate whose `lib.rs` or `main.rs` is `root`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, is no Rust, or a module's file is missing.
    pub fn of(root: &Path) -> Result<Imports> {
        let mut modules = vec![Module { file: "crate".to_owned(), ..Module::default() }];
        let folder = root.parent().context("a source lies in a folder")?.to_owned();
        read(&mut modules, 0, root, &folder, &folder)?;
        let mut edges: BTreeMap<String, BTreeSet<String>> =
            modules.iter().map(|module| (module.file.clone(), BTreeSet::new())).collect();
        for (index, module) in modules.iter().enumerate() {
            let used = module.mentions.iter().filter_map(|path| resolve(&modules, index, path, 0));
            let used = used.map(|found| modules[found].file.clone()).filter(|file| *file != module.file);
            edges.get_mut(&module.file).expect("each file has a row").extend(used);
        }
        Ok(Imports { edges })
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.edges.keys().map(String::as_str)
    }

    /// Pairs of a file and one that it uses.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.edges.iter().flat_map(|(from, used)| used.iter().map(|to| (from.as_str(), to.as_str())))
    }

    /// Sets of files that use one another, directly or by others, largest first.
    #[must_use]
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let graph: DiGraphMap<&str, ()> = self.pairs().map(|(from, to)| (from, to, ())).collect();
        let mut circles: Vec<Vec<&str>> =
            tarjan_scc(&graph).into_iter().filter(|files| files.len() > 1).collect();
        circles.iter_mut().for_each(|files| files.sort_unstable());
        circles.sort_by_key(|files| std::cmp::Reverse(files.len()));
        circles
    }
}

/// Reads the file `path` as module `index`; its children lie in `folder`. `base` is the crate's source
/// folder.
fn read(modules: &mut Vec<Module>, index: usize, path: &Path, folder: &Path, base: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let parsed = syn::parse_file(&text).with_context(|| path.display().to_string())?;
    take_in(modules, index, &parsed.items, folder, base)
}

fn take_in(
    modules: &mut Vec<Module>,
    index: usize,
    items: &[Item],
    folder: &Path,
    base: &Path,
) -> Result<()> {
    for item in items {
        match item {
            Item::Mod(module) if is_for_tests(&module.attrs) => {}
            Item::Mod(module) => {
                let name = module.ident.to_string();
                let inside = folder.join(&name);
                let child = modules.len();
                modules.push(Module { parent: Some(index), ..Module::default() });
                modules[index].children.insert(name.clone(), child);
                if let Some((_, items)) = &module.content {
                    modules[child].file = modules[index].file.clone();
                    take_in(modules, child, items, &inside, base)?;
                } else {
                    let path = file_of(folder, &name)?;
                    let shown = inside.strip_prefix(base).context("a module lies in its crate")?;
                    modules[child].file = shown.to_string_lossy().into_owned();
                    read(modules, child, &path, &inside, base)?;
                }
            }
            Item::Use(import) if is_for_tests(&import.attrs) => {}
            Item::Use(import) => {
                let public = !matches!(import.vis, Visibility::Inherited);
                flatten(&import.tree, &mut Vec::new(), &mut |path, name| {
                    if public {
                        modules[index].exports.insert(name, path);
                    } else {
                        modules[index].mentions.push(path);
                    }
                });
            }
            other => mentions(other.to_token_stream(), &mut modules[index].mentions),
        }
    }
    Ok(())
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.to_token_stream().to_string().replace(' ', "") == "#[cfg(test)]")
}

fn file_of(folder: &Path, name: &str) -> Result<PathBuf> {
    let found = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]
        .into_iter()
        .find(|p| p.is_file());
    let Some(found) = found else { bail!("{}: no file for module {name}", folder.display()) };
    Ok(found)
}

/// Tells `found` each path of a `use` and the name it is known by; a glob's is `*`.
fn flatten(tree: &UseTree, before: &mut Vec<String>, found: &mut impl FnMut(Vec<String>, String)) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            found(before.clone(), before.last().cloned().unwrap_or_default());
        }
        UseTree::Name(name) => {
            found([before.as_slice(), &[name.ident.to_string()]].concat(), name.ident.to_string())
        }
        UseTree::Rename(name) => {
            found([before.as_slice(), &[name.ident.to_string()]].concat(), name.rename.to_string());
        }
        UseTree::Glob(_) => found(before.clone(), "*".to_owned()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
    }
}

/// Adds all paths of two names and more among `tokens`.
fn mentions(tokens: TokenStream, found: &mut Vec<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                if colons != 2 {
                    end(&mut path, found);
                }
                path.push(name.to_string());
                colons = 0;
                continue;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                colons += 1;
                continue;
            }
            TokenTree::Group(group) => mentions(group.stream(), found),
            _ => {}
        }
        end(&mut path, found);
        colons = 0;
    }
    end(&mut path, found);
}

fn end(path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if path.len() > 1 {
        found.push(std::mem::take(path));
    }
    path.clear();
}

/// The module that `path`, written in module `at`, leads to; none if it leads out of the crate.
fn resolve(modules: &[Module], at: usize, path: &[String], depth: usize) -> Option<usize> {
    /// More re-exports than this in a row are a circle of their own.
    const DEPTH: usize = 16;
    let (first, rest) = path.split_first()?;
    let mut module = match first.as_str() {
        "crate" => 0,
        "self" => at,
        "super" => modules[at].parent?,
        name => *modules[at].children.get(name)?,
    };
    for (i, name) in rest.iter().enumerate() {
        if name == "super" {
            module = modules[module].parent?;
        } else if let Some(child) = modules[module].children.get(name) {
            module = *child;
        } else {
            let export = modules[module].exports.get(name).filter(|_| depth < DEPTH);
            let further = export.and_then(|target| {
                let whole = [target.as_slice(), &rest[i + 1..]].concat();
                resolve(modules, module, &whole, depth + 1)
            });
            return Some(further.unwrap_or(module));
        }
    }
    Some(module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn imports(files: &[(&str, &str)]) -> Imports {
        let scratch = Scratch::new("imports");
        for (name, text) in files {
            let path = scratch.join(name);
            fs::create_dir_all(path.parent().expect("in the scratch folder")).expect("folders can be made");
            fs::write(path, text).expect("files can be written");
        }
        Imports::of(&scratch.join("lib.rs")).expect("a crate")
    }

    #[test]
    fn paths_lead_to_the_file_that_defines_the_name() {
        let crate_ = imports(&[
            ("lib.rs", "mod a; mod b { pub mod c; } mod d;"),
            ("a.rs", "use crate::b::c::{self, Thing}; fn f() { call!(crate::d::g(1)); }"),
            ("b/c.rs", "pub struct Thing; #[cfg(test)] mod tests { use crate::a; }"),
            ("d/mod.rs", "mod e; pub use e::Inner; pub fn g() { e::h() }"),
            ("d/e.rs", "pub struct Inner; use crate::d::Inner as Same; use super::super::a; pub fn h() {}"),
        ]);
        let pairs: Vec<_> = crate_.pairs().collect();
        assert_eq!(pairs, [("a", "b/c"), ("a", "d"), ("d", "d/e"), ("d/e", "a")]);
        assert_eq!(crate_.circles(), [["a", "d", "d/e"]]);
    }

    #[test]
    fn a_missing_module_is_an_error() {
        let scratch = Scratch::new("imports");
        let root = scratch.file("lib.rs", b"mod gone;");
        assert!(Imports::of(&root).is_err_and(|error| error.to_string().contains("gone")));
    }
}
