//! The swap files of a mount by name and by number. A number is never given twice, and a file that was
//! removed is known by its number as long as somebody has it open.

use std::sync::{Arc, Weak};

use super::swap_file::SwapFile;
use crate::filesystem::inode::SwapIndex;

#[derive(Debug)]
enum Slot {
    Named(Arc<SwapFile>),
    Removed(Weak<SwapFile>),
}

/// All swap files that a mount ever had.
#[derive(Debug, Default)]
pub(super) struct SwapTable(Vec<Slot>);

impl SwapTable {
    pub(super) fn new(files: Vec<SwapFile>) -> Self {
        SwapTable(files.into_iter().map(|file| Slot::Named(Arc::new(file))).collect())
    }

    /// The files that have names, in the order of their making.
    pub(super) fn named(&self) -> impl Iterator<Item = (SwapIndex, &Arc<SwapFile>)> {
        self.0.iter().enumerate().filter_map(|(index, slot)| match slot {
            Slot::Named(file) => Some((SwapIndex(index), file)),
            Slot::Removed(_) => None,
        })
    }

    pub(super) fn by_name(&self, name: &str) -> Option<(SwapIndex, Arc<SwapFile>)> {
        self.named().find(|(_, file)| file.name == name).map(|(index, file)| (index, file.clone()))
    }

    pub(super) fn by_index(&self, index: SwapIndex) -> Option<Arc<SwapFile>> {
        match self.0.get(index.0)? {
            Slot::Named(file) => Some(file.clone()),
            Slot::Removed(file) => file.upgrade(),
        }
    }

    /// Gives `file` its name, unless another has it.
    pub(super) fn insert(&mut self, file: SwapFile) -> Option<SwapIndex> {
        if self.by_name(&file.name).is_some() {
            return None;
        }
        self.0.push(Slot::Named(Arc::new(file)));
        Some(SwapIndex(self.0.len() - 1))
    }

    /// Takes a name away. The file lives on for those who hold it.
    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<SwapFile>> {
        let (index, file) = self.by_name(name)?;
        self.0[index.0] = Slot::Removed(Arc::downgrade(&file));
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreOptions, Stores};

    fn file(name: &str) -> SwapFile {
        let stores = Stores::new(StoreOptions::default());
        SwapFile { name: name.into(), store: stores.create(name, 4096).unwrap() }
    }

    #[test]
    fn a_removed_file_lives_as_long_as_it_is_held() {
        let mut table = SwapTable::new(vec![file("a")]);
        assert_eq!(table.insert(file("b")), Some(SwapIndex(1)));
        assert_eq!(table.insert(file("a")), None, "the name is taken");
        let held = table.remove("a").unwrap();
        assert!(table.by_name("a").is_none() && table.remove("a").is_none());
        assert!(table.by_index(SwapIndex(0)).is_some());
        assert_eq!(table.insert(file("a")), Some(SwapIndex(2)), "another file of that name");
        drop(held);
        assert!(table.by_index(SwapIndex(0)).is_none() && table.by_index(SwapIndex(9)).is_none());
        assert_eq!(table.named().map(|(index, _)| index.0).collect::<Vec<_>>(), [1, 2]);
    }
}
