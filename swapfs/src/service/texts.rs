//! The sizes of files below `.swapfs`. Their text is made when they are opened, but archivers, `cp` and
//! exporters ask for the size and read no more: before they open the file, after it, or both.

use super::Service;
use crate::control;
use crate::filesystem::inode::ControlFile;

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
