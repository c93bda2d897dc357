//! Counts against witnesses outside of swapfs: the kernel's own counts of a process, fio, promtool. And what
//! is made of the counts: traces, heatmaps, differences, metrics.

mod fixture;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStderr, Command, Stdio};

use fixture::*;

const PAGES: u64 = 64;

fn pages(mount: &Mount) {
    fs::write(mount.source().join("f"), vec![5; PAGES as usize * 4096]).unwrap();
}

fn text(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{}", complaint(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `swapfs trace`, recording.
fn start_trace(mount: &Mount, arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut command = program();
    command.arg("trace").arg(mount.point()).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert!(line.contains("recording"), "{line}");
    (child, said)
}

fn end_trace((mut child, mut said): (Child, BufReader<ChildStderr>)) {
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .unwrap();
    let mut summary = String::new();
    said.read_line(&mut summary).unwrap();
    assert!(summary.contains("requests recorded, 0 dropped"), "{summary}");
    assert!(child.wait().unwrap().success());
}

/// The kernel counts the process's calls and bytes, we count its requests: in strict mode they are the same.
#[test]
fn a_process_is_counted_as_the_kernel_counts_it() {
    let script = "
import os, sys
def counts():
    text = os.read(witness, 4096); os.lseek(witness, 0, 0)
    return [int(line.split()[1]) for line in text.decode().splitlines()[:4]], len(text)
f, witness = os.open(sys.argv[1], os.O_RDONLY), os.open('/proc/self/io', os.O_RDONLY)
s = os.open(sys.argv[2], os.O_RDWR)
before, length = counts()
for n in range(500):
    os.pread(f, 100 + n * 7, (n * 7919) % 200000)
for n in range(300):
    os.pwrite(s, b'x' * (n + 1), n * 50)
after, _ = counts()
r, w, rc, wc = [b - a for a, b in zip(before, after)]
print(os.getpid(), rc - 1, r - length, wc, w)
";
    with_mount(&["--images", "@/source", "--swap", "s:1M", "--strict"], pages, move |mount| {
        let (image, swap) = (mount.at("images/source/f"), mount.at("swap/s"));
        let said = text(&finish(Command::new("python3").arg("-c").arg(script).arg(image).arg(swap)));
        let seen: Vec<u64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let stats = mount.stats();
        let process = stats.processes.iter().find(|process| u64::from(process.pid) == seen[0]).unwrap();
        let figures = &process.figures;
        assert!(process.comm.starts_with("python"), "{}", process.comm);
        let counted = [figures.read_ops, figures.read_bytes, figures.write_ops, figures.write_bytes];
        assert_eq!(counted, [seen[1], seen[2], seen[3], seen[4]]);
        assert_eq!(counted[..2], [stats.total.read_ops, stats.total.read_bytes]);
        assert_eq!(figures.read_size_bytes.iter().map(|(_, count)| count).sum::<u64>(), 500);
        assert_eq!(figures.read_total.count, 500);
        assert_eq!(
            (figures.queue_depth.now, figures.queue_depth.arrivals, figures.queue_depth.most),
            (0, 800, 1)
        );
    });
}

/// `strace -c` counts the calls on the file, dd's own and those that copy nothing at its end.
#[test]
fn reads_are_counted_as_strace_counts_them() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: there is no strace here");
        return;
    }
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let (image, report) = (mount.at("images/source/f"), mount.scratch_path().join("strace"));
        let mut strace = Command::new("strace");
        strace.args(["-c", "-U", "name,calls", "-e", "trace=read", "-P"]).arg(&image).arg("-o").arg(&report);
        strace.args(["dd", "bs=3000", "of=/dev/null"]).arg(format!("if={}", image.display()));
        let traced = finish(&mut strace);
        if !traced.status.success() {
            eprintln!("skipped: strace may not trace here: {}", complaint(&traced));
            return;
        }
        let report = fs::read_to_string(report).unwrap();
        let line = report.lines().find(|line| line.trim_start().starts_with("read ")).unwrap();
        let calls: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let figures = mount.stats_of("images/source/f").figures;
        assert_eq!((figures.read_ops, figures.read_bytes), (calls, PAGES * 4096), "{report}");
        assert_eq!(calls, (PAGES * 4096).div_ceil(3000) + 1);
    });
}

