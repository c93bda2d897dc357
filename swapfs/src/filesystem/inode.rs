//! The numbers of inodes, and what is known of each file of a source while the kernel remembers it.
//!
//! Numbers belong to identities, not to paths: two names of one file are one inode, and a file that was
//! replaced under its name is another. But of a symlink each directory that it is in has another inode, as
//! the text that is shown counts from there. A number is never given to two files that the kernel, or the
//! counts, know at one time, so nothing that is cached or counted by number can belong to another file. It
//! follows from the identity, so a file that was forgotten has its number again when it is looked up, unless
//! another took it meanwhile (then it has one that no file had); nothing is kept of files that are forgotten
//! and not counted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::attr::{FileKind, Ino};

/// The top of the mount.
pub const ROOT: Ino = Ino(1);
/// The directory `images`.
pub const IMAGES: Ino = Ino(2);
/// The directory `swap`.
pub const SWAP: Ino = Ino(3);
/// The directory `.swapfs`.
pub const CONTROL: Ino = Ino(4);
/// The file `.swapfs/stats.json`.
pub const STATS: Ino = Ino(5);
/// The file `.swapfs/metrics`.
pub const METRICS: Ino = Ino(6);
/// The file `.swapfs/trace`.
pub const TRACE: Ino = Ino(7);
/// The file `.swapfs/command`.
pub const COMMAND: Ino = Ino(8);
/// The file `.swapfs/throttle`.
pub const THROTTLE: Ino = Ino(9);
/// The file `.swapfs/faults`.
pub const FAULTS: Ino = Ino(10);
const FIRST_IMAGE: u64 = 16;
/// Still a number that programs with 32-bit inode numbers can read.
const FIRST_SWAP: u64 = 1 << 31;
/// From here on for files whose own number is taken.
const FIRST_SPARE: u64 = 1 << 32;

/// The device of files that are on none, such as those of an archive.
pub const NO_DEVICE: (u32, u32) = (0, 0);

/// Which of the mount's sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceIndex(pub usize);

/// Which of the mount's swap files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SwapIndex(pub usize);

/// What tells one file of a source from every other, before and after it: a number that the source's file
/// system gives again comes with another time of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device of the source's file system.
    pub device: (u32, u32),
    /// Inode number there.
    pub number: u64,
    /// Time of birth, where the file system keeps one.
    pub born: (i64, u32),
}

/// A state of a file's contents; when it changes, cached pages are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Time of the last change of the contents.
    pub modified: (i64, u32),
    /// Time of the last change of the inode, which programs cannot set.
    pub changed: (i64, u32),
    /// Size in bytes.
    pub size_bytes: u64,
}

/// A file of a source, as last looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageNode {
    /// Its source.
    pub source: SourceIndex,
    /// Its path below the source.
    pub path: PathBuf,
    /// Its kind.
    pub kind: FileKind,
    /// Who it is.
    pub identity: Identity,
}

/// What an inode number stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// The top of the mount.
    Root,
    /// The directory `images`.
    Images,
    /// The directory `swap`.
    Swap,
    /// The directory `.swapfs`.
    Control,
    /// A file below `.swapfs`.
    ControlFile(ControlFile),
    /// A swap file, if there is one with this index.
    SwapFile(SwapIndex),
    /// A file of a source.
    Image(ImageNode),
}

/// The files below `.swapfs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlFile {
    /// `stats.json`.
    Stats,
    /// `metrics`.
    Metrics,
    /// `trace`: every request from its opening on.
    Trace,
    /// `command`: takes one command, and holds its answer.
    Command,
    /// `throttle`: the rules in force; takes others.
    Throttle,
    /// `faults`: the fault rules in force; takes others.
    Faults,
}

#[derive(Debug)]
struct Remembered {
    node: ImageNode,
    /// How often the kernel was told of it, less what it has forgotten.
    lookups: u64,
    /// The contents that the kernel's cache may hold. Most files are never opened.
    cached: Option<Box<Version>>,
}

/// How many files have to be forgotten for their memory to be worth giving back: about 8 MiB.
const MANY: usize = 1 << 15;

/// How much memory may be given back by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// Not worth the time.
    Little,
    /// That of many files, and of as many as are remembered.
    Much,
}

/// All inodes of a mount.
#[derive(Debug, Default)]
pub struct InodeTable {
    /// Files that were forgotten since [`Forgotten::Much`] was said.
    forgotten: usize,
    /// Files that the kernel remembers.
    remembered: HashMap<Ino, Remembered>,
    /// Files that are counted, by their numbers.
    counted: HashMap<Ino, Key>,
    /// Numbers of those, of either kind, whose own number another file had.
    spares: HashMap<Key, Ino>,
    spares_given: u64,
}

/// What has one number: a file; a symlink within one directory of its source.
type Key = (SourceIndex, Identity, Option<PathBuf>);

fn key_of(node: &ImageNode) -> Key {
    let directory = if node.kind == FileKind::Symlink { node.path.parent() } else { None };
    (node.source, node.identity, directory.map(Path::to_owned))
}

