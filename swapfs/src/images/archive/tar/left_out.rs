//! Members that GNU tar cannot extract: it complains of them, goes on, and ends with an error. Here the rest
//! is shown, and a line says what is not.

use crate::images::index::IndexError;

/// How many are named.
const NAMED: usize = 3;

/// The members that are not shown.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    named: Vec<String>,
    count: u64,
}

/// Whether GNU tar passes over what cannot be taken in for this reason. (Names that lead out it shortens,
/// and members below a symlink it puts wherever that leads; neither is done here, and the archive is refused.)
pub(super) fn is_passed_over(why: IndexError) -> bool {
    use IndexError::{Name, NoTarget, NotADirectory, NotEmpty};
    matches!(why, NoTarget | NotADirectory | NotEmpty | Name)
}

impl LeftOut {
    /// Takes note of a member whose header is at `at`; its `name` is fit for a terminal.
    pub(super) fn note(&mut self, name: &str, at: u64, why: IndexError) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("`{name}` at byte {at} {why}"));
        }
    }

    /// All of it in a line.
    pub(super) fn line(&self) -> Option<String> {
        let more = match self.count.saturating_sub(NAMED as u64) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let (named, count) = (self.named.join("; "), self.count);
        (count > 0).then(|| format!("{count} of its members left out, as GNU tar would: {named}{more}"))
    }
}
