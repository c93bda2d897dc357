//! Where the answer lies: between a cap that is too small and one that is not.

use std::str::FromStr;
use std::time::Duration;

use crate::cap::LEAST_CAP_PAGES;

/// Part of the cap that is near enough.
const TIGHT_PART: u64 = 20;
/// Pages that are near enough.
const TIGHT_PAGES: u64 = 16;

/// How much longer a program may take, as a part of its time.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Slowdown(pub f64);

impl Slowdown {
    /// The longest that something may take that took `base`.
    pub fn of(self, base: Duration) -> Duration {
        base.mul_f64(1.0 + self.0)
    }
}

impl FromStr for Slowdown {
    type Err = String;

    fn from_str(text: &str) -> Result<Slowdown, String> {
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number.filter(|percent| (0.1..=100_000.0).contains(percent)) {
            Some(percent) => Ok(Slowdown(percent / 100.0)),
            None => Err("a slowdown is a percentage from 0.1% on, such as 5%".to_owned()),
        }
    }
}

/// Two caps between which the answer lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bracket {
    /// The smallest cap that is known to do.
    pub passes: u64,
    /// The largest one below it that is known not to, if any smaller one is known not to.
    pub fails: Option<u64>,
}

impl Bracket {
    /// From what was tried: caps, and whether they did. `peak` does, since the program takes no more.
    ///
    /// Runs differ: where a smaller cap did and a larger one did not, the larger one is believed.
    pub fn of(peak: u64, tried: impl Iterator<Item = (u64, bool)>) -> Bracket {
        let tried: Vec<(u64, bool)> = tried.collect();
        let fails =
            tried.iter().filter(|(_, passed)| !passed).map(|(cap, _)| *cap).filter(|&cap| cap < peak).max();
        let above = tried.iter().filter(|(cap, passed)| *passed && fails.is_none_or(|fails| *cap > fails));
        Bracket { passes: above.map(|(cap, _)| *cap).min().unwrap_or(peak).min(peak), fails }
    }

    fn low(self) -> u64 {
        self.fails.unwrap_or(LEAST_CAP_PAGES - 1)
    }

    /// Whether nothing between the two would be told apart.
    pub fn is_tight(self) -> bool {
        self.passes <= LEAST_CAP_PAGES
            || self.passes - self.low() <= (self.passes / TIGHT_PART).max(TIGHT_PAGES)
    }

    /// Whether `cap` is worth trying.
    pub fn holds(self, cap: u64) -> bool {
        self.low() < cap && cap < self.passes
    }

    /// The cap that halves the ratio.
    pub fn middle(self) -> u64 {
        let geometric = ((self.low().max(1) as f64) * self.passes as f64).sqrt() as u64;
        geometric.clamp(self.low() + 1, self.passes - 1)
    }

    /// What to try after `cap`: a little less if it did, a little more if not.
    pub fn beside(self, cap: u64) -> u64 {
        let step = (cap / TIGHT_PART).max(TIGHT_PAGES);
        if cap == self.passes { cap.saturating_sub(step) } else { cap + step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowdowns_are_percentages() {
        assert_eq!("5%".parse(), Ok(Slowdown(0.05)));
        assert_eq!(Slowdown(0.25).of(Duration::from_secs(4)), Duration::from_secs(5));
        for text in ["5", "-1%", "0%", "x%", ""] {
            assert!(text.parse::<Slowdown>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bracket_is_what_was_tried() {
        assert_eq!(Bracket::of(1000, [].into_iter()), Bracket { passes: 1000, fails: None });
        let tried = [(500, true), (250, false), (300, true)];
        assert_eq!(Bracket::of(1000, tried.into_iter()), Bracket { passes: 300, fails: Some(250) });
        // The run at 250 was lucky.
        assert_eq!(
            Bracket::of(1000, [(250, true), (300, false)].into_iter()),
            Bracket { passes: 1000, fails: Some(300) }
        );
    }

    /// Bisecting alone finds any threshold, in few tries.
    #[test]
    fn trying_the_middle_finds_the_threshold() {
        for threshold in [65, 100, 777, 5000, 99_999] {
            let mut tried = Vec::new();
            loop {
                let bracket = Bracket::of(100_000, tried.iter().copied());
                if bracket.is_tight() {
                    assert!(bracket.passes >= threshold, "{bracket:?}");
                    assert!(bracket.passes - threshold <= (bracket.passes / TIGHT_PART).max(TIGHT_PAGES));
                    break;
                }
                let cap = bracket.middle();
                assert!(bracket.holds(cap));
                tried.push((cap, cap >= threshold));
            }
            assert!(tried.len() <= 10, "{threshold}: {} tries", tried.len());
        }
    }
}
