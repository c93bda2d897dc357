//! The quick part of the catalogue: installed programs at parts of their native peak. `INTEGRATION_FULL=1`
//! takes all of them.

use integration::catalogue::entry::{self, Size};
use integration::catalogue::{Measured, Verdict, measure};
use integration::workloads::Scale;

#[test]
fn real_programs_do_the_same_at_parts_of_their_peak() {
    let all = Scale::asked() == Scale::Full;
    let mut complaints = Vec::new();
    for entry in entry::all().into_iter().filter(|entry| all || entry.size == Size::Quick) {
        match measure(&entry) {
            Measured::Skipped => println!("{}: skipped, {}", entry.name, entry.installation()),
            Measured::Unusable(why) => println!("{}: not usable natively here: {why}", entry.name),
            Measured::Ran { caps, .. } => {
                for cap in caps {
                    if let Verdict::Different(why) = cap.verdict {
                        complaints.push(format!("{} at {} %: {why}", entry.name, cap.percent));
                    }
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
