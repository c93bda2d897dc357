//! What a program learns of itself, natively and under the pager: `/proc/self`, the auxiliary vector, names,
//! the vDSO, where things lie, and how the dynamic linker finds libraries.
//!
//! Assumes: root (for a mount namespace), gcc, setarch and unshare (util-linux), userfaultfd. Needs no mount.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use integration::guests::{self, Link};
use integration::paged::Paging;
use integration::run::{End, Outcome, Run};
use integration::scratch::Scratch;
use integration::tools;

const LIMIT: Duration = Duration::from_secs(60);
const CAPS: [Option<&str>; 3] = [None, Some("1M"), Some("256K")];

fn paging(cap: Option<&str>) -> Paging {
    cap.map_or_else(Paging::new, |cap| Paging::new().resident(cap))
}

fn told(outcome: &Outcome) -> (End, String, String) {
    (outcome.end, String::from_utf8_lossy(&outcome.stdout).into_owned(), outcome.complaint())
}

/// Runs `program` natively and under each cap: what it says and how it ends must be the same.
fn same(program: &Path, prepare: impl Fn(Run) -> Run) -> String {
    let native = told(&prepare(Run::new(program)).limit(LIMIT).outcome());
    assert_eq!(native.0, End::Code(0), "natively: {}", native.2);
    for cap in CAPS {
        let paged = told(&paging(cap).run(program, |run| prepare(run).limit(LIMIT)).outcome);
        assert_eq!(paged, native, "with {cap:?}");
    }
    native.1
}

/// A topic of the guest, with arguments and an environment to be seen.
fn topic(name: &str) -> String {
    let prepare =
        |run: Run| run.args([name, "", "two words"]).env("GUEST_WORD", "a word").env("GUEST_EMPTY", "");
    same(&guests::build("consistency", Link::Dynamic), prepare)
}

#[test]
fn names_arguments_and_environment_are_as_proc_tells() {
    let said = topic("names");
    assert!(said.contains("[names] [] [two words]") && said.contains("[GUEST_WORD=a word]"), "{said}");
}

/// As nginx, postgres and sshd do: `ps` shows what they are at.
#[test]
fn a_title_is_written_over_arguments_and_environment() {
    let said = topic("title");
    assert!(said.contains("[consistency: at work]") && said.contains("[consistency: a child]"), "{said}");
}

#[test]
fn memory_lies_where_proc_says() {
    let said = topic("memory");
    assert!(said.contains("a small block lies in rw-p [heap]"), "{said}");
}

#[test]
fn status_is_as_natively() {
    topic("status");
}

#[test]
fn the_auxiliary_vector_is_as_natively() {
    let said = topic("vector");
    assert!(said.contains("in /proc all are") && said.contains("vDSO 1"), "{said}");
}

#[test]
fn prctl_refuses_memory_maps_as_natively() {
    topic("set_memory_map");
}

#[test]
fn personalities_are_kept() {
    topic("personalities");
    let program = guests::build("consistency", Link::Dynamic);
    let prepare = |run: Run| run.arg("-R").arg(&program).arg("personalities");
    assert!(same(Path::new("/usr/bin/setarch"), prepare).contains("personality 40000"));
}

/// Two hundred thousand calls that are none.
#[test]
fn clocks_are_read_without_a_call() {
    let program = guests::build("consistency", Link::Dynamic);
    for cap in CAPS {
        let run = paging(cap).run(&program, |run| run.arg("clocks").limit(LIMIT));
        assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
        let calls = run.report().number("calls.trapped");
        assert!(calls < 1000, "{calls} calls were trapped");
    }
}

