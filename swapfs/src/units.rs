//! Sizes, rates and durations as people type them, and as they like to read them.
//!
//! One rule everywhere: `K`, `M`, `G`, `T` (also `KiB`, `MiB`, ...) are powers of 1024, `KB`, `MB`, `GB`,
//! `TB` of 1000. Nothing here does I/O.

use std::borrow::Cow;
use std::time::Duration;

/// Why a size, rate or duration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no number in front.
    #[error("`{0}` does not start with a number")]
    NoNumber(String),
    /// The letters after the number are not a unit that we know.
    #[error("`{text}` has the unknown unit `{unit}`; use {known}")]
    UnknownUnit {
        /// What was typed.
        text: String,
        /// The part that was not understood.
        unit: String,
        /// The units that are.
        known: &'static str,
    },
    /// The value does not fit.
    #[error("`{0}` is too large")]
    TooLarge(String),
    /// Zero where zero means nothing.
    #[error("`{0}` is zero; leave the option out instead")]
    Zero(String),
}

const SIZE_UNITS: &str = "K, M, G, T (powers of 1024) or KB, MB, GB, TB (powers of 1000)";
const TIME_UNITS: &str = "ns, us, ms, s or m";
/// Fractions are kept to nine decimal places.
const FRACTION_SCALE: u128 = 1_000_000_000;

/// Reads a size in bytes: `4096`, `64K`, `1.5G`, `10MB`.
///
/// # Errors
/// [`UnitError`], quoting the text.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split_number(text)?;
    let factor = size_factor(unit).ok_or_else(|| unknown(text, unit, SIZE_UNITS))?;
    scale(text, number, factor)
}

/// Reads a rate in bytes a second: a size, with or without `/s` at its end. Zero is refused.
///
/// # Errors
/// [`UnitError`], quoting the text.
pub fn parse_rate(text: &str) -> Result<u64, UnitError> {
    let bytes = parse_bytes(text.strip_suffix("/s").unwrap_or(text))?;
    nonzero(text, bytes)
}

/// Reads a count a second: a plain number, or with `K` or `M` for thousands and millions. Zero is refused.
///
/// # Errors
/// [`UnitError`], quoting the text.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split_number(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        _ => return Err(unknown(text, unit, "no unit, K or M")),
    };
    nonzero(text, scale(text, number, factor)?)
}

/// Reads a duration: `2ms`, `1.5s`, `250us`. A number without a unit is seconds.
///
/// # Errors
/// [`UnitError`], quoting the text.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split_number(text)?;
    let nanoseconds = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        _ => return Err(unknown(text, unit, TIME_UNITS)),
    };
    scale(text, number, nanoseconds).map(Duration::from_nanos)
}

/// Writes a duration in the largest unit that keeps it whole; [`parse_duration`] reads it back.
pub fn exact_duration(time: Duration) -> String {
    let ns = time.as_nanos();
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    let (factor, unit) =
        units.into_iter().find(|(factor, _)| ns.is_multiple_of(*factor)).unwrap_or((1, "ns"));
    format!("{}{unit}", ns / factor)
}

