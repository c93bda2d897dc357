//! The sizes of files below `.swapfs`. Their text is made when they are opened, but archivers, `cp` and
//! exporters ask for the size and read no more: before they open the file, after it, or both.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Service;
use crate::control;
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

    fn recent(&self, file: ControlFile, now: Nanos) -> Option<u64> {
        let (when, bytes) = *self.0.lock().get(&file)?;
        (now.before(when) < HOLDS).then_some(bytes)
    }
}

impl Service {
    /// How long the text of a file below `.swapfs` is: as it was made last, or would be now.
    pub(super) fn text_bytes(&self, file: ControlFile) -> u64 {
        let now = self.clock.now();
        let made = |text: String| text.len() as u64;
        match file {
            // A stream, and what holds nothing until it is written to.
            ControlFile::Trace | ControlFile::Command => 0,
            ControlFile::Throttle => made(self.gate.rules_text()),
            ControlFile::Faults => made(self.faults_text()),
            ControlFile::Stats | ControlFile::Metrics => {
                self.text_sizes.recent(file, now).unwrap_or_else(|| {
                    let bytes = made(control::text(file, &self.snapshot()));
                    self.text_sizes.note(file, now, bytes);
                    bytes
                })
            }
        }
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
