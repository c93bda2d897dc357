//! Images that lie. They are made from one of mksquashfs whose parts are all stored plainly
//! (`fuzz/seeds/plain.squashfs`).

use super::*;

const PLAIN: &[u8] = include_bytes!("../../../../fuzz/seeds/plain.squashfs");
const TOP: usize = 32;
const INODES: usize = 64;
const DIRECTORIES: usize = 72;
/// Of a metadata block.
const HEAD: usize = 2;

fn open(bytes: Vec<u8>) -> Result<SquashfsTree, String> {
    SquashfsTree::open(Arc::new(bytes)).map_err(|error| error.to_string())
}

fn field(bytes: &[u8], at: usize) -> usize {
    field::number::<8>(bytes, at) as usize
}

/// Where in the file an inode's record begins, that of the plain image's one block.
fn record(tree: &SquashfsTree, path: &str) -> usize {
    let inode = tree.0.find(Path::new(path)).unwrap();
    field(PLAIN, INODES) + HEAD + (inode.at.0 & 0xffff) as usize
}

fn set(bytes: &mut [u8], at: usize, value: impl AsRef<[u8]>) {
    bytes[at..at + value.as_ref().len()].copy_from_slice(value.as_ref());
}

fn errno<T: std::fmt::Debug>(result: Result<T, FsError>) -> i32 {
    result.unwrap_err().errno()
}

fn read(tree: &SquashfsTree, path: &str) -> Result<Vec<u8>, FsError> {
    let seen = tree.look(Path::new(path))?;
    let mut buffer = vec![0; 10_000];
    let got = tree.open(Path::new(path), seen.identity)?.read_at(&mut buffer, 0)?;
    buffer.truncate(got);
    Ok(buffer)
}

const EIO: i32 = 5;

fn target(tree: &SquashfsTree, path: &str) -> Result<PathBuf, FsError> {
    let path = Path::new(path);
    tree.read_link(path, tree.look(path)?.identity)
}

#[test]
fn the_image_itself() {
    let tree = open(PLAIN.to_vec()).unwrap();
    assert_eq!(read(&tree, "small").unwrap(), b"small");
    assert_eq!(read(&tree, "d/data").unwrap().len(), 9000);
    assert_eq!(tree.look(Path::new("small")).unwrap(), tree.look(Path::new("d/hard")).unwrap());
    assert_eq!(tree.look(Path::new("small")).unwrap().attr.links, 2);
    assert_eq!(target(&tree, "d/e/absolute").unwrap(), Path::new("../data"));
    assert!(matches!(target(&tree, "d/climbs"), Err(FsError::NotPermitted)));
    assert!(matches!(tree.look(Path::new("small/x")), Err(FsError::NotADirectory)));
    assert!(matches!(tree.look(Path::new("../x")), Err(FsError::NotFound)));
}

#[test]
fn heads_that_lie() {
    let with = |at: usize, value: &[u8]| {
        let mut bytes = PLAIN.to_vec();
        set(&mut bytes, at, value);
        open(bytes).unwrap_err()
    };
    assert!(with(28, &[3, 0]).contains("version 3.0"));
    assert!(with(12, &0x3000u32.to_le_bytes()).contains("block size"));
    assert!(with(12, &(1u32 << 30).to_le_bytes()).contains("block size"));
    assert!(with(20, &[9, 0]).contains("something unknown"));
    assert!(with(40, &(1u64 << 50).to_le_bytes()).contains("cut off"));
    for table in [48, INODES, DIRECTORIES] {
        assert!(with(table, &(1u64 << 50).to_le_bytes()).contains("lies outside"));
    }
    for root in [0xffff, 1 << 40, u64::MAX] {
        assert!(with(TOP, &root.to_le_bytes()).contains("top directory cannot be read"));
    }
    for len in 0..96 {
        assert!(open(PLAIN[..len].to_vec()).unwrap_err().contains("cut off"));
    }
}

