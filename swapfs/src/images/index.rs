//! A tree of names that is held in memory: for sources whose files do not lie in one directory of the host.
//!
//! Names are decided when it is made: `.` and leading slashes mean nothing, `..` is refused, and nothing is
//! put below what is not a directory, so no name leads out. The number of names and the bytes of all text are
//! bounded, whatever a hostile archive says. Absolute symlinks count from the top of the tree.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::tree::{Listed, Seen, Xattrs};
use crate::filesystem::attr::system_time;
use crate::filesystem::inode::{Identity, Version};
use crate::filesystem::symlink::{LinkTarget, confine};
use crate::filesystem::{Attr, FileKind, FsError, Ino};

/// The most names that one source may have, those that were replaced included.
pub const MOST_NODES: usize = 1 << 20;
/// The most bytes of names, link targets and extended attributes together.
pub const MOST_TEXT_BYTES: usize = 128 << 20;
const LONGEST_PATH: usize = 4096;
const LONGEST_NAME: usize = 255;

/// Why a name cannot be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// `..`
    #[error("climbs out by `..`")]
    Climbs,
    /// Its path or a name in it.
    #[error("has a name that is too long or holds a zero byte")]
    Name,
    /// Below a file.
    #[error("lies below something that is not a directory")]
    NotADirectory,
    /// Below a symlink, which may lead anywhere.
    #[error("lies below a symlink")]
    BelowSymlink,
    /// A directory with names in it would be replaced by something else.
    #[error("stands in the place of a directory that is not empty")]
    NotEmpty,
    /// A hard link's target.
    #[error("is a hard link to nothing before it, or to a directory")]
    NoTarget,
    /// Too much in all.
    #[error("is one too many: more than {MOST_NODES} names or {MOST_TEXT_BYTES} bytes of text")]
    TooMuch,
}

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeIndex(usize);

/// The top of every tree.
pub const TOP: NodeIndex = NodeIndex(0);

/// What is known of a file besides its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change, in seconds and nanoseconds since 1970.
    pub modified: (i64, u32),
    /// Extended attributes.
    pub xattrs: Xattrs,
}

/// Contents of a regular file.
pub trait Leaf {
    /// Size in bytes.
    fn size_bytes(&self) -> u64;
    /// Room taken, in bytes.
    fn allocated_bytes(&self) -> u64;
}

/// What a node is.
#[derive(Debug)]
pub enum Body<L> {
    /// A directory.
    Directory(BTreeMap<OsString, NodeIndex>),
    /// A symlink with its target as written.
    Symlink(PathBuf),
    /// A regular file.
    File(L),
    /// A device, pipe or socket: it has its name, and may have others, but is not shown.
    NotShown,
}

#[derive(Debug)]
struct Node<L> {
    meta: Meta,
    body: Body<L>,
    /// Names of a file; of a directory, directories in it.
    links: u32,
}

/// All names of a source.
#[derive(Debug)]
pub struct Index<L> {
    nodes: Vec<Node<L>>,
    text_bytes: usize,
}

impl<L: Leaf> Index<L> {
    /// An empty directory.
    pub fn new(top: Meta) -> Self {
        Index {
            nodes: vec![Node { meta: top, body: Body::Directory(BTreeMap::new()), links: 0 }],
            text_bytes: 0,
        }
    }

    /// Puts a node at `path`; of several nodes with one path the last counts, as in a tar archive that was
    /// appended to.
    ///
    /// # Errors
    /// [`IndexError`]; the tree is as before then, but for directories made on the way.
    pub fn insert(&mut self, path: &[u8], meta: Meta, body: Body<L>) -> Result<NodeIndex, IndexError> {
        let mut names = names(path)?;
        let Some(last) = names.pop() else {
            return match body {
                Body::Directory(_) => {
                    self.nodes[TOP.0].meta = meta;
                    Ok(TOP)
                }
                _ => Err(IndexError::NotEmpty),
            };
        };
        let parent = self.make_directories(&names)?;
        let old = self.child(parent, last)?;
        if let Some(old) = old
            && let Body::Directory(children) = &self.nodes[old.0].body
        {
            if matches!(body, Body::Directory(_)) {
                self.nodes[old.0].meta = meta;
                return Ok(old);
            }
            if !children.is_empty() {
                return Err(IndexError::NotEmpty);
            }
        }
        let node = self.add(meta, body)?;
        self.name(parent, last, node)?;
        Ok(node)
    }

