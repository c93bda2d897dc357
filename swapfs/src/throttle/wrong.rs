//! What may be wrong with a line of rules.

use std::fmt;

/// What is wrong, and at which byte of the line.
pub(crate) struct Wrong {
    pub(crate) at: usize,
    pub(crate) why: String,
}

impl Wrong {
    pub(crate) fn new(at: usize, why: impl fmt::Display) -> Self {
        Wrong { at, why: why.to_string() }
    }
}
