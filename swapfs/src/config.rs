//! A configuration file in TOML: its keys are the long options of `swapfs mount` and `mountpoint`. Pure:
//! reads a text, knows no option by itself.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// `true` or `false`.
    Switch,
    /// How often it is given, a whole number.
    Count,
    /// One value.
    Value,
    /// One value, or a list of them.
    Values,
}

/// What an option is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// It is given, or not.
    Switch(bool),
    /// It is given so many times.
    Count(u64),
    /// It is given once with each of these.
    Values(Vec<String>),
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The option without its dashes.
    pub key: String,
    /// What it is set to.
    pub setting: Setting,
    /// Where its key stands, from 1.
    pub line: usize,
}

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, and what would be right.
    pub why: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for ConfigError {}

/// Reads a configuration. `known` are the options there are.
///
/// # Errors
/// The first line that is not TOML, or not of a known key, or of the wrong kind.
pub fn parse(text: &str, known: &[(String, Takes)]) -> Result<Vec<Entry>, ConfigError> {
    let line_of = |at: usize| 1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| ConfigError {
        line: line_of(error.span().map_or(0, |span| span.start)),
        why: error.message().trim().replace('\n', ", "),
    })?;
    let mut entries: Vec<Entry> = table
        .get_ref()
        .iter()
        .map(|(key, value)| {
            let line = line_of(key.span().start);
            let setting =
                setting(key.get_ref(), value.get_ref(), known).map_err(|why| ConfigError { line, why })?;
            Ok(Entry { key: key.get_ref().to_string(), setting, line })
        })
        .collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn setting(key: &str, value: &DeValue<'_>, known: &[(String, Takes)]) -> Result<Setting, String> {
    let takes = known.iter().find(|(name, _)| name == key).map(|(_, takes)| *takes);
    let Some(takes) = takes else {
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("unknown key `{key}`; known are {}", names.join(", ")));
    };
    match (takes, value) {
        (Takes::Switch, DeValue::Boolean(on)) => Ok(Setting::Switch(*on)),
        (Takes::Switch, _) => Err(format!("`{key}` is true or false")),
        (Takes::Count, value) => {
            let count = scalar(value).and_then(|text| text.parse().ok()).filter(|count| *count <= 9);
            count.map(Setting::Count).ok_or_else(|| format!("`{key}` is a number from 0 to 9"))
        }
        (Takes::Values, DeValue::Array(values)) => {
            let values: Option<Vec<String>> = values.iter().map(|value| scalar(value.get_ref())).collect();
            values.map(Setting::Values).ok_or_else(|| format!("`{key}` is a list of texts"))
        }
        (Takes::Value | Takes::Values, value) => match scalar(value) {
            Some(text) => Ok(Setting::Values(vec![text])),
            None if takes == Takes::Values => Err(format!("`{key}` is a text or a list of texts")),
            None => Err(format!("`{key}` is one text or number")),
        },
    }
}

/// The text of a value, as it would be typed. A text with a NUL is none: no option can take it.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        _ => return None,
    };
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known() -> Vec<(String, Takes)> {
        let known = [
            ("strict", Takes::Switch),
            ("threads", Takes::Value),
            ("swap", Takes::Values),
            ("verbose", Takes::Count),
        ];
        known.map(|(name, takes)| (name.to_owned(), takes)).into()
    }

    fn entry(key: &str, setting: Setting, line: usize) -> Entry {
        Entry { key: key.to_owned(), setting, line }
    }

    fn values(values: &[&str]) -> Setting {
        Setting::Values(values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn keys_are_options() {
        let text =
            "# a comment\nthreads = 4\n\nstrict = true\nswap = [\n  'a:1G',\n  \"b:2G\",\n]\nverbose = 2\n";
        let expected = [
            entry("threads", values(&["4"]), 2),
            entry("strict", Setting::Switch(true), 4),
            entry("swap", values(&["a:1G", "b:2G"]), 5),
            entry("verbose", Setting::Count(2), 9),
        ];
        assert_eq!(parse(text, &known()).unwrap(), expected);
        assert_eq!(parse("swap = 'a:1G'", &known()).unwrap(), [entry("swap", values(&["a:1G"]), 1)]);
        assert_eq!(parse("", &known()).unwrap(), []);
    }

    #[test]
    fn errors_say_which_line() {
        for (text, line, word) in [
            ("threads = 4\nstrickt = true", 2, "unknown key `strickt`; known are strict"),
            ("threads = 4\nthreads = 5", 2, "duplicate"),
            ("\n\nstrict = 'yes'", 3, "true or false"),
            ("threads = [1, 2]", 1, "one text or number"),
            ("swap = [[1]]", 1, "list of texts"),
            ("verbose = -1", 1, "from 0 to 9"),
            ("[strict]\nx = 1", 1, "true or false"),
            ("threads = \"a\\u0000b\"", 1, "one text"),
            ("threads = \nstrict = true", 1, ""),
        ] {
            let error = parse(text, &known()).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.why.contains(word), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|[\n='\"\\[\\]{},.]|strict|swap|true|1){0,40}") {
            let _ = parse(&text, &known());
        }
    }
}
