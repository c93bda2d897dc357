//! A span of time on the command line.

use std::time::Duration;

use swapfs::units::{UnitError, parse_duration};

/// A span of time that is not zero.
pub fn interval(text: &str) -> Result<Duration, UnitError> {
    match parse_duration(text)? {
        Duration::ZERO => Err(UnitError::Zero(text.to_owned())),
        interval => Ok(interval),
    }
}
