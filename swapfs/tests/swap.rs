//! What is promised of `swap/`; each heading of docs/SEMANTICS.md on swap files is a test here.

mod fixture;

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use fixture::*;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};

fn open(mount: &Mount, name: &str) -> File {
    OpenOptions::new().read(true).write(true).open(mount.at("swap").join(name)).unwrap()
}

fn with_swap(test: impl FnOnce(&Mount) + Send + 'static) {
    with_mount(&["--swap", "s:1M"], |_| {}, test);
}

#[test]
fn a_new_swap_file_is_zeros_and_takes_no_room() {
    with_mount(
        &["--swap", "s:1T"],
        |_| {},
        |mount| {
            let metadata = fs::metadata(mount.at("swap/s")).unwrap();
            assert_eq!((metadata.len(), metadata.blocks(), metadata.mode() & 0o777), (1 << 40, 0, 0o600));
            let mut buffer = [1; 8192];
            open(mount, "s").read_exact_at(&mut buffer, (1 << 40) - 8192).unwrap();
            assert_eq!(buffer, [0; 8192]);
        },
    );
}

#[test]
fn what_is_written_is_read() {
    with_swap(|mount| {
        let file = open(mount, "s");
        let data: Vec<u8> = (0..(1u32 << 20)).map(|i| (i * 7 + i / 256) as u8).collect();
        file.write_all_at(&data, 0).unwrap();
        file.write_all_at(b"odd", 12_345).unwrap();
        let mut back = vec![0; 1 << 20];
        open(mount, "s").read_exact_at(&mut back, 0).unwrap();
        assert_eq!(&back[12_345..12_348], b"odd");
        assert!(back[..12_345] == data[..12_345] && back[12_348..] == data[12_348..]);
    });
}

#[test]
fn the_size_changes_by_truncate_but_never_to_nothing() {
    with_swap(|mount| {
        let file = open(mount, "s");
        file.write_all_at(&[7; 8192], 0).unwrap();
        assert_eq!(errno(file.set_len(0)), EPERM);
        assert_eq!(errno(OpenOptions::new().write(true).truncate(true).open(mount.at("swap/s"))), EPERM);
        file.set_len(4096).unwrap();
        assert_eq!(errno(file.write_at(b"x", 4096)), ENOSPC);
        file.set_len(2 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 2 << 20);
        let mut buffer = [1; 8192];
        file.read_exact_at(&mut buffer, 0).unwrap();
        assert_eq!((buffer[4095], buffer[4096], buffer[8191]), (7, 0, 0), "what was cut off is gone");
        file.write_all_at(b"end", (2 << 20) - 3).unwrap();
    });
}

#[test]
fn a_write_past_the_end_is_refused_and_one_across_it_cut() {
    with_swap(|mount| {
        let file = open(mount, "s");
        assert_eq!(errno(file.write_at(b"x", 1 << 20)), ENOSPC);
        assert_eq!(errno(file.write_at(b"x", 1 << 40)), ENOSPC);
        assert_eq!(file.write_at(&[1; 8192], (1 << 20) - 4096).unwrap(), 4096);
        assert_eq!(file.read_at(&mut [0; 8192], (1 << 20) - 4096).unwrap(), 4096);
        assert_eq!(file.read_at(&mut [0; 8192], 1 << 20).unwrap(), 0);
        assert_eq!(mount.stats_of("swap/s").figures.write_errors, 2);
    });
}

#[test]
fn holes_can_be_punched_and_found() {
    with_swap(|mount| {
        let file = open(mount, "s");
        file.write_all_at(&[1; 1 << 18], 0).unwrap();
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, hole, 4096, 8192).unwrap();
        let mut buffer = [9; 16384];
        file.read_exact_at(&mut buffer, 0).unwrap();
        assert!(
            buffer[..4096] == [1; 4096] && buffer[4096..12288] == [0; 8192] && buffer[12288..] == [1; 4096]
        );
        assert_eq!(seek(&file, SeekFrom::Hole(0)).unwrap(), 4096);
        assert_eq!(seek(&file, SeekFrom::Data(4096)).unwrap(), 12288);
        fallocate(&file, hole, 1 << 20, 4096).unwrap();
        let other = fallocate(&file, FallocateFlags::COLLAPSE_RANGE, 0, 4096).unwrap_err();
        assert_eq!(other.raw_os_error(), EOPNOTSUPP);
        assert_eq!(mount.stats_of("swap/s").figures.punched_bytes, 8192);
    });
}

