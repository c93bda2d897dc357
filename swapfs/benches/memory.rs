//! What does a daemon keep in memory for what its clients did?  `cargo bench -p swapfs --bench memory`
//!
//! Prints its resident memory (VmRSS) after each step, on a mount of its own: files read and closed again,
//! files held open, inodes walked, and the same after the kernel was made to forget them (root:
//! `drop_caches`). Takes 1.2 million files in the folder for temporary files; `TMPDIR=/dev/shm` makes them fast.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const READ: [usize; 4] = [1, 100, 10_000, 100_000];
const OPEN: usize = 10_000;
const WALKED: usize = 1_000_000;
const IN_A_DIRECTORY: usize = 1000;

struct Mount {
    scratch: tempfile::TempDir,
    pid: u64,
}

impl Mount {
    /// Shows so many files.
    fn of(files: usize, bytes: usize) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (point, source) = (scratch.path().join("mnt"), scratch.path().join("source"));
        fs::create_dir(&point).expect("a mount point");
        for n in 0..files {
            let path = place(&source, n);
            if n % IN_A_DIRECTORY == 0 {
                fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
            }
            fs::write(path, vec![1; bytes]).expect("a file");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_swapfs"));
        command.args(["mount", "--daemon", "--images"]).arg(source.join("")).arg(&point);
        assert!(command.status().expect("swapfs starts").success(), "the mount fails");
        let stats = fs::read_to_string(point.join(".swapfs/stats.json")).expect("the counts");
        let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
        Mount { scratch, pid: stats["pid"].as_u64().expect("a process") }
    }

    fn file(&self, n: usize) -> PathBuf {
        place(&self.scratch.path().join("mnt/images"), n)
    }

    fn tell(&self, what: &str) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("the daemon");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        let kib: f64 = line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("KiB");
        println!("| {what} | {:.1} |", kib / 1024.0);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new(env!("CARGO_BIN_EXE_swapfs"))
            .arg("unmount")
            .arg(self.scratch.path().join("mnt"))
            .status();
    }
}

fn place(top: &Path, n: usize) -> PathBuf {
    top.join(format!("d{}/f{n}", n / IN_A_DIRECTORY))
}

fn forget() {
    fs::write("/proc/sys/vm/drop_caches", "2").expect("root can have the kernel forget inodes");
    std::thread::sleep(std::time::Duration::from_secs(2));
}

fn main() {
    println!("| step | MiB |\n|---|---|");
    let mount = Mount::of(READ[READ.len() - 1], 10_000);
    mount.tell("mounted");
    for count in READ {
        (0..count).for_each(|n| drop(fs::read(mount.file(n)).expect("a file is read")));
        mount.tell(&format!("{count} files read, one after the other"));
    }
    forget();
    mount.tell("forgotten by the kernel");
    let open: Vec<File> = (0..OPEN).map(|n| File::open(mount.file(n)).expect("a file opens")).collect();
    mount.tell(&format!("{OPEN} files open"));
    drop(open);
    forget();
    mount.tell("closed and forgotten");
    drop(mount);
    let mount = Mount::of(WALKED, 0);
    mount.tell("mounted anew");
    for turn in 1..=3 {
        (0..WALKED)
            .for_each(|n| assert!(fs::symlink_metadata(mount.file(n)).is_ok_and(|file| file.is_file())));
        mount.tell(&format!("{WALKED} inodes walked, turn {turn}"));
        forget();
        mount.tell("forgotten by the kernel");
    }
}
