//! The blocks of a tar archive.

use crate::images::archive::{ArchiveError, Medium};

pub(super) const BLOCK_BYTES: u64 = 512;
pub(super) const NOT_A_NUMBER: &str = "a field that should hold a number";
/// What is read at once while going from header to header.
const WINDOW_BYTES: usize = 16 << 10;

/// Reads blocks one after the other, many at once.
#[derive(Debug)]
pub(super) struct Blocks<'m> {
    pub(super) medium: &'m dyn Medium,
    window: Vec<u8>,
    window_at: u64,
}

impl<'m> Blocks<'m> {
    pub(super) fn new(medium: &'m dyn Medium) -> Self {
        Blocks { medium, window: Vec::new(), window_at: 0 }
    }

    /// The block at `at`.
    ///
    /// # Errors
    /// [`ArchiveError::Truncated`] past the end.
    pub(super) fn block(&mut self, at: u64) -> Result<&[u8; BLOCK_BYTES as usize], ArchiveError> {
        let inside = at.checked_sub(self.window_at).and_then(|from| usize::try_from(from).ok());
        let from = match inside.filter(|from| from.saturating_add(BLOCK_BYTES as usize) <= self.window.len())
        {
            Some(from) => from,
            None => {
                self.move_window(at)?;
                0
            }
        };
        self.window[from..].first_chunk().ok_or(ArchiveError::Truncated { at, needed: BLOCK_BYTES })
    }

    fn move_window(&mut self, at: u64) -> Result<(), ArchiveError> {
        let left = self.medium.size_bytes().saturating_sub(at);
        self.window.resize(usize::try_from(left).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES), 0);
        self.medium.read_exact_at(&mut self.window, at)?;
        self.window_at = at;
        Ok(())
    }
}
