//! Archives that real programs made are shown as the directories that they were made from; bad ones are
//! refused in one line.
//!
//! Assumes GNU tar, and mksquashfs of Debian's squashfs-tools.

mod fixture;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::*;
use swapfs::store::{Whence, seek_sparse};

/// A tree with what archives may hold.
fn tree(source: &Path) {
    fs::create_dir_all(source.join("d/empty")).unwrap();
    fs::create_dir_all(source.join("deep").join(["x".repeat(60).as_str(); 4].join("/"))).unwrap();
    fs::write(source.join("deep").join(["x".repeat(60).as_str(); 4].join("/")).join("file"), "far down")
        .unwrap();
    let numbers: Vec<u8> =
        (0..700_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(source.join("d/numbers"), &numbers).unwrap();
    fs::set_permissions(source.join("d/numbers"), PermissionsExt::from_mode(0o4750)).unwrap();
    fs::hard_link(source.join("d/numbers"), source.join("same")).unwrap();
    fs::write(source.join("d/none"), "").unwrap();
    fs::write(source.join("d/text"), "a line of text\n".repeat(20_000)).unwrap();
    for n in 0..300 {
        fs::write(source.join(format!("d/small-{n}")), format!("{n}").repeat(n)).unwrap();
    }
    fs::write(source.join("d/with\nline end and \u{e9}"), "x").unwrap();
    let sparse = File::create(source.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    sparse.write_all_at(&numbers[..200_000], 1 << 20).unwrap();
    symlink("d/text", source.join("near")).unwrap();
    symlink("../same", source.join("d/up")).unwrap();
    symlink("n".repeat(150), source.join("d/dangling")).unwrap();
}

/// Makes an archive of the source, mounts it as `images/it`, and compares.
fn same_as_its_source(make: impl FnOnce(&Mount, &Path)) {
    let prepare = move |mount: &Mount| {
        tree(&mount.source());
        make(mount, &mount.scratch_path().join("archive"));
    };
    with_mount(&["--image", "it=@/archive"], prepare, |mount| {
        compare(&mount.source(), &mount.at("images/it"));
        let served = mount.stats_of("images/it/d/numbers").figures.read_bytes;
        let size = fs::metadata(mount.source().join("d/numbers")).unwrap().len();
        // Once, but for a few pages that the kernel asks for again when it is made to read backwards (13 of
        // 684 were seen).
        assert!((size..size + size / 8).contains(&served), "{served} of {size}");
    });
}

fn names(directory: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into()).collect()
}

fn compare(theirs: &Path, ours: &Path) {
    let (at, of) = (fs::symlink_metadata(theirs).unwrap(), fs::symlink_metadata(ours).unwrap());
    assert_eq!(
        (at.mode(), at.uid(), at.gid(), at.mtime()),
        (of.mode(), of.uid(), of.gid(), of.mtime()),
        "{ours:?}"
    );
    if at.is_dir() {
        assert_eq!(names(theirs), names(ours), "{ours:?}");
        assert_eq!(
            of.nlink(),
            2 + names(theirs).iter().filter(|name| theirs.join(name).is_dir()).count() as u64
        );
        names(theirs).iter().for_each(|name| compare(&theirs.join(name), &ours.join(name)));
        return;
    }
    assert_eq!((at.len(), at.nlink()), (of.len(), of.nlink()), "{ours:?}");
    if at.is_symlink() {
        assert_eq!(fs::read_link(theirs).unwrap(), fs::read_link(ours).unwrap());
        return;
    }
    let (want, file) = (fs::read(theirs).unwrap(), File::open(ours).unwrap());
    // From the end to the beginning, in pieces that fit nothing.
    let mut buffer = vec![0; 30_011];
    for offset in (0..=want.len()).step_by(30_011).collect::<Vec<_>>().into_iter().rev() {
        let got = file.read_at(&mut buffer, offset as u64).unwrap();
        assert!(buffer[..got] == want[offset..want.len().min(offset + 30_011)], "{ours:?} at {offset}");
    }
    assert!(fs::read(ours).unwrap() == want, "{ours:?}");
}

fn run(command: &mut Command) {
    let output = finish(command);
    assert!(output.status.success(), "{command:?}: {}", complaint(&output));
}

#[test]
fn a_tar_of_each_format_is_what_it_was_made_from() {
    for format in ["gnu", "pax", "posix"] {
        same_as_its_source(|mount, archive| {
            run(Command::new("tar")
                .arg(format!("--format={format}"))
                .arg("-cf")
                .arg(archive)
                .arg("-C")
                .arg(mount.source())
                .arg("."));
        });
    }
}

/// Links count from the archive's top, and what is shown of them from where each of their names is.
#[test]
fn a_link_of_an_archive_with_several_names_leads_out_by_none_of_them() {
    let link = |source: &Path| {
        fs::create_dir_all(source.join("a/b/c")).unwrap();
        symlink("/data", source.join("a/b/c/deep")).unwrap();
        fs::hard_link(source.join("a/b/c/deep"), source.join("top")).unwrap();
    };
    type Make = fn(&Path, PathBuf);
    let tar: Make = |source, to| run(Command::new("tar").arg("-cf").arg(to).arg("-C").arg(source).arg("."));
    let squash: Make = |source, to| run(Command::new("mksquashfs").arg(source).arg(to).arg("-quiet"));
    for make in [tar, squash] {
        let prepare = |mount: &Mount| {
            link(&mount.source());
            make(&mount.source(), mount.scratch_path().join("archive"));
        };
        with_mount(&["--image", "it=@/archive"], prepare, |mount| {
            for _ in 0..2 {
                assert_eq!(
                    fs::read_link(mount.at("images/it/a/b/c/deep")).unwrap(),
                    Path::new("../../../data")
                );
                assert_eq!(fs::read_link(mount.at("images/it/top")).unwrap(), Path::new("data"));
            }
        });
    }
}

#[test]
fn sparse_members_of_a_tar_keep_their_holes() {
    for options in [
        &["--format=gnu"][..],
        &["--sparse-version=0.0"],
        &["--sparse-version=0.1"],
        &["--sparse-version=1.0"],
    ] {
        let make = |mount: &Mount| {
            tree(&mount.source());
            let archive = mount.scratch_path().join("archive");
            run(Command::new("tar")
                .args(options)
                .arg("-Scf")
                .arg(archive)
                .arg("-C")
                .arg(mount.source())
                .arg("."));
        };
        with_mount(&["--image", "it=@/archive"], make, |mount| {
            compare(&mount.source().join("sparse"), &mount.at("images/it/sparse"));
            let file = File::open(mount.at("images/it/sparse")).unwrap();
            assert_eq!(seek_sparse(&file, Whence::Data, 0).unwrap(), 1 << 20);
            let hole = seek_sparse(&file, Whence::Hole, 1 << 20).unwrap();
            assert!((200_000..270_000).contains(&(hole - (1 << 20))), "{hole}");
            assert_eq!(seek_sparse(&file, Whence::Hole, hole).unwrap(), hole);
        });
    }
}

fn squash(mount: &Mount, archive: &Path, options: &[&str]) {
    let mut command = Command::new("mksquashfs");
    command
        .arg(mount.source())
        .arg(archive)
        .args(["-no-progress", "-quiet", "-processors", "1"])
        .args(options);
    run(&mut command);
}

#[test]
fn a_squashfs_of_each_compression_is_what_it_was_made_from() {
    for compression in ["gzip", "xz", "lz4", "zstd"] {
        same_as_its_source(|mount, archive| squash(mount, archive, &["-comp", compression]));
    }
}

#[test]
fn a_squashfs_of_each_layout_is_what_it_was_made_from() {
    let layouts: [&[&str]; 5] = [
        &["-b", "4K"],
        &["-b", "1M"],
        &["-noI", "-noD", "-noF", "-noX"],
        &["-no-fragments", "-no-exports"],
        &["-always-use-fragments", "-no-duplicates", "-b", "64K"],
    ];
    for layout in layouts {
        same_as_its_source(|mount, archive| squash(mount, archive, layout));
    }
}

#[test]
fn a_squashfs_keeps_holes() {
    let make = |mount: &Mount| {
        tree(&mount.source());
        squash(mount, &mount.scratch_path().join("archive"), &[]);
    };
    with_mount(&["--image", "it=@/archive"], make, |mount| {
        let file = File::open(mount.at("images/it/sparse")).unwrap();
        assert_eq!(seek_sparse(&file, Whence::Data, 0).unwrap(), 1 << 20);
        assert_eq!(seek_sparse(&file, Whence::Hole, 1 << 20).unwrap(), (1 << 20) + (256 << 10));
        assert_eq!(errno(seek_sparse(&file, Whence::Data, 2 << 20)), 6);
    });
}

/// One line, exit code 1, nothing mounted.
fn refused(bytes: &[u8], name: &str, words: &str) {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    fs::write(mount.scratch_path().join(name), bytes).unwrap();
    let output = mount.try_start(&["--image", &format!("it=@/{name}")]);
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words) && said.trim_end().lines().count() == 1, "{said}");
    assert!(!mount.is_mounted());
}

