//! Names and attributes: look-up, listing, links.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Service;
use super::entry::{DirectoryEntry, Entry};
use super::handles::{Body, Handle, HandleId};
use crate::filesystem::attr::{Attr, FileKind};
use crate::filesystem::caching::{CONTROL_TTL, IMAGE_TTL, OWN_TTL, SWAP_TTL};
use crate::filesystem::inode::{
    COMMAND, CONTROL, ControlFile, FAULTS, Forgotten, IMAGES, ImageNode, InodeTable, METRICS, Node, ROOT,
    STATS, SWAP, SourceIndex, SwapIndex, THROTTLE, TRACE,
};
use crate::filesystem::{FsError, Ino};
use crate::images::{Listed, Placement};
use crate::sys::heap;

/// The number shown in listings for files that were not looked up, as libfuse does.
const NOT_LOOKED_UP: Ino = Ino(0xffff_ffff);

impl Service {
    /// Finds `name` in `parent`. A file of a source that is found is remembered until it is forgotten.
    ///
    /// # Errors
    /// [`FsError::NotFound`] and what the source says.
    pub fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Entry, FsError> {
        if name == "." || name == ".." || name.as_encoded_bytes().contains(&b'/') {
            return Err(FsError::NotFound);
        }
        match self.node(parent)? {
            Node::Images => self.lookup_source(name),
            Node::Image(node) if node.kind == FileKind::Directory => {
                self.lookup_image(node.source, node.path.join(name))
            }
            Node::Image(_) | Node::SwapFile(_) | Node::ControlFile(_) => Err(FsError::NotADirectory),
            own @ (Node::Root | Node::Swap | Node::Control) => {
                let entry = self.own_entries(&own).into_iter().find(|entry| entry.name == name);
                self.own_entry(entry.ok_or(FsError::NotFound)?.ino)
            }
        }
    }

    /// Forgets `times` look-ups of `ino`.
    pub fn forget(&self, ino: Ino, times: u64) {
        let forgotten = self.inodes.lock().forget(ino, times);
        if forgotten == Forgotten::Much {
            heap::give_back();
        }
    }

    /// The attributes of `ino`. An open image answers even where its name is gone.
    ///
    /// # Errors
    /// [`FsError::Stale`] if another file stands under its name, [`FsError::NotFound`] if none.
    pub fn getattr(&self, ino: Ino, handle: Option<HandleId>) -> Result<Entry, FsError> {
        match self.node(ino)? {
            Node::Image(node) => match handle.and_then(|id| self.handles.counted(id).ok()) {
                Some(open) => self.open_attr(ino, &open.body),
                None => self.image_attr(ino, &node),
            },
            _ => self.own_entry(ino),
        }
    }

    /// Where the symlink `ino` points.
    ///
    /// # Errors
    /// [`FsError::NotPermitted`] if it leaves its source, [`FsError::Stale`] if another stands under its
    /// name.
    pub fn readlink(&self, ino: Ino) -> Result<PathBuf, FsError> {
        match self.node(ino)? {
            Node::Image(node) if node.kind == FileKind::Symlink => {
                self.tree(node.source).read_link(&node.path, node.identity)
            }
            _ => Err(FsError::Invalid),
        }
    }

    /// Opens a directory: its entries are taken down now.
    ///
    /// # Errors
    /// [`FsError::NotADirectory`] and what the source says.
    pub fn opendir(&self, ino: Ino) -> Result<HandleId, FsError> {
        let node = self.node(ino)?;
        let parent = if let Node::Image(image) = &node { self.parent(image) } else { ROOT };
        let mut entries = vec![directory_entry(ino, "."), directory_entry(parent, "..")];
        match &node {
            Node::Image(image) if image.kind == FileKind::Directory => {
                entries.extend(self.tree(image.source).list(&image.path)?.into_iter().map(listed_entry));
            }
            Node::Image(_) | Node::SwapFile(_) | Node::ControlFile(_) => return Err(FsError::NotADirectory),
            Node::Images => entries.extend(self.source_entries()?),
            Node::Root | Node::Swap | Node::Control => entries.extend(self.own_entries(&node)),
        }
        Ok(self.handles.insert(Handle::Directory(Arc::new(entries))))
    }

    /// The entries of an open directory; an entry's offset is its place in this list, and stays so.
    ///
    /// # Errors
    /// [`FsError::BadHandle`].
    pub fn readdir(&self, handle: HandleId) -> Result<Arc<Vec<DirectoryEntry>>, FsError> {
        match self.handles.find(handle)? {
            Handle::Directory(entries) => Ok(entries),
            _ => Err(FsError::BadHandle),
        }
    }

    /// Why nothing can be made, removed or renamed in `parent`.
    pub fn refuse_change(&self, parent: Ino) -> FsError {
        if parent == SWAP { FsError::NotPermitted } else { FsError::ReadOnly }
    }

    /// The directory that a file of a source is in.
    fn parent(&self, node: &ImageNode) -> Ino {
        let source = &self.plan.sources[node.source.0];
        let (above, top) = match (source.placement(), node.path.parent()) {
            (Placement::Named { base, .. }, Some(above)) if node.path != *base => (above, false),
            (Placement::Contents, Some(above)) => (above, above.as_os_str().is_empty()),
            _ => return IMAGES,
        };
        match source.tree().look(above) {
            Ok(seen) if !top => self.inodes.lock().number(node.source, seen.identity),
            _ => IMAGES,
        }
    }

