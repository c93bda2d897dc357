//! Archives made by hand, good and hostile.

use super::*;
use ::tar::{EntryType, Header};

/// An archive in the making.
#[derive(Default)]
struct Maker(Vec<u8>);

fn header(kind: EntryType, name: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len().min(100)].copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o640);
    header.set_uid(7);
    header.set_gid(8);
    header.set_mtime(9);
    header
}

impl Maker {
    fn raw(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn put(self, kind: EntryType, name: &str, data: &[u8]) -> Self {
        self.raw(header(kind, name, data.len() as u64), data)
    }

    fn file(self, name: &str, data: &[u8]) -> Self {
        self.put(EntryType::Regular, name, data)
    }

    fn link(self, kind: EntryType, name: &str, target: &str) -> Self {
        let mut header = header(kind, name, 0);
        header.set_link_name_literal(target).unwrap();
        self.raw(header, b"")
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let text: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.put(EntryType::XHeader, "pax", text.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    fn open(self) -> Result<TarTree, String> {
        open(self.end())
    }
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let len = (rest.len()..).find(|len| len.to_string().len() + rest.len() == *len).unwrap();
    format!("{len}{rest}")
}

fn open(archive: Vec<u8>) -> Result<TarTree, String> {
    TarTree::open(Arc::new(archive)).map_err(|error| error.to_string())
}

fn contents(tree: &TarTree, path: &str) -> Vec<u8> {
    let seen = tree.look(Path::new(path)).unwrap();
    let open = tree.open(Path::new(path), seen.identity).unwrap();
    let mut buffer = vec![0xff; usize::try_from(seen.version.size_bytes).unwrap() + 5];
    let got = open.read_at(&mut buffer, 0).unwrap();
    buffer.truncate(got);
    buffer
}

fn target(tree: &TarTree, path: &str) -> PathBuf {
    let path = Path::new(path);
    tree.read_link(path, tree.look(path).unwrap().identity).unwrap()
}

#[test]
fn ordinary_members() {
    let tree = Maker::default()
        .put(EntryType::Directory, "./d/", b"")
        .file("d/f", b"contents")
        .file("/absolute", b"is below the top")
        .link(EntryType::Symlink, "d/s", "/absolute")
        .link(EntryType::Link, "hard", "./d/f")
        .put(EntryType::Fifo, "pipe", b"")
        .file("d/f2", &[3; 1024])
        .open()
        .unwrap();
    assert_eq!(contents(&tree, "d/f"), b"contents");
    assert_eq!(contents(&tree, "d/f2"), [3; 1024]);
    assert_eq!(contents(&tree, "absolute"), b"is below the top");
    assert_eq!(target(&tree, "d/s"), Path::new("../absolute"));
    assert_eq!(tree.look(Path::new("hard")).unwrap(), tree.look(Path::new("d/f")).unwrap());
    let attr = tree.look(Path::new("hard")).unwrap().attr;
    assert_eq!((attr.permissions, attr.uid, attr.gid, attr.links), (0o640, 7, 8, 2));
    assert!(tree.look(Path::new("pipe")).is_err());
    let listed = tree.list(Path::new("")).unwrap();
    assert_eq!(
        listed.iter().map(|entry| entry.name.to_str().unwrap()).collect::<Vec<_>>(),
        ["absolute", "d", "hard"]
    );
    assert_eq!(listed[1].kind, FileKind::Directory);
}

#[test]
fn long_names() {
    let long = "n".repeat(200);
    let gnu = format!("{long}\0");
    let tree = Maker::default()
        .put(EntryType::GNULongName, "././@LongLink", gnu.as_bytes())
        .put(EntryType::GNULongLink, "././@LongLink", b"some/where\0")
        .link(EntryType::Symlink, "short", "x")
        .pax(&[("path", "pax\nname"), ("size", "3"), ("mtime", "5.25"), ("SCHILY.xattr.user.k", "v=\n")])
        .raw(header(EntryType::Regular, "other", 0), b"abc")
        .file("after", b"z")
        .open()
        .unwrap();
    assert_eq!(target(&tree, &long), Path::new("some/where"));
    assert_eq!(contents(&tree, "pax\nname"), b"abc");
    let node = tree.contents.index.find(Path::new("pax\nname")).unwrap();
    assert_eq!(tree.contents.index.xattrs(node)[OsStr::new("user.k")], b"v=\n");
    assert_eq!(tree.contents.index.seen(node).version.modified, (5, 250_000_000));
    assert_eq!(contents(&tree, "after"), b"z");
}

#[test]
fn sparse_members() {
    let mut want = vec![0; 3000];
    want[1000..1100].fill(1);
    want[2000..2100].fill(2);
    let stored = [[1; 100], [2; 100]].concat();
    let mut old = header(EntryType::GNUSparse, "old", 200);
    let gnu = old.as_gnu_mut().unwrap();
    gnu.set_real_size(3000);
    gnu.sparse[0].set_offset(1000);
    gnu.sparse[0].set_length(100);
    gnu.set_is_extended(true);
    let mut extension = ::tar::GnuExtSparseHeader::new();
    extension.sparse_mut()[0].set_offset(2000);
    extension.sparse_mut()[0].set_length(100);
    let old_data = [extension.as_bytes().as_slice(), &stored].concat();
    let mut map = b"2\n1000\n100\n2000\n100\n".to_vec();
    map.resize(512, 0);
    let new_data = [map, stored.clone()].concat();
    let tree = Maker::default()
        .raw(old, &old_data)
        .pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "new"),
            ("GNU.sparse.realsize", "3000"),
        ])
        .file("GNUSparseFile.0/new", &new_data)
        .pax(&[("GNU.sparse.size", "3000"), ("GNU.sparse.map", "1000,100,2000,100")])
        .file("middle", &stored)
        .file("after", b"z")
        .open()
        .unwrap();
    for name in ["old", "new", "middle"] {
        assert_eq!(contents(&tree, name), want, "{name}");
        assert_eq!(tree.look(Path::new(name)).unwrap().attr.blocks_512, 1);
    }
    assert_eq!(contents(&tree, "after"), b"z");
}