/// What every store promises through the mount, and each in its own way.
#[test]
fn every_store_frees_what_is_punched_and_forgets_what_is_cut_off() {
    for kind in STORES {
        let arguments = [&["--swap", "s:1M"], kind].concat();
        with_mount(
            &arguments,
            |_| {},
            move |mount| {
                let file = open(mount, "s");
                let taken = || file.metadata().unwrap().blocks() * 512;
                // As far as it goes random, so that it takes its room also where it is compressed.
                let data: Vec<u8> =
                    (0..1u64 << 18).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as u8).collect();
                file.write_all_at(&data, 4096).unwrap();
                file.sync_all().unwrap();
                assert!(taken() >= 1 << 16, "{kind:?}: {}", taken());
                let full = taken();
                let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(&file, hole, 8192, 1 << 17).unwrap();
                assert!(taken() < full - (1 << 14), "{kind:?}: {} of {full}", taken());
                let mut back = vec![1; 1 << 18];
                file.read_exact_at(&mut back, 4096).unwrap();
                let holed = 4096..4096 + (1 << 17);
                assert!(back[..4096] == data[..4096] && back[holed.end..] == data[holed.end..]);
                assert!(back[holed].iter().all(|byte| *byte == 0));
                file.set_len((1 << 18) - 5).unwrap();
                file.set_len(1 << 20).unwrap();
                file.read_exact_at(&mut back[..8192], (1 << 18) - 4096).unwrap();
                assert!(back[..4091] == data[(1 << 18) - 8192..(1 << 18) - 4101], "{kind:?}");
                assert!(back[4091..8192].iter().all(|byte| *byte == 0), "{kind:?}: what was cut off is gone");
                let figures = mount.stats_of("swap/s").figures;
                assert_eq!((figures.sync_ops, figures.punched_bytes), (1, 1 << 17));
            },
        );
    }
}

#[test]
fn compressed_swap_files_take_what_their_contents_are_worth_and_no_more_than_allowed() {
    with_mount(
        &["--swap", "s:1G", "--swap-store", "compressed", "--swap-limit", "1M"],
        |_| {},
        |mount| {
            let file = open(mount, "s");
            let taken = || file.metadata().unwrap().blocks() * 512;
            file.write_all_at(&vec![0; 1 << 20], 0).unwrap();
            assert_eq!(taken(), 0, "zeros");
            file.write_all_at(&vec![0xa5; 1 << 20], 1 << 20).unwrap();
            assert!(taken() < 1 << 14, "pages of one byte take {}", taken());
            let text: Vec<u8> = b"all work and no play makes jack a dull boy. "
                .iter()
                .copied()
                .cycle()
                .take(1 << 20)
                .collect();
            file.write_all_at(&text, 1 << 21).unwrap();
            assert!(taken() < 1 << 18, "text takes {}", taken());
            let mut random = File::open("/dev/urandom").unwrap().take(2 << 20);
            let mut noise = vec![];
            random.read_to_end(&mut noise).unwrap();
            assert_eq!(errno(file.write_all_at(&noise, 1 << 24)), ENOSPC);
            assert!(taken() <= 1 << 20, "{}", taken());
            let mut back = vec![0; 1 << 20];
            file.read_exact_at(&mut back, 1 << 21).unwrap();
            assert!(back == text);
            let (kept, data) = mount.stats().kept_bytes();
            assert!(kept <= 1 << 20 && data > 2 << 20, "{kept} for {data}");
        },
    );
}