#[test]
fn a_directory_that_holds_itself_is_an_error() {
    let tree = open(PLAIN.to_vec()).unwrap();
    let mut bytes = PLAIN.to_vec();
    // The entry of `e` in `d` is made one of `d`.
    let What::Directory(list) = tree.0.find(Path::new("d")).unwrap().what else { panic!() };
    let list = field(PLAIN, DIRECTORIES) + HEAD + list.offset as usize;
    let entry = list + bytes[list..].windows(9).position(|window| window[4..] == [1, 0, 0, 0, b'e']).unwrap();
    let of_d = (tree.0.find(Path::new("d")).unwrap().at.0 & 0xffff) as u16;
    set(&mut bytes, entry, of_d.to_le_bytes());
    let tree = open(bytes).unwrap();
    assert!(tree.list(Path::new("d")).unwrap().iter().any(|listed| listed.name == "e"));
    assert_eq!(errno(tree.look(Path::new("d/e"))), EIO);
    assert_eq!(errno(tree.look(Path::new("d/e/e/e"))), EIO);
}

#[test]
fn names_that_lead_out_are_not_shown() {
    for name in ["/mall", "..", "s\0all"] {
        let mut bytes = PLAIN.to_vec();
        let list = field(PLAIN, DIRECTORIES);
        let at = list + bytes[list..].windows(5).position(|window| window == b"small").unwrap();
        set(&mut bytes, at, name);
        if name == ".." {
            // As long as the name.
            set(&mut bytes, at - 2, [1, 0]);
        }
        let tree = open(bytes).unwrap();
        let listed = tree.list(Path::new(""));
        assert!(listed.is_err() || listed.unwrap().iter().all(|listed| listed.name != name), "{name}");
        assert!(tree.look(Path::new(name)).is_err());
    }
}

#[test]
fn sizes_that_lie_are_errors_of_their_file() {
    let plain = open(PLAIN.to_vec()).unwrap();
    let data = record(&plain, "d/data");
    let with = |at: usize, value: &[u8]| {
        let mut bytes = PLAIN.to_vec();
        set(&mut bytes, at, value);
        open(bytes).unwrap()
    };
    // A file of 4 GiB with the blocks of a small one.
    let tree = with(data + 28, &u32::MAX.to_le_bytes());
    assert!(read(&tree, "d/data").is_err());
    assert_eq!(read(&tree, "small").unwrap(), b"small", "the others are as they were");
    // A block larger than blocks are, one outside of the image, a fragment that is not there, one that is too
    // short.
    assert_eq!(errno(read(&with(data + 32, &0x80_0000u32.to_le_bytes()), "d/data")), EIO);
    assert_eq!(errno(read(&with(data + 16, &0x7fff_0000u32.to_le_bytes()), "d/data")), EIO);
    let long = format!("d/{}", "n".repeat(120));
    let tail = record(&plain, &long);
    assert_eq!(errno(read(&with(tail + 20, &77u32.to_le_bytes()), &long)), EIO);
    assert_eq!(errno(read(&with(tail + 24, &0xffff_0000u32.to_le_bytes()), &long)), EIO);
    assert_eq!(read(&plain, &long).unwrap(), b"long");
    // An owner that is not in the table, a kind that there is not.
    assert_eq!(errno(with(data + 4, &[0xff; 2]).look(Path::new("d/data"))), EIO);
    assert_eq!(errno(with(data, &[99, 0]).look(Path::new("d/data"))), EIO);
    let link = record(&plain, "near");
    assert_eq!(errno(target(&with(link + 20, &u32::MAX.to_le_bytes()), "near")), EIO);
    // A list of 4 GiB.
    let top = record(&plain, "");
    let kind = field::number::<2>(PLAIN, top);
    let tree = if kind == 1 { with(top + 24, &[0xff; 2]) } else { with(top + 20, &[0xff; 4]) };
    assert_eq!(errno(tree.list(Path::new(""))), EIO);
}
