//! Names in archives: what is made of them, and what is refused.

use super::*;
use proptest::prelude::*;

impl Leaf for u64 {
    fn size_bytes(&self) -> u64 {
        *self
    }
    fn allocated_bytes(&self) -> u64 {
        *self
    }
}

fn meta() -> Meta {
    Meta { permissions: 0o644, uid: 1, gid: 2, modified: (3, 4), xattrs: Xattrs::new() }
}

fn index() -> Index<u64> {
    Index::new(meta())
}

fn put(index: &mut Index<u64>, path: &str, size: u64) -> Result<NodeIndex, IndexError> {
    index.insert(path.as_bytes(), meta(), Body::File(size))
}

fn put_directory(index: &mut Index<u64>, path: &str) -> Result<NodeIndex, IndexError> {
    index.insert(path.as_bytes(), meta(), Body::Directory(BTreeMap::new()))
}

fn links(index: &Index<u64>, path: &str) -> u32 {
    index.seen(index.find(Path::new(path)).unwrap()).attr.links
}

#[test]
fn the_last_of_one_name_counts() {
    let mut index = index();
    put(&mut index, "./a/b", 1).unwrap();
    put(&mut index, "/a//b", 2).unwrap();
    let found = index.find(Path::new("a/b")).unwrap();
    assert_eq!(index.seen(found).attr.size_bytes, 2);
    assert_eq!(index.list(Path::new("a")).unwrap().len(), 1);
    put_directory(&mut index, "a").unwrap();
    assert_eq!(
        index.list(Path::new("a")).unwrap().len(),
        1,
        "a directory that is given again keeps its names"
    );
}

#[test]
fn names_that_are_refused() {
    let mut index = index();
    put(&mut index, "file", 1).unwrap();
    put(&mut index, "d/e", 1).unwrap();
    index.insert(b"link", meta(), Body::Symlink("/etc".into())).unwrap();
    assert_eq!(put(&mut index, "../x", 1), Err(IndexError::Climbs));
    assert_eq!(put(&mut index, "d/../../x", 1), Err(IndexError::Climbs));
    assert_eq!(put(&mut index, "link/passwd", 1), Err(IndexError::BelowSymlink));
    assert_eq!(put(&mut index, "file/x", 1), Err(IndexError::NotADirectory));
    assert_eq!(put(&mut index, "d", 1), Err(IndexError::NotEmpty));
    assert_eq!(put(&mut index, "a\0b", 1), Err(IndexError::Name));
    assert_eq!(put(&mut index, "/", 1), Err(IndexError::NotEmpty));
    assert_eq!(put(&mut index, &"x/".repeat(4000), 1), Err(IndexError::Name));
    assert_eq!(put(&mut index, &"x".repeat(300), 1), Err(IndexError::Name));
    assert_eq!(index.link(b"h", b"d"), Err(IndexError::NoTarget));
    assert_eq!(index.link(b"h", b"nothing"), Err(IndexError::NoTarget));
    assert_eq!(index.link(b"h", b"../file"), Err(IndexError::NoTarget));
}

#[test]
fn links_are_counted() {
    let mut index = index();
    put(&mut index, "d/a", 7).unwrap();
    index.link(b"b", b"d/a").unwrap();
    index.link(b"b", b"d/a").unwrap();
    assert_eq!(links(&index, "b"), 2);
    assert_eq!(index.find(Path::new("b")).unwrap(), index.find(Path::new("d/a")).unwrap());
    assert_eq!(links(&index, ""), 3);
    put(&mut index, "b", 1).unwrap();
    assert_eq!((links(&index, "b"), links(&index, "d/a")), (1, 1));
    put_directory(&mut index, "empty").unwrap();
    assert_eq!(links(&index, ""), 4);
    put(&mut index, "empty", 1).unwrap();
    assert_eq!(links(&index, ""), 3);
}

#[test]
fn symlinks_stay_inside() {
    let mut index = index();
    index.insert(b"d/absolute", meta(), Body::Symlink("/usr/lib".into())).unwrap();
    index.insert(b"d/climbs", meta(), Body::Symlink("../../x".into())).unwrap();
    assert_eq!(index.read_link(Path::new("d/absolute")).unwrap(), Path::new("../usr/lib"));
    assert!(matches!(index.read_link(Path::new("d/climbs")), Err(FsError::NotPermitted)));
    assert!(matches!(index.read_link(Path::new("d")), Err(FsError::Invalid)));
}

#[test]
fn there_is_an_end_to_it() {
    let mut index = index();
    assert_eq!(index.charge(MOST_TEXT_BYTES), Ok(()));
    assert_eq!(put(&mut index, "a", 1), Err(IndexError::TooMuch));
}

proptest! {
    /// Whatever is put in, each name that is listed is found, and links are what can be counted by
    /// walking.
    #[test]
    fn what_is_listed_is_found(steps in proptest::collection::vec((0..4, "[a-c](/[a-c]){0,3}", "[a-c](/[a-c]){0,2}"), 0..40)) {
        let mut index = index();
        for (what, path, target) in &steps {
            let _ = match what {
                0 => put(&mut index, path, 1).map(drop),
                1 => put_directory(&mut index, path).map(drop),
                2 => index.insert(path.as_bytes(), meta(), Body::Symlink(target.into())).map(drop),
                _ => index.link(path.as_bytes(), target.as_bytes()),
            };
        }
        let mut names = BTreeMap::<u64, u32>::new();
        let mut todo = vec![PathBuf::new()];
        while let Some(directory) = todo.pop() {
            for listed in index.list(&directory).unwrap() {
                let path = directory.join(&listed.name);
                let seen = index.seen(index.find(&path).unwrap());
                prop_assert_eq!(seen.kind, listed.kind);
                if listed.kind == FileKind::Directory {
                    todo.push(path);
                } else {
                    *names.entry(seen.identity.number).or_default() += 1;
                    prop_assert!(seen.attr.links >= names[&seen.identity.number]);
                }
            }
        }
        for (number, count) in names {
            prop_assert_eq!(index.seen(NodeIndex(number as usize - 1)).attr.links, count);
        }
    }
}
