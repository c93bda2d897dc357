//! `pager explain`: what it says of a page is what the kernel says, and every sentence of the textbook has code
//! and a test.
//!
//! Assumes: gcc, userfaultfd. `INTEGRATION_FULL=1` asks about 10,000 addresses at each engine instead of 150.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Command, Output};

use integration::binaries;
use integration::paged::{Holding, Paging};
use serde_json::Value;

const PAGE: u64 = 4096;

/// A guest that holds 40 MiB and waits, under a cap of 8.
fn start(engine: &str) -> Holding {
    Paging::new().resident("8M").option("--engine", engine).hold("none")
}

fn explain(words: &[String]) -> Output {
    Command::new("timeout")
        .arg("60")
        .arg(binaries::pager())
        .arg("explain")
        .args(words)
        .output()
        .expect("pager can be started")
}

/// What is mapped in a process: first and last byte, rights.
fn maps(pid: u32) -> Vec<(u64, u64, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process is there");
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(start)?, number(end)?, words.next()?.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Numbers that are the same each time, spread over 64 bits (splitmix64).
fn mixed(n: u64) -> u64 {
    let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 1
}

/// Addresses all over the process: in what is mapped, each area alike, and some in between.
fn addresses(pid: u32, count: u64) -> Vec<u64> {
    let maps: Vec<_> = maps(pid).into_iter().filter(|(start, _, _)| *start < 1 << 47).collect();
    let within = |n: u64| {
        let (start, end, _) = &maps[(mixed(n) % maps.len() as u64) as usize];
        // The page after the last one, too.
        start + mixed(n + 1_000_000) % (end - start + PAGE)
    };
    // The guest's 40 MiB are one area of many: ask about it as often as about all others.
    let (start, end, _) = maps
        .iter()
        .max_by_key(|(start, end, rights)| (rights == "rw-p").then_some(end - start))
        .expect("an area");
    (0..count).map(|n| if n % 2 == 0 { within(n) } else { start + mixed(n) % (end - start) }).collect()
}

#[test]
fn answers_agree_with_the_kernel() {
    let is_full = std::env::var_os("INTEGRATION_FULL").is_some_and(|value| value == "1");
    for engine in ["auto", "uffd", "thread"] {
        agree(engine, if is_full { 10_000 } else { 150 });
    }
}

fn agree(engine: &str, count: u64) {
    let paged = start(engine);
    let asked = addresses(paged.program, count);
    let kernel = File::open(format!("/proc/{}/pagemap", paged.program)).expect("our own process");
    let maps = maps(paged.program);
    let (mut states, mut slots) = (BTreeSet::new(), BTreeSet::new());
    for some in asked.chunks(500) {
        let words = [paged.program.to_string(), "--json".to_owned()];
        let words: Vec<String> = words.into_iter().chain(some.iter().map(|at| format!("{at:#x}"))).collect();
        let output = explain(&words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(text.lines().count(), some.len());
        for (line, &address) in text.lines().zip(some) {
            let said: Value = serde_json::from_str(line).expect("JSON");
            let state = said["entry"]["state"].as_str().expect("a state").to_owned();
            let mut word = [0; 8];
            kernel.read_exact_at(&mut word, address / PAGE * 8).expect("the table can be read");
            let present = u64::from_ne_bytes(word) >> 63 != 0;
            agrees(&said, address, present, &maps);
            if let Some(slot) = said["entry"]["slot"].as_object().filter(|_| state == "swapped") {
                let place = (slot["file"].as_u64(), slot["index"].as_u64(), address / PAGE);
                slots.insert(place);
            }
            states.insert(state);
        }
    }
    for state in ["empty", "resident", "swapped"] {
        assert!(states.contains(state), "nothing {state} was asked about: {states:?}");
    }
    let places: BTreeSet<_> = slots.iter().map(|(file, index, _)| (*file, *index)).collect();
    assert_eq!(places.len(), slots.len(), "no two pages have one slot");
}

/// The area lies in what the kernel has mapped with these rights; a page is there where the kernel has it.
fn agrees(said: &Value, address: u64, present: bool, maps: &[(u64, u64, String)]) {
    let mapped = maps.iter().find(|(start, end, _)| (*start..*end).contains(&address));
    let area = &said["area"];
    if area.is_null() {
        // What is mapped there is the runtime's.
        assert!(said["read"]["plan"].as_str().is_some_and(|plan| plan.starts_with("no area")), "{said}");
        return;
    }
    if area["holding"].as_str().is_some_and(|holding| holding.starts_with("kernel")) {
        return;
    }
    let (start, end, rights) = mapped.unwrap_or_else(|| panic!("the kernel has nothing there: {said}"));
    let number = |key: &str| area[key].as_u64().expect("a number");
    assert!(*start < number("end") && *end > number("start"), "{start:#x}-{end:#x}: {said}");
    assert_eq!(area["rights"].as_str(), Some(&rights[..3]), "{said}");
    let is_there = matches!(said["entry"]["state"].as_str(), Some("resident" | "mapped"));
    assert_eq!(is_there, present, "{address:#x}: {said}");
    assert_eq!(said["kernel_present"].as_bool(), Some(present), "{said}");
}

#[test]
fn what_cannot_be_asked_says_why() {
    let paged = start("auto");
    let own = std::process::id().to_string();
    let supervisor = paged.pager.id().to_string();
    for (pid, words) in
        [(own, "not part of a `pager run`".to_owned()), (supervisor, paged.program.to_string())]
    {
        let output = explain(&[pid, "0x1000".to_owned()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(&words), "{said}");
    }
    let text = explain(&[paged.program.to_string(), "0".to_owned(), "ffffffffffffffff".to_owned()]);
    let text = String::from_utf8(text.stdout).expect("text");
    assert_eq!(text.matches("SIGSEGV is sent").count(), 2, "{text}");
}

/// A document names code that is not there any more sooner or later; this one is a program's answer.
#[test]
fn every_sentence_has_code_and_a_test() {
    let output = explain(&["--sentences".to_owned(), "--json".to_owned()]);
    let sentences: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(sentences.len() > 10);
    let root = binaries::workspace();
    let document = fs::read_to_string(root.join("pager/docs/LIFE_OF_A_FAULT.md")).expect("a document");
    for sentence in sentences {
        let (file, part) =
            (sentence["code"][0].as_str().expect("a file"), sentence["code"][1].as_str().expect("a part"));
        let code = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(code.contains(part), "{file} has no `{part}`");
        let test = sentence["test"].as_str().expect("a test");
        let (module, name) = test.split_once("::").expect("file::function");
        let folders = ["integration/tests", "pager/core/tests", "pager/tests"];
        let found = folders
            .iter()
            .filter_map(|folder| fs::read_to_string(root.join(folder).join(format!("{module}.rs"))).ok());
        let is_there =
            |text: String| text.contains(&format!("fn {name}(")) || text.contains(&format!("guest!({name}"));
        assert!(found.into_iter().any(is_there), "there is no test {test}");
        let text = sentence["text"].as_str().expect("a text");
        assert!(document.contains(text), "LIFE_OF_A_FAULT.md lacks: {text}");
    }
}
