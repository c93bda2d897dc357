//! The files below `.swapfs` whose text is made when they are opened.

use crate::accounting::Snapshot;
use crate::filesystem::inode::ControlFile;
use crate::metrics::open_metrics;

/// The text of a control file.
pub fn text(file: ControlFile, snapshot: &Snapshot) -> String {
    match file {
        ControlFile::Stats => snapshot.to_json(),
        ControlFile::Metrics => open_metrics(snapshot),
        ControlFile::Trace | ControlFile::Command | ControlFile::Throttle | ControlFile::Faults => {
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::Figures;

    #[test]
    fn json_reads_back() {
        let snapshot = Snapshot::sample(&Figures::default(), &["images/x"]);
        let text = text(ControlFile::Stats, &snapshot);
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    }
}
