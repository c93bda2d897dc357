//! What the benches have in common: the middle of what they measured, and how a bar that was missed ends
//! them.

use std::process::ExitCode;

/// The median; of an even number of values the larger of the middle two.
///
/// # Panics
///
/// When there are no values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Whether every bar was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bars {
    /// All of them.
    Kept,
    /// Not all.
    Missed,
}

/// How a bench ends: a missed bar is an error only where the environment variable `enforce` is 1.
#[must_use]
pub fn exit_code(bars: Bars, enforce: &str) -> ExitCode {
    let enforced = std::env::var_os(enforce).is_some_and(|value| value == "1");
    if enforced && bars == Bars::Missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 3.0);
    }
}
