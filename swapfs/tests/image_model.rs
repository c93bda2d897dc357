//! A directory as a source against a naive model of it: random trees of files with holes, links, symlinks and
//! extended attributes. Once without FUSE, many trees; once through the mount, a few.

mod fixture;
mod tree_model;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fixture::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rustix::fs::{RawDir, SeekFrom};
use swapfs::clock::Clock;
use swapfs::filesystem::caching::Strictness;
use swapfs::filesystem::inode::{IMAGES, ROOT};
use swapfs::filesystem::{FileKind, FsError, Ino, Owner};
use swapfs::images::{ImageSpec, Source};
use swapfs::mounting::Host;
use swapfs::service::{Access, Plan, Service, SetAttr};
use swapfs::store::{Encryption, PageCache, StoreOptions, StorePlace, Stores, Whence};
use swapfs::wake::{Wake, Wakes};
use tree_model::{Model, make, trees};

/// The errno, or what was asked for.
type Answer<T> = Result<T, i32>;

/// What can be asked of a tree, by paths from its top.
trait View {
    fn stat(&self, path: &Path) -> Answer<Stat>;
    fn list(&self, path: &Path) -> Answer<Vec<(OsString, FileKind)>>;
    fn read(&self, path: &Path, offset: u64, bytes: usize) -> Answer<Vec<u8>>;
    fn link(&self, path: &Path) -> Answer<PathBuf>;
    fn xattrs(&self, path: &Path) -> Answer<BTreeMap<OsString, Vec<u8>>>;
    fn seek(&self, path: &Path, whence: Whence, offset: u64) -> Answer<u64>;
    /// What each attempt to change something is answered with.
    fn changes(&self, folder: &Path, file: &Path) -> Vec<Answer<()>>;
}

/// All that a source says of a file and that is shown.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    kind: FileKind,
    permissions: u32,
    links: u64,
    owner: (u32, u32),
    size_bytes: u64,
    blocks_512: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

fn code(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap()
}

/// Files of the kernel's: the source itself, or the mount.
struct Kernel(PathBuf);

