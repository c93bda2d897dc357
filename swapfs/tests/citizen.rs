//! Being a good citizen of the system: ordinary users, memory, what others start us by.

mod fixture;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Output};

use fixture::*;

/// Runs swapfs as the user `nobody`, who need not be able to reach the program's file.
fn as_nobody(arguments: &[&str]) -> Output {
    let file = File::open(env!("CARGO_BIN_EXE_swapfs")).unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let script = "
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.execve(int(sys.argv[1]), ['swapfs'] + sys.argv[2:], dict(os.environ))
";
    let fd = file.as_raw_fd().to_string();
    finish(Command::new("python3").args(["-c", script, &fd]).args(arguments))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn memory_is_locked_or_the_mount_refused_where_that_was_asked_for() {
    if !is_root() {
        return;
    }
    with_mount(
        &["--swap", "s:1M", "--lock-memory"],
        |_| {},
        |mount| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", mount.stats().pid)).unwrap();
            let locked = status.lines().find(|line| line.starts_with("VmLck:")).unwrap();
            assert!(!locked.contains(" 0 kB"), "{locked}");
        },
    );
    let refused = as_nobody(&["mount", "--swap", "s:1M", "--lock-memory", "/tmp"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("CAP_IPC_LOCK"), "{}", complaint(&refused));
}

/// Through fusermount3, at a place that is the user's own. In a mount namespace of its own, with a /dev/fuse that is open to all, as udev
/// makes it, below a directory that all may enter.
#[test]
fn an_ordinary_user_mounts_and_unmounts() {
    if !is_root() || !can_mount() {
        return;
    }
    let script = r#"
set -e
trap 'umount -lq "$1/mnt" || true' EXIT
mount -t tmpfs -o mode=755 none "$1"
mknod -m 666 "$1/fuse" c 10 229
mount --bind "$1/fuse" /dev/fuse
cp "$2" "$1/swapfs"
mkdir "$1/mnt"
chown 65534:65534 "$1/mnt"
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
nobody "$1/swapfs" mount --daemon --swap s:1M --images /bin/ls -- "$1/mnt"
nobody "$1/mnt/images/ls" "$1/mnt/swap"
nobody "$1/swapfs" stat "$1/mnt" | grep -o swap/s || true
ls "$1/mnt" 2>&1 | grep -o 'Permission denied'
nobody "$1/swapfs" unmount "$1/mnt"
grep -c "$1/mnt" /proc/self/mounts || true
"#;
    // The mount is private, but the directory must not be below one that is closed to others.
    let scratch = tempfile::Builder::new().prefix("swapfs-test").tempdir_in("/tmp").unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(scratch.path()).arg(env!("CARGO_BIN_EXE_swapfs"));
    let output = finish(&mut command);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "s\nPermission denied\n0\n", "{}", complaint(&output));
    assert!(output.status.success());
}
