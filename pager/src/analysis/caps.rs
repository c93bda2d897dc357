//! Caps as people ask for them: sizes, parts of the working set, and series of parts.

use std::str::FromStr;

use thiserror::Error;

use crate::size::{ByteSize, SizeError};

/// Step of a series, in per cent.
const STEP_PERCENT: u64 = 10;

/// One or more caps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caps {
    /// A size.
    Size(ByteSize),
    /// Parts of the working set, from the first to the last in steps of ten per cent.
    Percent(u64, u64),
}

/// Why a text is no cap.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CapsError {
    /// Neither form.
    #[error("a cap is a size (64M), a part of the working set (50%) or a series of parts (10%..100%)")]
    Percent,
    /// No size.
    #[error(transparent)]
    Size(#[from] SizeError),
}

impl FromStr for Caps {
    type Err = CapsError;

    fn from_str(text: &str) -> Result<Caps, CapsError> {
        if !text.contains('%') {
            return Ok(Caps::Size(text.parse()?));
        }
        let percent = |part: &str| -> Result<u64, CapsError> {
            let number = part.strip_suffix('%').and_then(|number| number.parse().ok());
            number.filter(|number| (1..=1000).contains(number)).ok_or(CapsError::Percent)
        };
        match text.split_once("..") {
            None => percent(text).map(|part| Caps::Percent(part, part)),
            Some((first, last)) => match (percent(first)?, percent(last)?) {
                (first, last) if first <= last => Ok(Caps::Percent(first, last)),
                _ => Err(CapsError::Percent),
            },
        }
    }
}

impl Caps {
    /// In pages, ascending, for a working set of `working_set` pages.
    pub fn pages(self, working_set: u64) -> Vec<u64> {
        match self {
            Caps::Size(size) => vec![size.pages().max(1)],
            Caps::Percent(first, last) => (first..=last)
                .step_by(STEP_PERCENT as usize)
                .map(|percent| (working_set.saturating_mul(percent) / 100).max(1))
                .collect(),
        }
    }

    /// All of `asked`, ascending, each once.
    pub fn all(asked: &[Caps], working_set: u64) -> Vec<u64> {
        let mut pages: Vec<u64> = asked.iter().flat_map(|caps| caps.pages(working_set)).collect();
        pages.sort_unstable();
        pages.dedup();
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(text: &str) -> Result<Caps, CapsError> {
        text.parse()
    }

    #[test]
    fn sizes_parts_and_series() {
        assert_eq!(caps("8M").map(|caps| caps.pages(1)), Ok(vec![2048]));
        assert_eq!(caps("50%").map(|caps| caps.pages(1000)), Ok(vec![500]));
        assert_eq!(caps("10%..40%").map(|caps| caps.pages(1000)), Ok(vec![100, 200, 300, 400]));
        assert_eq!(Caps::all(&[Caps::Percent(10, 30), Caps::Percent(20, 20)], 10), [1, 2, 3]);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "%", "0%", "90%..10%", "10%..", "ten"] {
            assert!(caps(text).is_err(), "{text}");
        }
    }
}