/// What is wrong is said in one line that names the place.
fn refused(archive: Vec<u8>, words: &str) {
    let complaint = open(archive).expect_err(words);
    assert!(complaint.contains(words) && !complaint.contains('\n'), "{complaint}");
}

#[test]
fn names_that_lead_out() {
    refused(Maker::default().file("../../etc/passwd", b"x").end(), "`../../etc/passwd` at byte 0 climbs out");
    refused(Maker::default().file("a", b"x").file("a/../../b", b"x").end(), "at byte 1024 climbs out");
    let through = Maker::default().link(EntryType::Symlink, "l", "/etc").file("l/passwd", b"x").end();
    refused(through, "below a symlink");
    refused(Maker::default().file("a\x1b[2J/../..", b"").end(), "a\\x1b[2J");
}

/// What GNU tar says and passes over.
#[test]
fn members_that_cannot_be_are_left_out_and_told() {
    use EntryType::{Directory, Fifo, Link};
    let long = "n".repeat(300);
    let tree = Maker::default()
        .put(Directory, "d", b"")
        .file("d/in", b"it")
        .link(Link, "itself", "itself")
        .link(Link, "nothing", "etc/shadow")
        .link(Link, "out", "../d/in")
        .link(Link, "early", "late")
        .file("late", b"came")
        .link(Link, "one", "other")
        .link(Link, "other", "one")
        .link(Link, "folder", "d")
        .link(Link, "d", "late")
        .file("d", b"in its place")
        .file("late/below", b"x")
        .put(Fifo, "pipe", b"")
        .file("pipe/below", b"x")
        .pax(&[("path", &long)])
        .file("x", b"")
        .pax(&[("path", "a\0b")])
        .file("x", b"")
        .link(Link, "late", "late")
        .link(Link, "good", "late")
        .open()
        .unwrap();
    let names = |path| tree.list(Path::new(path)).unwrap().into_iter().map(|entry| entry.name);
    assert!(names("").eq(["d", "good", "late"]) && names("d").eq(["in"]));
    assert_eq!(tree.look(Path::new("good")).unwrap().attr.links, 2);
    let told = tree.left_out().unwrap();
    let begin = "13 of its members left out, as GNU tar would: `itself` at byte 1536 is a hard link to nothing before it";
    assert!(told.starts_with(begin) && told.ends_with("; and 10 more") && !told.contains('\n'), "{told}");
    assert_eq!(Maker::default().file("f", b"x").open().unwrap().left_out(), None);
}