#[test]
fn archives_that_cannot_be_shown_are_refused_in_one_line() {
    let scratch = tempfile::tempdir().unwrap();
    tree(scratch.path());
    let archive = scratch.path().join("archive.tar");
    run(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(scratch.path()).arg("d"));
    let bytes = fs::read(&archive).unwrap();
    refused(&bytes[..bytes.len() / 2], "half.tar", "cut off");
    let mount = Mount::scratch();
    tree(&mount.source());
    squash(&mount, &archive, &["-noappend"]);
    let bytes = fs::read(&archive).unwrap();
    refused(&bytes[..bytes.len() / 2], "half.squashfs", "cut off");
    refused(&bytes[..40], "start.squashfs", "cut off");
    squash(&mount, &archive, &["-noappend", "-comp", "lzo"]);
    refused(&fs::read(&archive).unwrap(), "lzo.squashfs", "compressed by lzo");
    refused(b"\x1f\x8b\x08 and so on", "x.tar.gz", "compressed as a whole");
    run(Command::new("tar").arg("-Pcf").arg(&archive).arg("-C").arg(scratch.path().join("d")).arg("../near"));
    refused(&fs::read(&archive).unwrap(), "climbs.tar", "`../near` at byte 0 climbs out");
}

/// GNU tar is the measure of an archive that holds what cannot be.
#[test]
fn what_gnu_tar_passes_over_is_left_out_with_a_line() {
    const MAKE: &str = r#"
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w") as archive:
    def add(name, kind=tarfile.REGTYPE, link="", data=b""):
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size, member.mode = kind, link, len(data), 0o755
        archive.addfile(member, io.BytesIO(data))
    add("d", tarfile.DIRTYPE)
    add("d/in", data=b"inside")
    for name, target in [("itself", "itself"), ("nothing", "none"), ("early", "late"), ("folder", "d")]:
        add(name, tarfile.LNKTYPE, target)
    add("late", data=b"came")
    for name, target in [("one", "other"), ("other", "one"), ("d", "late"), ("late", "late"), ("good", "late")]:
        add(name, tarfile.LNKTYPE, target)
    add("late/below", data=b"nowhere")
    add("last", data=b"the rest")
"#;
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    let archive = mount.scratch_path().join("archive");
    run(Command::new("python3").arg("-c").arg(MAKE).arg(&archive));
    let unpacked = finish(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(mount.source()));
    assert_eq!(unpacked.status.code(), Some(2), "{}", complaint(&unpacked));
    let said = complaint(&mount.try_start(&["--image", "it=@/archive"]));
    assert!(said.contains("8 of its members left out") && said.contains("`itself`"), "{said}");
    names(&mount.source()).iter().for_each(|name| {
        let (theirs, ours) = (mount.source().join(name), mount.at("images/it").join(name));
        let (theirs, ours) = (theirs.symlink_metadata().unwrap(), ours.symlink_metadata().unwrap());
        assert_eq!((theirs.nlink(), theirs.is_dir()), (ours.nlink(), ours.is_dir()), "{name:?}");
    });
    assert_eq!(names(&mount.source()), names(&mount.at("images/it")));
    assert_eq!(fs::read(mount.at("images/it/last")).unwrap(), b"the rest");
    assert_eq!(fs::read(mount.at("images/it/d/in")).unwrap(), b"inside");
}

