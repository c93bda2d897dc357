//! `pager report`: the page and the other forms of a recorded run, and what they say is what happened.
//!
//! Assumes: gcc, userfaultfd. `INTEGRATION_FULL=1` opens the page in Chromium (Debian's `chromium`), which draws
//! it without a complaint and follows a click.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use integration::binaries;
use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::report::Report;
use integration::run::{End, Run};
use integration::scratch::Scratch;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);
const CHROMIUM: &str = "/usr/bin/chromium";

/// A run over so many MiB under a cap of two.
fn recorded(scratch: &Scratch, mib: &str) -> (Report, PathBuf) {
    let trace = scratch.join("trace");
    let paging = Paging::new().resident("2M").option("--record", &trace);
    let run = paging.run(guests::build("random_access", Link::Dynamic), |run| run.arg(mib).limit(LIMIT));
    assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
    (run.report(), trace)
}

fn report(trace: &Path, words: &[&str]) -> Vec<u8> {
    let outcome = Run::new(binaries::pager()).arg("report").arg(trace).args(words).limit(LIMIT).outcome();
    assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    outcome.stdout
}

fn total(values: &Value) -> u64 {
    values.as_array().into_iter().flatten().filter_map(Value::as_u64).sum()
}

/// One run, all forms of it, the same sums.
#[test]
fn every_form_tells_the_same_sums_as_the_run() {
    let scratch = Scratch::new("report");
    let (told, trace) = recorded(&scratch, "6");
    let survey: Value = serde_json::from_slice(&report(&trace, &["--format", "json"])).expect("JSON");
    let faults = told.at("faults");
    let kinds = [("zero", 1), ("swap_in", 2), ("protection", 4)];
    for (name, kind) in kinds {
        let told = faults.number(name);
        let functions = survey["functions"].as_array().expect("a table");
        let by_function: u64 = functions.iter().filter_map(|row| row["faults"][kind].as_u64()).sum();
        assert_eq!(total(&survey["all"]["faults"][kind]), told, "{name} over time");
        assert_eq!(by_function, told, "{name} by function");
    }
    let pages = told.at("pages");
    assert_eq!(total(&survey["all"]["swapped_in"]), pages.number("swap_in"));
    assert_eq!(total(&survey["all"]["swapped_out"]), pages.number("written"));
    assert_eq!(total(&survey["all"]["evicted"]), pages.number("evicted"));
    let peak =
        survey["all"]["resident"].as_array().and_then(|all| all.iter().filter_map(Value::as_u64).max());
    assert!(peak.is_some_and(|peak| peak <= 512 && peak > 400), "{peak:?} of 512 pages");
    let functions = survey["functions"].as_array().expect("a table");
    let most = functions.iter().max_by_key(|row| row["faults"][2].as_u64()).expect("a function");
    assert_eq!(most["name"], "main", "the guest's loop, by its symbol");
    assert!(survey["images"].as_array().is_some_and(|images| !images.is_empty()));
    assert_eq!(survey["warnings"], Value::Array(Vec::new()));

    let folded =
        String::from_utf8(report(&trace, &["--format", "folded", "--weight", "faults"])).expect("text");
    let all: u64 = ["zero", "swap_in", "protection", "image"].iter().map(|kind| faults.number(kind)).sum();
    let weights = folded.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    assert_eq!(weights.sum::<u64>(), all);
    let perfetto: Value = serde_json::from_slice(&report(&trace, &["--format", "perfetto"])).expect("JSON");
    let slices = perfetto["traceEvents"].as_array().into_iter().flatten().filter(|event| event["ph"] == "X");
    assert_eq!(slices.count() as u64, all);

    report(&trace, &[]);
    let page = fs::read_to_string(scratch.join("trace.html")).expect("beside the trace");
    assert!(page.contains("random_access") && page.len() < 1 << 20, "{} bytes", page.len());
    in_chromium(&scratch, &page);
}

