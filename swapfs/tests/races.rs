//! Sources that change under their readers as fast as they can: who reads gets bytes that once were the
//! file's, or an error; never those of another file, and nothing from outside of the source.
//!
//! All changes are made by descriptors of the real directories that are held from the start. By a path, a
//! changer would itself walk through the links out that another has just put there, and carry files from
//! outside into the source.

mod fixture;

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fixture::*;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, StatxFlags, inotify, makedev, mknodat, openat,
    renameat, renameat_with, unlinkat,
};

const WORDS: usize = 8192;
/// The upper half of each word of a file inside; the lower one is which file it is.
const INSIDE: u64 = 0x1e57_0f11 << 32;
const OUTSIDE: u64 = 0x0bad_0bad << 32;
/// Every file that readers ask for.
const NAMES: [&str; 5] = ["a", "p", "d/b", "d/e/c", "w"];

fn contents(word: u64) -> Vec<u8> {
    word.to_le_bytes().repeat(WORDS)
}

/// `source` with files in three directories, and `outside` with the same names; links lead from one to the
/// other.
fn tree(mount: &Mount) {
    let outside = mount.scratch_path().join("outside");
    for (top, word) in [(mount.source(), INSIDE), (outside.clone(), OUTSIDE)] {
        fs::create_dir_all(top.join("d/e")).unwrap();
        for (number, name) in (1..).zip(NAMES) {
            fs::write(top.join(name), contents(word + number)).unwrap();
        }
    }
    symlink(outside.join("d"), mount.source().join("d.out")).unwrap();
    symlink("../../outside/d/e", mount.source().join("d/e.out")).unwrap();
    symlink("../outside/a", mount.source().join("a.out")).unwrap();
    mknodat(CWD, mount.source().join("p.pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    if rustix::process::geteuid().is_root() {
        let zero = makedev(1, 5);
        mknodat(CWD, mount.source().join("a.zero"), FileType::CharacterDevice, Mode::RWXU, zero).unwrap();
    }
}

fn folder(path: &Path) -> OwnedFd {
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
}

/// The real directories, whatever stands under their names.
struct Folders {
    top: OwnedFd,
    d: OwnedFd,
    e: OwnedFd,
    /// The pipe, whatever its name.
    pipe: OwnedFd,
    versions: AtomicU64,
    over: AtomicBool,
}

impl Folders {
    fn open(source: &Path) -> Folders {
        let pipe = openat(CWD, source.join("p.pipe"), OFlags::PATH, Mode::empty()).unwrap();
        Folders {
            top: folder(source),
            d: folder(&source.join("d")),
            e: folder(&source.join("d/e")),
            pipe,
            versions: AtomicU64::new(1000),
            over: AtomicBool::new(false),
        }
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn version(&self) -> u64 {
        INSIDE + self.versions.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a new file in the place of `name`.
    fn replace(&self, folder: &OwnedFd, name: &str) {
        let new = format!("{name}.new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let file = openat(folder, new.as_str(), flags, Mode::from_raw_mode(0o644)).unwrap();
        io::Write::write_all(&mut File::from(file), &contents(self.version())).unwrap();
        renameat(folder, new.as_str(), folder, name).unwrap();
    }

    fn remove_and_replace(&self, folder: &OwnedFd, name: &str) {
        unlinkat(folder, name, AtFlags::empty()).unwrap();
        self.replace(folder, name);
    }

    /// Swaps two names there and back.
    fn exchange(&self, folder: &OwnedFd, one: &str, other: &str) {
        for _ in 0..2 {
            renameat_with(folder, one, folder, other, RenameFlags::EXCHANGE).unwrap();
            std::thread::yield_now();
        }
    }

    /// Other bytes in the same file.
    fn overwrite(&self, file: &File) {
        std::os::unix::fs::FileExt::write_all_at(file, &contents(self.version()), 0).unwrap();
    }

    /// A pipe can be opened for writing only while somebody has it open for reading.
    fn pipe_is_not_opened(&self) {
        let link = CString::new(format!("/proc/self/fd/{}", self.pipe.as_raw_fd())).unwrap();
        let opened = openat(CWD, link, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
        assert_eq!(opened.unwrap_err(), rustix::io::Errno::NXIO, "the pipe was opened");
    }
}

/// Calls all of these over and over, each on a thread of its own, while `test` runs.
fn meanwhile(folders: &Folders, changes: &[&(dyn Fn() + Sync)], test: impl FnOnce()) {
    std::thread::scope(|scope| {
        for change in changes {
            scope.spawn(move || {
                while folders.goes_on() {
                    change();
                }
            });
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
        folders.over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// What a reader saw of a file.
#[derive(Debug, PartialEq, Eq)]
enum Saw {
    Bytes,
    Error,
}

/// A mounted source, and what was read of each of its inodes.
struct Images {
    top: PathBuf,
    words: Mutex<HashMap<u64, u64>>,
}

impl Images {
    fn of(mount: &Mount) -> Images {
        Images { top: mount.at("images/source"), words: Mutex::default() }
    }

    /// Reads the whole file: one version of it from start to end, and the same as whoever read that inode
    /// before; or of a file that is written to, words of its versions.
    fn read(&self, name: &str) -> Saw {
        let mut bytes = Vec::new();
        let opened = File::open(self.top.join(name));
        match opened.and_then(|mut file| file.read_to_end(&mut bytes).and(Ok(file))) {
            Ok(file) => {
                let word = word_of(name, &bytes);
                let first = *self.words.lock().unwrap().entry(known_inode(&file)).or_insert(word);
                assert!(name == "w" || first == word, "{name}: one inode has the bytes of two files");
                Saw::Bytes
            }
            Err(error) => {
                let code = error.raw_os_error().unwrap();
                assert!([EPERM, ENOENT, EIO, ENOTDIR, ELOOP, ESTALE].contains(&code), "{name}: {error}");
                Saw::Error
            }
        }
    }
}

/// The inode that the kernel opened, without asking again: the daemon might say that it is gone.
fn known_inode(file: &File) -> u64 {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    rustix::fs::statx(file, c"", flags, StatxFlags::INO).unwrap().stx_ino
}

/// The word that a file consists of.
fn word_of(name: &str, bytes: &[u8]) -> u64 {
    let words: Vec<u64> = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!(words.len(), WORDS, "{name}");
    assert!(words.iter().all(|word| word >> 32 == INSIDE >> 32), "{name} has bytes of no file in the source");
    assert!(name == "w" || words.iter().all(|word| *word == words[0]), "{name} has bytes of two files");
    let number = words[0] & u64::from(u32::MAX);
    let own = (1..).zip(NAMES).find(|(_, own)| *own == name).unwrap().0;
    assert!(number >= 1000 || number == own, "{name} has the bytes of {}", NAMES[number as usize - 1]);
    words[0]
}

/// Looks at everything else that can be asked of a source.
fn look(images: &Path, path: &Path) {
    for entry in fs::read_dir(images.join(path)).into_iter().flatten().flatten() {
        let _ = entry.metadata();
        if let Ok(target) = fs::read_link(entry.path()) {
            panic!("{:?} leads to {target:?}", entry.path());
        }
    }
    let mut names = [0; 256];
    let _ = rustix::fs::listxattr(images.join(path).join("b"), &mut names[..]);
}

fn readers(images: &Images, duration: Duration) {
    let seen = AtomicU64::new(0);
    let until = Instant::now() + duration;
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let seen = &seen;
            scope.spawn(move || {
                for round in reader.. {
                    if images.read(NAMES[round % NAMES.len()]) == Saw::Bytes {
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                    look(&images.top, Path::new(["", "d", "d/e"][round % 3]));
                    if Instant::now() > until {
                        break;
                    }
                }
            });
        }
    });
    assert!(seen.into_inner() > 0, "nothing was ever read");
}

fn changing_sources_give_no_other_bytes(more: &[&str]) {
    with_mount(&[&["--images", "@/source"], more].concat(), tree, |mount| {
        let (folders, images) = (Folders::open(&mount.source()), Images::of(mount));
        let written = File::options().write(true).open(mount.source().join("w")).unwrap();
        let has_device = mount.source().join("a.zero").exists();
        let changes: [&(dyn Fn() + Sync); 6] = [
            &|| folders.replace(&folders.d, "b"),
            &|| folders.remove_and_replace(&folders.e, "c"),
            &|| folders.exchange(&folders.top, "d", "d.out"),
            &|| folders.exchange(&folders.d, "e", "e.out"),
            &|| {
                folders.exchange(&folders.top, "p", "p.pipe");
                folders.pipe_is_not_opened();
                folders.overwrite(&written);
            },
            &|| {
                folders.exchange(&folders.top, "a", "a.out");
                if has_device {
                    folders.exchange(&folders.top, "a", "a.zero");
                }
            },
        ];
        let duration = Duration::from_secs(if is_full() { 120 } else { 2 });
        meanwhile(&folders, &changes, || readers(&images, duration));
        calm_again(&images);
    });
}

/// When nothing changes any more everything is there, at the latest when the kernel's memory of names has run
/// out.
fn calm_again(images: &Images) {
    for name in NAMES {
        wait_until(|| images.read(name) == Saw::Bytes);
    }
}

#[test]
fn sources_that_change_under_their_readers_give_no_other_bytes() {
    changing_sources_give_no_other_bytes(&[]);
}

#[test]
fn sources_that_change_under_their_readers_give_no_other_bytes_in_strict_mode() {
    changing_sources_give_no_other_bytes(&["--strict"]);
}

/// The kernel asks for the inode that it last found under a name; another file stands there by then.
#[test]
fn a_name_that_is_still_believed_in_never_gives_the_next_files_bytes() {
    for mode in [&["--images", "@/source"][..], &["--images", "@/source", "--strict"]] {
        with_mount(mode, tree, |mount| {
            let (folders, images) = (Folders::open(&mount.source()), Images::of(mount));
            for _ in 0..3 {
                wait_until(|| images.read("d/b") == Saw::Bytes);
                folders.replace(&folders.d, "b");
                images.read("d/b");
            }
        });
    }
}

/// By a name that the kernel still believes in, an open reaches the daemon while a pipe stands there.
#[test]
fn what_takes_the_place_of_a_file_is_not_opened() {
    with_mount(&["--images", "@/source"], tree, |mount| {
        let (folders, images) = (Folders::open(&mount.source()), Images::of(mount));
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, mount.source().join("p.pipe"), inotify::WatchFlags::OPEN).unwrap();
        for round in 0..if is_full() { 50 } else { 5 } {
            wait_until(|| images.read("p") == Saw::Bytes);
            renameat_with(&folders.top, "p", &folders.top, "p.pipe", RenameFlags::EXCHANGE).unwrap();
            let code = errno(File::open(images.top.join("p")));
            assert!([ENOENT, ESTALE].contains(&code), "round {round}: {code}");
            renameat_with(&folders.top, "p", &folders.top, "p.pipe", RenameFlags::EXCHANGE).unwrap();
        }
        let events = rustix::io::read(&watch, &mut [0; 256]);
        assert_eq!(events, Err(rustix::io::Errno::AGAIN), "the pipe was opened");
    });
}
