//! A count for each of some numbers, as a histogram is written down: `{"4096": 3, "8192": 1}`.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// How many there are of each number; numbers without any are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Tally(BTreeMap<u64, u64>);

impl Tally {
    /// Counts `count` more of `number`.
    pub fn add(&mut self, number: u64, count: u64) {
        if count > 0 {
            *self.0.entry(number).or_default() += count;
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Tally) {
        other.iter().for_each(|(number, count)| self.add(number, count));
    }

    /// Numbers in order, and how many there are of each.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(number, count)| (*number, *count))
    }

    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Tally) -> Tally {
        let mut left = Tally::default();
        for (number, count) in self.iter() {
            left.add(number, count.saturating_sub(earlier.0.get(&number).copied().unwrap_or(0)));
        }
        left
    }
}

impl<'de> Deserialize<'de> for Tally {
    /// By way of text keys: below a flattened struct, serde does not turn those into numbers.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = BTreeMap::<String, u64>::deserialize(deserializer)?;
        let number = |text: &str| text.parse::<u64>().map_err(D::Error::custom);
        texts.iter().map(|(text, count)| Ok((number(text)?, *count))).collect::<Result<_, _>>().map(Tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_subtracts() {
        let mut tally = Tally::default();
        tally.add(4096, 3);
        tally.add(100, 1);
        tally.add(7, 0);
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(text, r#"{"100":1,"4096":3}"#);
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
        let mut later = tally.clone();
        later.add(4096, 2);
        assert_eq!(later.since(&tally).iter().collect::<Vec<_>>(), [(4096, 2)]);
        assert!(serde_json::from_str::<Tally>(r#"{"x":1}"#).is_err());
    }
}
