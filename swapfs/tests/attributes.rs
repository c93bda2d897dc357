//! What is promised of images besides names and contents: extended attributes, listings, sizes, access.

mod fixture;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use fixture::*;
use rustix::fs::{
    RawDir, SeekFrom, XattrFlags, fgetxattr, getxattr, lgetxattr_query, listxattr, removexattr, setxattr,
};

fn tree(mount: &Mount) {
    let source = mount.source();
    fs::create_dir_all(source.join("d/e")).unwrap();
    fs::write(source.join("d/f"), "contents").unwrap();
    fs::hard_link(source.join("d/f"), source.join("same")).unwrap();
    for path in ["d/f", "d"] {
        setxattr(source.join(path), "user.short", b"value\0\n", XattrFlags::empty()).unwrap();
        setxattr(source.join(path), "user.long", &[7; 3000], XattrFlags::empty()).unwrap();
    }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 4096];
    let len = listxattr(path, &mut names[..]).unwrap();
    let names = names[..len].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user."));
    names.map(|name| (String::from_utf8_lossy(name).into_owned(), xattr(path, name).unwrap())).collect()
}

fn xattr(path: &Path, name: &[u8]) -> Result<Vec<u8>, i32> {
    let mut value = vec![0; 4096];
    let len = getxattr(path, name, &mut value[..]).map_err(|error| error.raw_os_error())?;
    value.truncate(len);
    Ok(value)
}

#[test]
fn extended_attributes_are_the_sources() {
    with_mount(&["--images", "@/source", "--swap", "s:1M"], tree, |mount| {
        for path in ["d/f", "d", "same"] {
            let (ours, theirs) = (mount.at("images/source").join(path), mount.source().join(path));
            assert_eq!(xattrs(&ours), xattrs(&theirs));
            assert_eq!(xattrs(&ours)["user.long"], [7; 3000]);
        }
        let file = mount.at("images/source/d/f");
        assert_eq!(xattr(&file, b"user.none"), Err(61), "ENODATA");
        assert_eq!(xattr(&file, b"system.posix_acl_access"), Err(EOPNOTSUPP));
        assert_eq!(getxattr(&file, "user.long", &mut [0u8; 5][..]).unwrap_err().raw_os_error(), 34, "ERANGE");
        assert_eq!(lgetxattr_query(&file, "user.long").unwrap(), 3000);
        let set = setxattr(&file, "user.new", b"x", XattrFlags::empty());
        assert_eq!(set.unwrap_err().raw_os_error(), EROFS);
        assert_eq!(removexattr(&file, "user.long").unwrap_err().raw_os_error(), EROFS);
        assert_eq!(xattr(&mount.at("swap/s"), b"user.none"), Err(EOPNOTSUPP));
        assert_eq!(xattr(&mount.at("swap"), b"user.none"), Err(EOPNOTSUPP));
        let open = File::open(&file).unwrap();
        fs::write(mount.source().join("other"), "other").unwrap();
        setxattr(mount.source().join("other"), "user.long", b"other", XattrFlags::empty()).unwrap();
        fs::rename(mount.source().join("other"), mount.source().join("d/f")).unwrap();
        let mut value = [0; 4096];
        match fgetxattr(&open, "user.long", &mut value[..]) {
            Ok(len) => assert_eq!(value[..len], [7; 3000], "never those of another file"),
            Err(error) => assert_eq!(error.raw_os_error(), ESTALE),
        }
    });
}

#[test]
fn extended_attributes_come_with_archives() {
    let make = |mount: &Mount| {
        tree(mount);
        let (source, at) = (mount.source(), |name: &str| mount.scratch_path().join(name));
        let tar = finish(
            Command::new("tar").args(["--xattrs", "-cf"]).arg(at("a.tar")).arg("-C").arg(&source).arg("."),
        );
        assert!(tar.status.success(), "{}", complaint(&tar));
        let squash = finish(
            Command::new("mksquashfs").arg(&source).arg(at("a.sqfs")).args(["-quiet", "-no-progress"]),
        );
        assert!(squash.status.success(), "{}", complaint(&squash));
    };
    with_mount(&["--image", "tar=@/a.tar", "--image", "squashfs=@/a.sqfs"], make, |mount| {
        for kind in ["tar", "squashfs"] {
            for path in ["d/f", "d", "same", "d/e"] {
                let ours = mount.at("images").join(kind).join(path);
                assert_eq!(xattrs(&ours), xattrs(&mount.source().join(path)), "{ours:?}");
            }
        }
    });
}

