//! A touch of a page.

/// What a touch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Loads a byte.
    Read,
    /// Stores a byte.
    Write,
}
