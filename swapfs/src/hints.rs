//! What counts mean, in plain words: lines below the tables of `swapfs stat`. Pure. Each says a figure, and
//! what to look at; none is shown for what is as it should be.

use crate::accounting::{FileClass, FileSnapshot, Snapshot};
use crate::selection::Selection;
use crate::units::{show_bytes, show_name};

/// Fewer reads say nothing.
const FEWEST_READS: u64 = 64;
/// A file that is read so much more often than once is worth a word.
const MANY_TIMES: f64 = 1.5;
/// Reads of which fewer are in sequence are at random.
const MOSTLY_RANDOM: f64 = 0.3;
/// Reads that are on average larger bring more than one page.
const LARGE_BYTES: u64 = 32 << 10;

/// The hints about all files that are chosen, and about the mount where all are.
pub fn hints(snapshot: &Snapshot, selection: &Selection) -> Vec<String> {
    let chosen = snapshot.files.iter().filter(|file| selection.holds(&file.path));
    let mut hints: Vec<String> = chosen.flat_map(|file| of_file(file, snapshot.strict)).collect();
    let all = selection.0.is_empty();
    hints.extend(
        snapshot.faults.in_words().filter(|_| all).map(|made| format!("faults made on purpose: {made}")),
    );
    hints
}

fn of_file(file: &FileSnapshot, strict: bool) -> Vec<String> {
    let said = [again(file, strict), amplified(file, strict), compressed(file)];
    said.into_iter().flatten().map(|hint| format!("{}: {hint}", show_name(&file.path))).collect()
}

/// Blocks that came more than once.
fn again(file: &FileSnapshot, strict: bool) -> Option<String> {
    let times = file.reads_per_block;
    if file.figures.read_ops < FEWEST_READS || times < MANY_TIMES {
        return None;
    }
    let again = show_bytes(file.figures.read_repeat_blocks * 4096);
    Some(match (file.class, strict) {
        (FileClass::Swap, _) => {
            format!(
                "each block came back {times:.1} x ({again} again), as when its user has less memory than it goes through"
            )
        }
        (FileClass::Image, true) => {
            let share = 100.0 * (1.0 - 1.0 / times);
            format!(
                "re-read {times:.1} x: a page cache (no --strict) could answer {share:.0} % of it, {again}"
            )
        }
        (FileClass::Image, false) => format!(
            "re-read {times:.1} x ({again} again): the page cache does not keep it: memory is short, caches are dropped, or the source changes"
        ),
    })
}

/// Random reads that each bring readahead which nobody may want.
fn amplified(file: &FileSnapshot, strict: bool) -> Option<String> {
    let figures = &file.figures;
    let sequential = figures.read_sequential_ops as f64 / figures.read_ops.max(1) as f64;
    let mean = figures.read_bytes / figures.read_ops.max(1);
    let random = figures.read_ops >= FEWEST_READS && sequential < MOSTLY_RANDOM;
    if strict || file.class == FileClass::Swap || !random || mean < LARGE_BYTES {
        return None;
    }
    let (share, mean) = (file.readahead_share * 100.0, show_bytes(mean));
    Some(format!(
        "{share:.0} % of its reads look like readahead, at random places and of {mean} on average: MADV_RANDOM, or a smaller read_ahead_kb, would read less"
    ))
}

/// Room that compression saves.
fn compressed(file: &FileSnapshot) -> Option<String> {
    let (kept, data) = (file.allocated_bytes?, file.data_bytes?);
    let times = data as f64 / kept.max(1) as f64;
    (data > kept).then(|| format!("{} of data kept in {} ({times:.1} x)", show_bytes(data), show_bytes(kept)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::Figures;
    use crate::faults::FaultCounts;

    fn snapshot(figures: &Figures, class: FileClass) -> Snapshot {
        let mut snapshot = Snapshot::sample(figures, &["images/a"]);
        snapshot.files[0].class = class;
        snapshot
    }

    fn told(snapshot: &Snapshot) -> String {
        hints(snapshot, &Selection::default()).join("\n")
    }

    #[test]
    fn what_is_as_it_should_be_is_not_told() {
        let once =
            Figures { read_ops: 100, read_bytes: 409_600, read_distinct_blocks: 100, ..Figures::default() };
        assert_eq!(told(&snapshot(&once, FileClass::Image)), "");
        let few =
            Figures { read_ops: 9, read_distinct_blocks: 1, read_repeat_blocks: 8, ..Figures::default() };
        assert_eq!(told(&snapshot(&few, FileClass::Swap)), "");
    }

    #[test]
    fn what_is_read_again_is_told_by_where_it_is_read() {
        let again = Figures {
            read_ops: 230,
            read_distinct_blocks: 100,
            read_repeat_blocks: 130,
            ..Figures::default()
        };
        let mut image = snapshot(&again, FileClass::Image);
        assert!(
            told(&image).contains("re-read 2.3 x") && told(&image).contains("page cache does not keep it")
        );
        image.strict = true;
        assert!(told(&image).contains("could answer 57 %"), "{}", told(&image));
        assert!(told(&snapshot(&again, FileClass::Swap)).contains("came back 2.3 x (520.0K again)"));
    }

    #[test]
    fn random_reads_with_readahead_are_told() {
        let figures =
            Figures { read_ops: 100, read_bytes: 100 << 16, read_ahead_ops: 90, ..Figures::default() };
        assert!(
            told(&snapshot(&figures, FileClass::Image)).contains("90 % of its reads look like readahead")
        );
        let sequential = Figures { read_sequential_ops: 90, ..figures };
        assert_eq!(told(&snapshot(&sequential, FileClass::Image)), "");
    }

    #[test]
    fn compression_and_faults_are_told() {
        let mut snapshot = snapshot(&Figures::default(), FileClass::Swap);
        (snapshot.files[0].allocated_bytes, snapshot.files[0].data_bytes) = (Some(1 << 20), Some(3 << 20));
        snapshot.faults = FaultCounts { eio: 3, hangs: 1, ..FaultCounts::default() };
        assert_eq!(
            told(&snapshot),
            "images/a: 3.0M of data kept in 1.0M (3.0 x)\nfaults made on purpose: 3 I/O errors, 1 hangs"
        );
        assert_eq!(snapshot.faults.since(&FaultCounts { eio: 1, ..FaultCounts::default() }).eio, 2);
    }
}