#[test]
fn what_is_no_trace_is_named_and_a_cut_one_is_shown_as_far_as_it_goes() {
    let scratch = Scratch::new("report");
    let other = scratch.file("other", b"text");
    let outcome = Run::new(binaries::pager()).arg("report").arg(&other).limit(LIMIT).outcome();
    assert_eq!(outcome.end, End::Code(1));
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("pager run --record"));
    // Several chunks of events.
    let (_, trace) = recorded(&scratch, "16");
    let bytes = fs::read(&trace).expect("a trace");
    let cut = scratch.file("cut", &bytes[..bytes.len() / 2]);
    let survey: Value = serde_json::from_slice(&report(&cut, &["--format", "json"])).expect("JSON");
    let warning = survey["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("cut off at byte"), "{warning}");
    assert!(total(&survey["all"]["faults"][2]) > 0);
}

/// Before the page's own script: complaints are kept.
const LISTEN: &str =
    "<script>window.complaints = []; console.error = (...words) => complaints.push(words.join(' '));
addEventListener('error', (event) => complaints.push(event.message));</script>";

/// After it: what is drawn, a click on a kind of fault, keys; the answers end up in the document.
const PROBE: &str = "<script>
const drawn = (id) => { const canvas = document.getElementById(id);
  return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0); };
const rows = () => document.querySelectorAll('#functions tr').length;
const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', { key }));
const answer = { ready: document.documentElement.dataset.ready, rows: rows() };
answer.drawn = ['faults', 'resident', 'swap', 'heat', 'flame', 'curve'].filter((id) => drawn(id));
answer.tile = document.querySelectorAll('.tile b')[2].textContent;
document.querySelectorAll('#kinds button').forEach((button) => document.querySelector(`#kinds [data-kind='${button.dataset.kind}']`).click());
answer.none = rows();
document.querySelector(\"#kinds [data-kind='swap-in']\").click();
answer.filtered = document.querySelectorAll('.tile b')[2].textContent;
press('+');
answer.zoomed = document.getElementById('range').textContent;
const theme = document.documentElement.dataset.theme;
press('d');
answer.turned = document.documentElement.dataset.theme !== theme;
answer.complaints = complaints;
const place = document.createElement('pre');
place.id = 'answer';
place.textContent = JSON.stringify(answer);
document.body.append(place);
</script>";

fn in_chromium(scratch: &Scratch, page: &str) {
    if std::env::var_os("INTEGRATION_FULL").is_none_or(|value| value != "1") {
        return;
    }
    if !Path::new(CHROMIUM).exists() {
        eprintln!("skipped: {CHROMIUM} is not installed (apt-get install chromium)");
        return;
    }
    let probed =
        page.replacen("<head>", &format!("<head>{LISTEN}"), 1).replace("</body>", &format!("{PROBE}</body>"));
    let file = scratch.file("probed.html", probed);
    let profile = scratch.folder("profile");
    let output = Command::new("timeout")
        .args(["60", CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("chromium can be started");
    let document = String::from_utf8_lossy(&output.stdout);
    let answer = document.split("<pre id=\"answer\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let answer: Value = serde_json::from_str(answer.expect("the probe came to its end")).expect("JSON");
    assert_eq!(answer["complaints"], Value::Array(Vec::new()));
    assert_eq!((&answer["ready"], &answer["turned"]), (&Value::from("yes"), &Value::from(true)), "{answer}");
    assert_eq!(answer["drawn"].as_array().map(Vec::len), Some(6), "{answer}");
    assert!(answer["rows"].as_u64() > answer["none"].as_u64(), "without kinds there are no rows: {answer}");
    assert_ne!(answer["tile"], answer["filtered"], "fewer faults of one kind than of all: {answer}");
    assert!(answer["zoomed"].as_str().is_some_and(|text| text.contains(" to ")), "{answer}");
}
