//! What `fallocate` and `df` say of swap files and sources; names as long as they may be.

mod fixture;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use fixture::*;
use rustix::fs::{FallocateFlags, fallocate, statvfs};

fn free(path: &Path) -> u64 {
    let space = statvfs(path).unwrap();
    space.f_bavail * space.f_frsize
}

fn total(path: &Path) -> u64 {
    let space = statvfs(path).unwrap();
    space.f_blocks * space.f_frsize
}

#[test]
fn holes_that_reach_past_the_end_free_what_is_before_it() {
    for store in STORES {
        with_mount(
            &[&["--swap", "a:1M"], store].concat(),
            |_| {},
            |mount| {
                let file = fs::File::options().read(true).write(true).open(mount.at("swap/a")).unwrap();
                let size = 1 << 20;
                file.write_all_at(&vec![7; size as usize], 0).unwrap();
                let (punch, keep) =
                    (FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, FallocateFlags::KEEP_SIZE);
                let full = file.metadata().unwrap().blocks();
                fallocate(&file, punch, size / 2, size * 4).unwrap();
                assert!(file.metadata().unwrap().blocks() < full);
                let mut half = vec![1; size as usize / 2];
                file.read_exact_at(&mut half, size / 2).unwrap();
                assert!(half.iter().all(|byte| *byte == 0));
                file.read_exact_at(&mut half, 0).unwrap();
                assert!(half.iter().all(|byte| *byte == 7));
                // Wholly past the end there is nothing to do; and the file stays as large as it is.
                fallocate(&file, punch, size * 2, size).unwrap();
                fallocate(&file, FallocateFlags::ZERO_RANGE | keep, size / 4, size * 2).unwrap();
                // (The compressed store reserves nothing at all.)
                match fallocate(&file, keep, 0, size * 2) {
                    Ok(()) => {}
                    Err(error) => assert!(store.contains(&"compressed"), "{error}"),
                }
                assert_eq!(
                    errno(fallocate(&file, FallocateFlags::ZERO_RANGE, 0, size * 2).map_err(Into::into)),
                    ENOSPC
                );
                assert_eq!(
                    errno(fallocate(&file, FallocateFlags::empty(), 0, size * 2).map_err(Into::into)),
                    ENOSPC
                );
                assert_eq!(file.metadata().unwrap().len(), size);
            },
        );
    }
}

#[test]
fn names_of_swap_files_may_be_as_long_as_names_of_files() {
    for store in STORES {
        with_mount(
            &[&["--swap", "a:1M"], store].concat(),
            |_| {},
            |mount| {
                for len in [242, 249, 250, 255] {
                    let name = "n".repeat(len);
                    let added =
                        finish(program().args(["swap", "add"]).arg(mount.point()).args([&name, "1M"]));
                    assert!(added.status.success(), "{len}: {}", complaint(&added));
                    fs::File::options()
                        .write(true)
                        .open(mount.at("swap").join(name))
                        .unwrap()
                        .write_all_at(b"x", 0)
                        .unwrap();
                }
            },
        );
    }
}

#[test]
fn df_shows_the_room_that_there_is() {
    if !can_mount() || !rustix::process::geteuid().is_root() {
        return;
    }
    let mount = Mount::scratch();
    fs::write(mount.source().join("f"), vec![1; 5 << 20]).unwrap();
    let store = mount.scratch_path().join("store");
    fs::create_dir(&store).unwrap();
    let on = |verb: &[&str]| {
        assert!(finish(std::process::Command::new(verb[0]).args(&verb[1..]).arg(&store)).status.success())
    };
    on(&["mount", "-t", "tmpfs", "-o", "size=4M", "none"]);
    mount.start(&["--swap", "a:64M", "--swap-store", "@/store", "--images", "@/source"]);
    assert!(free(&mount.at("swap")) <= 4 << 20);
    let file = fs::File::options().write(true).open(mount.at("swap/a")).unwrap();
    let written = (0..16).take_while(|n| file.write_all_at(&vec![1; 1 << 20], n << 20).is_ok()).count();
    assert!(written < 5 && free(&mount.at("swap")) < 1 << 20, "{written}");
    // Of images: the source's file system, with no room.
    assert_eq!(total(&mount.at("images")), total(&mount.source()));
    assert_eq!((free(&mount.at("images")), free(&mount.at("images/source"))), (0, 0));
    drop(file);
    assert!(mount.unmount().status.success());
    on(&["umount"]);
    mount.start(&["--swap", "a:64M", "--swap-store", "compressed", "--swap-limit", "1M"]);
    assert_eq!(free(&mount.at("swap")), 1 << 20);
    assert!(mount.unmount().status.success());
}

#[test]
fn an_archive_whose_times_are_set_is_read_on() {
    let prepare = |mount: &Mount| {
        fs::write(mount.source().join("f"), vec![3; 100_000]).unwrap();
        let mut tar = std::process::Command::new("tar");
        tar.arg("-C").arg(mount.source()).arg("-cf").arg(mount.scratch_path().join("a")).arg(".");
        assert!(tar.status().unwrap().success());
    };
    with_mount(&["--image", "it=@/a", "--strict"], prepare, |mount| {
        let archive = mount.scratch_path().join("a");
        for option in ["-a", "-m", "-am"].into_iter().cycle().take(9) {
            let time = if option == "-a" { "now" } else { "2001-01-01" };
            assert!(
                std::process::Command::new("touch")
                    .args([option, "-d", time])
                    .arg(&archive)
                    .status()
                    .unwrap()
                    .success()
            );
            assert_eq!(fs::read(mount.at("images/it/f")).unwrap(), vec![3; 100_000], "{option}");
        }
        fs::File::options().write(true).open(&archive).unwrap().write_all_at(b"x", 600).unwrap();
        assert_eq!(errno(fs::read(mount.at("images/it/f"))), ESTALE);
    });
}

/// What RECIPES says of programs that want devices.
#[test]
fn a_root_of_images_gets_its_devices_by_a_mount_on_a_directory_of_its_own() {
    if !can_mount() || !rustix::process::geteuid().is_root() {
        return;
    }
    let mount = Mount::scratch();
    mount.start(&["--with-libs", "bash", "--image", "dev=@/source"]);
    let script = "set -e; mount --bind /dev mnt/images/dev; trap 'umount mnt/images/dev' EXIT; chroot mnt/images /usr/bin/bash -c 'echo x >/dev/null && echo done'";
    let mut command = std::process::Command::new("sh");
    let output = finish(command.args(["-c", script]).current_dir(mount.scratch_path()));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{}", complaint(&output));
    assert!(mount.unmount().status.success());
}