    /// Gives the file at `target` one more name.
    ///
    /// # Errors
    /// [`IndexError::NoTarget`] if it is a directory or nothing, or cannot be a name in this tree.
    pub fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), IndexError> {
        let target = names(target).map_err(|_| IndexError::NoTarget)?;
        let node = target.iter().try_fold(TOP, |at, name| self.child(at, name).ok().flatten());
        let node = node.filter(|node| !self.is_directory(*node)).ok_or(IndexError::NoTarget)?;
        let mut names = names(path)?;
        let last = names.pop().ok_or(IndexError::NotEmpty)?;
        let parent = self.make_directories(&names)?;
        match self.child(parent, last)? {
            Some(same) if same == node => Ok(()),
            Some(other) if self.is_directory(other) => Err(IndexError::NotEmpty),
            _ => self.name(parent, last, node),
        }
    }

    /// Makes room for `bytes` of text that the caller keeps for a node.
    ///
    /// # Errors
    /// [`IndexError::TooMuch`].
    pub fn charge(&mut self, bytes: usize) -> Result<(), IndexError> {
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        if self.text_bytes > MOST_TEXT_BYTES { Err(IndexError::TooMuch) } else { Ok(()) }
    }

    /// The node at `path`, without following symlinks.
    ///
    /// # Errors
    /// [`FsError::NotFound`].
    pub fn find(&self, path: &Path) -> Result<NodeIndex, FsError> {
        let mut at = TOP;
        for component in path.components() {
            let Component::Normal(name) = component else { return Err(FsError::NotFound) };
            at = self.child(at, name).map_err(|_| FsError::NotADirectory)?.ok_or(FsError::NotFound)?;
        }
        if self.is_shown(at) { Ok(at) } else { Err(FsError::NotFound) }
    }

    /// What `stat` says of what is at `path`: of a symlink, the length of the text that is shown of it there.
    ///
    /// # Errors
    /// [`FsError::NotFound`].
    pub fn look(&self, path: &Path) -> Result<Seen, FsError> {
        let node = self.find(path)?;
        let seen = self.seen(node);
        match &self.nodes[node.0].body {
            Body::Symlink(target) => Ok(seen.showing(&confine(Path::new("/"), path, target))),
            _ => Ok(seen),
        }
    }

    /// What `stat` says of a node.
    pub fn seen(&self, node: NodeIndex) -> Seen {
        let Node { meta, body, links } = &self.nodes[node.0];
        let (kind, size_bytes, allocated, links) = match body {
            Body::Directory(_) => (FileKind::Directory, 0, 0, 2 + links),
            Body::Symlink(target) => (FileKind::Symlink, target.as_os_str().len() as u64, 0, *links),
            Body::File(leaf) => (FileKind::Regular, leaf.size_bytes(), leaf.allocated_bytes(), *links),
            Body::NotShown => (FileKind::Regular, 0, 0, *links),
        };
        let when = system_time(meta.modified.0, meta.modified.1);
        let attr = Attr {
            ino: Ino(0),
            kind,
            size_bytes,
            blocks_512: allocated.div_ceil(512),
            permissions: meta.permissions,
            links,
            uid: meta.uid,
            gid: meta.gid,
            accessed: when,
            modified: when,
            changed: when,
        };
        let identity = Identity { device: (0, 0), number: node.0 as u64 + 1, born: (0, 0) };
        Seen {
            kind,
            identity,
            version: Version { modified: meta.modified, changed: (0, 0), size_bytes },
            attr,
        }
    }

    /// The contents of the regular file `node`.
    ///
    /// # Errors
    /// [`FsError::Stale`] if it is something else.
    pub fn leaf(&self, node: NodeIndex) -> Result<&L, FsError> {
        match &self.nodes[node.0].body {
            Body::File(leaf) => Ok(leaf),
            _ => Err(FsError::Stale),
        }
    }

    /// Extended attributes of a node that are shown.
    pub fn xattrs(&self, node: NodeIndex) -> Xattrs {
        let mut shown = self.nodes[node.0].meta.xattrs.clone();
        shown.retain(|name, _| !name.as_bytes().starts_with(b"system."));
        shown
    }

    /// The contents of all regular files.
    pub fn leaves(&self) -> impl Iterator<Item = &L> {
        self.nodes.iter().filter_map(|node| if let Body::File(leaf) = &node.body { Some(leaf) } else { None })
    }

    /// How many nodes there are.
    pub fn names(&self) -> usize {
        self.nodes.len()
    }

    /// Where the symlink at `path` points, in a form that stays inside.
    ///
    /// # Errors
    /// [`FsError::NotPermitted`] if it leaves the tree.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf, FsError> {
        let Body::Symlink(target) = &self.nodes[self.find(path)?.0].body else {
            return Err(FsError::Invalid);
        };
        match confine(Path::new("/"), path, target) {
            LinkTarget::Inside(shown) => Ok(shown),
            LinkTarget::Escapes => Err(FsError::NotPermitted),
        }
    }

    /// The names in a directory, in order.
    ///
    /// # Errors
    /// [`FsError::NotADirectory`].
    pub fn list(&self, path: &Path) -> Result<Vec<Listed>, FsError> {
        let Body::Directory(children) = &self.nodes[self.find(path)?.0].body else {
            return Err(FsError::NotADirectory);
        };
        let shown = children.iter().filter(|(_, node)| self.is_shown(**node));
        Ok(shown.map(|(name, node)| Listed { name: name.clone(), kind: self.seen(*node).kind }).collect())
    }

    fn is_shown(&self, node: NodeIndex) -> bool {
        !matches!(self.nodes[node.0].body, Body::NotShown)
    }

    fn is_directory(&self, node: NodeIndex) -> bool {
        matches!(self.nodes[node.0].body, Body::Directory(_))
    }

    fn child(&self, parent: NodeIndex, name: impl AsRef<OsStr>) -> Result<Option<NodeIndex>, IndexError> {
        match &self.nodes[parent.0].body {
            Body::Directory(children) => Ok(children.get(name.as_ref()).copied()),
            Body::Symlink(_) => Err(IndexError::BelowSymlink),
            _ => Err(IndexError::NotADirectory),
        }
    }

    fn make_directories(&mut self, names: &[&OsStr]) -> Result<NodeIndex, IndexError> {
        let mut at = TOP;
        for name in names {
            at = match self.child(at, name)? {
                Some(next) => next,
                None => {
                    let meta =
                        Meta { permissions: 0o755, xattrs: Xattrs::new(), ..self.nodes[TOP.0].meta.clone() };
                    let made = self.add(meta, Body::Directory(BTreeMap::new()))?;
                    self.name(at, name, made)?;
                    made
                }
            };
        }
        match &self.nodes[at.0].body {
            Body::Directory(_) => Ok(at),
            Body::Symlink(_) => Err(IndexError::BelowSymlink),
            _ => Err(IndexError::NotADirectory),
        }
    }

    fn add(&mut self, meta: Meta, body: Body<L>) -> Result<NodeIndex, IndexError> {
        if self.nodes.len() >= MOST_NODES {
            return Err(IndexError::TooMuch);
        }
        let attributes: usize = meta.xattrs.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        let target = if let Body::Symlink(target) = &body { target.as_os_str().len() } else { 0 };
        self.charge(attributes + target)?;
        self.nodes.push(Node { meta, body, links: 0 });
        Ok(NodeIndex(self.nodes.len() - 1))
    }

    fn name(&mut self, parent: NodeIndex, name: &OsStr, node: NodeIndex) -> Result<(), IndexError> {
        self.charge(name.len())?;
        let is_directory = self.is_directory(node);
        let Body::Directory(children) = &mut self.nodes[parent.0].body else {
            return Err(IndexError::NotADirectory);
        };
        if let Some(old) = children.insert(name.to_owned(), node) {
            if self.is_directory(old) {
                self.nodes[parent.0].links -= 1;
            } else {
                self.nodes[old.0].links -= 1;
            }
        }
        let counted = if is_directory { parent } else { node };
        self.nodes[counted.0].links += 1;
        Ok(())
    }
}

fn names(path: &[u8]) -> Result<Vec<&OsStr>, IndexError> {
    if path.len() > LONGEST_PATH || path.contains(&0) {
        return Err(IndexError::Name);
    }
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(IndexError::Climbs),
            _ if name.len() > LONGEST_NAME => return Err(IndexError::Name),
            _ => names.push(OsStr::from_bytes(name)),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
