//! Amounts of memory as people type and read them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Bytes in a page.
pub const PAGE_BYTES: u64 = pager_core::addr::PAGE_SIZE;

/// An amount of memory in bytes.
///
/// Parses `4096`, `32M` (powers of 1024: K, M, G, T, also written KiB, MiB, ...) and `32MB` (powers of 1000);
/// shows itself in powers of 1024.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct ByteSize(pub u64);

/// Why a text is not an amount of memory.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SizeError {
    /// There is no number in front.
    #[error("a size starts with a whole number, such as 32M, 500MB or 4096")]
    NoNumber,
    /// What follows the number is not a unit.
    #[error(
        "`{0}` is not a unit: use K, M, G, T (powers of 1024), KB, MB, GB, TB (powers of 1000) or nothing for bytes"
    )]
    UnknownUnit(String),
    /// The amount does not fit in 63 bits.
    #[error("this is more memory than can be addressed")]
    TooBig,
}

impl ByteSize {
    /// The bytes of `pages` pages; the largest amount if that overflows.
    pub fn of_pages(pages: u64) -> Self {
        ByteSize(pages.saturating_mul(PAGE_BYTES))
    }

    /// The amount as it can be typed again: in the largest unit that it is a whole number of.
    pub fn exact(self) -> String {
        const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];
        let fits = |step: &usize| self.0 != 0 && self.0.trailing_zeros() as usize >= 10 * step;
        let step = (0..UNITS.len()).rev().find(fits).unwrap_or(0);
        format!("{}{}", self.0 >> (10 * step), UNITS[step])
    }

    /// Whole pages in this amount.
    pub fn pages(self) -> u64 {
        self.0 / PAGE_BYTES
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(SizeError::NoNumber);
        }
        let number: u64 = number.parse().map_err(|_| SizeError::TooBig)?;
        number
            .checked_mul(multiplier(unit)?)
            .filter(|&bytes| bytes <= i64::MAX as u64)
            .map(ByteSize)
            .ok_or(SizeError::TooBig)
    }
}

fn multiplier(unit: &str) -> Result<u64, SizeError> {
    const KIB: u64 = 1024;
    const KB: u64 = 1000;
    Ok(match unit.trim_start().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KIB" => KIB,
        "M" | "MIB" => KIB.pow(2),
        "G" | "GIB" => KIB.pow(3),
        "T" | "TIB" => KIB.pow(4),
        "KB" => KB,
        "MB" => KB.pow(2),
        "GB" => KB.pow(3),
        "TB" => KB.pow(4),
        _ => return Err(SizeError::UnknownUnit(unit.trim().to_owned())),
    })
}

impl fmt::Display for ByteSize {
    /// Exact multiples without a fraction (`32M`), all else with one decimal (`31.9M`), rounded down so that
    /// a cap never looks exceeded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];
        let step = (1..UNITS.len()).rev().find(|&step| self.0 >> (10 * step) != 0).unwrap_or(0);
        let whole = self.0 >> (10 * step);
        let rest = self.0 - (whole << (10 * step));
        let text = match rest {
            0 => format!("{whole}{}", UNITS[step]),
            _ => format!("{whole}.{}{}", (u128::from(rest) * 10) >> (10 * step), UNITS[step]),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u64, SizeError> {
        text.parse::<ByteSize>().map(|size| size.0)
    }

    #[test]
    fn units_are_powers_of_1024_and_with_b_of_1000() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1B", 1),
            ("1K", 1024),
            ("1k", 1024),
            ("3KiB", 3072),
            ("1KB", 1000),
            ("32M", 32 << 20),
            ("32MB", 32_000_000),
            ("2G", 2 << 30),
            ("2 GB", 2_000_000_000),
            ("1T", 1 << 40),
            ("1TB", 1_000_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_says_why() {
        assert_eq!(parse(""), Err(SizeError::NoNumber));
        assert_eq!(parse("M"), Err(SizeError::NoNumber));
        assert_eq!(parse("-1M"), Err(SizeError::NoNumber));
        assert_eq!(parse("1.5G"), Err(SizeError::UnknownUnit(".5G".into())));
        assert_eq!(parse("1X"), Err(SizeError::UnknownUnit("X".into())));
        assert_eq!(parse("99999999999999999999"), Err(SizeError::TooBig));
        assert_eq!(parse("9999999999T"), Err(SizeError::TooBig));
    }

    #[test]
    fn shows_the_largest_unit_that_fits() {
        for (bytes, text) in [
            (0, "0"),
            (4095, "3.9K"),
            (4096, "4K"),
            (32 << 20, "32M"),
            ((32 << 20) - 1, "31.9M"),
            (u64::MAX, "16777215.9T"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_exactly_is_taken_exactly(bytes in 0_u64..1 << 62, zeros in 0_u32..62) {
            let size = ByteSize(bytes >> zeros << zeros);
            proptest::prop_assert_eq!(size.exact().parse::<ByteSize>(), Ok(size));
        }

        #[test]
        fn whole_units_survive_a_round_trip(count in 1_u64..1024, step in 0_u32..5) {
            let size = ByteSize(count << (10 * step));
            proptest::prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
        }
    }
}
