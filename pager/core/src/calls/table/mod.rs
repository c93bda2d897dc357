//! The rows, by subject, and the dense index over them.
//!
//! One call is one line. [`builder::call`] starts a row that is `Straight`, `Uninterruptible` and `Whole`;
//! the methods say what differs.

use super::Row;

mod admin;
mod builder;
mod events;
mod files;
mod ipc;
mod memory;
mod net;
mod paths;
mod process;
mod signals;
mod time;

/// One more than the highest number that has a row.
pub const ROWS: usize = 470;

/// Dense index: the row of call number `i` at `i`. Duplicate or excessive numbers do not compile.
static INDEX: [Option<&'static Row>; ROWS] = index(&[
    files::ROWS,
    paths::ROWS,
    memory::ROWS,
    signals::ROWS,
    net::ROWS,
    ipc::ROWS,
    process::ROWS,
    time::ROWS,
    events::ROWS,
    admin::ROWS,
]);

/// What is known about call `number`, in constant time; `None` for numbers that Linux 6.18 does not have (x32
/// numbers among them).
pub fn row(number: u64) -> Option<&'static Row> {
    let at = usize::try_from(number).ok()?;
    INDEX.get(at).copied().flatten()
}

const fn index(groups: &[&'static [Row]]) -> [Option<&'static Row>; ROWS] {
    let mut dense: [Option<&'static Row>; ROWS] = [None; ROWS];
    let mut group = 0;
    while group < groups.len() {
        let rows = groups[group];
        let mut at = 0;
        while at < rows.len() {
            let number = rows[at].number as usize;
            assert!(dense[number].is_none(), "two rows for one call number");
            dense[number] = Some(&rows[at]);
            at += 1;
        }
        group += 1;
    }
    dense
}
