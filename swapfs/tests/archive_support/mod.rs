//! What must hold of any bytes at all that are shown as an archive; the fuzz target and the tests share it.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use swapfs::filesystem::{FileKind, Ino};
use swapfs::images::archive::{SquashfsTree, TarTree};
use swapfs::images::{OpenImage, Tree};
use swapfs::store::Whence;

/// No more of an archive is walked, as a hostile one may be of any size.
const MOST_NAMES: usize = 500;
const PIECE: usize = 5000;

/// Shows `bytes` as each kind of archive; nothing may panic, and what is shown must fit together.
pub fn check(bytes: &[u8]) {
    if let Ok(tree) = SquashfsTree::open(Arc::new(bytes.to_vec())) {
        check_tree(&tree);
    }
    if let Ok(tree) = TarTree::open(Arc::new(bytes.to_vec())) {
        check_tree(&tree);
    }
    if let Ok(tree) = TarTree::open(Arc::new(with_checksums(bytes))) {
        check_tree(&tree);
    }
}

/// Else whatever is changed in a tar header is only ever a wrong checksum.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

fn check_tree(tree: &dyn Tree) {
    let mut todo = vec![PathBuf::new()];
    let mut names = 0;
    while let Some(path) = todo.pop() {
        names += 1;
        if names > MOST_NAMES {
            return;
        }
        let Ok(seen) = tree.look(&path) else { continue };
        if let Ok(xattrs) = tree.xattrs(&path, seen.identity) {
            assert!(xattrs.iter().all(|(name, value)| !name.is_empty() && value.len() <= 1 << 20));
        }
        match seen.kind {
            FileKind::Directory => {
                let Ok(listed) = tree.list(&path) else { continue };
                let mut sorted: Vec<_> = listed.iter().map(|entry| &entry.name).collect();
                sorted.dedup();
                assert_eq!(sorted.len(), listed.len(), "a name twice");
                for entry in listed {
                    assert!(
                        Path::new(&entry.name).components().count() == 1
                            && entry.name != ".."
                            && entry.name != "."
                    );
                    todo.push(path.join(&entry.name));
                }
            }
            FileKind::Symlink => check_link(&path, tree.read_link(&path, seen.identity).ok()),
            FileKind::Regular => {
                if let Ok(open) = tree.open(&path, seen.identity) {
                    assert_eq!(open.seen, seen);
                    check_file(&open, seen.attr(Ino(1)).size_bytes);
                }
            }
        }
    }
}

fn check_link(path: &Path, target: Option<PathBuf>) {
    let Some(target) = target else { return };
    let ups = target.components().take_while(|part| part.as_os_str() == "..").count();
    assert!(target.is_relative() && ups < path.components().count(), "{path:?} -> {target:?}");
    assert!(target.components().skip(ups).all(|part| part.as_os_str() != ".."));
}

fn check_file(open: &OpenImage, size: u64) {
    let mut buffer = vec![0xa5; PIECE];
    for offset in [0, size / 2, size.saturating_sub(3), size, u64::MAX - 5] {
        let Ok(got) = open.read_at(&mut buffer, offset) else { continue };
        assert_eq!(got as u64, size.saturating_sub(offset).min(PIECE as u64));
        if got > 2 {
            let mut again = vec![0; got - 2];
            assert_eq!(open.read_at(&mut again, offset + 1).ok(), Some(got - 2));
            assert!(again == buffer[1..got - 1], "other bytes the second time");
        }
    }
    for (whence, from) in
        [(Whence::Data, 0), (Whence::Hole, 0), (Whence::Data, size / 2), (Whence::Hole, size / 2)]
    {
        if let Ok(at) = open.seek(whence, from) {
            assert!(at >= from && at <= size && (whence == Whence::Hole || at < size));
        }
    }
    assert!(open.seek(Whence::Hole, size).is_err());
}