/// A server that has `getxattr` is asked for `security.capability` before each write that goes by the page
/// cache. Those of swap files do not.
#[test]
fn a_write_to_a_swap_file_is_one_request_also_where_images_have_attributes() {
    with_mount(&["--images", "@/source", "--swap", "s:16M"], tree, |mount| {
        let requests = |mount: &Mount| {
            let io = fs::read_to_string(format!("/proc/{}/io", mount.stats().pid)).unwrap();
            let line = io.lines().find(|line| line.starts_with("syscr")).unwrap();
            line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
        };
        let file = OpenOptions::new().write(true).open(mount.at("swap/s")).unwrap();
        let before = requests(mount);
        (0..2000u64).for_each(|n| file.write_all_at(&[1; 4096], n * 4096).unwrap());
        let made = requests(mount) - before;
        // A server's thread may look for a request in vain.
        assert!(made < 3000, "{made} requests for 2000 writes");
    });
}

#[test]
fn listings_have_the_numbers_of_their_files_and_offsets_that_hold() {
    let many = |mount: &Mount| {
        tree(mount);
        (0..3000).for_each(|n| fs::write(mount.source().join(format!("d/e/{n}")), "").unwrap());
    };
    with_mount(&["--images", "@/source"], many, |mount| {
        let directory = mount.at("images/source/d/e");
        let opened = File::open(&directory).unwrap();
        let read = |from: u64| -> Vec<(u64, u64, OsString)> {
            rustix::fs::seek(&opened, SeekFrom::Start(from)).unwrap();
            let mut buffer = Vec::with_capacity(2048);
            let mut entries = RawDir::new(&opened, buffer.spare_capacity_mut());
            let mut all = Vec::new();
            while let Some(entry) = entries.next() {
                let entry = entry.unwrap();
                let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
                all.push((entry.next_entry_cookie(), entry.ino(), name));
            }
            all
        };
        let all = read(0);
        assert_eq!(all.len(), 3002);
        for (_, number, name) in &all {
            assert_eq!(fs::symlink_metadata(directory.join(name)).unwrap().ino(), *number, "{name:?}");
        }
        (0..1000).for_each(|n| fs::remove_file(mount.source().join(format!("d/e/{n}"))).unwrap());
        let middle = read(all[1500].0);
        let names = |entries: &[(u64, u64, OsString)]| {
            entries.iter().map(|entry| entry.2.clone()).collect::<Vec<_>>()
        };
        let still =
            |name: &OsString| mount.source().join("d/e").join(name).exists() || name == "." || name == "..";
        let rest: Vec<_> = names(&all[1501..]).into_iter().filter(still).collect();
        let got: Vec<_> = names(&middle).into_iter().filter(still).collect();
        assert_eq!(got, rest, "an open directory goes on where it was");
    });
}

#[test]
fn the_size_of_an_image_is_that_of_its_source() {
    let make = |mount: &Mount| {
        tree(mount);
        let squash = Command::new("mksquashfs")
            .arg(mount.source())
            .arg(mount.scratch_path().join("a.sqfs"))
            .args(["-quiet", "-no-progress"])
            .status();
        assert!(squash.unwrap().success());
    };
    with_mount(&["--images", "@/source", "--image", "a=@/a.sqfs", "--swap", "s:8M"], make, |mount| {
        let space = |path: &Path| rustix::fs::statvfs(path).unwrap();
        let (ours, theirs) = (space(&mount.at("images/source/d/f")), space(&mount.source()));
        assert_eq!(ours.f_blocks * ours.f_frsize, (theirs.f_blocks * theirs.f_frsize).next_multiple_of(4096));
        assert_eq!((ours.f_bavail, ours.f_ffree), (0, 0), "nothing can be written");
        let archive = fs::metadata(mount.scratch_path().join("a.sqfs")).unwrap().len();
        let ours = space(&mount.at("images/a/d"));
        assert!(ours.f_blocks * 4096 <= archive.next_multiple_of(4096) && ours.f_files == 4);
        let swap = space(&mount.at("swap/s"));
        assert_eq!((swap.f_blocks * 4096, swap.f_bavail * 4096), (8 << 20, 8 << 20));
    });
}

#[test]
fn others_get_what_modes_allow_and_no_more() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let make = |mount: &Mount| {
        tree(mount);
        let mode = |path: &str, mode| {
            fs::set_permissions(mount.source().join(path), PermissionsExt::from_mode(mode)).unwrap();
        };
        fs::write(mount.source().join("d/closed"), "").unwrap();
        mode("d/closed", 0o600);
        mode("d/e", 0o700);
        fs::write(mount.source().join("d/run"), "#!/bin/true\n").unwrap();
        mode("d/run", 0o711);
    };
    with_mount(&["--images", "@/source", "--allow-other"], make, |mount| {
        let script = "
print(errno(os.open, 'd/f', 0), errno(os.open, 'd/closed', 0), errno(os.listdir, 'd/e'), errno(os.open, 'd/run', 0))
print([os.access('d/' + name, mode) for name in ('f', 'closed', 'run') for mode in (os.R_OK, os.W_OK, os.X_OK)])
";
        let want = "None 13 13 13\n[True, False, False, False, False, False, False, False, True]\n";
        assert_eq!(said_by_nobody(&mount.at("images/source"), script), want);
    });
}