    fn lookup_source(&self, name: &OsStr) -> Result<Entry, FsError> {
        let mut contents = None;
        for (index, source) in self.plan.sources.iter().enumerate() {
            match source.placement() {
                Placement::Named { name: shown, base } if shown == name => {
                    return self.lookup_image(SourceIndex(index), base.clone());
                }
                Placement::Named { .. } => {}
                Placement::Contents => contents = Some(SourceIndex(index)),
            }
        }
        self.lookup_image(contents.ok_or(FsError::NotFound)?, name.into())
    }

    fn lookup_image(&self, source: SourceIndex, path: PathBuf) -> Result<Entry, FsError> {
        let seen = self.tree(source).look(&path)?;
        let node = ImageNode { source, path, kind: seen.kind, identity: seen.identity };
        let ino = self.inodes.lock().remember(node);
        Ok(Entry { attr: seen.attr(ino), ttl: self.tree(source).ttl(seen.kind) })
    }

    fn image_attr(&self, ino: Ino, node: &ImageNode) -> Result<Entry, FsError> {
        let tree = self.tree(node.source);
        let seen = tree.look(&node.path)?;
        if seen.identity != node.identity {
            return Err(FsError::Stale);
        }
        Ok(Entry { attr: seen.attr(ino), ttl: tree.ttl(seen.kind) })
    }

    fn open_attr(&self, ino: Ino, body: &Body) -> Result<Entry, FsError> {
        match body {
            Body::Image { image } => Ok(Entry { attr: image.look_again()?.attr(ino), ttl: IMAGE_TTL }),
            Body::Swap(_) => self.own_entry(ino),
        }
    }

    /// Attributes of what exists only here.
    fn own_entry(&self, ino: Ino) -> Result<Entry, FsError> {
        let (owner, when) = (self.plan.owner, self.started);
        let attr = match self.node(ino)? {
            Node::Root | Node::Images | Node::Swap | Node::Control => Attr::directory(ino, owner, when),
            Node::ControlFile(file) => {
                let permissions = match file {
                    ControlFile::Trace => 0o400,
                    ControlFile::Command | ControlFile::Throttle | ControlFile::Faults => 0o600,
                    ControlFile::Stats | ControlFile::Metrics => 0o444,
                };
                let attr = Attr { permissions, ..Attr::regular(ino, owner, when, self.text_bytes(file)) };
                return Ok(Entry { attr, ttl: CONTROL_TTL });
            }
            Node::SwapFile(index) => return Ok(Entry { attr: self.swap_attr(index)?, ttl: SWAP_TTL }),
            Node::Image(_) => return Err(FsError::Stale),
        };
        Ok(Entry { attr, ttl: OWN_TTL })
    }

    fn own_entries(&self, node: &Node) -> Vec<DirectoryEntry> {
        match node {
            Node::Root => vec![
                directory_entry(IMAGES, "images"),
                directory_entry(SWAP, "swap"),
                directory_entry(CONTROL, ".swapfs"),
            ],
            Node::Swap => self.swaps.read().named().map(|(index, file)| swap_entry(index, file)).collect(),
            Node::Control => ControlFile::ALL.map(control_entry).into(),
            _ => vec![],
        }
    }

    fn source_entries(&self) -> Result<Vec<DirectoryEntry>, FsError> {
        let mut entries: Vec<DirectoryEntry> = Vec::new();
        for source in &self.plan.sources {
            let Placement::Named { name, base } = source.placement() else { continue };
            let kind = match source.tree().look(base) {
                Ok(seen) => seen.kind,
                Err(FsError::NotFound) => continue,
                // It is there, and who asks for it is told what is wrong.
                Err(_) if base.as_os_str().is_empty() => FileKind::Directory,
                Err(_) => FileKind::Regular,
            };
            entries.push(DirectoryEntry { ino: NOT_LOOKED_UP, kind, name: name.clone() });
        }
        let contents = self.plan.sources.iter().find(|source| *source.placement() == Placement::Contents);
        for listed in
            contents.map(|source| source.tree().list(Path::new(""))).transpose()?.unwrap_or_default()
        {
            if !entries.iter().any(|entry| entry.name == listed.name) {
                entries.push(listed_entry(listed));
            }
        }
        Ok(entries)
    }
}

fn directory_entry(ino: Ino, name: &str) -> DirectoryEntry {
    DirectoryEntry { ino, kind: FileKind::Directory, name: name.into() }
}

fn listed_entry(listed: Listed) -> DirectoryEntry {
    DirectoryEntry { ino: NOT_LOOKED_UP, kind: listed.kind, name: listed.name }
}

fn swap_entry(index: SwapIndex, file: &super::SwapFile) -> DirectoryEntry {
    let ino = InodeTable::swap_file(index);
    DirectoryEntry { ino, kind: FileKind::Regular, name: file.name.clone().into() }
}

fn control_entry(file: ControlFile) -> DirectoryEntry {
    let (ino, name) = match file {
        ControlFile::Stats => (STATS, "stats.json"),
        ControlFile::Metrics => (METRICS, "metrics"),
        ControlFile::Trace => (TRACE, "trace"),
        ControlFile::Command => (COMMAND, "command"),
        ControlFile::Throttle => (THROTTLE, "throttle"),
        ControlFile::Faults => (FAULTS, "faults"),
    };
    DirectoryEntry { ino, kind: FileKind::Regular, name: name.into() }
}
