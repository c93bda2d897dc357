//! Is swapfs ahead of what one would use instead?
//! `cargo bench -p swapfs --bench peers [-- --rounds 5 --time-ms 300 --json FILE --only NAME,...]`
//!
//! All file systems are mounted at once over the same source, which is in the page cache, and take turns,
//! measure by measure and round by round; what is shown is the median of the rounds. A peer that this machine
//! has not got has a row that says so. swapfs counts all the while. The figures stand in docs/PEERS.md.

mod measures;
mod peers;
mod report;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use measures::{MEASURES, Tools};
use peers::{Fixture, PEERS, Served};
use report::{Pick, Row};

/// Between two turns: what one file system leaves running is not the next one's load.
const PAUSE: Duration = Duration::from_millis(20);

struct Arguments {
    rounds: usize,
    time: Duration,
    json: Option<String>,
    only: Option<Vec<String>>,
}

fn main() {
    // `cargo test --all-targets` starts benches too, without this argument: nothing to be checked then.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let arguments = arguments();
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let fixture = Fixture::make(scratch.path());
    let tools = Tools { time: arguments.time, faults: compile_faults(scratch.path()) };
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| only.iter().any(|word| word == name));
    let chosen = PEERS.iter().filter(|peer| wanted(peer.name));
    let mut rows: Vec<(Row, Option<Served>)> = chosen
        .map(|peer| match (peer.start)(&fixture) {
            Ok(served) => (Row::new(peer.name), Some(served)),
            Err(why) => (Row::missing(peer.name, why), None),
        })
        .collect();
    for _ in 0..arguments.rounds {
        for (index, measure) in MEASURES.iter().enumerate() {
            for (row, served) in &mut rows {
                let Some(served) = served else { continue };
                std::thread::sleep(PAUSE);
                row.add(index, (measure.run)(&tools, served));
            }
        }
    }
    for (row, served) in &mut rows {
        row.memory = served.as_ref().and_then(Served::memory);
    }
    let rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{} rounds of {:?}; load average {}", arguments.rounds, arguments.time, load.trim());
    report::print(&rows, Pick::Median);
    report::print(&rows, Pick::Best);
    if let Some(path) = arguments.json {
        fs::write(path, report::json(&rows)).expect("the JSON can be written");
    }
}

fn arguments() -> Arguments {
    let words: Vec<String> = std::env::args().collect();
    let value =
        |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1)).cloned();
    let number = |name: &str, usual: u64| value(name).map_or(usual, |text| text.parse().expect("a number"));
    Arguments {
        rounds: number("--rounds", 5) as usize,
        time: Duration::from_millis(number("--time-ms", 300)),
        json: value("--json"),
        only: value("--only").map(|names| names.split(',').map(str::to_owned).collect()),
    }
}

/// The program that touches mapped pages; `None` without a C compiler.
fn compile_faults(scratch: &Path) -> Option<std::path::PathBuf> {
    let (source, program) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/faults.c"), scratch.join("faults"));
    let status = Command::new("gcc").arg("-O2").arg("-o").arg(&program).arg(&source).status().ok()?;
    status.success().then_some(program)
}
