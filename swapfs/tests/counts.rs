//! Counts against what the client itself did.

mod fixture;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use fixture::*;

const PAGES: u64 = 300;

fn pages(mount: &Mount) {
    fs::write(mount.source().join("f"), vec![5; PAGES as usize * 4096 + 100]).unwrap();
}

#[test]
fn in_strict_mode_each_read_of_a_page_is_one_read_counted() {
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let file = File::open(mount.at("images/source/f")).unwrap();
        let mut buffer = [0; 4096];
        for i in 0..PAGES {
            file.read_exact_at(&mut buffer, (i * 7919 % PAGES) * 4096).unwrap();
        }
        for _ in 0..50 {
            file.read_exact_at(&mut buffer, 0).unwrap();
        }
        assert_eq!(file.read_at(&mut buffer, PAGES * 4096).unwrap(), 100);
        let figures = mount.stats_of("images/source/f").figures;
        assert_eq!((figures.read_ops, figures.read_bytes), (PAGES + 51, (PAGES + 50) * 4096 + 100));
        assert_eq!((figures.read_distinct_blocks, figures.read_repeat_blocks), (PAGES + 1, 50));
        assert_eq!(figures.read_service.count, PAGES + 51);
    });
}

#[test]
fn in_strict_mode_a_fault_reads_one_page() {
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let script = "
import mmap, os, sys
m = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 0, prot=mmap.PROT_READ)
print(sum(m[i * 4096] for i in range(10, 20)))
";
        let path = mount.at("images/source/f");
        assert!(
            finish(std::process::Command::new("python3").arg("-c").arg(script).arg(path)).status.success()
        );
        let figures = mount.stats_of("images/source/f").figures;
        assert_eq!((figures.read_ops, figures.read_bytes), (10, 40960));
    });
}

#[test]
fn otherwise_the_page_cache_answers_the_second_time() {
    with_mount(&["--images", "@/source"], pages, |mount| {
        let read = || fs::read(mount.at("images/source/f")).unwrap().len() as u64;
        let bytes = read();
        let first = mount.stats_of("images/source/f").figures;
        assert_eq!(first.read_bytes, bytes);
        read();
        let second = mount.stats_of("images/source/f").figures;
        assert_eq!((second.read_bytes, second.open_ops), (bytes, 2));
        assert_eq!(mount.stats().counted_reads, "page-cache misses");
    });
}

#[test]
fn swap_files_count_what_their_clients_wrote_and_read() {
    with_mount(
        &["--swap", "a:1M", "b:1M", "--threads", "4"],
        |_| {},
        |mount| {
            std::thread::scope(|scope| {
                for n in 0..8u64 {
                    let name = if n % 2 == 0 { "swap/a" } else { "swap/b" };
                    let file = OpenOptions::new().read(true).write(true).open(mount.at(name)).unwrap();
                    scope.spawn(move || {
                        for i in 0..100 {
                            file.write_all_at(&[n as u8; 1000], n * 10_000 + i).unwrap();
                            file.read_exact_at(&mut [0; 500], n * 10_000 + i).unwrap();
                        }
                    });
                }
            });
            let total = mount.stats().total;
            assert_eq!((total.write_ops, total.write_bytes), (800, 800_000));
            assert_eq!((total.read_ops, total.read_bytes), (800, 400_000));
            assert_eq!(total.write_service.count, 800);
            assert_eq!(mount.stats_of("swap/a").figures.write_bytes, 400_000);
        },
    );
}

#[test]
fn the_command_prints_what_the_file_holds() {
    with_mount(&["--images", "@/source", "--swap", "s:64K"], pages, |mount| {
        fs::read(mount.at("images/source/f")).unwrap();
        let file = fs::read(mount.at(".swapfs/stats.json")).unwrap();
        let output = finish(program().args(["stat", "--json"]).arg(mount.point()));
        assert_eq!(String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&file));
        let value: serde_json::Value = serde_json::from_slice(&file).unwrap();
        assert_eq!(value["files"][0]["path"], "images/source/f");
        assert_eq!(value["total"]["read_bytes"], PAGES * 4096 + 100);
        let table = finish(program().arg("stat").arg(mount.point()).arg("images/source"));
        assert!(String::from_utf8_lossy(&table.stdout).contains("images/source/f"));
        let metrics = fs::read_to_string(mount.at(".swapfs/metrics")).unwrap();
        assert!(metrics.ends_with("# EOF\n") && metrics.contains("images/source/f"));
    });
}