/// Not a byte of it can be read on the disk, nor is a name left there, however the daemon ends.
#[test]
fn an_encrypted_swap_file_is_unreadable_and_gone_after_its_mount() {
    with_mount(
        &["--swap", "s:1M", "--swap-store", "@/source", "--swap-encrypt"],
        |_| {},
        |mount| {
            let file = open(mount, "s");
            file.write_all_at(&b"correct horse battery staple".repeat(9000), 77).unwrap();
            file.sync_all().unwrap();
            assert_eq!(fs::read_dir(mount.source()).unwrap().count(), 0, "it has no name there");
            // As root one can still get at the daemon's file.
            let descriptors = fs::read_dir(format!("/proc/{}/fd", mount.stats().pid)).unwrap();
            let same =
                |path: &std::path::Path| fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == 1 << 20);
            let kept = descriptors.map(|entry| entry.unwrap().path()).find(|path| same(path)).unwrap();
            let medium = fs::read(kept).unwrap();
            assert!(
                medium.iter().any(|byte| *byte != 0) && !medium.windows(7).any(|part| part == b"correct")
            );
            assert!(mount.unmount().status.success());
            fs::write(mount.source().join("s"), b"somebody's").unwrap();
            let refused = mount.try_start(&["--swap", "s:1M", "--swap-store", "@/source", "--swap-encrypt"]);
            assert!(complaint(&refused).contains("contents from before"), "{}", complaint(&refused));
            assert_eq!(fs::read(mount.source().join("s")).unwrap(), b"somebody's");
            fs::remove_file(mount.source().join("s")).unwrap();
            mount.start(&["--swap", "s:1M", "--swap-store", "@/source", "--swap-encrypt"]);
        },
    );
}

#[test]
fn files_in_swap_are_neither_renamed_nor_opened_up() {
    with_swap(|mount| {
        assert_eq!(errno(fs::rename(mount.at("swap/s"), mount.at("swap/t"))), EPERM);
        assert_eq!(errno(fs::hard_link(mount.at("swap/s"), mount.at("swap/t"))), EPERM);
        assert_eq!(errno(fs::create_dir(mount.at("swap/d"))), EPERM);
        assert_eq!(errno(fs::set_permissions(mount.at("swap/s"), PermissionsExt::from_mode(0o666))), EPERM);
        assert_eq!(errno(fs::remove_file(mount.at(".swapfs/stats.json"))), EROFS);
        assert_eq!(errno(File::create(mount.at("images/x"))), EROFS);
    });
}

#[test]
fn swap_files_are_made_and_removed_through_the_mount() {
    for kind in STORES {
        let arguments = [&["--swap", "s:1M"], kind].concat();
        with_mount(
            &arguments,
            |_| {},
            |mount| {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .open(mount.at("swap/new"))
                    .unwrap();
                assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
                assert_eq!(errno(file.write_at(b"x", 0)), ENOSPC, "it is empty");
                file.set_len(1 << 20).unwrap();
                file.write_all_at(b"secret", 5000).unwrap();
                assert_eq!(fs::read_dir(mount.at("swap")).unwrap().count(), 2);
                assert!(OpenOptions::new().write(true).create_new(true).open(mount.at("swap/new")).is_err());
                fs::remove_file(mount.at("swap/new")).unwrap();
                assert_eq!(errno(File::open(mount.at("swap/new"))), ENOENT);
                assert!(!mount.source().join("new").exists());
                let mut buffer = [0; 6];
                file.read_exact_at(&mut buffer, 5000).unwrap();
                assert_eq!(&buffer, b"secret", "who has it open keeps it");
                let again = File::create(mount.at("swap/new")).unwrap();
                again.set_len(1 << 20).unwrap();
                open(mount, "new").read_exact_at(&mut buffer, 5000).unwrap();
                assert_eq!(buffer, [0; 6], "another file of that name has nothing of it");
                file.read_exact_at(&mut buffer, 5000).unwrap();
                assert_eq!(&buffer, b"secret");
            },
        );
    }
}