impl View for Kernel {
    fn stat(&self, path: &Path) -> Answer<Stat> {
        let metadata = fs::symlink_metadata(self.0.join(path)).map_err(|error| code(&error))?;
        Ok(Stat {
            kind: kind(metadata.file_type()),
            permissions: metadata.permissions().mode() & 0o7777,
            links: metadata.nlink(),
            owner: (metadata.uid(), metadata.gid()),
            size_bytes: metadata.len(),
            blocks_512: metadata.blocks(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// In small pieces, so that each but the first begins at an offset.
    fn list(&self, path: &Path) -> Answer<Vec<(OsString, FileKind)>> {
        let opened = File::open(self.0.join(path)).map_err(|error| code(&error))?;
        let (mut buffer, mut listed) = (Vec::with_capacity(600), Vec::new());
        let mut entries = RawDir::new(&opened, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| error.raw_os_error())?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            let kind = match entry.file_type() {
                rustix::fs::FileType::Directory => FileKind::Directory,
                rustix::fs::FileType::Symlink => FileKind::Symlink,
                _ => FileKind::Regular,
            };
            listed.push((name, kind));
        }
        listed.retain(|(name, _)| name != "." && name != "..");
        Ok(listed)
    }

    fn read(&self, path: &Path, offset: u64, bytes: usize) -> Answer<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        let file = File::open(self.0.join(path)).map_err(|error| code(&error))?;
        let read = file.read_at(&mut buffer, offset).map_err(|error| code(&error))?;
        buffer.truncate(read);
        Ok(buffer)
    }

    fn link(&self, path: &Path) -> Answer<PathBuf> {
        fs::read_link(self.0.join(path)).map_err(|error| code(&error))
    }

    fn xattrs(&self, path: &Path) -> Answer<BTreeMap<OsString, Vec<u8>>> {
        let (path, mut names, mut value) = (self.0.join(path), [0; 4096], [0; 4096]);
        let bytes = rustix::fs::llistxattr(&path, &mut names[..]).map_err(|error| error.raw_os_error())?;
        let names = names[..bytes].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user."));
        let one = |name: &[u8]| {
            let bytes =
                rustix::fs::lgetxattr(&path, name, &mut value[..]).map_err(|error| error.raw_os_error())?;
            Ok((OsStr::from_bytes(name).to_owned(), value[..bytes].to_vec()))
        };
        names.map(one).collect()
    }

    fn seek(&self, path: &Path, whence: Whence, offset: u64) -> Answer<u64> {
        let file = File::open(self.0.join(path)).map_err(|error| code(&error))?;
        let from = match whence {
            Whence::Data => SeekFrom::Data(offset),
            Whence::Hole => SeekFrom::Hole(offset),
        };
        rustix::fs::seek(file, from).map_err(|error| error.raw_os_error())
    }

    fn changes(&self, folder: &Path, file: &Path) -> Vec<Answer<()>> {
        let (folder, file) = (self.0.join(folder), self.0.join(file));
        let attempts = [
            OpenOptions::new().write(true).open(&file).map(drop),
            OpenOptions::new().append(true).open(&file).map(drop),
            File::create(folder.join("new")).map(drop),
            fs::create_dir(folder.join("new")),
            fs::hard_link(&file, folder.join("new")),
            std::os::unix::fs::symlink("x", folder.join("new")),
            fs::rename(&file, folder.join("new")),
            fs::remove_file(&file),
            fs::set_permissions(&file, PermissionsExt::from_mode(0o777)),
            std::os::unix::fs::chown(&file, Some(1), None),
            rustix::fs::setxattr(&file, "user.x", b"x", rustix::fs::XattrFlags::empty())
                .map_err(io::Error::from),
        ];
        attempts.into_iter().map(|done| done.map_err(|error| code(&error))).collect()
    }
}

fn kind(kind: fs::FileType) -> FileKind {
    match (kind.is_dir(), kind.is_symlink()) {
        (true, _) => FileKind::Directory,
        (_, true) => FileKind::Symlink,
        _ => FileKind::Regular,
    }
}

/// The mount without FUSE: as the kernel would ask.
struct Unmounted {
    service: Arc<Service>,
    clock: Clock,
}

impl Unmounted {
    fn new(top: &Path) -> Self {
        let spec = ImageSpec::Named { name: "t".into(), path: top.to_owned() };
        let store = StoreOptions {
            place: StorePlace::Memory,
            page_cache: PageCache::Through,
            encryption: Encryption::None,
            most_memory_bytes: None,
        };
        let clock = Clock::start();
        let plan = Plan {
            sources: vec![Source::open(&spec).unwrap()],
            swap_files: vec![],
            store: Stores::new(store),
            strictness: Strictness::CacheMisses,
            host: Host::Program,
            rules: vec![],
            faults: vec![],
            seed: 0,
            owner: Owner { uid: 0, gid: 0 },
            mountpoint: "/nowhere".into(),
            threads: 1,
            stats_files: 100,
        };
        Unmounted {
            service: Service::new(plan, Arc::new(Wakes::start(Wake::Plain, clock).unwrap()), clock).unwrap(),
            clock,
        }
    }

    fn find(&self, path: &Path) -> Result<Ino, FsError> {
        let top = self.service.lookup(IMAGES, OsStr::new("t"))?.attr.ino;
        path.components().try_fold(top, |at, name| Ok(self.service.lookup(at, name.as_os_str())?.attr.ino))
    }

    fn opened<T>(
        &self,
        path: &Path,
        ask: impl FnOnce(swapfs::service::HandleId) -> Result<T, FsError>,
    ) -> Answer<T> {
        let done = self.find(path).and_then(|ino| {
            let handle = self.service.open(1, ino, Access::Read, |_| String::new())?.handle;
            let answer = ask(handle);
            self.service.release(handle);
            answer
        });
        done.map_err(|error| error.errno())
    }
}

impl View for Unmounted {
    fn stat(&self, path: &Path) -> Answer<Stat> {
        let attr = self
            .find(path)
            .and_then(|ino| self.service.getattr(ino, None))
            .map_err(|error| error.errno())?
            .attr;
        let since_1970 = |time: std::time::SystemTime| {
            let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
            (since.as_secs() as i64, i64::from(since.subsec_nanos()))
        };
        Ok(Stat {
            kind: attr.kind,
            permissions: attr.permissions.into(),
            links: attr.links.into(),
            owner: (attr.uid, attr.gid),
            size_bytes: attr.size_bytes,
            blocks_512: attr.blocks_512,
            modified: since_1970(attr.modified),
            changed: since_1970(attr.changed),
        })
    }

    fn list(&self, path: &Path) -> Answer<Vec<(OsString, FileKind)>> {
        let listed = self.find(path).and_then(|ino| {
            let handle = self.service.opendir(ino)?;
            let (one, again) = (self.service.readdir(handle)?, self.service.readdir(handle)?);
            assert_eq!(one, again, "offsets hold");
            self.service.release(handle);
            Ok(one)
        });
        let listed = listed.map_err(|error| error.errno())?;
        Ok(listed.iter().skip(2).map(|entry| (entry.name.clone(), entry.kind)).collect())
    }

    fn read(&self, path: &Path, offset: u64, bytes: usize) -> Answer<Vec<u8>> {
        self.opened(path, |handle| {
            let mut buffer = vec![0xaa; bytes];
            let read = self.service.read(1, handle, offset, &mut buffer).finish(self.clock.now())?;
            buffer.truncate(read);
            Ok(buffer)
        })
    }

    fn link(&self, path: &Path) -> Answer<PathBuf> {
        self.find(path).and_then(|ino| self.service.readlink(ino)).map_err(|error| error.errno())
    }

    fn xattrs(&self, path: &Path) -> Answer<BTreeMap<OsString, Vec<u8>>> {
        let all = self.find(path).and_then(|ino| {
            let names = self.service.xattr_names(ino)?;
            let names = names
                .split(|byte| *byte == 0)
                .filter(|name| name.starts_with(b"user."))
                .map(OsStr::from_bytes);
            names.map(|name| Ok((name.to_owned(), self.service.xattr(ino, name)?))).collect()
        });
        all.map_err(|error: FsError| error.errno())
    }

    fn seek(&self, path: &Path, whence: Whence, offset: u64) -> Answer<u64> {
        self.opened(path, |handle| self.service.seek(handle, whence, offset))
    }

    fn changes(&self, folder: &Path, file: &Path) -> Vec<Answer<()>> {
        let (folder, file) = (self.find(folder).unwrap(), self.find(file).unwrap());
        let attempts = [
            self.service.open(1, file, Access::Write, |_| String::new()).map(drop),
            self.service.create(1, folder, OsStr::new("new")).map(drop),
            self.service.unlink(folder, OsStr::new("new")),
            self.service.setattr(file, SetAttr::Size(1)).map(drop),
            Err(self.service.refuse_change(folder)),
            Err(self.service.refuse_attribute(file)),
        ];
        attempts.into_iter().map(|done| done.map_err(|error| error.errno())).collect()
    }
}

/// The view is the model, and in what the model leaves open (owners, times, room taken) the source.
fn check(view: &dyn View, source: &Kernel, model: &Model) {
    for path in model.files.keys().chain(model.folders.keys()) {
        // What it takes up, and so when that was last changed, comes late where its file system allocates
        // late.
        wait_until(|| view.stat(path) == source.stat(path));
        if let Some(xattrs) = model.xattrs.get(path) {
            assert_eq!(view.xattrs(path).as_ref(), Ok(xattrs), "{path:?}");
        }
    }
    for (path, names) in &model.folders {
        let listed: BTreeMap<_, _> = view.list(path).unwrap().into_iter().collect();
        assert_eq!(listed.len(), view.list(path).unwrap().len(), "no name twice");
        assert!(listed.keys().eq(names.iter()), "{path:?}: {listed:?}");
        for (name, kind) in listed {
            assert_eq!(view.stat(&path.join(name)).unwrap().kind, kind);
        }
        assert!(view.read(path, 0, 1).is_err() && view.stat(&path.join("none")) == Err(ENOENT));
    }
    for (path, contents) in &model.files {
        check_contents(view, source, model, path, contents);
        assert!(
            view.changes(path.parent().unwrap(), path).iter().all(|done| *done == Err(EROFS)),
            "{path:?}"
        );
    }
    for (path, leads) in &model.links {
        match leads {
            Some(leads) => assert_eq!(folded(path, &view.link(path).unwrap()), *leads, "{path:?}"),
            None => assert_eq!(view.link(path), Err(EPERM), "{path:?}"),
        }
    }
}

fn check_contents(view: &dyn View, source: &Kernel, model: &Model, path: &Path, contents: &[u8]) {
    assert_eq!(view.read(path, 0, contents.len() + 10).as_deref(), Ok(contents), "{path:?}");
    for edge in &model.edges[path] {
        for offset in [edge.saturating_sub(1), *edge, edge + 1] {
            let from = contents.len().min(offset as usize);
            let until = contents.len().min(from + 5000);
            assert_eq!(
                view.read(path, offset, 5000).as_deref(),
                Ok(&contents[from..until]),
                "{path:?} at {offset}"
            );
            for whence in [Whence::Data, Whence::Hole] {
                let found = view.seek(path, whence, offset);
                assert_eq!(found, source.seek(path, whence, offset), "{path:?}: {whence:?} from {offset}");
                if let (Whence::Data, Ok(data)) = (whence, found) {
                    assert!(
                        contents[offset as usize..data as usize].iter().all(|byte| *byte == 0),
                        "data was passed over"
                    );
                }
            }
        }
    }
}

/// Where a link leads to, from the top of the tree; it must not leave it on the way.
fn folded(path: &Path, target: &Path) -> PathBuf {
    assert!(target.is_relative(), "{path:?} leads to {target:?}");
    let mut at = path.parent().unwrap().to_owned();
    for part in target.components() {
        match part {
            Component::ParentDir => assert!(at.pop(), "{path:?} leads out by {target:?}"),
            Component::Normal(name) => at.push(name),
            _ => {}
        }
    }
    at
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if is_full() { 2000 } else { 12 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_directory_is_what_a_naive_model_of_it_says(plan in trees()) {
        let scratch = tempfile::tempdir().unwrap();
        let top = scratch.path().canonicalize().unwrap();
        let model = make(&top, &plan);
        let view = Unmounted::new(&top);
        prop_assert!(view.service.getattr(ROOT, None).is_ok());
        check(&view, &Kernel(top), &model);
    }
}

#[test]
fn a_mounted_directory_is_what_a_naive_model_of_it_says() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..if is_full() { 60 } else { 2 } {
        let plan = trees().new_tree(&mut runner).unwrap().current();
        let scratch = Mount::scratch();
        if !can_mount() {
            return;
        }
        let source = scratch.source().canonicalize().unwrap();
        let model = make(&source, &plan);
        scratch.start(&["--image", "t=@/source"]);
        check(&Kernel(scratch.at("images/t")), &Kernel(source), &model);
    }
}