#[test]
fn archives_that_are_cut_off() {
    let whole = Maker::default().file("a", &[1; 700]).file("b", b"x").end();
    for len in 0..whole.len() {
        let cut = open(whole[..len].to_vec());
        // An archive may end after a whole member, and the first block of zeros is the end.
        let is_whole = len == 0 || (512 + 700..=1536).contains(&len) || (2049..=2560).contains(&len);
        assert_eq!(cut.is_ok(), is_whole || len >= whole.len() - 512, "{len}");
        assert!(cut.is_ok() || cut.unwrap_err().contains("is cut off"), "{len}");
    }
}

#[test]
fn sizes_that_lie() {
    for size in [513, 1 << 40, u64::MAX >> 1] {
        refused(Maker::default().raw(header(EntryType::Regular, "a", size), b"x").0, "is cut off");
        refused(Maker::default().pax(&[("size", &size.to_string())]).file("a", b"x").0, "is cut off");
    }
    refused(Maker::default().pax(&[("size", "18446744073709551615")]).file("a", b"x").end(), "is cut off");
    refused(
        Maker::default().raw(header(EntryType::GNULongName, "a", 1 << 40), b"x").end(),
        "more than 1 MiB",
    );
    refused(Maker::default().raw(header(EntryType::XHeader, "a", 1 << 19), b"x").end(), "is cut off");
    let mut negative = header(EntryType::Regular, "a", 0);
    negative.as_old_mut().size.fill(0xff);
    refused(Maker::default().raw(negative, b"").end(), "should hold a number");
}

#[test]
fn sparse_maps_that_lie() {
    let sparse = |map: &str, real: &str| {
        let records = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", real)];
        let mut data = map.as_bytes().to_vec();
        data.resize(data.len().next_multiple_of(512) + 100, 0);
        Maker::default().pax(&records).file("s", &data).end()
    };
    assert!(open(sparse("1\n0\n100\n", "1000")).is_ok());
    refused(sparse("1\n0\n101\n", "1000"), "more bytes than are stored");
    refused(sparse("1\n950\n100\n", "1000"), "leaves its file");
    refused(sparse("2\n50\n10\n40\n10\n", "1000"), "out of order");
    refused(sparse("99999999\n", "1000"), "too many pieces");
    refused(sparse("2\n0\n1\n", "1000"), "should hold a number");
    refused(sparse(&"1".repeat(100), "1000"), "should hold a number");
    refused(sparse("1\n0\n18446744073709551615\n", "1000"), "leaves its file");
    refused(sparse("0\n", "18446744073709551615"), "impossible size");
    // A file of 8 EiB of nothing is no bomb: its zeros are made when they are read.
    let huge = open(sparse("0\n", "9223372036854775807")).unwrap();
    let seen = huge.look(Path::new("s")).unwrap();
    let mut buffer = [1; 4096];
    assert_eq!(
        huge.open(Path::new("s"), seen.identity).unwrap().read_at(&mut buffer, 1 << 60).unwrap(),
        4096
    );
    assert_eq!(buffer, [0; 4096]);
}

#[test]
fn damaged_headers() {
    let mut archive = Maker::default().file("a", b"x").file("b", b"x").end();
    archive[1024 + 5] ^= 1;
    refused(archive, "damaged at byte 1024: a header with a wrong checksum");
    refused(Maker::default().put(EntryType::new(b'M'), "a", b"").end(), "several volumes");
}

#[test]
fn of_several_members_of_one_name_the_last_counts() {
    let tree =
        Maker::default().file("a", b"old").link(EntryType::Link, "b", "a").file("a", b"new").open().unwrap();
    assert_eq!((contents(&tree, "a"), contents(&tree, "b")), (b"new".to_vec(), b"old".to_vec()));
}

/// As the first tars wrote them, as libarchive and Python read them.
#[test]
fn directories_that_a_slash_tells() {
    let tree = Maker::default()
        .put(EntryType::new(0), "nul/", b"")
        .put(EntryType::Regular, "zero/", b"")
        .put(EntryType::Continuous, "seven/", b"")
        .pax(&[("path", "long/")])
        .put(EntryType::Regular, "short", b"")
        .put(EntryType::Regular, "data/", b"is passed over")
        .file("zero/file", b"below it")
        .open()
        .unwrap();
    for name in ["nul", "zero", "seven", "long", "data"] {
        assert_eq!(tree.look(Path::new(name)).unwrap().kind, FileKind::Directory, "{name}");
    }
    assert_eq!(contents(&tree, "zero/file"), b"below it");
}

