//! fio as a witness: it finds again what it wrote, and counts its own calls as swapfs counts them.

mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use fixture::*;

/// Four jobs of different length, so that none can be taken for another.
const JOBS: [u64; 4] = [200, 300, 400, 500];

fn fio(arguments: &[String]) -> Option<String> {
    let mut fio = Command::new("fio");
    if fio.arg("--version").output().is_err() {
        eprintln!("skipped: there is no fio here (apt-get install fio)");
        return None;
    }
    let output = finish_within(Command::new("fio").args(arguments), longest_test());
    assert!(output.status.success(), "{}", complaint(&output));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What each job did in one direction, and how often it waited for the disk, by fio's own report.
fn by_jobs(report: &str, direction: &str) -> (BTreeSet<(u64, u64)>, u64) {
    let report: serde_json::Value = serde_json::from_str(&report[report.find('{').unwrap()..]).unwrap();
    let jobs = report["jobs"].as_array().unwrap();
    let number = |job: &serde_json::Value, of: &str, name: &str| job[of][name].as_u64().unwrap();
    let done =
        jobs.iter().map(|job| (number(job, direction, "total_ios"), number(job, direction, "io_bytes")));
    (done.collect(), jobs.iter().map(|job| number(job, "sync", "total_ios")).sum())
}

/// Runs the jobs at once; `file` names the file of each.
fn run_jobs(how: &[&str], file: impl Fn(usize) -> String) -> Option<String> {
    let all = ["--ioengine=psync", "--bs=4k", "--invalidate=0", "--output-format=json", "--fallocate=none"];
    let mut arguments: Vec<String> = all.iter().chain(how).map(|text| (*text).to_owned()).collect();
    for (number, pages) in JOBS.into_iter().enumerate() {
        arguments.extend([format!("--name=job{number}"), format!("--filename={}", file(number))]);
        arguments.push(format!("--io_size={}", pages * 4096));
    }
    fio(&arguments)
}

fn wanted() -> BTreeSet<(u64, u64)> {
    JOBS.into_iter().map(|pages| (pages, pages * 4096)).collect()
}

#[test]
fn random_reads_are_counted_as_fio_counts_them() {
    let pages = |mount: &Mount| fs::write(mount.source().join("f"), vec![3; 512 * 4096]).unwrap();
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let file = mount.at("images/source/f").display().to_string();
        let Some(report) = run_jobs(&["--rw=randread", "--size=2M"], |_| file.clone()) else { return };
        let (jobs, _) = by_jobs(&report, "read");
        let stats = mount.stats();
        let ours = stats.processes.iter().filter(|process| process.figures.read_ops > 0);
        assert_eq!(
            ours.map(|process| (process.figures.read_ops, process.figures.read_bytes))
                .collect::<BTreeSet<_>>(),
            jobs
        );
        let total = &stats.files.iter().find(|file| file.path == "images/source/f").unwrap().figures;
        assert_eq!(
            (total.read_ops, total.read_bytes),
            jobs.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
        );
        assert_eq!((jobs, total.write_ops), (wanted(), 0));
    });
}

#[test]
fn random_writes_are_counted_as_fio_counts_them() {
    let nothing = |_: &Mount| {};
    with_mount(&["--swap", "s0:2M", "s1:2M", "s2:2M", "s3:2M", "--strict"], nothing, |mount| {
        let file = |number| mount.at("swap").join(format!("s{number}")).display().to_string();
        let Some(report) = run_jobs(&["--rw=randwrite", "--size=2M", "--fsync=50"], file) else { return };
        let (jobs, syncs) = by_jobs(&report, "write");
        let stats = mount.stats();
        let ours = stats.files.iter().filter(|file| file.path.starts_with("swap/"));
        assert_eq!(
            ours.map(|file| (file.figures.write_ops, file.figures.write_bytes)).collect::<BTreeSet<_>>(),
            jobs
        );
        let ours = stats.processes.iter().filter(|process| process.figures.write_ops > 0);
        assert_eq!(
            ours.map(|process| (process.figures.write_ops, process.figures.write_bytes))
                .collect::<BTreeSet<_>>(),
            jobs
        );
        assert_eq!((jobs, stats.total.read_ops), (wanted(), 0));
        assert_eq!(stats.total.sync_ops, syncs);
    });
}

/// What `fio` wrote with four jobs at once, each to its own swap file, it finds again.
#[test]
fn fio_finds_again_what_its_four_jobs_wrote() {
    let size = if is_full() { "64M" } else { "2M" };
    let swaps: Vec<String> = (0..4).map(|job| format!("fio.{job}.0:{size}")).collect();
    for kind in STORES {
        let swaps = swaps.iter().map(String::as_str);
        let arguments: Vec<&str> = ["--swap"].into_iter().chain(swaps).chain(kind.iter().copied()).collect();
        with_mount(
            &arguments,
            |_| {},
            move |mount| {
                let more = [format!("--directory={}", mount.at("swap").display()), format!("--size={size}")];
                let Some(_) = fio(&[VERIFY.map(str::to_owned).as_slice(), &more].concat()) else { return };
                let stats = mount.stats();
                let written = stats.files.iter().filter(|file| file.figures.write_bytes > 1 << 19).count();
                assert_eq!(written, 4, "{kind:?}: all four were used");
            },
        );
    }
}

const VERIFY: [&str; 14] = [
    "--name=fio",
    "--numjobs=4",
    "--rw=randrw",
    "--bsrange=512-64k",
    "--bs_unaligned",
    "--ioengine=psync",
    "--verify=crc32c",
    "--verify_fatal=1",
    "--verify_state_save=0",
    "--do_verify=1",
    "--fsync=64",
    "--refill_buffers",
    "--buffer_compress_percentage=50",
    "--output-format=terse",
];