#[test]
fn a_program_that_runs_from_the_mount_is_known_by_its_own_name() {
    with_mount(
        &["--images", "/", "--strict"],
        |_| {},
        |mount| {
            let script = format!("{} --version; :", mount.at("images/bin/ls").display());
            text(&finish(Command::new("sh").arg("-c").arg(script)));
            let stats = mount.stats();
            let names: Vec<&str> = stats.processes.iter().map(|process| process.comm.as_str()).collect();
            assert!(names.contains(&"ls"), "{names:?}");
        },
    );
}

#[test]
fn sequential_and_random_requests_are_told_apart() {
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let file = File::open(mount.at("images/source/f")).unwrap();
        let other = File::open(mount.at("images/source/f")).unwrap();
        for page in 0..PAGES {
            file.read_exact_at(&mut [0; 4096], page * 4096).unwrap();
            other.read_exact_at(&mut [0; 4096], (PAGES - page - 1) * 4096).unwrap();
        }
        let file = mount.stats_of("images/source/f");
        assert_eq!((file.figures.read_ops, file.figures.read_sequential_ops), (2 * PAGES, PAGES));
        assert_eq!((file.figures.read_distinct_blocks, file.read_coverage), (PAGES, 1.0));
        assert_eq!(file.figures.read_size_bytes.iter().collect::<Vec<_>>(), [(4096, 2 * PAGES)]);
    });
}

#[test]
fn a_trace_holds_every_request_and_fio_replays_it() {
    with_mount(&["--images", "@/source", "--swap", "s:1M", "--strict"], pages, |mount| {
        let log = mount.scratch_path().join("log");
        let csv = mount.scratch_path().join("csv");
        let tracing = [
            start_trace(mount, &["--format", "fio", "--out", log.to_str().unwrap()]),
            start_trace(mount, &["--format", "csv", "--out", csv.to_str().unwrap()]),
        ];
        let swap = OpenOptions::new().read(true).write(true).open(mount.at("swap/s")).unwrap();
        for n in 0..100 {
            swap.write_all_at(&[n as u8; 1000], n * 4096).unwrap();
            swap.read_exact_at(&mut [0; 500], n * 4096).unwrap();
        }
        assert_eq!(errno(swap.write_at(&[0; 10], 1 << 20)), ENOSPC);
        swap.sync_all().unwrap();
        drop(swap);
        tracing.into_iter().for_each(end_trace);
        let lines = fs::read_to_string(&csv).unwrap();
        let of = |word: &str| lines.lines().filter(|line| line.contains(&format!(",{word},"))).count();
        assert_eq!([of("open"), of("read"), of("write"), of("sync")], [1, 100, 101, 1], "{lines}");
        assert_eq!(
            lines.lines().filter(|line| line.contains(",write,1048576,10,0,28,")).count(),
            1,
            "{lines}"
        );
        assert_eq!(
            fs::read_to_string(&log).unwrap().lines().filter(|line| line.contains(" write ")).count(),
            100
        );
        replay(mount, log.to_str().unwrap());
    });
}

/// Replays the log on the mount, and compares fio's own counts with ours.
fn replay(mount: &Mount, log: &str) {
    if Command::new("fio").arg("--version").output().is_err() {
        eprintln!("not replayed: there is no fio here");
        return;
    }
    let before = mount.stats();
    let mut fio = Command::new("fio");
    fio.args(["--name=replay", "--ioengine=psync", "--output-format=json", "--replay_no_stall=1"]);
    let done = text(&finish(fio.arg(format!("--read_iolog={log}"))));
    let report: serde_json::Value =
        serde_json::from_str(done.get(done.find('{').unwrap()..).unwrap()).unwrap();
    let job = &report["jobs"][0];
    let spent = mount.stats().since(&before).total;
    for (name, operations, bytes) in
        [("read", spent.read_ops, spent.read_bytes), ("write", spent.write_ops, spent.write_bytes)]
    {
        assert_eq!(
            (job[name]["total_ios"].as_u64(), job[name]["io_bytes"].as_u64()),
            (Some(operations), Some(bytes))
        );
    }
    assert_eq!((spent.read_ops, spent.write_bytes), (100, 100_000));
}

