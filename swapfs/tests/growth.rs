//! What a daemon keeps for what its clients did: bounds that are stated (docs/SEMANTICS.md), kept and shown,
//! with sums that stay true.

mod fixture;

use std::fs;
use std::path::Path;

use fixture::*;

/// Resident memory of a process, in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// So many files of three blocks each, in directories of a thousand.
fn make_files(top: &Path, count: usize) {
    for n in 0..count {
        if n % 1000 == 0 {
            fs::create_dir(top.join(format!("d{}", n / 1000))).unwrap();
        }
        fs::write(top.join(format!("d{}/f{n}", n / 1000)), vec![1; 10_000]).unwrap();
    }
}

fn read_files(top: &Path, count: usize) {
    for n in 0..count {
        assert_eq!(fs::read(top.join(format!("d{}/f{n}", n / 1000))).unwrap().len(), 10_000);
    }
}

fn forget_all_inodes() {
    // Also what other tests have cached, which only slows them.
    let _ = fs::write("/proc/sys/vm/drop_caches", "2");
}

#[test]
fn files_beyond_the_bound_are_counted_in_one_row_and_sums_are_exact() {
    let count = if is_full() { 100_000 } else { 4000 };
    let prepare = move |mount: &Mount| make_files(&mount.source(), count);
    with_mount(&["--images", "@/source/", "--strict", "--stats-files", "200"], prepare, move |mount| {
        read_files(&mount.at("images"), 200);
        let (pid, before) = (mount.stats().pid, resident_kib(mount.stats().pid));
        read_files(&mount.at("images"), count);
        let grown = resident_kib(pid).saturating_sub(before);
        let stats = mount.stats();
        let bytes = (count + 200) as u64 * 10_000;
        assert_eq!((stats.total.read_bytes, stats.total.open_ops), (bytes, count as u64 + 200));
        assert_eq!(stats.files.iter().map(|file| file.figures.read_bytes).sum::<u64>(), bytes);
        assert_eq!(stats.files.iter().map(|file| file.figures.open_ops).sum::<u64>(), count as u64 + 200);
        assert!(stats.files.len() <= 201 && stats.stats_files == 200, "{}", stats.files.len());
        assert!(stats.files.iter().any(|file| file.path == "(others)"));
        assert!(stats.folded_files as usize >= count - 200);
        let text = fs::read(mount.at(".swapfs/stats.json")).unwrap();
        assert!(text.len() < 1 << 20, "{} bytes", text.len());
        assert!(grown < 24 << 10, "{grown} KiB more for {count} files");
        // An open file has its row, and keeps it.
        let open = fs::File::open(mount.at("images/d0/f0")).unwrap();
        read_files(&mount.at("images"), 1000);
        assert!(mount.stats().files.iter().any(|file| file.path == "images/d0/f0"));
        let shown = finish(program().arg("stat").arg(mount.point()));
        assert!(String::from_utf8_lossy(&shown.stdout).contains("(others)"));
        // A reset drops the rows of all that is not open.
        assert!(finish(program().args(["stat", "--reset"]).arg(mount.point())).status.success());
        let stats = mount.stats();
        assert_eq!(stats.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["images/d0/f0"]);
        assert_eq!((stats.folded_files, stats.total.read_ops, stats.processes.len()), (0, 0, 0));
        drop(open);
        read_files(&mount.at("images"), 10);
        assert_eq!(mount.stats().total.read_bytes, 100_000);
    });
}

#[test]
fn inodes_that_the_kernel_forgets_are_forgotten_and_found_again_with_their_numbers() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    use std::os::unix::fs::MetadataExt;
    let count = if is_full() { 1_000_000 } else { 20_000 };
    let prepare = move |mount: &Mount| {
        fs::create_dir(mount.source().join("d")).unwrap();
        (0..count).for_each(|n| drop(fs::File::create(mount.source().join(format!("d/{n}"))).unwrap()));
    };
    with_mount(&["--images", "@/source/"], prepare, move |mount| {
        let pid = mount.stats().pid;
        let numbers = || -> Vec<u64> {
            (0..count)
                .step_by(97)
                .map(|n| fs::metadata(mount.at(&format!("images/d/{n}"))).unwrap().ino())
                .collect()
        };
        let walk = || {
            fs::read_dir(mount.at("images/d"))
                .unwrap()
                .map(|entry| entry.unwrap().metadata().unwrap().ino())
                .max()
        };
        let (first, before) = (numbers(), resident_kib(pid));
        walk();
        let walked = resident_kib(pid);
        eprintln!("{count} inodes walked: {} KiB more", walked.saturating_sub(before));
        assert!(
            walked.saturating_sub(before) < 8192 + count,
            "at most a KiB each while the kernel knows them"
        );
        for _ in 0..3 {
            forget_all_inodes();
            walk();
        }
        forget_all_inodes();
        let same = numbers().iter().zip(&first).filter(|(a, b)| a == b).count();
        assert!(same * 100 >= first.len() * 99, "{same} of {} have the number that they had", first.len());
        // What the allocator keeps comes on top: as much as one walk took at most, whichever threads served it.
        let most = before + 2 * walked.saturating_sub(before).max(8192);
        assert!(resident_kib(pid) < most, "{before}, {walked} and then {} KiB", resident_kib(pid));
    });
}

#[test]
fn a_thousand_open_files_are_a_thousand_rows_until_they_are_closed() {
    let count = if is_full() { 10_000 } else { 800 };
    let prepare = move |mount: &Mount| make_files(&mount.source(), count);
    with_mount(&["--images", "@/source/", "--stats-files", "50"], prepare, move |mount| {
        swapfs::process::raise_open_files();
        let (pid, before) = (mount.stats().pid, resident_kib(mount.stats().pid));
        let open = |n: usize| fs::File::open(mount.at(&format!("images/d{}/f{n}", n / 1000))).unwrap();
        let all: Vec<fs::File> = (0..count).map(open).collect();
        let stats = mount.stats();
        assert_eq!((stats.open_files, stats.files.len()), (count as u64, count));
        let grown = resident_kib(pid).saturating_sub(before);
        eprintln!("{count} open files: {grown} KiB");
        assert!(grown < 8192 + 8 * count as u64, "{grown} KiB");
        drop(all);
        wait_until(|| mount.stats().open_files == 0);
        // Those beyond the bound go when others come.
        (0..count).for_each(|n| drop(open(n)));
        (0..100).for_each(|n| drop(fs::write(mount.source().join(format!("more{n}")), "x")));
        (0..100).for_each(|n| drop(fs::File::open(mount.at(&format!("images/more{n}"))).unwrap()));
        assert!(mount.stats().files.len() <= 60, "{}", mount.stats().files.len());
        assert_eq!(mount.stats().total.open_ops, 2 * count as u64 + 100);
    });
}
