//! How exactly does the throttle give what was asked?
//! `cargo bench -p swapfs --bench accuracy -- [SECTION] [SECONDS]`
//!
//! Sections: `bandwidth`, `readahead`, `iops`, `latency`, `fairness`, `fit`; all without one. Ten seconds for
//! each row, through a real mount, as the clients see it: a rate is what was read until the last answer, a
//! latency the time that a read took. Prints the tables of docs/THROTTLE_ACCURACY.md.

#[path = "../src/throttle/goodness.rs"]
mod goodness;
mod throttled;

use std::time::{Duration, Instant};

use goodness::{distance, normal_below, refused_above};
use throttled::{Mount, PageCache, Read, off, read_together};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

/// What is asked for, of one file.
#[derive(Debug, Clone)]
struct Row {
    /// The setting of the rule.
    setting: String,
    /// Bytes or operations a second, or seconds of latency.
    asked: f64,
    size: usize,
    readers: usize,
}

/// Every combination of settings with sizes and numbers of readers.
fn rows(settings: &[(&str, f64)], sizes: &[usize]) -> Vec<Row> {
    let of = |(setting, asked): &(&str, f64)| {
        let row = |size, readers| Row { setting: (*setting).to_owned(), asked: *asked, size, readers };
        sizes.iter().flat_map(|size| [row(*size, 1), row(*size, 8)]).collect::<Vec<_>>()
    };
    settings.iter().flat_map(of).collect()
}

/// Serves all of `rows` at once, and shows each.
fn run(rows: &[Row], time: Duration, show: impl Fn(&Row, &[Read])) {
    for (row, reads) in rows.iter().zip(serve(rows, time)) {
        show(row, &reads);
    }
}

/// What is read of all of `rows` at once, each a file of its own in strict mode.
fn serve(rows: &[Row], time: Duration) -> Vec<Vec<Read>> {
    let names: Vec<String> = (0..rows.len()).map(|n| n.to_string()).collect();
    let mount = Mount::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), &["--strict"]);
    let rules = names.iter().zip(rows).map(|(name, row)| format!("images/i/{name}: {}\n", row.setting));
    mount.set(&rules.collect::<String>());
    let files: Vec<_> =
        names.iter().zip(rows).map(|(name, row)| (name.as_str(), row.size, row.readers)).collect();
    read_together(&mount, &files, time, PageCache::None)
}

/// Rates: over all of the time, and over the first second.
fn rate(row: &Row, units_per_read: f64, reads: &[Read]) {
    let Row { setting, asked, size, readers } = row;
    let Some(last) = reads.last() else {
        return println!("| {setting} | {size} | {readers} | no read ended | |");
    };
    let got = reads.len() as f64 * units_per_read / last.ended.as_secs_f64();
    let first = reads.iter().filter(|read| read.ended <= SECOND).count() as f64 * units_per_read;
    let burst = match first > 0.0 {
        true => format!("{:+.1} %", off(first, *asked)),
        false => "none ended".to_owned(),
    };
    println!(
        "| {setting} | {} KiB | {readers} | {:+.2} % | {burst} | {} |",
        size / KIB,
        off(got, *asked),
        reads.len()
    );
}

fn rate_head(name: &str) {
    println!("\n| {name} | request | readers | over all | first second | reads |\n|---|---|---|---|---|---|");
}

fn bandwidth(time: Duration) {
    rate_head("bandwidth");
    let by_bytes = |row: &Row, reads: &[Read]| rate(row, row.size as f64, reads);
    run(&rows(&[("bw=100KB", 1e5)], &[4 * KIB]), time, by_bytes);
    // The second MiB is there after 21 s.
    run(&rows(&[("bw=100KB", 1e5)], &[MIB]), time.max(22 * SECOND), by_bytes);
    run(&rows(&[("bw=1MB", 1e6)], &[4 * KIB, MIB]), time, by_bytes);
    for row in rows(&[("bw=10MB", 1e7), ("bw=100MB", 1e8), ("bw=500MB", 5e8)], &[4 * KIB, MIB]) {
        run(&[row], time, by_bytes);
    }
    println!("\n4 KiB reads that nothing holds back:");
    for row in rows(&[("bw=100GB", 1e11)], &[4 * KIB]) {
        run(&[row], time / 2, |row, reads| {
            let rate = (reads.len() * row.size) as f64 / (time / 2).as_secs_f64() / 1e6;
            println!("{} readers: {rate:.0} MB/s", row.readers);
        });
    }
}

