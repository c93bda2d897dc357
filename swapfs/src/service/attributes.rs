//! Extended attributes, and how large what is shown is.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Service;
use crate::filesystem::inode::{NO_DEVICE, Node};
use crate::filesystem::{FsError, Ino};
use crate::images::Space;

impl Service {
    /// Whether anything here may have extended attributes.
    pub fn has_attributes(&self) -> bool {
        !self.plan.sources.is_empty()
    }

    /// The extended attribute `name` of a file of a source.
    ///
    /// # Errors
    /// [`FsError::NoAttribute`] if there is none, [`FsError::Unsupported`] for all other files.
    pub fn xattr(&self, ino: Ino, name: &OsStr) -> Result<Vec<u8>, FsError> {
        match self.node(ino)? {
            // Access control lists are not what the mount goes by.
            Node::Image(_) if name.as_bytes().starts_with(b"system.") => Err(FsError::Unsupported),
            Node::Image(node) => self.tree(node.source).xattr(&node.path, node.identity, name),
            _ => Err(FsError::Unsupported),
        }
    }

    /// The names of a file's extended attributes, each with a zero byte after it.
    ///
    /// # Errors
    /// [`FsError::Unsupported`] for files that are not of a source.
    pub fn xattr_names(&self, ino: Ino) -> Result<Vec<u8>, FsError> {
        let Node::Image(node) = self.node(ino)? else { return Err(FsError::Unsupported) };
        let xattrs = self.tree(node.source).xattrs(&node.path, node.identity)?;
        Ok(xattrs.keys().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect())
    }

    /// Why no extended attribute can be set or removed.
    pub fn refuse_attribute(&self, ino: Ino) -> FsError {
        match self.node(ino) {
            Ok(Node::SwapFile(_)) => FsError::Unsupported,
            _ => FsError::ReadOnly,
        }
    }

    /// How large the file system is that `ino` is on: the source's, without room left, or that of the swap
    /// files, where what takes no room yet is free.
    ///
    /// # Errors
    /// What the source says.
    pub fn space(&self, ino: Ino) -> Result<Space, FsError> {
        match self.node(ino)? {
            Node::Image(node) => return self.tree(node.source).space(),
            Node::Images => return self.sources_space(),
            _ => {}
        }
        let files: Vec<_> = self.swaps.read().named().map(|(_, file)| file.clone()).collect();
        let stores = || files.iter().map(|file| &file.store);
        let total_bytes: u64 = stores().map(|store| store.size_bytes()).sum();
        let used: u64 = stores().map(|store| store.allocated_bytes()).sum();
        // What takes no room yet cannot have more than the store has left.
        let free_bytes = total_bytes.saturating_sub(used).min(self.plan.store.room_bytes());
        Ok(Space { total_bytes, free_bytes, files: files.len() as u64 })
    }

    /// All sources together; directories on one file system count once.
    fn sources_space(&self) -> Result<Space, FsError> {
        let (mut sum, mut devices) = (Space { total_bytes: 0, free_bytes: 0, files: 0 }, HashSet::new());
        for source in &self.plan.sources {
            let tree = source.tree();
            let device = tree.look(Path::new(""))?.identity.device;
            if device == NO_DEVICE || devices.insert(device) {
                let Space { total_bytes, files, .. } = tree.space()?;
                sum.total_bytes = sum.total_bytes.saturating_add(total_bytes);
                sum.files = sum.files.saturating_add(files);
            }
        }
        Ok(sum)
    }
}
