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

/// What a configuration file holds; `@` stands for the scratch directory.
fn configured(scratch: &Mount, text: &str) -> String {
    let file = scratch.scratch_path().join("s.toml");
    std::fs::write(&file, text.replace('@', scratch.scratch_path().to_str().unwrap())).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_configuration_file_says_what_flags_say_and_flags_win() {
    if !can_mount() {
        return;
    }
    let scratch = Mount::scratch();
    let text = "mountpoint = '@/mnt'\nswap = ['a:1M', 'b:1M']\nswap-store = '@/source'\nimages = '/bin/ls'\n\
        throttle = ['swap/*: bw=20M']\nstrict = true\nthreads = 3\n";
    let file = configured(&scratch, text);
    let started = finish(program().args(["mount", "--daemon", "--config", &file, "--threads", "5"]));
    assert!(started.status.success(), "{}", complaint(&started));
    let stats = scratch.stats();
    assert!(stats.strict);
    assert_eq!(stats.threads, 5, "what is typed wins");
    assert!(
        scratch.at("swap/a").exists() && scratch.at("swap/b").exists() && scratch.at("images/ls").exists()
    );
    assert!(scratch.source().join("a").exists());
    assert!(std::fs::read_to_string(scratch.at(".swapfs/throttle")).unwrap().contains("20M"));
    assert!(scratch.unmount().status.success());
    let started = finish(program().args(["mount", "--daemon", "--config", &file, "--swap", "c:1M"]));
    assert!(started.status.success(), "{}", complaint(&started));
    assert_eq!(
        std::fs::read_dir(scratch.at("swap")).unwrap().count(),
        1,
        "a list that is typed wins as a whole"
    );
    assert!(scratch.unmount().status.success());
    let line = ["mount", "--daemon", "--config", &file, "--without", "strict", "--without", "throttle"];
    let started = finish(program().args(line));
    assert!(started.status.success() && !scratch.stats().strict, "{}", complaint(&started));
    assert_eq!(std::fs::read_to_string(scratch.at(".swapfs/throttle")).unwrap(), "");
    let wrong = finish(program().args(["mount", "--config", &file, "--without", "threats"]));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(complaint(&wrong).contains("no such key"), "{}", complaint(&wrong));
}

#[test]
fn a_wrong_configuration_says_which_line() {
    let scratch = Mount::scratch();
    for (text, words) in [
        ("swap = 'a:1M'\n\nswop = 'b:1M'\n", &["line 3", "unknown key `swop`", "swap-store"][..]),
        ("swap = 'a:1M'\nthreads = 99\n", &["line 2", "--threads"]),
        ("\nswap = ['a:1M', 'b']\n", &["line 2", "NAME:SIZE"]),
        ("swap = 'a:1M'\nthrottle = 'swap/*: bw=fast'\n", &["line 2", "--throttle"]),
        ("swap = 'a:1M'\nswap-direct = true\n", &["line 2", "--swap-store DIR"]),
        ("swap = 'a:1M\n", &["line 1"]),
        ("config = 'x'\n", &["line 1", "unknown key"]),
    ] {
        let file = configured(&scratch, text);
        let refused = finish(program().args(["mount", "--config", &file]).arg(scratch.point()));
        assert_eq!(refused.status.code(), Some(2), "{text}");
        for word in words.iter().chain(&["s.toml"]) {
            assert!(complaint(&refused).contains(word), "`{word}` is not in: {}", complaint(&refused));
        }
    }
    let missing = finish(program().args(["mount", "--config", "/no/such.toml"]).arg(scratch.point()));
    assert!(complaint(&missing).contains("/no/such.toml"), "{}", complaint(&missing));
}

/// As mount(8) calls `/sbin/mount.fuse.swapfs`, from a line of fstab.
#[test]
fn the_mount_helper_mounts_from_a_line_of_fstab() {
    if !can_mount() {
        return;
    }
    let scratch = Mount::scratch();
    let helper = scratch.scratch_path().join("mount.fuse.swapfs");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_swapfs"), &helper).unwrap();
    let call = |source: &str, options: &str| {
        finish(Command::new(&helper).arg(source).arg(scratch.point()).args(["-n", "-o", options]))
    };
    let mounted = call("none", "rw,noauto,x-systemd.automount,swap=a:1M,swap=b:1M,threads=3");
    assert!(mounted.status.success(), "{}", complaint(&mounted));
    assert_eq!(std::fs::read_dir(scratch.at("swap")).unwrap().count(), 2);
    assert!(scratch.unmount().status.success());
    let file = configured(&scratch, "images = '/bin/ls'\nthrottle = 'images/**: bw=1M, iops=9'\n");
    let mounted = call(&file, "rw,strict");
    assert!(mounted.status.success() && scratch.stats().strict, "{}", complaint(&mounted));
    let again = call(&file, "rw");
    assert_eq!(again.status.code(), Some(32), "mount(8) knows this as a failed mount");
    assert!(scratch.unmount().status.success());
    let wrong = call("none", "swop=a:1M");
    assert_eq!(wrong.status.code(), Some(1), "and this as wrong usage");
    assert_eq!(complaint(&wrong).lines().count(), 1, "{}", complaint(&wrong));
}

/// The whole way, through mount(8) and libfuse's own helper, which looks for `swapfs` on a path of its own:
/// so in a mount namespace where it stands there.
#[test]
fn mount_minus_t_works() {
    if !is_root() || !can_mount() || !std::path::Path::new("/sbin/mount.fuse").exists() {
        return;
    }
    let script = r#"
set -e
trap 'umount -lq "$1" || true' EXIT
mount -t tmpfs none /usr/local/bin
cp "$2" /usr/local/bin/swapfs
mount -t fuse.swapfs -o swap=a:1M,noatime "$3" "$1"
echo "$1"/swap/* "$1"/images/*
findmnt -no SOURCE,FSTYPE "$1"
umount "$1"
grep -c "$1" /proc/self/mounts || true
"#;
    let scratch = Mount::scratch();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(scratch.point())
        .arg(env!("CARGO_BIN_EXE_swapfs"));
    let source = std::fs::canonicalize("/bin/ls").unwrap();
    let output = finish(command.arg(&source));
    let (point, source) = (scratch.point(), source.display());
    let expected = format!("{0}/swap/a {0}/images/ls\n{source} fuse.swapfs\n0\n", point.display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", complaint(&output));
    assert!(output.status.success());
}

/// systemd reads the unit without complaint, and is told when the mount serves.
#[test]
fn the_unit_is_one_and_its_manager_is_told() {
    if !can_mount() {
        return;
    }
    let scratch = Mount::scratch();
    let unit =
        include_str!("../dist/swapfs@.service").replace("/usr/bin/swapfs", env!("CARGO_BIN_EXE_swapfs"));
    let file = scratch.scratch_path().join("swapfs@.service");
    std::fs::write(&file, unit).unwrap();
    match Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&file).output() {
        Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{}", complaint(&output)),
        Err(_) => eprintln!("not verified: there is no systemd-analyze here"),
    }
    let manager = std::os::unix::net::UnixDatagram::bind(scratch.scratch_path().join("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = configured(&scratch, "mountpoint = '@/mnt'\nswap = 'a:1M'\n");
    let mut service = program();
    service.args(["mount", "--config", &config]).env("NOTIFY_SOCKET", scratch.scratch_path().join("notify"));
    let mut service = service.stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut message = [0; 64];
    let bytes = manager.recv(&mut message).unwrap();
    assert_eq!(message[..bytes].trim_ascii(), b"READY=1");
    assert!(scratch.at("swap/a").exists());
    assert!(scratch.unmount().status.success());
    assert!(service.wait().unwrap().success());
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

/// Through fusermount3, at a place that is the user's own. In a mount namespace of its own, with a /dev/fuse
/// that is open to all, as udev makes it, below a directory that all may enter.
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
nobody "$1/swapfs" mount --daemon --mount-flag lazytime --swap s:1M --images /bin/ls -- "$1/mnt" 2> "$1/said"
grep -o 'takes no `lazytime`' "$1/said"
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
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "takes no `lazytime`\ns\nPermission denied\n0\n",
        "{}",
        complaint(&output)
    );
    assert!(output.status.success());
}
