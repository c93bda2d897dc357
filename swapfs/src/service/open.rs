//! Opening and closing.

use std::path::PathBuf;
use std::sync::Arc;

use super::Service;
use super::handles::{Body, CountedFile, Ends, Handle, HandleId};
use crate::accounting::{FileClass, Occasion};
use crate::filesystem::caching::{OpenCaching, image_open, unhindered};
use crate::filesystem::inode::{ControlFile, ImageNode, Node, SwapIndex};
use crate::filesystem::{FileKind, FsError, Ino};
use crate::trace::Operation;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Writing, perhaps also reading.
    Write,
}

/// An opened file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Its handle.
    pub handle: HandleId,
    /// What the kernel may cache of it.
    pub caching: OpenCaching,
}

impl Service {
    /// Opens the file `ino` for the thread `tid`. `text` gives the text of files below `.swapfs`.
    ///
    /// # Errors
    /// [`FsError::ReadOnly`] for writing to anything but a swap file, [`FsError::Stale`] if the source was
    /// replaced.
    pub fn open(
        &self,
        tid: u32,
        ino: Ino,
        access: Access,
        text: impl FnOnce(ControlFile) -> String,
    ) -> Result<Opened, FsError> {
        match (self.node(ino)?, access) {
            (Node::SwapFile(index), _) => self.open_swap(tid, ino, index),
            (Node::Image(node), _) if node.kind == FileKind::Directory => Err(FsError::IsADirectory),
            (Node::Image(node), Access::Read) => self.open_image(tid, ino, &node),
            (Node::ControlFile(ControlFile::Command), _) => Ok(self.opened(Handle::Command(Arc::default()))),
            (Node::ControlFile(ControlFile::Throttle), _) => {
                Ok(self.opened(Handle::Rules(Arc::new(self.gate.rules_text().into()))))
            }
            (Node::ControlFile(ControlFile::Faults), _) => {
                Ok(self.opened(Handle::Faults(Arc::new(self.faults_text().into()))))
            }
            (Node::ControlFile(ControlFile::Trace), Access::Read) => {
                Ok(self.opened(Handle::Trace(self.books.tracers.start().ok_or(FsError::TooManyTraces)?)))
            }
            (Node::ControlFile(file), Access::Read) => {
                let text = text(file);
                self.text_sizes.note(file, self.clock.now(), text.len() as u64);
                Ok(self.open_text(text))
            }
            (Node::Image(_) | Node::ControlFile(_), Access::Write) => Err(FsError::ReadOnly),
            (Node::Root | Node::Images | Node::Swap | Node::Control, _) => Err(FsError::IsADirectory),
        }
    }

    /// Closes a file or directory.
    pub fn release(&self, handle: HandleId) {
        match self.handles.remove(handle) {
            Some(Handle::Counted(file)) => {
                self.note(&file, &file.opener, Operation::Close);
                drop(file);
                self.books.ledger.closed();
                self.release_folded();
            }
            Some(Handle::Trace(ring)) => self.books.tracers.stop(&ring),
            _ => {}
        }
    }

    fn open_image(&self, tid: u32, ino: Ino, node: &ImageNode) -> Result<Opened, FsError> {
        let source = &self.plan.sources[node.source.0];
        let image = source.tree().open(&node.path, node.identity)?;
        let (version, size_bytes) = (image.seen.version, image.seen.version.size_bytes);
        let cached = {
            let mut inodes = self.inodes.lock();
            inodes.count(ino);
            inodes.cache(ino, version)
        };
        let caching = image_open(self.plan.strictness, cached);
        let path = || source.visible_path(&node.path);
        let handle = self.insert_counted(tid, ino, FileClass::Image, path, Body::Image { image }, size_bytes);
        Ok(Opened { handle, caching: unhindered(caching, self.gate.holdup(ino.0)) })
    }

    fn open_swap(&self, tid: u32, ino: Ino, index: SwapIndex) -> Result<Opened, FsError> {
        let file = self.swap(index)?;
        let path = || PathBuf::from("swap").join(&file.name);
        let size_bytes = file.store.size_bytes();
        let handle =
            self.insert_counted(tid, ino, FileClass::Swap, path, Body::Swap(file.clone()), size_bytes);
        Ok(Opened { handle, caching: unhindered(OpenCaching::Direct, self.gate.holdup(ino.0)) })
    }

    /// Lets go of the numbers of files that have no counts any more.
    pub(super) fn release_folded(&self) {
        let folded = self.books.ledger.take_folded();
        if !folded.is_empty() {
            self.inodes.lock().uncount(folded);
        }
    }

    fn open_text(&self, text: String) -> Opened {
        self.opened(Handle::Text(Arc::new(text.into_bytes())))
    }

    fn opened(&self, handle: Handle) -> Opened {
        Opened { handle: self.handles.insert(handle), caching: OpenCaching::Direct }
    }

    fn insert_counted(
        &self,
        tid: u32,
        ino: Ino,
        class: FileClass,
        path: impl FnOnce() -> PathBuf,
        body: Body,
        size_bytes: u64,
    ) -> HandleId {
        let account = self.books.ledger.account(ino, class, path);
        account.opened(size_bytes);
        self.release_folded();
        let opener = self.books.ledger.processes().account(tid, Occasion::Open(self.clock.now()));
        opener.enter(|counters| counters.opened());
        let file =
            Arc::new(CountedFile { body, account, known: Arc::default(), opener, ends: Ends::default() });
        self.note(&file, &file.opener, Operation::Open);
        self.handles.insert(Handle::Counted(file))
    }
}