#[test]
fn an_archive_may_end_after_a_whole_member() {
    let tree = open(Maker::default().file("a", b"x").file("b", &[1; 512]).0).unwrap();
    assert_eq!(contents(&tree, "b"), [1; 512]);
    refused(Maker::default().file("a", b"x").pax(&[("path", "b")]).0, "is cut off");
    refused(Maker::default().file("a", b"x").put(EntryType::GNULongName, "n", b"b\0").0, "is cut off");
}

#[test]
fn a_prefix_counts_whatever_the_version() {
    let ustar = |magic: &[u8; 8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        let old = header.as_mut_bytes();
        old[..4].copy_from_slice(b"name");
        old[257..265].copy_from_slice(magic);
        old[345..351].copy_from_slice(b"prefix");
        Maker::default().raw(header, b"").open().unwrap()
    };
    for magic in [b"ustar\x0000", b"ustar\0\0\0", b"ustar\0  ", b"ustar\x0001"] {
        assert!(ustar(magic).look(Path::new("prefix/name")).is_ok(), "{magic:?}");
    }
    for magic in [b"ustar  \0", b"\0\0\0\0\0\0\0\0"] {
        assert!(ustar(magic).look(Path::new("name")).is_ok(), "{magic:?}");
    }
}

#[test]
fn links_to_what_is_not_shown_are_not_shown() {
    let tree = Maker::default()
        .put(EntryType::Fifo, "d/pipe", b"")
        .link(EntryType::Link, "d/other", "d/pipe")
        .put(EntryType::Char, "null", b"")
        .link(EntryType::Link, "zero", "null")
        .file("was-a-file", b"x")
        .put(EntryType::Block, "was-a-file", b"")
        .put(EntryType::Fifo, "was-a-pipe", b"")
        .file("was-a-pipe", b"x")
        .put(EntryType::new(b'V'), "label", b"")
        .open()
        .unwrap();
    for name in ["d/pipe", "d/other", "null", "zero", "was-a-file", "label"] {
        assert!(matches!(tree.look(Path::new(name)), Err(FsError::NotFound)), "{name}");
    }
    let listed = |path: &str| {
        tree.list(Path::new(path)).unwrap().into_iter().map(|entry| entry.name).collect::<Vec<_>>()
    };
    assert_eq!((listed(""), listed("d")), (vec!["d".into(), "was-a-pipe".into()], vec![]));
    assert_eq!(contents(&tree, "was-a-pipe"), b"x");
    refused(Maker::default().link(EntryType::Symlink, "p", "d").file("p/x", b"").end(), "below a symlink");
}

#[test]
fn a_symlink_is_as_large_as_its_shown_text_is_long() {
    let tree = Maker::default()
        .link(EntryType::Symlink, "d/e/absolute", "/usr/lib/x")
        .link(EntryType::Symlink, "d/folded", "./a/../b//c/")
        .link(EntryType::Symlink, "top", "/")
        .link(EntryType::Symlink, "out", "../../etc")
        .open()
        .unwrap();
    for name in ["d/e/absolute", "d/folded", "top"] {
        let size = tree.look(Path::new(name)).unwrap().attr.size_bytes;
        assert_eq!(size, target(&tree, name).as_os_str().len() as u64, "{name}");
    }
    assert_eq!(tree.look(Path::new("out")).unwrap().attr.size_bytes, 9);
}

#[test]
fn a_record_without_a_value_takes_back_an_earlier_one() {
    let tree = Maker::default()
        .put(EntryType::XGlobalHeader, "g", record("mtime", "77").as_bytes())
        .pax(&[
            ("path", "other"),
            ("path", ""),
            ("size", "3"),
            ("size", ""),
            ("mtime", ""),
            ("SCHILY.xattr.user.empty", ""),
        ])
        .file("name", b"x")
        .open()
        .unwrap();
    let node = tree.contents.index.find(Path::new("name")).unwrap();
    assert_eq!(tree.contents.index.seen(node).version.modified, (9, 0));
    assert_eq!(tree.contents.index.xattrs(node)[OsStr::new("user.empty")], b"");
}
