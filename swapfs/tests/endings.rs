//! How daemons begin and end: what they keep of their caller, who can keep them alive, what two of them do at
//! one place.
//!
//! Assumes root for other mount namespaces (else those tests pass without a look), util-linux and coreutils.

mod fixture;

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fixture::*;

const EFBIG: i32 = 27;

fn sh(mount: &Mount, script: &str) -> Output {
    finish(
        Command::new("bash")
            .args(["-c", script, "bash", env!("CARGO_BIN_EXE_swapfs")])
            .current_dir(mount.scratch_path()),
    )
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

/// A process in a mount namespace of its own, whose copies of mounts stay whatever becomes of ours.
struct Copy(Child);

impl Copy {
    fn start(mount: &Mount, script: &str) -> Copy {
        let seen = mount.scratch_path().join("copied");
        let script = format!("{script} touch copied; exec sleep 120");
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .current_dir(mount.scratch_path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until(|| seen.exists());
        fs::remove_file(seen).unwrap();
        Copy(child)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn can_unshare() -> bool {
    can_mount() && rustix::process::geteuid().is_root()
}

#[test]
fn a_copy_of_the_mount_elsewhere_keeps_neither_the_daemon_nor_the_store() {
    if !can_unshare() {
        return;
    }
    let arguments = ["--swap", "a:1M", "--swap-store", "@/source"];
    for holds_open in ["", "exec 8<mnt/swap/a;"] {
        for way in ["unmount", "SIGTERM"] {
            let mount = Mount::scratch();
            mount.start(&arguments);
            let daemon = mount.stats().pid;
            let _copy = Copy::start(&mount, holds_open);
            let began = Instant::now();
            match way {
                "unmount" => assert!(mount.unmount().status.success()),
                _ => assert!(Command::new("kill").arg(daemon.to_string()).status().unwrap().success()),
            }
            wait_until(|| !is_alive(daemon) && !mount.is_mounted());
            assert!(began.elapsed() < Duration::from_secs(5), "{way} {holds_open}: {:?}", began.elapsed());
            mount.start(&arguments);
            assert!(mount.unmount().status.success());
        }
    }
}

#[test]
fn taking_a_copy_away_leaves_the_mount() {
    if !can_unshare() {
        return;
    }
    let mount = Mount::scratch();
    mount.start(&["--swap", "a:1M"]);
    let daemon = mount.stats().pid;
    let script = "unshare --mount --propagation private \"$1\" unmount mnt && mkdir other && mount --bind mnt other && \"$1\" unmount other";
    let output = sh(&mount, script);
    assert!(output.status.success(), "{}", complaint(&output));
    assert!(mount.is_mounted() && mount.stats().pid == daemon);
    assert!(mount.unmount().status.success());
    wait_until(|| !is_alive(daemon));
}

#[test]
fn a_daemon_says_that_it_serves_after_the_last_thing_that_can_fail() {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    let missing = mount.try_start(&["--swap", "a:1M", "--log", "@/no/such/folder/log"]);
    assert_eq!(missing.status.code(), Some(1), "{}", complaint(&missing));
    assert!(
        complaint(&missing).contains("no/such/folder/log") && !mount.is_mounted(),
        "{}",
        complaint(&missing)
    );
    // From no room for anything to room for all of it: whatever it comes to, what is said is what is.
    let mut outcomes = [0; 2];
    for kib in (0..20).map(|step| (20_000.0 * 1.3f64.powi(step)) as u64) {
        let script = format!("ulimit -v {kib}; exec \"$1\" mount --daemon --threads 6 --swap a:1M mnt");
        let started = sh(&mount, &script);
        let serves = mount.is_mounted() && fs::metadata(mount.at("swap/a")).is_ok();
        assert_eq!(started.status.success(), serves, "{kib} KiB: {}", complaint(&started));
        outcomes[usize::from(serves)] += 1;
        if mount.is_mounted() {
            assert!(mount.unmount().status.success());
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

#[test]
fn a_daemon_keeps_nothing_that_its_caller_had_open() {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    let script = "exec 9>lock; flock -n 9 || exit 3; mkfifo pipe; cat <pipe >read 9>&- & exec 7>pipe; \
        \"$1\" mount --daemon --swap a:1M mnt || exit 4; exec 7>&- 9>&-; flock -n lock true || exit 5; wait";
    let output = sh(&mount, script);
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    let daemon = mount.stats().pid;
    let open: Vec<_> = fs::read_dir(format!("/proc/{daemon}/fd"))
        .unwrap()
        .map(|fd| fs::read_link(fd.unwrap().path()).unwrap())
        .collect();
    assert!(open.iter().all(|path| !path.starts_with(mount.scratch_path())), "{open:?}");
    assert!(mount.unmount().status.success());
}

#[test]
fn signals_that_come_together_are_one_wish_to_end() {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    mount.start(&["--swap", "a:1M"]);
    let script = "timeout 2 \"$1\" trace mnt --out out.csv & sleep 1; dd if=/dev/zero of=mnt/swap/a bs=4096 count=9 conv=notrunc; wait $!";
    let output = sh(&mount, script);
    assert_eq!(output.status.code(), Some(124), "{}", complaint(&output));
    let lines = fs::read_to_string(mount.scratch_path().join("out.csv")).unwrap();
    assert_eq!(lines.lines().filter(|line| line.contains(",write,")).count(), 9, "{lines}");
    assert!(complaint(&output).contains("requests recorded"), "{}", complaint(&output));
    assert!(mount.unmount().status.success());
    let script = "timeout --preserve-status 1 \"$1\" mount --swap a:1M mnt";
    let output = sh(&mount, script);
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    assert!(!mount.is_mounted());
}

#[test]
fn a_limit_on_file_sizes_fails_writes_and_ends_no_daemon() {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    let arguments = ["--swap", "a:1M", "--swap-store", "@/source"];
    mount.start(&arguments);
    assert!(mount.unmount().status.success());
    let limited = sh(&mount, "ulimit -f 64; exec \"$1\" mount --daemon --swap a:1M --swap-store source mnt");
    assert!(limited.status.success(), "{}", complaint(&limited));
    let file = fs::File::options().read(true).write(true).open(mount.at("swap/a")).unwrap();
    let write = |at: u64| std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], at);
    write(0).unwrap();
    assert_eq!(errno(write(512 << 10)), EFBIG);
    assert_eq!(errno(file.set_len(2 << 20)), EFBIG);
    write(4096).unwrap();
    drop(file);
    assert!(mount.unmount().status.success());
    // What is told is the cause, where nothing can be mounted so.
    for store in ["memory", "source"] {
        let script = format!("ulimit -f 64; exec \"$1\" mount --daemon --swap b:1M --swap-store {store} mnt");
        let refused = sh(&mount, &script);
        assert_eq!(refused.status.code(), Some(1), "{}", complaint(&refused));
        assert!(complaint(&refused).contains("File too large"), "{}", complaint(&refused));
    }
    // A recording that does not fit says so, and is no less than what fits.
    mount.start(&["--swap", "a:1M"]);
    let script = "(ulimit -f 1; timeout 2 \"$1\" trace mnt --follow --out small.csv; echo $? >code) & sleep 1; \
        dd if=/dev/zero of=mnt/swap/a bs=4096 count=99 conv=notrunc; wait";
    let output = sh(&mount, script);
    assert_eq!(
        fs::read_to_string(mount.scratch_path().join("code")).unwrap().trim(),
        "1",
        "{}",
        complaint(&output)
    );
    assert!(complaint(&output).contains("File too large"), "{}", complaint(&output));
    assert!(mount.unmount().status.success());
}

#[test]
fn of_mounts_that_start_together_one_gets_the_place() {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    for _ in 0..4 {
        let start = || {
            let mut command = program();
            command.args(["mount", "--daemon", "--swap", "a:1M"]).arg(mount.point());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let started: Vec<Child> = (0..6).map(|_| start()).collect();
        let ended: Vec<Output> = started.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let said: Vec<String> = ended.iter().map(complaint).collect();
        assert_eq!(ended.iter().filter(|output| output.status.success()).count(), 1, "{said:?}");
        assert_eq!(said.iter().filter(|said| said.contains("is already mounted")).count(), 5, "{said:?}");
        let here =
            |entry: &&swapfs::mountinfo::MountEntry| entry.path == mount.point().canonicalize().unwrap();
        assert_eq!(swapfs::mountinfo::current().iter().filter(here).count(), 1);
        assert!(mount.unmount().status.success() && !mount.is_mounted());
    }
}

#[test]
fn a_mount_right_after_umount_gets_the_store() {
    if !can_unshare() {
        return;
    }
    let mount = Mount::scratch();
    for turn in 0..15 {
        mount.start(&["--swap", "a:64M", "--swap-store", "@/source"]);
        // By a process of its own: what this one opens a child of another test has, too, from its fork until
        // it runs its program, and the mount would be busy as long.
        let mut writer = Command::new("dd");
        writer.arg("if=/dev/urandom").arg(format!("of={}", mount.at("swap/a").display()));
        let written = finish(writer.args(["bs=1M", "count=4", "conv=notrunc", "status=none"]));
        assert!(written.status.success(), "{}", complaint(&written));
        let gone = finish(Command::new("umount").arg(mount.point()));
        assert!(gone.status.success(), "turn {turn}: {}", complaint(&gone));
    }
    // One that stays in use is told of.
    mount.start(&["--swap", "a:64M", "--swap-store", "@/source"]);
    let other = mount.scratch_path().join("other");
    fs::create_dir(&other).unwrap();
    let refused = finish(
        program()
            .args(["mount", "--daemon", "--swap", "a:64M", "--swap-store"])
            .arg(mount.source())
            .arg(&other),
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("in use by another swapfs"), "{}", complaint(&refused));
    assert!(mount.unmount().status.success());
}

#[test]
fn umount_is_unmount() {
    if !can_mount() {
        return;
    }
    let mount = Mount::scratch();
    mount.start(&["--swap", "a:1M"]);
    let ended = finish(program().arg("umount").arg(mount.point()));
    assert!(ended.status.success() && !mount.is_mounted(), "{}", complaint(&ended));
}

/// As mount(8) calls its helper for lines of fstab with these options.
#[test]
fn flags_of_fstab_hold() {
    if !can_unshare() {
        return;
    }
    let mount = Mount::scratch();
    fs::copy("/bin/true", mount.source().join("true")).unwrap();
    let helper = mount.scratch_path().join("mount.fuse.swapfs");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_swapfs"), &helper).unwrap();
    let call = |options: &str| {
        finish(Command::new(&helper).arg(mount.source()).arg(mount.point()).args(["-o", options]))
    };
    let shown = || {
        let output = finish(Command::new("findmnt").args(["-no", "OPTIONS"]).arg(mount.point()));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let runs = || finish_or_error(Command::new(mount.at("images/source/true")).arg("--version"));
    for (options, held, program_runs) in [
        ("rw,noexec,nosuid,nodev,user", "noexec", false),
        ("rw,noexec,nosuid,nodev,users,exec", "", true),
        ("rw,sync,dirsync,noatime", "sync,dirsync,noatime", true),
        ("rw,lazytime,nodiratime,nosymfollow", "lazytime,nodiratime,nosymfollow", true),
        (
            "defaults,nofail,_netdev,group,owner,silent,mand,iversion,strictatime,x-systemd.automount,X-mount.mkdir,comment=x",
            "",
            true,
        ),
    ] {
        let mounted = call(options);
        assert!(mounted.status.success(), "{options}: {}", complaint(&mounted));
        let shown = shown();
        for flag in held.split(',').filter(|flag| !flag.is_empty()) {
            assert!(shown.split(',').any(|known| known == flag), "{options}: {shown}");
        }
        assert_eq!(runs(), program_runs, "{options}");
        assert!(mount.unmount().status.success());
    }
    for (options, words) in [
        ("ro", "read-only in any case"),
        ("remount,noexec", "unmount and mount again"),
        ("noexce", "unknown option"),
    ] {
        let refused = call(options);
        assert_eq!(refused.status.code(), Some(1), "{options}");
        assert!(complaint(&refused).contains(words), "{options}: {}", complaint(&refused));
    }
}

fn finish_or_error(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
