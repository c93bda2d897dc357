//! What is promised of `swap/`; each heading of docs/SEMANTICS.md on swap files is a test here.

mod fixture;

use std::fs::{self, File, OpenOptions};
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
fn the_size_is_fixed() {
    with_swap(|mount| {
        let file = open(mount, "s");
        assert_eq!(errno(file.set_len(4096)), EPERM);
        assert_eq!(errno(file.set_len(2 << 20)), EPERM);
        file.set_len(1 << 20).unwrap();
        assert_eq!(errno(OpenOptions::new().write(true).truncate(true).open(mount.at("swap/s"))), EPERM);
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
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
        assert!(buffer[..4096] == [1; 4096] && buffer[4096..12288] == [0; 8192] && buffer[12288..] == [1; 4096]);
        assert_eq!(seek(&file, SeekFrom::Hole(0)).unwrap(), 4096);
        assert_eq!(seek(&file, SeekFrom::Data(4096)).unwrap(), 12288);
        let past = fallocate(&file, hole, 1 << 20, 4096).unwrap_err();
        assert_eq!(past.raw_os_error(), ENOSPC);
        let other = fallocate(&file, FallocateFlags::COLLAPSE_RANGE, 0, 4096).unwrap_err();
        assert_eq!(other.raw_os_error(), EOPNOTSUPP);
        assert_eq!(mount.stats_of("swap/s").figures.punched_bytes, 8192);
    });
}

#[test]
fn files_in_swap_are_neither_made_nor_removed_nor_opened_up() {
    with_swap(|mount| {
        assert_eq!(errno(File::create(mount.at("swap/new"))), EPERM);
        assert_eq!(errno(fs::remove_file(mount.at("swap/s"))), EPERM);
        assert_eq!(errno(fs::rename(mount.at("swap/s"), mount.at("swap/t"))), EPERM);
        assert_eq!(errno(fs::set_permissions(mount.at("swap/s"), PermissionsExt::from_mode(0o666))), EPERM);
    });
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
            let options = |size| ["--swap".to_owned(), size, "--swap-store".to_owned(), store.display().to_string()];
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
        let output = finish(std::process::Command::new("python3").arg("-c").arg(script).arg(mount.at("swap/s")));
        assert!(output.status.success(), "{}", complaint(&output));
    });
}
