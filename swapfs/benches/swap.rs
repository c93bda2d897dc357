//! What a page of a swap file costs its reader: a plain file, and swap files by transport and by store.
//! `cargo bench -p swapfs --bench swap [-- --rounds 5 --time-ms 300]`, as root, with
//! `/sys/module/fuse/parameters/enable_uring` on for all rows.
//!
//! Random reads of 4 KiB by 1, 2 and 4 threads. All are mounted at once and take turns; shown are medians of
//! the rounds. The plain file is in the page cache. Half of the pages compress to nothing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SWAP_BYTES: u64 = 64 << 20;
const PAGE_BYTES: u64 = 4096;
const CLIENTS: [u64; 3] = [1, 2, 4];

/// A file to be read, and the daemon that serves it.
struct Row {
    name: String,
    file: PathBuf,
    mounted: Option<(PathBuf, u32)>,
    /// By number of clients, by round.
    turns: [Vec<Turn>; CLIENTS.len()],
}

/// One turn's figures, in microseconds.
#[derive(Clone, Copy)]
struct Turn {
    median: f64,
    p99: f64,
    /// The daemon's processor time for a page.
    processor: f64,
}

fn main() {
    // `cargo test --all-targets` starts benches too, without this argument: nothing to be checked then.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let words: Vec<String> = std::env::args().collect();
    let value = |name: &str, usual: u64| {
        let at = words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
        at.map_or(usual, |text| text.parse().expect("a number"))
    };
    let (rounds, time) = (value("--rounds", 5), Duration::from_millis(value("--time-ms", 300)));
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let mut rows = vec![plain(scratch.path())];
    for store in ["memory", "compressed"] {
        for transport in ["fuser", "uring"] {
            match served(scratch.path(), store, transport) {
                Ok(row) => rows.push(row),
                Err(why) => println!("{store}, {transport}: missing: {why}"),
            }
        }
    }
    for round in 0..rounds {
        for (at, clients) in CLIENTS.iter().enumerate() {
            for row in &mut rows {
                std::thread::sleep(Duration::from_millis(20));
                let turn = turn(row, *clients, time, round);
                row.turns[at].push(turn);
            }
        }
    }
    print(&rows);
    rows.iter().filter_map(|row| row.mounted.as_ref()).for_each(|(point, _)| unmount(point));
}

fn contents() -> Vec<u8> {
    let mut bytes = vec![0; SWAP_BYTES as usize];
    for (number, page) in
        bytes.chunks_mut(PAGE_BYTES as usize).enumerate().filter(|(number, _)| number % 2 == 0)
    {
        for (at, byte) in page.iter_mut().enumerate() {
            *byte = ((number * 4096 + at).wrapping_mul(2_654_435_761) >> 13) as u8;
        }
    }
    bytes
}

fn plain(scratch: &Path) -> Row {
    let file = scratch.join("plain");
    fs::write(&file, contents()).expect("a plain file");
    Row { name: "plain file".to_owned(), file, mounted: None, turns: Default::default() }
}

fn served(scratch: &Path, store: &str, transport: &str) -> Result<Row, String> {
    let point = scratch.join(format!("{store}-{transport}"));
    fs::create_dir(&point).map_err(|error| error.to_string())?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_swapfs"));
    command
        .args(["mount", "--daemon", "--transport", transport, "--swap-store", store, "--swap", "s:64M"])
        .arg(&point);
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let file = point.join("swap/s");
    let swap = File::options().write(true).open(&file).map_err(|error| error.to_string())?;
    swap.write_all_at(&contents(), 0).map_err(|error| error.to_string())?;
    let text = fs::read(point.join(".swapfs/stats.json")).map_err(|error| error.to_string())?;
    let stats: serde_json::Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let pid = stats["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).ok_or("no pid")?;
    let name = format!("{store}, {transport}");
    Ok(Row { name, file, mounted: Some((point, pid)), turns: Default::default() })
}

fn unmount(point: &Path) {
    let _ = Command::new(env!("CARGO_BIN_EXE_swapfs")).arg("unmount").arg(point).status();
}

/// How long the threads of a process have run, all together, in microseconds.
fn processor_us(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the daemon's threads").flatten();
    let times = tasks.map(|task| fs::read_to_string(task.path().join("schedstat")).unwrap_or_default());
    times.map(|text| text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0)).sum::<f64>()
        / 1e3
}

fn turn(row: &Row, clients: u64, time: Duration, round: u64) -> Turn {
    let spent = || row.mounted.as_ref().map_or(0.0, |(_, pid)| processor_us(*pid));
    let before = spent();
    let mut took: Vec<f64> = std::thread::scope(|scope| {
        let client = |number| scope.spawn(move || reads(&row.file, time, round * 100 + number));
        let all: Vec<_> = (0..clients).map(client).collect();
        all.into_iter().flat_map(|client| client.join().expect("a client ends")).collect()
    });
    let processor = (spent() - before) / took.len() as f64;
    took.sort_by(f64::total_cmp);
    Turn { median: took[took.len() / 2], p99: took[took.len() * 99 / 100], processor }
}

/// How long each of the reads took, in microseconds.
fn reads(path: &Path, time: Duration, seed: u64) -> Vec<f64> {
    let file = File::open(path).expect("a file");
    let (mut state, mut took, mut page) = (seed, Vec::new(), [0; PAGE_BYTES as usize]);
    let began = Instant::now();
    let mut before = Duration::ZERO;
    while before < time {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        file.read_exact_at(&mut page, (state >> 33) % (SWAP_BYTES / PAGE_BYTES) * PAGE_BYTES)
            .expect("a page");
        let after = began.elapsed();
        took.push((after - before).as_secs_f64() * 1e6);
        before = after;
    }
    took
}

fn print(rows: &[Row]) {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("us for a page of 4 KiB; load average {}\n", load.trim());
    println!("| file | clients | p50 | p99 | daemon's processor time |\n|---|---|---|---|---|");
    for row in rows {
        for (clients, turns) in CLIENTS.iter().zip(&row.turns) {
            let median = |figure: fn(&Turn) -> f64| {
                let mut all: Vec<f64> = turns.iter().map(figure).collect();
                all.sort_by(f64::total_cmp);
                all[all.len() / 2]
            };
            let (p50, p99, processor) = (median(|t| t.median), median(|t| t.p99), median(|t| t.processor));
            println!("| {} | {clients} | {p50:.1} | {p99:.1} | {processor:.1} |", row.name);
        }
    }
}
