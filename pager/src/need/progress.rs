//! What a search says on a terminal while it is under way.

use std::io::IsTerminal;

use crate::say;

/// A line that says what is going on, on a terminal only.
pub struct Progress {
    shown: bool,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}

impl Progress {
    /// One for this terminal, if there is one.
    pub fn new() -> Progress {
        Progress { shown: std::io::stderr().is_terminal() }
    }

    /// Says what is being run.
    pub fn say(&self, what: &str) {
        if self.shown {
            let _ = say::to_stderr(&format!("\r\x1b[Krunning {what} ..."));
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.shown {
            let _ = say::to_stderr("\r\x1b[K");
        }
    }
}
