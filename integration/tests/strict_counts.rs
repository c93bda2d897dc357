//! Two programs that know nothing of each other count the same: pages filled from an image, and bytes served
//! for it.
//!
//! Assumes: root or fusermount3, gcc.

use std::fs;
use std::path::Path;

use integration::guests::{self, Link};
use integration::mount::{Mount, MountPlan};
use integration::paged::Paging;
use integration::report::Report;
use integration::run::End;
use integration::scratch::Scratch;

const PAGE_BYTES: u64 = 4096;

/// A copy of the guest whose size is a whole number of pages: a last page cut short would be served as fewer
/// bytes.
fn padded_program(scratch: &Scratch, guest: &str) -> std::path::PathBuf {
    let mut bytes = fs::read(guests::build(guest, Link::StaticPie)).expect("a built guest can be read");
    bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES as usize), 0);
    let path = scratch.file(guest, bytes);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("a mode can be set");
    path
}

/// The element of `list` whose `path` ends in `name`.
fn of_file(list: Vec<Report>, name: &str) -> Report {
    let found = list.into_iter().find(|entry| Path::new(&entry.text("path")).ends_with(name));
    found.unwrap_or_else(|| panic!("{name} is not in the report"))
}

fn counts_agree(guest: &str, cap: Option<&str>) {
    let scratch = Scratch::new("strict");
    let program = padded_program(&scratch, guest);
    let mount: Mount =
        MountPlan::new().image(&program).strict().mount().unwrap_or_else(|reason| panic!("{reason}"));
    let paging = cap.map_or_else(Paging::new, |cap| Paging::new().resident(cap)).exact();
    let run = paging.run(mount.image(guest), |run| run);
    assert_eq!(run.outcome.end, End::Code(0), "{}", run.outcome.complaint());
    let image = of_file(run.report().list("images"), guest);
    let served = of_file(mount.stats().list("files"), guest);
    let pages = image.number("pages_filled");
    let (read, served) = (image.number("bytes_read"), served.number("read_bytes"));
    println!("{:<10} {:>6} {:>13} {:>11} {:>11}", "image", "pages", "pages x 4096", "pager read", "served");
    println!("{guest:<10} {pages:>6} {:>13} {read:>11} {served:>11}", pages * PAGE_BYTES);
    assert!(pages > 0, "no page was filled from the image");
    assert_eq!(read, served, "bytes that the pager read, and that swapfs served");
    assert_eq!(pages * PAGE_BYTES, served, "pages filled from the image, and bytes that swapfs served");
    mount.unmount().unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
fn pages_filled_are_bytes_served() {
    counts_agree("registers", None);
}

#[test]
fn pages_filled_again_are_served_again() {
    counts_agree("map_walk", Some("1M"));
}
