//! How long the texts were that clients had last.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::filesystem::inode::ControlFile;
use crate::throttle::Nanos;

/// For how long a size is that of the text that was made last: who opens a file and then asks for its size is
/// told that of what it opened.
const HOLDS: Nanos = Nanos(2_000_000_000);

/// The length of the text that each file had last, and when.
#[derive(Debug, Default)]
pub(super) struct TextSizes(Mutex<HashMap<ControlFile, (Nanos, u64)>>);

impl TextSizes {
    pub(super) fn note(&self, file: ControlFile, now: Nanos, bytes: u64) {
        self.0.lock().insert(file, (now, bytes));
    }

    pub(super) fn recent(&self, file: ControlFile, now: Nanos) -> Option<u64> {
        let (when, bytes) = *self.0.lock().get(&file)?;
        (now.before(when) < HOLDS).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_holds_for_a_while() {
        let sizes = TextSizes::default();
        sizes.note(ControlFile::Stats, Nanos(5), 100);
        assert_eq!(sizes.recent(ControlFile::Stats, HOLDS), Some(100));
        assert_eq!(sizes.recent(ControlFile::Stats, Nanos(HOLDS.0 + 5)), None);
        assert_eq!(sizes.recent(ControlFile::Metrics, Nanos(6)), None);
    }
}