/// What `tar -cf it.tar -T /dev/null` writes, and what GNU tar takes for the same.
#[test]
fn a_tar_of_no_members_is_an_empty_directory() {
    for bytes in [10_240, 512, 0] {
        let prepare = |mount: &Mount| fs::write(mount.scratch_path().join("it.tar"), vec![0; bytes]).unwrap();
        with_mount(&["--image", "it=@/it.tar"], prepare, |mount| {
            assert!(mount.at("images/it").is_dir() && names(&mount.at("images/it")).is_empty());
        });
    }
}

#[test]
fn an_archive_that_changes_is_an_error_and_never_other_bytes() {
    let make = |mount: &Mount| {
        tree(&mount.source());
        let archive = mount.scratch_path().join("archive");
        run(Command::new("tar").arg("-cf").arg(archive).arg("-C").arg(mount.source()).arg("."));
    };
    with_mount(&["--strict", "--image", "it=@/archive"], make, |mount| {
        let archive = mount.scratch_path().join("archive");
        let open = File::open(mount.at("images/it/d/text")).unwrap();
        let mut buffer = [0; 6];
        fs::rename(&archive, mount.scratch_path().join("elsewhere")).unwrap();
        fs::write(&archive, vec![b'?'; 10 << 20]).unwrap();
        open.read_exact_at(&mut buffer, 15).unwrap();
        assert_eq!(&buffer, b"a line", "the archive that was mounted, under whatever name");
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(mount.scratch_path().join("elsewhere"), vec![b'?'; 10 << 20]).unwrap();
        assert_eq!(errno(open.read_exact_at(&mut buffer, 15)), ESTALE);
    });
}