/// The same as [`key_of`]` == key`.
fn has_key(node: &ImageNode, (source, identity, directory): &Key) -> bool {
    let own = if node.kind == FileKind::Symlink { node.path.parent() } else { None };
    node.source == *source && node.identity == *identity && own == directory.as_deref()
}

/// The number that a file has unless another has it already.
fn own_number(key: &Key) -> Ino {
    // Without secrets, so that the number is the same again. Who makes files of one number on purpose gets
    // spare ones.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    Ino(FIRST_IMAGE + hasher.finish() % (FIRST_SWAP - FIRST_IMAGE))
}

impl ControlFile {
    /// All of them.
    pub const ALL: [ControlFile; 6] = [
        ControlFile::Stats,
        ControlFile::Metrics,
        ControlFile::Trace,
        ControlFile::Command,
        ControlFile::Throttle,
        ControlFile::Faults,
    ];
}

impl InodeTable {
    /// The number of a swap file.
    pub fn swap_file(index: SwapIndex) -> Ino {
        Ino(FIRST_SWAP + index.0 as u64)
    }

    /// The number of a directory of a source, without counting a lookup: the one that it has or would get.
    pub fn number(&self, source: SourceIndex, identity: Identity) -> Ino {
        let key = (source, identity, None);
        self.spares.get(&key).copied().unwrap_or_else(|| own_number(&key))
    }

    /// Whether `ino` is a number other than that of the file with this key.
    fn is_anothers(&self, ino: Ino, key: &Key) -> bool {
        match (self.remembered.get(&ino), self.counted.get(&ino)) {
            (Some(entry), _) => !has_key(&entry.node, key),
            (None, Some(counted)) => counted != key,
            (None, None) => false,
        }
    }

    fn take_number(&mut self, key: Key) -> Ino {
        if let Some(ino) = self.spares.get(&key) {
            return *ino;
        }
        let own = own_number(&key);
        if !self.is_anothers(own, &key) {
            return own;
        }
        let ino = Ino(FIRST_SPARE + self.spares_given);
        self.spares_given += 1;
        self.spares.insert(key, ino);
        ino
    }

    fn release_number(&mut self, ino: Ino, key: &Key) {
        if ino.0 >= FIRST_SPARE {
            self.spares.remove(key);
        }
    }

    /// Keeps the number of a remembered file, as its counts are kept by it.
    pub fn count(&mut self, ino: Ino) {
        if let Some(entry) = self.remembered.get(&ino) {
            self.counted.entry(ino).or_insert_with(|| key_of(&entry.node));
        }
    }

    /// Notes that nothing is counted any more of these files by their numbers.
    pub fn uncount(&mut self, files: impl IntoIterator<Item = Ino>) {
        for ino in files {
            if let Some(key) = self.counted.remove(&ino)
                && !self.remembered.contains_key(&ino)
            {
                self.release_number(ino, &key);
            }
        }
    }

    /// Notes that the kernel is told of `node`. Of several names of one file the last counts.
    pub fn remember(&mut self, mut node: ImageNode) -> Ino {
        node.path.shrink_to_fit();
        let ino = self.take_number(key_of(&node));
        let entry = self.remembered.entry(ino).or_insert_with(|| Remembered {
            node: node.clone(),
            lookups: 0,
            cached: None,
        });
        entry.lookups += 1;
        entry.node = node;
        ino
    }

    /// Notes that the kernel has forgotten `times` lookups of `ino`.
    pub fn forget(&mut self, ino: Ino, times: u64) -> Forgotten {
        let Some(entry) = self.remembered.get_mut(&ino) else { return Forgotten::Little };
        entry.lookups = entry.lookups.saturating_sub(times);
        if entry.lookups > 0 {
            return Forgotten::Little;
        }
        if let Some(gone) = self.remembered.remove(&ino)
            && !self.counted.contains_key(&ino)
        {
            self.release_number(ino, &key_of(&gone.node));
        }
        // A walk over millions of files leaves nothing behind.
        if self.remembered.len() < self.remembered.capacity() / 8 {
            self.remembered.shrink_to(self.remembered.len() * 2);
        }
        self.forgotten += 1;
        if self.forgotten < MANY.max(self.remembered.len()) {
            return Forgotten::Little;
        }
        self.forgotten = 0;
        Forgotten::Much
    }

    /// What `ino` stands for, if anything.
    pub fn node(&self, ino: Ino) -> Option<Node> {
        match ino {
            ROOT => Some(Node::Root),
            IMAGES => Some(Node::Images),
            SWAP => Some(Node::Swap),
            CONTROL => Some(Node::Control),
            STATS => Some(Node::ControlFile(ControlFile::Stats)),
            METRICS => Some(Node::ControlFile(ControlFile::Metrics)),
            TRACE => Some(Node::ControlFile(ControlFile::Trace)),
            COMMAND => Some(Node::ControlFile(ControlFile::Command)),
            THROTTLE => Some(Node::ControlFile(ControlFile::Throttle)),
            FAULTS => Some(Node::ControlFile(ControlFile::Faults)),
            Ino(n) if (FIRST_SWAP..FIRST_SPARE).contains(&n) => {
                Some(Node::SwapFile(SwapIndex((n - FIRST_SWAP) as usize)))
            }
            _ => self.remembered.get(&ino).map(|entry| Node::Image(entry.node.clone())),
        }
    }

