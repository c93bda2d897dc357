//! The walls of the house: no file uses one that uses it back, by itself or by others, and no file of the
//! runtime uses one on a floor above its own. What is still in circles elsewhere may shrink, never grow.

use integration::binaries;
use integration::imports::Imports;

/// Crates by the file that names their modules, and how many files may stand in circles of imports.
const CRATES: [(&str, usize); 7] = [
    ("pager/core/src/lib.rs", 0),
    ("pager/engine/src/lib.rs", 0),
    ("pager/runtime/src/lib.rs", 0),
    ("pager/src/lib.rs", 0),
    ("swapfs/src/lib.rs", 0),
    ("swapfs/src/main.rs", 0),
    ("integration/src/lib.rs", 0),
];

/// The floors of `pager/runtime`, lowest first, and what stands on each: files, or whole folders but for
/// those of their files that are named elsewhere. `pager/docs/ARCHITECTURE.md` says what each is for.
const FLOORS: [(&str, &[&str]); 7] = [
    (
        "ground",
        &[
            "arena",
            "call",
            "control",
            "credit",
            "die",
            "gate",
            "keys",
            "lock",
            "markers",
            "own_descriptors",
            "program",
            "root",
            "slot",
            "sys",
        ],
    ),
    (
        "what is known",
        &[
            "buffers",
            "calls/maps",
            "clock",
            "engine",
            "images",
            "lifeline",
            "load/itself",
            "load/random",
            "memory/advise_fork",
            "memory/deny",
            "memory/limits",
            "memory/private",
            "memory/range",
            "memory/refusal",
            "memory/seal",
            "process/lookup",
            "process/trace/tracee",
            "record",
            "residency",
            "row",
            "sandbox/chain",
            "sandbox/kin",
            "sandbox/status",
            "signals/actions",
            "signals/kept",
            "signals/poke",
            "space",
            "swap",
            "thread",
            "window",
        ],
    ),
    ("pages", &["busy", "host", "paging", "memory/contents"]),
    ("memory", &["memory", "remote/serve", "remote/tell"]),
    ("touch", &["process/rest", "touch", "user"]),
    (
        "the program's calls and signals",
        &["calls", "load/executed", "process", "remote", "sandbox", "server", "signals"],
    ),
    ("entry", &["load", "start", "vectors"]),
];

fn imports(root: &str) -> Imports {
    Imports::of(&binaries::workspace().join(root)).expect("the sources can be read")
}

#[test]
fn no_circle_of_imports_grows() {
    for (root, most) in CRATES {
        let imports = imports(root);
        let circles = imports.circles();
        let shown: Vec<String> =
            circles.iter().map(|files| format!("{}: {}", files.len(), files.join(" "))).collect();
        let inside: usize = circles.iter().map(Vec::len).sum();
        assert!(
            inside <= most,
            "{root}: {inside} files are in circles, {most} at most\n{}",
            shown.join("\n")
        );
    }
}

/// The floor of a file: that of the longest name among those on the floors that is its own or its folder's.
fn floor(file: &str) -> Option<usize> {
    let holds =
        |name: &&str| file == *name || file.strip_prefix(*name).is_some_and(|rest| rest.starts_with('/'));
    let named =
        FLOORS.iter().enumerate().flat_map(|(at, (_, names))| names.iter().map(move |name| (at, *name)));
    named.filter(|(_, name)| holds(name)).max_by_key(|(_, name)| name.len()).map(|(at, _)| at)
}

#[test]
fn no_file_of_the_runtime_uses_one_above_it() {
    let imports = imports("pager/runtime/src/lib.rs");
    // The file that names the modules, and the folders' files that only do so for theirs, use nothing.
    let stray: Vec<&str> = imports.files().filter(|file| *file != "crate" && floor(file).is_none()).collect();
    assert!(stray.is_empty(), "on no floor: {stray:?}");
    let climbs = imports.pairs().filter_map(|(from, to)| {
        let (low, high) = (floor(from)?, floor(to)?);
        (low < high).then(|| format!("{from} ({}) uses {to} ({})", FLOORS[low].0, FLOORS[high].0))
    });
    let climbs: Vec<String> = climbs.collect();
    assert!(climbs.is_empty(), "{}", climbs.join("\n"));
}
