//! No file uses one that uses it back, by itself or by others, except where this says so still.
//!
//! The walls that are to be: `pager/docs/ARCHITECTURE.md`. What is listed here may shrink, never grow.

use integration::binaries;
use integration::imports::Imports;

/// Crates by the file that names their modules, and how many files stand in circles of imports.
const CRATES: [(&str, usize); 6] = [
    ("pager/core/src/lib.rs", 0),
    ("pager/runtime/src/lib.rs", 77),
    ("pager/src/lib.rs", 0),
    ("swapfs/src/lib.rs", 66),
    ("swapfs/src/main.rs", 7),
    ("integration/src/lib.rs", 7),
];

#[test]
fn no_circle_of_imports_grows() {
    for (root, most) in CRATES {
        let imports = Imports::of(&binaries::workspace().join(root)).expect("the sources can be read");
        let circles = imports.circles();
        let shown: Vec<String> = circles.iter().map(|files| format!("{}: {}", files.len(), files.join(" "))).collect();
        let inside: usize = circles.iter().map(Vec::len).sum();
        assert!(inside <= most, "{root}: {inside} files are in circles, {most} at most\n{}", shown.join("\n"));
    }
}
