//! Rules that can match nothing, or nothing that is there: a slash too many, a path of the host, a typing
//! error. They are in force all the same, as files may come; a line says so.

use std::path::{Path, PathBuf};

use super::Service;
use crate::filesystem::FileKind;
use crate::images::Source;
use crate::throttle::{Glob, parse_rules};
use crate::units::show_name;

/// How many directories are listed to find files that patterns are for; where there are more that they may be
/// in, nothing is said.
const MOST_DIRECTORIES: usize = 1000;
/// The longest pattern that is looked at.
const LONGEST_PATTERN: usize = 512;

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// The throttle's.
    Throttle,
    /// For faults on purpose.
    Faults,
}

/// What was found for a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Some,
    None,
    /// There is more to look at than is worth the time.
    Unknown,
}

impl Service {
    /// A line for each pattern of which no file is, of rules that are in force.
    pub fn doubts(&self, about: RuleKind) -> Vec<String> {
        let patterns: Vec<Glob> = match about {
            // As they are written down, since they live in another thread.
            RuleKind::Throttle => {
                let rules = parse_rules(&self.gate.rules_text()).unwrap_or_default();
                rules.into_iter().map(|rule| rule.selector.path).collect()
            }
            RuleKind::Faults => {
                self.faults.lock().rules().iter().map(|rule| rule.selector.path.clone()).collect()
            }
        };
        self.doubts_about(patterns.iter())
    }

    fn doubts_about<'a>(&self, patterns: impl Iterator<Item = &'a Glob>) -> Vec<String> {
        let mut left = MOST_DIRECTORIES;
        patterns.filter_map(|pattern| self.doubt(pattern, &mut left)).collect()
    }

    /// `left` directories may be listed.
    fn doubt(&self, pattern: &Glob, left: &mut usize) -> Option<String> {
        let shown = show_name(&pattern.to_string());
        if shown.len() > LONGEST_PATTERN {
            return None;
        }
        if !pattern.can_begin(b"images/") && !pattern.can_begin(b"swap/") {
            let hint = match shown.starts_with('/') {
                true => "; it counts from the top of the mount and begins with no `/`",
                false => "",
            };
            return Some(format!(
                "no rule for `{shown}` can ever match: paths look like images/ls or swap/swap0{hint}"
            ));
        }
        let is_swap = |name: &str| pattern.holds(format!("swap/{name}").as_bytes());
        if self.swaps.read().named().any(|(_, file)| is_swap(&file.name)) {
            return None;
        }
        let found: Vec<Match> = self.plan.sources.iter().map(|source| find(source, pattern, left)).collect();
        let none = found.iter().all(|found| *found == Match::None);
        none.then(|| {
            format!("the rule for `{shown}` matches no file that is here now; is it written as it was meant?")
        })
    }
}

/// Looks for a file of a source that is of `pattern`, in directories that may hold one.
fn find(source: &Source, pattern: &Glob, left: &mut usize) -> Match {
    let mut todo = vec![PathBuf::from(source.base())];
    while let Some(path) = todo.pop() {
        let visible = source.visible_path(&path).into_os_string().into_encoded_bytes();
        let is_file = |path: &Path| source.tree().look(path).is_ok_and(|seen| seen.kind == FileKind::Regular);
        if pattern.holds(&visible) && is_file(&path) {
            return Match::Some;
        }
        if !pattern.can_begin(&[&visible[..], b"/"].concat()) {
            continue;
        }
        if *left == 0 {
            return Match::Unknown;
        }
        *left -= 1;
        for entry in source.tree().list(&path).unwrap_or_default() {
            let below = path.join(&entry.name);
            match entry.kind {
                FileKind::Directory => todo.push(below),
                FileKind::Regular
                    if pattern.holds(source.visible_path(&below).as_os_str().as_encoded_bytes()) =>
                {
                    return Match::Some;
                }
                _ => {}
            }
        }
    }
    Match::None
}