/// What the guest says of where things lie, in four runs of `command` under the pager: how many different
/// places each has.
fn places(cap: Option<&str>, command: &str, arguments: &[&str]) -> Vec<(String, usize)> {
    let mut seen: Vec<(String, BTreeSet<String>)> = Vec::new();
    for _ in 0..4 {
        let outcome = paging(cap).run(command, |run| run.args(arguments).limit(LIMIT)).outcome;
        assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
        let (_, said, _) = told(&outcome);
        let words: Vec<&str> = said.split_whitespace().collect();
        for (i, pair) in words.chunks(2).enumerate() {
            if seen.len() <= i {
                seen.push((pair[0].to_owned(), BTreeSet::new()));
            }
            seen[i].1.insert(pair[1].to_owned());
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
    seen.into_iter().map(|(what, places)| (what, places.len())).collect()
}

fn guest() -> String {
    guests::build("consistency", Link::Dynamic).to_string_lossy().into_owned()
}

#[test]
fn places_are_random() {
    for cap in CAPS {
        let places = places(cap, &guest(), &["places"]);
        assert!(places.iter().all(|(_, count)| *count > 1), "{places:?}");
    }
}

#[test]
fn places_are_the_same_each_time_without_randomisation() {
    for cap in CAPS {
        let places = places(cap, "/usr/bin/setarch", &["-R", &guest(), "places"]);
        assert!(places.iter().all(|(what, count)| *count == 1 || what == "random"), "{places:?}");
    }
}

/// As far as it is the pager's to follow: the kernel places the rest. (`apart` is how far the heap lies from
/// the data.)
#[test]
fn the_systems_setting_for_randomisation_counts() {
    let scratch = Scratch::new("consistency");
    for (setting, random) in [("0", [].as_slice()), ("1", ["code", "data"].as_slice())] {
        let file = scratch.file("setting", setting);
        let script = format!(
            "mount --bind {} /proc/sys/kernel/randomize_va_space && exec {} places",
            file.display(),
            guest()
        );
        let places = places(None, "/usr/bin/unshare", &["-m", "/bin/sh", "-c", &script]);
        for (what, count) in
            places.iter().filter(|(what, _)| ["code", "data", "apart"].contains(&what.as_str()))
        {
            assert_eq!(*count > 1, random.contains(&what.as_str()), "{what} with {setting}: {places:?}");
        }
    }
}

/// Libraries whose `word()` says which they are, and programs that print it: one that finds the library
/// beside itself, and one that has to be told.
fn libraries(scratch: &Scratch) {
    tools::require(&[tools::GCC, tools::HEADERS]);
    let build = |source: &str, arguments: &[&str]| {
        scratch.file("source.c", source);
        let outcome =
            Run::new(tools::GCC.path).arg("source.c").args(arguments).folder(scratch.path()).outcome();
        assert_eq!(outcome.end, End::Code(0), "{}", outcome.complaint());
    };
    for word in ["beside", "elsewhere", "preloaded"] {
        let path = scratch.folder(word).join("libword.so").to_string_lossy().into_owned();
        let source = format!("const char *word(void) {{ return \"{word}\"; }}");
        build(&source, &["-shared", "-fPIC", "-Wl,-soname,libword.so", "-o", &path]);
    }
    let main = "#include <stdio.h>\nconst char *word(void);\nint main(void) { puts(word()); return 0; }";
    build(main, &["-Lbeside", "-lword", "-Wl,-rpath,$ORIGIN/beside", "-o", "program"]);
    build(main, &["-Lbeside", "-lword", "-o", "plain"]);
}

#[test]
fn the_linker_finds_libraries_as_natively() {
    let scratch = Scratch::new("consistency");
    libraries(&scratch);
    let at = |name: &str| scratch.join(name);
    let found = |program: &str, name: &str, value: &Path| same(&at(program), |run: Run| run.env(name, value));
    assert_eq!(found("program", "LD_BIND_NOW", Path::new("1")), "beside\n", "$ORIGIN");
    assert_eq!(found("plain", "LD_LIBRARY_PATH", &at("elsewhere")), "elsewhere\n");
    assert_eq!(found("program", "LD_PRELOAD", &at("preloaded/libword.so")), "preloaded\n");
}