    /// Notes that the contents of `ino` are about to be cached in `version`; says what the cache may hold
    /// until now.
    pub fn cache(&mut self, ino: Ino, version: Version) -> Cached {
        let Some(entry) = self.remembered.get_mut(&ino) else { return Cached::Other };
        match entry.cached.replace(Box::new(version)) {
            Some(old) if *old == version => Cached::Same,
            _ => Cached::Other,
        }
    }

    /// How many files of sources the kernel remembers.
    pub fn remembered(&self) -> usize {
        self.remembered.len()
    }
}

/// What the kernel's page cache may hold of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    /// Pages of the same contents.
    Same,
    /// Nothing, or pages of other contents.
    Other,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn node(number: u64, path: &str) -> ImageNode {
        let identity = Identity { device: (8, 1), number, born: (0, 0) };
        ImageNode { source: SourceIndex(0), path: path.into(), kind: FileKind::Regular, identity }
    }

    #[test]
    fn two_names_are_one_inode() {
        let mut table = InodeTable::default();
        let a = table.remember(node(7, "a"));
        assert_eq!(table.remember(node(7, "b")), a);
        assert_eq!(table.node(a), Some(Node::Image(node(7, "b"))));
    }

    #[test]
    fn a_symlink_is_another_inode_in_each_directory() {
        let link = |path: &str| ImageNode { kind: FileKind::Symlink, ..node(7, path) };
        let mut table = InodeTable::default();
        let a = table.remember(link("d/a"));
        assert_eq!(table.remember(link("d/b")), a);
        assert_ne!(table.remember(link("d/e/a")), a);
        assert_ne!(table.remember(link("a")), a);
        assert_eq!(table.node(a), Some(Node::Image(link("d/b"))));
    }

    #[test]
    fn nothing_is_kept_of_what_is_forgotten() {
        let mut table = InodeTable::default();
        let all: Vec<Ino> = (0..100_000).map(|n| table.remember(node(n, "a"))).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "no number twice");
        assert!(all.iter().all(|ino| (FIRST_IMAGE..FIRST_SWAP).contains(&ino.0) || ino.0 >= FIRST_SPARE));
        all[..9].iter().for_each(|ino| table.count(*ino));
        let much = all.iter().filter(|ino| table.forget(**ino, 1) == Forgotten::Much).count();
        assert_eq!(much, 2, "when half of them were forgotten, and when {MANY} more were");
        assert_eq!((table.counted.len(), table.remembered()), (9, 0));
        assert!(table.remembered.capacity() < 1000);
        table.uncount(all);
        assert!(table.counted.is_empty() && table.spares.is_empty());
    }

    #[test]
    fn a_number_that_is_taken_is_not_given_again() {
        let mut table = InodeTable::default();
        let key = key_of(&node(7, "a"));
        table.counted.insert(own_number(&key), key_of(&node(8, "other")));
        let spare = table.remember(node(7, "a"));
        assert_eq!((spare, table.remember(node(7, "b"))), (Ino(FIRST_SPARE), spare));
        assert_eq!(table.node(spare), Some(Node::Image(node(7, "b"))));
        assert_eq!(table.number(SourceIndex(0), node(7, "a").identity), spare);
    }

    #[test]
    fn a_number_outlives_being_forgotten() {
        let mut table = InodeTable::default();
        let a = table.remember(node(7, "a"));
        table.remember(node(7, "a"));
        table.forget(a, 1);
        assert_eq!(table.remembered(), 1);
        table.forget(a, 9);
        assert_eq!(table.node(a), None);
        assert_ne!(table.remember(node(8, "a")), a);
        assert_eq!(table.remember(node(7, "a")), a);
    }

    #[test]
    fn swap_files_and_images_never_share_numbers() {
        let mut table = InodeTable::default();
        let swaps: Vec<Ino> = (0..3).map(|i| InodeTable::swap_file(SwapIndex(i))).collect();
        let image = table.remember(node(1, "x"));
        assert!(!swaps.contains(&image));
        assert_eq!(table.node(swaps[2]), Some(Node::SwapFile(SwapIndex(2))));
    }

    #[test]
    fn changed_contents_are_not_served_from_the_cache() {
        let mut table = InodeTable::default();
        let ino = table.remember(node(1, "x"));
        let old = Version { modified: (1, 0), changed: (1, 0), size_bytes: 5 };
        assert_eq!(table.cache(ino, old), Cached::Other);
        assert_eq!(table.cache(ino, old), Cached::Same);
        assert_eq!(table.cache(ino, Version { changed: (2, 0), ..old }), Cached::Other);
    }
}