#[test]
fn counts_can_be_reset_and_subtracted() {
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        fs::read(mount.at("images/source/f")).unwrap();
        let saved = mount.scratch_path().join("before.json");
        fs::write(&saved, text(&finish(program().args(["stat", "--json"]).arg(mount.point())))).unwrap();
        let file = File::open(mount.at("images/source/f")).unwrap();
        (0..3).for_each(|page| file.read_exact_at(&mut [0; 4096], page * 8192).unwrap());
        let saved = saved.to_str().unwrap();
        let since = text(&finish(program().args(["stat", "--json", "--since", saved]).arg(mount.point())));
        let since: serde_json::Value = serde_json::from_str(&since).unwrap();
        assert_eq!(since["total"]["read_ops"], 3);
        assert_eq!(since["files"][0]["read_bytes"], 3 * 4096);
        assert_eq!(since["files"][0]["read_distinct_blocks"], 0);
        text(&finish(program().args(["stat", "--reset"]).arg(mount.point())));
        let stats = mount.stats();
        assert_eq!((stats.total.read_ops, stats.files[0].figures.open_ops, stats.processes.len()), (0, 0, 0));
        assert!(stats.counted_since_unix_ns > stats.started_unix_ns);
        let table = text(&finish(program().args(["stat", "--latency"]).arg(mount.point())));
        assert!(table.contains("p99.99"), "{table}");
        let wrong = finish(program().args(["stat", "--since", "/dev/null"]).arg(mount.point()));
        assert_eq!(wrong.status.code(), Some(1));
        assert!(complaint(&wrong).contains("no snapshot"));
    });
}

#[test]
fn a_heatmap_shows_which_parts_were_touched() {
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        let file = File::open(mount.at("images/source/f")).unwrap();
        (0..9).for_each(|_| file.read_exact_at(&mut [0; 8192], 8 * 4096).unwrap());
        let heatmap = |more: &[&str]| {
            finish(program().arg("heatmap").arg(mount.point()).arg("images/source/f").args(more))
        };
        let page = text(&heatmap(&[]));
        assert!(page.contains("········██······"), "{page}");
        let at = |name: &str| mount.scratch_path().join(name).to_str().unwrap().to_owned();
        text(&heatmap(&["--png", &at("heat.png")]));
        text(&heatmap(&["--svg", &at("heat.svg")]));
        assert!(fs::read_to_string(at("heat.svg")).unwrap().contains("images/source/f"));
        assert_eq!(&fs::read(at("heat.png")).unwrap()[1..4], b"PNG");
        let none = finish(program().arg("heatmap").arg(mount.point()).arg("images/none"));
        assert_eq!(none.status.code(), Some(1));
        assert!(complaint(&none).contains("no file `images/none` was opened"));
    });
}

#[test]
fn metrics_are_what_the_format_asks_for() {
    with_mount(&["--images", "@/source", "--swap", "s:1M"], pages, |mount| {
        fs::read(mount.at("images/source/f")).unwrap();
        fs::write(mount.source().join("a\"b\\c"), "x").unwrap();
        fs::read(mount.at("images/source/a\"b\\c")).unwrap();
        let metrics = fs::read_to_string(mount.at(".swapfs/metrics")).unwrap();
        openmetrics::check(&metrics);
        promtool(&metrics);
    });
}