/// 4 KiB in sequence, which the kernel reads ahead: faster than one request after the other.
fn readahead(time: Duration) {
    rate_head("bandwidth, read ahead");
    for row in rows(&[("bw=100MB", 1e8), ("bw=500MB", 5e8)], &[4 * KIB]) {
        let names = &["a", "b", "c", "d", "e", "f", "g", "h"][..row.readers];
        let mount = Mount::new(names, &[]);
        mount.set(&format!("**: {}\n", row.setting));
        let files: Vec<_> = names.iter().map(|name| (*name, row.size, 1)).collect();
        let mut reads = read_together(&mount, &files, time, PageCache::DroppedBehind).concat();
        reads.sort_by_key(|read| read.ended);
        rate(&row, row.size as f64, &reads);
    }
}

fn iops(time: Duration) {
    rate_head("operations a second");
    let by_count = |row: &Row, reads: &[Read]| rate(row, 1.0, reads);
    run(&rows(&[("iops=100", 100.0)], &[4 * KIB, MIB]), time, by_count);
    for row in rows(&[("iops=1000", 1e3), ("iops=10000", 1e4)], &[4 * KIB]) {
        run(&[row], time, by_count);
    }
}

/// What a read took, in seconds, in order.
fn times(reads: &[Read]) -> Vec<f64> {
    let mut times: Vec<f64> = reads.iter().map(|read| (read.ended - read.began).as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

/// Serves `rows` three times, and shows of each the run with the median of the means, and all means.
fn latency_rows(rows: &[Row], time: Duration) {
    const RUNS: usize = 3;
    let runs: Vec<_> = (0..RUNS).map(|_| serve(rows, time)).collect();
    for (n, row) in rows.iter().enumerate() {
        let mut runs: Vec<Vec<f64>> = runs.iter().map(|run| times(&run[n])).collect();
        runs.sort_by(|one, other| mean(one).total_cmp(&mean(other)));
        let means: Vec<String> =
            runs.iter().map(|times| format!("{:+.2}", off(mean(times), row.asked))).collect();
        let times = &runs[RUNS / 2];
        let at = |part: usize| off(times[times.len() * part / 100], row.asked);
        let (setting, kib, readers, p50, p99) = (&row.setting, row.size / KIB, row.readers, at(50), at(99));
        let (median, all) = (&means[RUNS / 2], means.join(", "));
        println!(
            "| {setting} | {kib} KiB | {readers} | {median} % | {all} | {p50:+.2} % | {p99:+.2} % | {} |",
            times.len()
        );
    }
}

fn latency(time: Duration) {
    println!(
        "\n| latency | request | readers | mean | means of 3 runs | p50 | p99 | reads |\n|---|---|---|---|---|---|---|---|"
    );
    for row in rows(&[("latency=1ms", 1e-3), ("latency=10ms", 1e-2)], &[4 * KIB, MIB]) {
        latency_rows(&[row], time);
    }
    latency_rows(&rows(&[("latency=100ms", 0.1)], &[4 * KIB, MIB]), time);
    println!("\nNo mount: a thread that sleeps until then, and until 100 us before and spins.");
    for asked in [1e-3, 1e-2] {
        for (name, spin) in [("sleep", 0.0), ("sleep and spin", 100e-6)] {
            let times = sleeps(Duration::from_secs_f64(asked), Duration::from_secs_f64(spin), time / 2);
            let at = |part: usize| off(times[times.len() * part / 100], asked);
            let (mean, p50, p99) = (off(mean(&times), asked), at(50), at(99));
            println!(
                "| {name} {asked} s | | 1 | {mean:+.2} % | {p50:+.2} % | {p99:+.2} % | {} |",
                times.len()
            );
        }
    }
    // Without any: what the way to the mount and back takes alone.
    for row in rows(&[("latency=0us", 1e-3)], &[4 * KIB, MIB]) {
        run(&[row], time / 5, |row, reads| {
            let mean = mean(&times(reads)) * 1e6;
            println!("none, {} KiB, {} readers: mean {mean:.0} us", row.size / KIB, row.readers);
        });
    }
}

/// The floor: what sleeps of `asked` take, the last `spin` of it awake, in seconds, in order.
fn sleeps(asked: Duration, spin: Duration, time: Duration) -> Vec<f64> {
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)).expect("timer slack");
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let began = Instant::now();
        std::thread::sleep(asked - spin);
        while began.elapsed() < asked {
            std::hint::spin_loop();
        }
        times.push(began.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Four files share a rate; each row has readers of other numbers and sizes.
fn fairness(time: Duration) {
    println!("\n| four files share | readers | request | furthest from a fourth |\n|---|---|---|---|");
    let names = ["a", "b", "c", "d"];
    let cases = [
        ("bw=40MB", [1, 1, 1, 1], [64 * KIB; 4]),
        ("bw=40MB", [8, 2, 2, 2], [64 * KIB; 4]),
        ("bw=40MB", [16, 4, 4, 2], [4 * KIB, 16 * KIB, 64 * KIB, 64 * KIB]),
        ("iops=2000", [8, 2, 2, 2], [4 * KIB; 4]),
    ];
    let mount = Mount::new(&names, &["--strict"]);
    for (setting, readers, sizes) in cases {
        mount.set(&format!("**: {setting}\n"));
        let files: Vec<_> = (0..4).map(|n| (names[n], sizes[n], readers[n])).collect();
        let all = read_together(&mount, &files, time / 2, PageCache::None);
        let got: Vec<f64> = all.iter().zip(sizes).map(|(reads, size)| (reads.len() * size) as f64).collect();
        let worst = got.iter().map(|bytes| off(*bytes, mean(&got)).abs()).fold(0.0, f64::max);
        println!("| {setting} | {readers:?} | {:?} KiB | {worst:.2} % |", sizes.map(|size| size / KIB));
    }
}

/// Kolmogorov's and Smirnov's distance of what reads took from what was asked for.
fn fit(time: Duration) {
    println!("\n| latency | reads | distance D | refused at 1 % above |\n|---|---|---|---|");
    type Below = fn(f64) -> f64;
    let models: [(&str, Below); 3] = [
        ("latency=uniform(10ms,30ms)", |ms| ((ms - 10.0) / 20.0).clamp(0.0, 1.0)),
        ("latency=normal(20ms,4ms)", |ms| normal_below((ms - 20.0) / 4.0)),
        ("latency=lognormal(15ms,0.4)", |ms| normal_below((ms / 15.0).ln() / 0.4)),
    ];
    for (setting, below) in models {
        let row = Row { setting: setting.to_owned(), asked: 0.0, size: 4 * KIB, readers: 8 };
        run(&[row], time, |_, reads| {
            let distance = distance(&times(reads), |time| below(time * 1e3));
            println!("| {setting} | {} | {distance:.4} | {:.4} |", reads.len(), refused_above(reads.len()));
        });
    }
}

/// A part that can be asked for by name.
type Section = (&'static str, fn(Duration));

fn main() {
    // `cargo test --all-targets` starts benches too, without this argument: nothing to be checked then.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let sections: [Section; 6] = [
        ("bandwidth", bandwidth),
        ("readahead", readahead),
        ("iops", iops),
        ("latency", latency),
        ("fairness", fairness),
        ("fit", fit),
    ];
    let wanted = |name: &str| arguments.iter().any(|argument| argument == name);
    let all = !sections.iter().any(|(name, _)| wanted(name));
    for (name, section) in sections {
        if all || wanted(name) {
            section(Duration::from_secs(seconds));
        }
    }
}