/// Writes a size in the largest binary unit that keeps it whole; [`parse_bytes`] reads it back.
pub fn exact_bytes(bytes: u64) -> String {
    let units = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.into_iter().find(|(factor, _)| bytes > 0 && bytes.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// Writes a size with one binary unit, for tables: `512`, `4.0K`, `1.5G`.
pub fn show_bytes(bytes: u64) -> String {
    show_scaled(bytes as f64, 1024.0, &["", "K", "M", "G", "T", "P"])
}

/// Writes a count with one decimal unit, for tables: `512`, `4.1k`, `1.5M`.
pub fn show_count(count: u64) -> String {
    show_scaled(count as f64, 1000.0, &["", "k", "M", "G", "T", "P"])
}

/// Writes nanoseconds with one unit, for tables: `850ns`, `12.3us`, `2.0ms`.
pub fn show_nanoseconds(ns: u64) -> String {
    show_scaled(ns as f64, 1000.0, &["ns", "us", "ms", "s"])
}

fn show_scaled(mut value: f64, base: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0}{}", units[0]) } else { format!("{value:.1}{}", units[unit]) }
}

fn size_factor(unit: &str) -> Option<u128> {
    let unit = unit.to_ascii_lowercase();
    let (letter, base) = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')) {
        Some(rest) if unit.ends_with("ib") => (rest, 1024u128),
        Some("") => ("", 1),
        Some(rest) => (rest, 1000),
        None => (unit.as_str(), 1024),
    };
    let power = match letter {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    Some(base.pow(power))
}

/// Splits `1.5G` into the number, in units of 10^-9, and `G`.
fn split_number(text: &str) -> Result<(u128, &str), UnitError> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') {
        return Err(UnitError::NoNumber(text.to_owned()));
    }
    let whole: u64 = whole.parse().map_err(|_| UnitError::TooLarge(text.to_owned()))?;
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let fraction: u128 = digits.parse().unwrap_or(0);
    Ok((u128::from(whole) * FRACTION_SCALE + fraction, unit.trim_start()))
}

fn scale(text: &str, number: u128, factor: u128) -> Result<u64, UnitError> {
    let value = number.checked_mul(factor).map(|n| n / FRACTION_SCALE);
    value.and_then(|v| u64::try_from(v).ok()).ok_or_else(|| UnitError::TooLarge(text.to_owned()))
}

fn nonzero(text: &str, value: u64) -> Result<u64, UnitError> {
    if value == 0 { Err(UnitError::Zero(text.to_owned())) } else { Ok(value) }
}

fn unknown(text: &str, unit: &str, known: &'static str) -> UnitError {
    UnitError::UnknownUnit { text: text.to_owned(), unit: unit.to_owned(), known }
}

/// Text with names that may hold anything, fit for a terminal: control characters, which could do what they
/// like with it, and those that turn the direction of writing around are written as escapes. Line ends stay.
pub fn show_text(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| {
        c == '\n' || !(c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c {
        c if is_plain(c) => c.to_string(),
        c if (c as u32) < 0x80 => format!("\\x{:02x}", c as u32),
        c => format!("\\u{{{:x}}}", c as u32),
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// The same for one name, in which line ends are escaped too.
pub fn show_name(name: &str) -> String {
    show_text(name).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_drive_a_terminal() {
        assert_eq!(
            show_name("a\x1b[2J\n\u{7f}\u{9b}1m\u{202e}b\u{e9} c"),
            "a\\x1b[2J\\n\\x7f\\u{9b}1m\\u{202e}b\u{e9} c"
        );
        assert_eq!(show_text("a\nb\tc"), "a\nb\\x09c");
    }
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("10M"), Ok(10 << 20));
        assert_eq!(parse_bytes("10MiB"), Ok(10 << 20));
        assert_eq!(parse_bytes("10MB"), Ok(10_000_000));
        assert_eq!(parse_bytes("1.5k"), Ok(1536));
        assert_eq!(parse_bytes("7B"), Ok(7));
        assert!(matches!(parse_bytes("M"), Err(UnitError::NoNumber(_))));
        assert!(matches!(parse_bytes("1X"), Err(UnitError::UnknownUnit { .. })));
        assert!(matches!(parse_bytes("1.2.3K"), Err(UnitError::NoNumber(_))));
        assert!(matches!(parse_bytes("99999999999T"), Err(UnitError::TooLarge(_))));
    }

    #[test]
    fn rates_and_counts() {
        assert_eq!(parse_rate("10MB/s"), Ok(10_000_000));
        assert!(matches!(parse_rate("0"), Err(UnitError::Zero(_))));
        assert_eq!(parse_count("5k"), Ok(5000));
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("2ms"), Ok(Duration::from_millis(2)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert!(parse_duration("2 parsecs").is_err());
    }

    proptest! {
        #[test]
        fn plain_numbers_are_themselves(n in any::<u64>()) {
            prop_assert_eq!(parse_bytes(&n.to_string()), Ok(n));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = (parse_bytes(&text), parse_rate(&text), parse_duration(&text), parse_count(&text));
        }
    }
}