#[test]
fn waits_are_what_the_throttle_ordered() {
    with_mount(
        &["--swap", "s:1M", "--write-latency", "20ms"],
        |_| {},
        |mount| {
            let file = OpenOptions::new().write(true).open(mount.at("swap/s")).unwrap();
            for i in 0..5 {
                file.write_all_at(&[1; 4096], i * 4096).unwrap();
            }
            let figures = mount.stats_of("swap/s").figures;
            assert_eq!(figures.write_wait.count, 5);
            let least = 5 * (20 - 1) * 1_000_000;
            assert!(figures.write_wait_ns + figures.write_service_ns >= least, "{figures:?}");
            assert_eq!(figures.read_wait.count, 0);
        },
    );
}

#[test]
fn a_hundred_waiting_requests_do_not_hold_up_an_unthrottled_one() {
    with_mount(
        &["--swap", "s:1M", "--write-latency", "3s"],
        |_| {},
        |mount| {
            let began = std::time::Instant::now();
            let writers: Vec<_> = (0..100)
                .map(|i| {
                    let file = OpenOptions::new().write(true).open(mount.at("swap/s")).unwrap();
                    std::thread::spawn(move || file.write_all_at(&[1; 4096], i * 4096).unwrap())
                })
                .collect();
            while mount.stats().waiting_requests < 100 && began.elapsed().as_secs() < 2 {
                std::thread::yield_now();
            }
            let file = File::open(mount.at("swap/s")).unwrap();
            file.read_exact_at(&mut [0; 4096], 0).unwrap();
            assert!(began.elapsed().as_secs_f64() < 3.0, "the read waited for the writes");
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            assert_eq!(mount.stats().waiting_requests, 0);
        },
    );
}

#[test]
fn faults_are_shown_reset_and_subtracted_as_all_counts_are() {
    with_mount(
        &["--swap", "s:1M", "--fault", "swap/s: eio=1"],
        |_| {},
        |mount| {
            let file = File::open(mount.at("swap/s")).unwrap();
            let fail =
                |times: usize| (0..times).for_each(|_| assert_eq!(errno(file.read_at(&mut [0; 4096], 0)), 5));
            let stat = |more: &[&str]| {
                let output = finish(program().arg("stat").arg(mount.point()).args(more));
                assert!(output.status.success(), "{}", complaint(&output));
                String::from_utf8(output.stdout).unwrap()
            };
            fail(3);
            assert!(stat(&[]).contains("faults made on purpose: 3 I/O errors"), "{}", stat(&[]));
            let metrics = fs::read_to_string(mount.at(".swapfs/metrics")).unwrap();
            assert!(metrics.contains("swapfs_faults_made_total{kind=\"eio\"} 3\n"), "{metrics}");
            let saved = mount.scratch_path().join("before.json");
            fs::write(&saved, stat(&["--json"])).unwrap();
            fail(2);
            assert!(stat(&["--since", saved.to_str().unwrap()]).contains("purpose: 2 I/O errors"));
            stat(&["--reset"]);
            assert_eq!(mount.stats().faults, Default::default());
            fail(1);
            assert_eq!(mount.stats().faults.eio, 1);
        },
    );
}

#[test]
fn hints_say_in_words_what_counts_mean() {
    with_mount(
        &["--swap", "s:1M", "--swap-store", "compressed"],
        |_| {},
        |mount| {
            let file = OpenOptions::new().read(true).write(true).open(mount.at("swap/s")).unwrap();
            file.write_all_at(&[7; 1 << 20], 0).unwrap();
            for page in 0..100 {
                file.read_exact_at(&mut [0; 4096], page % 40 * 4096).unwrap();
            }
            let output = finish(program().arg("stat").arg(mount.point()));
            let told = String::from_utf8(output.stdout).unwrap();
            assert!(told.contains("swap/s: each block came back 2.5 x (240.0K again)"), "{told}");
            assert!(told.contains("swap/s: 1.0M of data kept in 12.0K"), "{told}");
            let file = mount.stats_of("swap/s");
            assert_eq!(
                (file.reads_per_block, file.readahead_share, file.data_bytes),
                (2.5, 0.0, Some(1 << 20))
            );
        },
    );
}