#[test]
fn swap_files_are_made_resized_and_removed_by_command() {
    with_mount(
        &["--swap", "s:1M", "--swap-store", "@/source"],
        |_| {},
        |mount| {
            let swap = |words: &[&str]| {
                let (verb, rest) = words.split_first().unwrap();
                finish(program().args(["swap", verb]).arg(mount.point()).args(rest))
            };
            let done = |words: &[&str]| {
                let output = swap(words);
                assert!(output.status.success(), "{}", complaint(&output));
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            let refused = |words: &[&str], why: &str| {
                let output = swap(words);
                assert!(
                    !output.status.success() && complaint(&output).contains(why),
                    "{}",
                    complaint(&output)
                );
            };
            assert!(!mount.at("swap/t").exists());
            done(&["add", "t", "64K"]);
            assert_eq!(fs::metadata(mount.at("swap/t")).unwrap().len(), 65536);
            assert_eq!(fs::metadata(mount.source().join("t")).unwrap().mode() & 0o777, 0o600);
            open(mount, "t").write_all_at(b"secret", 60_000).unwrap();
            done(&["resize", "t", "4K"]);
            done(&["resize", "t", "1M"]);
            assert_eq!(fs::metadata(mount.at("swap/t")).unwrap().len(), 1 << 20);
            let mut buffer = [1; 6];
            open(mount, "t").read_exact_at(&mut buffer, 60_000).unwrap();
            assert_eq!(buffer, [0; 6]);
            let list = done(&["list"]);
            assert_eq!(list.lines().count(), 2, "{list}");
            assert!(list.contains("1048576 ") && list.ends_with(" t\n"), "{list}");
            done(&["remove", "t"]);
            assert!(!mount.at("swap/t").exists() && !mount.source().join("t").exists());
            refused(&["remove", "t"], "no swap file `t`");
            refused(&["add", "s", "1M"], "already");
            refused(&["add", "a/b", "1M"], "cannot be a file's name");
            refused(&["add", "..", "1M"], "cannot be a file's name");
            refused(&["add", "u", "0"], "at least one byte");
            refused(&["resize", "u", "1M"], "no swap file `u`");
            fs::write(mount.source().join("old"), [1; 100]).unwrap();
            refused(&["add", "old", "1M"], "100 bytes");
        },
    );
}

/// Other users get no further than the names, whatever the mount allows.
#[test]
fn other_users_can_neither_read_nor_make_nor_remove_swap_files() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    with_mount(
        &["--swap", "s:1M", "--allow-other"],
        |_| {},
        |mount| {
            let script = "
print(os.listdir('swap'), errno(os.open, 'swap/s', 0), errno(os.open, 'swap/n', os.O_CREAT | os.O_WRONLY),
    errno(os.unlink, 'swap/s'), errno(os.truncate, 'swap/s', 9), errno(os.open, '.swapfs/command', os.O_RDWR),
    errno(os.open, '.swapfs/trace', 0))
";
            assert_eq!(said_by_nobody(&mount.point(), script), "['s'] 13 13 13 13 13 13\n");
        },
    );
}

#[test]
fn a_swap_file_in_a_directory_outlives_its_mount() {
    with_mount(
        &["--swap", "s:1M", "--swap-store", "@/source"],
        |_| {},
        |mount| {
            let file = open(mount, "s");
            file.write_all_at(b"kept", 5000).unwrap();
            file.sync_all().unwrap();
            assert_eq!(mount.stats_of("swap/s").figures.sync_ops, 1);
            drop(file);
            assert!(mount.unmount().status.success());
            assert_eq!(fs::metadata(mount.source().join("s")).unwrap().mode() & 0o777, 0o600);
            mount.start(&["--swap", "s:1M", "--swap-store", "@/source"]);
            let mut buffer = [0; 4];
            open(mount, "s").read_exact_at(&mut buffer, 5000).unwrap();
            assert_eq!(&buffer, b"kept");
        },
    );
}

#[test]
fn a_store_is_used_by_one_mount_and_keeps_its_size() {
    with_mount(
        &["--swap", "s:1M", "--swap-store", "@/source"],
        |_| {},
        |mount| {
            let other = Mount::scratch();
            let store = mount.source();
            let options =
                |size| ["--swap".to_owned(), size, "--swap-store".to_owned(), store.display().to_string()];
            let start = |size: &str| {
                let options = options(format!("s:{size}"));
                other.try_start(&options.each_ref().map(String::as_str))
            };
            assert!(complaint(&start("1M")).contains("in use by another swapfs"));
            assert!(mount.unmount().status.success());
            let output = start("2M");
            assert!(!output.status.success() && complaint(&output).contains("has 1048576 bytes"));
            mount.start(&["--swap", "s:1M", "--swap-store", "@/source"]);
        },
    );
}

#[test]
fn a_shared_mapping_of_a_swap_file_is_written_back() {
    with_swap(|mount| {
        let script = "
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 1 << 20)
m[70000:70004] = b'page'
m.flush()
assert os.pread(fd, 4, 70000) == b'page'
";
        let output =
            finish(std::process::Command::new("python3").arg("-c").arg(script).arg(mount.at("swap/s")));
        assert!(output.status.success(), "{}", complaint(&output));
    });
}
