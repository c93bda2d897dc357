//! What is promised of `images/`; each heading of docs/SEMANTICS.md on images is a test here.

mod fixture;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use fixture::*;

/// A tree with a bit of everything.
fn tree(mount: &Mount) {
    let source = mount.source();
    fs::create_dir_all(source.join("d/e")).unwrap();
    fs::write(source.join("d/data"), (0..100_000u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
        .unwrap();
    fs::set_permissions(source.join("d/data"), PermissionsExt::from_mode(0o640)).unwrap();
    fs::hard_link(source.join("d/data"), source.join("d/e/same")).unwrap();
    fs::write(mount.scratch_path().join("secret"), "secret").unwrap();
    symlink("data", source.join("d/near")).unwrap();
    symlink(source.join("d/data"), source.join("d/e/absolute")).unwrap();
    symlink("../../secret", source.join("d/climbs")).unwrap();
    symlink("/etc/passwd", source.join("d/out")).unwrap();
    Command::new("mkfifo").arg(source.join("d/pipe")).status().unwrap();
}

#[test]
fn names_modes_sizes_times_and_contents_are_the_sources() {
    with_mount(&["--images", "@/source"], tree, |mount| {
        let (ours, theirs) = (mount.at("images/source/d/data"), mount.source().join("d/data"));
        assert_eq!(fs::read(&ours).unwrap(), fs::read(&theirs).unwrap());
        let (ours, theirs) = (fs::metadata(ours).unwrap(), fs::metadata(theirs).unwrap());
        assert_eq!(ours.mode(), theirs.mode());
        assert_eq!(ours.len(), theirs.len());
        assert_eq!(ours.modified().unwrap(), theirs.modified().unwrap());
        assert_eq!((ours.uid(), ours.gid(), ours.nlink()), (theirs.uid(), theirs.gid(), 2));
        let mut names: Vec<_> =
            fs::read_dir(mount.at("images/source/d")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["climbs", "data", "e", "near", "out"], "a pipe is not shown");
    });
}

#[test]
fn hard_links_are_one_inode_and_inodes_are_stable() {
    with_mount(&["--images", "@/source"], tree, |mount| {
        let number = |path: &str| fs::metadata(mount.at(path)).unwrap().ino();
        let first = number("images/source/d/data");
        assert_eq!(first, number("images/source/d/e/same"));
        fs::write("/proc/sys/vm/drop_caches", "2").ok();
        assert_eq!(first, number("images/source/d/data"));
    });
}

#[test]
fn symlinks_that_stay_inside_work_and_others_are_refused() {
    with_mount(&["--images", "@/source"], tree, |mount| {
        let link = |name: &str| fs::read_link(mount.at("images/source/d").join(name));
        assert_eq!(link("near").unwrap().to_str(), Some("data"));
        assert_eq!(link("e/absolute").unwrap().to_str(), Some("../data"));
        assert_eq!(fs::metadata(mount.at("images/source/d/e/absolute")).unwrap().len(), 400_000);
        for name in ["climbs", "out"] {
            assert_eq!(errno(link(name)), EPERM, "{name}");
            assert_eq!(errno(fs::read(mount.at("images/source/d").join(name))), EPERM, "{name}");
        }
    });
}

/// What is shown of a link counts from where it is, and the kernel keeps it by inode.
#[test]
fn a_link_that_is_moved_or_has_other_names_leads_out_by_none_of_them() {
    let links = |mount: &Mount| {
        let (source, deep) = (mount.source(), mount.source().join("a/b/c"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(source.join("data"), "").unwrap();
        symlink(source.join("data"), deep.join("absolute")).unwrap();
        symlink(source.join("data"), deep.join("moved")).unwrap();
        symlink("../../../data", deep.join("climbs")).unwrap();
        fs::hard_link(deep.join("absolute"), source.join("same")).unwrap();
    };
    with_mount(&["--images", "@/source"], links, |mount| {
        let source = mount.source();
        let link = |name: &str| fs::read_link(mount.at("images/source").join(name));
        let shown = |name: &str| link(name).unwrap().to_str().unwrap().to_owned();
        for _ in 0..2 {
            assert_eq!(shown("a/b/c/absolute"), "../../../data");
            assert_eq!(shown("same"), "data");
        }
        assert_eq!(shown("a/b/c/moved"), "../../../data");
        assert_eq!(shown("a/b/c/climbs"), "../../../data");
        fs::rename(source.join("a/b/c/climbs"), source.join("a/climbs")).unwrap();
        assert_eq!(errno(link("a/climbs")), EPERM);
        fs::rename(source.join("a/b/c"), source.join("c")).unwrap();
        assert_eq!(shown("c/moved"), "../data");
        fs::rename(source.join("c/moved"), source.join("moved")).unwrap();
        assert_eq!(shown("moved"), "data");
    });
}

#[test]
fn a_link_that_was_replaced_leads_where_the_new_one_does_at_once() {
    let files = |mount: &Mount| {
        fs::write(mount.source().join("0"), "0").unwrap();
        fs::write(mount.source().join("1"), "1").unwrap();
    };
    with_mount(&["--images", "@/source"], files, |mount| {
        let (link, shown) = (mount.source().join("link"), mount.at("images/source/link"));
        for n in 0..50 {
            let target = (n % 2).to_string();
            symlink(&target, mount.source().join("new")).unwrap();
            fs::rename(mount.source().join("new"), &link).unwrap();
            if n > 0 {
                assert_eq!(fs::read_to_string(&shown).unwrap(), target, "followed");
                assert_eq!(fs::read_link(&shown).unwrap().to_str(), Some(target.as_str()), "read");
                continue;
            }
            // That there was none yet is believed for a while.
            wait_until(|| fs::read_to_string(&shown).is_ok());
        }
    });
}

#[test]
fn an_absolute_link_that_reaches_the_source_by_another_name_is_followed() {
    // On a merged /usr, /lib is a link to usr/lib, and links to /lib/... lie inside /usr.
    let merged = fs::read_link("/lib").is_ok_and(|target| target.ends_with("usr/lib"));
    if !merged {
        return;
    }
    with_mount(
        &["--images", "/usr/"],
        |_| {},
        |mount| {
            let shown = fs::read_link(mount.at("images/lib64/ld-linux-x86-64.so.2"));
            assert!(shown.is_ok_and(|target| target.starts_with("../lib")));
        },
    );
}

#[test]
fn a_link_into_the_mount_itself_is_refused_and_does_not_hang() {
    let links = |mount: &Mount| {
        for n in 0..8 {
            symlink(mount.at("images/source/x"), mount.source().join(format!("l{n}"))).unwrap();
        }
    };
    with_mount(&["--images", "@/source"], links, |mount| {
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = mount.at(&format!("images/source/l{n}"));
                scope.spawn(move || assert_eq!(errno(fs::read_link(path)), EPERM));
            }
        });
    });
}

#[test]
fn every_change_is_refused_as_read_only() {
    with_mount(&["--images", "@/source"], tree, |mount| {
        let (directory, file) = (mount.at("images/source/d"), mount.at("images/source/d/data"));
        assert_eq!(errno(OpenOptions::new().write(true).open(&file)), EROFS);
        assert_eq!(errno(OpenOptions::new().read(true).append(true).open(&file)), EROFS);
        assert_eq!(errno(File::create(directory.join("new"))), EROFS);
        assert_eq!(errno(fs::create_dir(directory.join("new"))), EROFS);
        assert_eq!(errno(fs::remove_file(&file)), EROFS);
        assert_eq!(errno(fs::remove_dir(directory.join("e"))), EROFS);
        assert_eq!(errno(fs::rename(&file, directory.join("new"))), EROFS);
        assert_eq!(errno(fs::hard_link(&file, directory.join("new"))), EROFS);
        assert_eq!(errno(symlink("x", directory.join("new"))), EROFS);
        assert_eq!(errno(fs::set_permissions(&file, PermissionsExt::from_mode(0o777))), EROFS);
        assert_eq!(errno(File::create(mount.at("images/new"))), EROFS);
        assert_eq!(errno(File::create(mount.at("new"))), EROFS);
    });
}

#[test]
fn programs_run_from_the_mount_and_shared_mappings_work() {
    for mode in [&["--images", "/usr/bin/env"][..], &["--images", "/usr/bin/env", "--strict"]] {
        with_mount(
            mode,
            |_| {},
            |mount| {
                let output = finish(Command::new(mount.at("images/env")).env_clear().env("SEEN", "1"));
                assert_eq!(String::from_utf8_lossy(&output.stdout), "SEEN=1\n");
                let mapped = finish(
                    Command::new("python3").arg("-c").arg(MAP_AND_COMPARE).arg(mount.at("images/env")),
                );
                assert!(mapped.status.success(), "{}", complaint(&mapped));
            },
        );
    }
}

const MAP_AND_COMPARE: &str = "
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
want = os.pread(fd, 1 << 30, 0)
for flags in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
    assert mmap.mmap(fd, 0, flags=flags, prot=mmap.PROT_READ)[:] == want
";

#[test]
fn contents_of_a_source_can_fill_images_itself() {
    with_mount(&["--images", "@/source/", "/usr/bin/env"], tree, |mount| {
        assert_eq!(fs::metadata(mount.at("images/d/data")).unwrap().len(), 400_000);
        assert!(mount.at("images/env").exists());
        assert_eq!(fs::read_dir(mount.at("images")).unwrap().count(), 2);
    });
}

#[test]
fn several_sources_stand_side_by_side_under_names_of_ones_own() {
    let arguments =
        ["--image", "one=@/source", "--image", "two=@/source/d/", "--image", "data=@/source/d/data"];
    with_mount(&arguments, tree, |mount| {
        let mut names: Vec<_> =
            fs::read_dir(mount.at("images")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["data", "one", "two"]);
        for path in ["images/one/d/data", "images/two/data", "images/data"] {
            assert_eq!(fs::metadata(mount.at(path)).unwrap().len(), 400_000, "{path}");
        }
        fs::read(mount.at("images/two/data")).unwrap();
        assert_eq!(mount.stats_of("images/two/data").figures.read_bytes, 400_000);
    });
}

#[test]
fn other_mounts_inside_a_source_are_not_entered() {
    // The mount itself lies below the source, as do /proc and the like: none may be walked into.
    with_mount(&["--images", "@/"], tree, |mount| {
        assert!(mount.at("images/source/d/data").exists());
        assert_eq!(errno(fs::read_dir(mount.at("images/mnt"))), ENOENT);
        let names: Vec<_> =
            fs::read_dir(mount.at("images")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!names.contains(&"mnt".into()), "{names:?}");
    });
}

#[test]
fn a_replaced_source_never_gives_other_bytes_to_who_has_it_open() {
    with_mount(&["--images", "@/source"], tree, |mount| {
        let path = mount.at("images/source/d/data");
        let open = File::open(&path).unwrap();
        fs::write(mount.source().join("new"), vec![7; 400_000]).unwrap();
        fs::rename(mount.source().join("new"), mount.source().join("d/data")).unwrap();
        let mut buffer = [0; 8];
        open.read_exact_at(&mut buffer, 4000).unwrap();
        assert_eq!(buffer, [0xe8, 3, 0, 0, 0xe9, 3, 0, 0], "still the old file");
        wait_until(|| fs::read(&path).is_ok_and(|bytes| bytes == vec![7; 400_000]));
    });
}

#[test]
fn a_source_that_vanishes_is_an_error_and_not_a_hang() {
    for mode in [&["--images", "@/source"][..], &["--images", "@/source", "--strict"]] {
        with_mount(mode, tree, |mount| {
            let open = File::open(mount.at("images/source/d/data")).unwrap();
            fs::remove_dir_all(mount.source()).unwrap();
            let mut buffer = [0; 4];
            open.read_exact_at(&mut buffer, 4000).unwrap();
            assert_eq!(buffer, [0xe8, 3, 0, 0], "open files go on");
            wait_until(|| fs::read(mount.at("images/source/d/data")).is_err());
            let code = errno(File::open(mount.at("images/source/d/data")));
            assert!([ENOENT, ESTALE].contains(&code), "{code}");
            assert!(mount.stats().total.read_ops > 0, "the mount lives on");
        });
    }
}

#[test]
fn a_changed_source_is_seen_by_the_next_open() {
    with_mount(&["--images", "@/source"], tree, |mount| {
        let path = mount.at("images/source/d/data");
        fs::read(&path).unwrap();
        let change = OpenOptions::new().write(true).open(mount.source().join("d/data")).unwrap();
        change.write_all_at(b"changed", 0).unwrap();
        assert!(fs::read(&path).unwrap().starts_with(b"changed"));
    });
}

/// Names and attributes may be believed for a second.
fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("does not come to hold within 5 s");
}