/// promtool reads the older text format only, which has no `# EOF` and no units but is otherwise the same.
fn promtool(metrics: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("not checked by promtool, which is not here");
        return;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = complaint(&output) + &String::from_utf8_lossy(&output.stdout);
    // Status 3 is advice on naming.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
}

#[test]
fn commands_are_the_owners_alone_and_bad_ones_change_nothing() {
    with_mount(&["--images", "@/source", "--strict"], pages, |mount| {
        use std::os::unix::fs::PermissionsExt;
        fs::read(mount.at("images/source/f")).unwrap();
        let mode = |name: &str| fs::metadata(mount.at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(".swapfs/command"), mode(".swapfs/trace")), (0o600, 0o400));
        let before = mount.stats();
        for wrong in ["dance", "heat", "heat 99999999999 x", "reset now"] {
            let file = OpenOptions::new().read(true).write(true).open(mount.at(".swapfs/command")).unwrap();
            assert_eq!(errno(file.write_at(wrong.as_bytes(), 0)), 22, "{wrong}");
            let mut answer = [0; 1000];
            assert!(file.read_at(&mut answer, 0).unwrap() > 10);
        }
        assert_eq!(mount.stats(), before);
    });
}

/// A strict reader of the OpenMetrics text format 1.0.0, as far as we use it.
mod openmetrics {
    use std::collections::{BTreeMap, BTreeSet};

    /// Panics at the first line that the format does not allow.
    pub fn check(text: &str) {
        let body = text.strip_suffix("# EOF\n").expect("ends with # EOF and a line end");
        let (mut families, mut samples) = (BTreeMap::new(), BTreeSet::new());
        let mut current: Option<(String, String)> = None;
        for line in body.lines() {
            assert!(!line.is_empty() && line.trim() == line, "`{line}`");
            if let Some(meta) = line.strip_prefix("# ") {
                let mut words = meta.splitn(3, ' ');
                let (keyword, name, rest) =
                    (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
                match keyword {
                    "TYPE" => {
                        assert!(["counter", "gauge", "summary", "histogram"].contains(&rest), "{line}");
                        assert!(families.insert(name.to_owned(), rest.to_owned()).is_none(), "twice: {line}");
                        current = Some((name.to_owned(), rest.to_owned()));
                    }
                    "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                    "HELP" => assert!(!rest.contains('"'), "{line}"),
                    _ => panic!("{line}"),
                }
                assert_eq!(current.as_ref().unwrap().0, name, "metadata stands with its family");
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{line}");
            assert!(samples.insert(series.to_owned()), "twice: {line}");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            check_labels(labels);
            let (family, kind) = current.as_ref().unwrap();
            let suffix =
                name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} is not of {family}"));
            let allowed: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "summary" => &["", "_count", "_sum"],
                _ => &["_bucket", "_count", "_sum"],
            };
            assert!(allowed.contains(&suffix), "{line} of a {kind}");
        }
        check_histograms(body);
    }

    fn check_labels(text: &str) {
        let mut rest = text;
        while rest != "}" {
            let (name, after) = rest.split_once("=\"").expect("a label has a quoted value");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{text}");
            let mut escaped = false;
            let end = after.find(|c| {
                let closes = c == '"' && !escaped;
                assert!(!escaped || ['"', '\\', 'n'].contains(&c), "{text}");
                escaped = c == '\\' && !escaped;
                closes
            });
            rest = &after[end.expect("a label's value ends") + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }

    /// Buckets never fall, and the last is the count.
    fn check_histograms(body: &str) {
        let value = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        for direction in ["read", "write"] {
            let of =
                |kind: &str| format!("swapfs_request_duration_seconds_{kind}{{direction=\"{direction}\"");
            let buckets: Vec<f64> =
                body.lines().filter(|line| line.starts_with(&of("bucket"))).map(value).collect();
            assert!(buckets.len() > 5 && buckets.is_sorted(), "{buckets:?}");
            let count = body.lines().find(|line| line.starts_with(&of("count"))).map(value);
            assert_eq!(buckets.last().copied(), count);
        }
    }
}
