//! Reading the two programs' JSON reports by key, with messages that name the missing key.

use std::path::Path;

use serde_json::Value;

/// No count of ours gets this far: in nanoseconds it is 73 years.
const BELOW_ZERO: f64 = (1_u64 << 61) as f64;

/// A report, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    json: Value,
}

impl Report {
    /// Parses `text`.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self {
            json: serde_json::from_str(text).unwrap_or_else(|error| panic!("not JSON: {error}: {text:?}")),
        }
    }

    /// Reads and parses `path`.
    ///
    /// # Panics
    ///
    /// When it cannot be read or is not JSON.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path);
        Self::parse(&text.unwrap_or_else(|error| panic!("no report in {}: {error}", path.display())))
    }

    /// The value at `path`, keys separated by dots.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn at(&self, path: &str) -> Report {
        let found = path.split('.').try_fold(&self.json, |value, key| value.get(key));
        Self { json: found.unwrap_or_else(|| panic!("no {path} in the report {}", self.json)).clone() }
    }

    /// The number at `path`.
    ///
    /// # Panics
    ///
    /// When there is none or it is negative or broken.
    #[must_use]
    pub fn number(&self, path: &str) -> u64 {
        self.at(path)
            .json
            .as_u64()
            .unwrap_or_else(|| panic!("{path} is no count in the report {}", self.json))
    }

    /// The text at `path`.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn text(&self, path: &str) -> String {
        self.at(path)
            .json
            .as_str()
            .unwrap_or_else(|| panic!("{path} is no text in the report {}", self.json))
            .to_owned()
    }

    /// The elements of the list at `path`.
    ///
    /// # Panics
    ///
    /// When there is no list.
    #[must_use]
    pub fn list(&self, path: &str) -> Vec<Report> {
        let at = self.at(path);
        let elements =
            at.json.as_array().unwrap_or_else(|| panic!("{path} is no list in the report {}", self.json));
        elements.iter().map(|json| Self { json: json.clone() }).collect()
    }

    /// Paths of the counts that are below zero: negative, or so large that something was taken from an
    /// unsigned zero.
    #[must_use]
    pub fn below_zero(&self) -> Vec<String> {
        let mut found = Vec::new();
        below_zero(&self.json, "", &mut found);
        found
    }

    /// Whether the value at `path` is there and not null.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        path.split('.')
            .try_fold(&self.json, |value, key| value.get(key))
            .is_some_and(|value| !value.is_null())
    }
}

fn below_zero(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(number)
            if number.as_f64().is_some_and(|number| !(0.0..BELOW_ZERO).contains(&number)) =>
        {
            found.push(format!("{path}: {number}"));
        }
        Value::Array(values) => {
            values
                .iter()
                .enumerate()
                .for_each(|(at, value)| below_zero(value, &format!("{path}.{at}"), found));
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| below_zero(value, &format!("{path}.{key}"), found))
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_path() {
        let report = Report::parse(r#"{"a": {"b": 3, "c": [{"d": "x"}], "n": null}}"#);
        assert_eq!(report.number("a.b"), 3);
        assert_eq!(report.list("a.c")[0].text("d"), "x");
        assert!(report.has("a.b") && !report.has("a.n") && !report.has("a.z.b"));
    }

    #[test]
    fn counts_below_zero_are_found_wherever_they_are() {
        let report = Report::parse(r#"{"a": {"b": 3, "c": [{"d": 18446744073709551615}], "n": -1}}"#);
        assert_eq!(report.below_zero(), [".a.c.0.d: 18446744073709551615", ".a.n: -1"]);
    }
}
