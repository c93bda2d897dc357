//! The throttle's rules as text: read from `.swapfs/throttle`, and put in force by writing there.

use parking_lot::RwLock;

use super::Service;
use crate::filesystem::FsError;
use crate::throttle::{Rule, parse_rules};

/// The most bytes of rules, so that each change is one request.
const LONGEST: usize = 128 << 10;

impl Service {
    pub(super) fn rules_text(&self) -> String {
        self.throttle.lock().rules().iter().map(|rule| format!("{rule}\n")).collect()
    }

    /// Puts the rules in `data` in force, all or none; `answer` says them, or why they were refused.
    pub(super) fn set_rules(&self, answer: &RwLock<String>, data: &[u8]) -> Result<usize, FsError> {
        match read_rules(data) {
            Ok(rules) => {
                self.throttle.lock().replace(rules);
                *answer.write() = self.rules_text();
                Ok(data.len())
            }
            Err(why) => {
                *answer.write() = why + "\n";
                Err(FsError::Invalid)
            }
        }
    }
}

fn read_rules(data: &[u8]) -> Result<Vec<Rule>, String> {
    if data.len() > LONGEST {
        return Err(format!("rules have at most {LONGEST} bytes"));
    }
    let text = std::str::from_utf8(data).map_err(|_| "rules are text in UTF-8".to_owned())?;
    parse_rules(text).map_err(|error| error.to_string())
}
