//! What the screens show: plain data, without a terminal.

use std::collections::VecDeque;
use std::time::Duration;

use super::rates::Rates;
use crate::report::Report;

/// Looks that a trend goes back.
pub const TREND: usize = 120;

/// One run on a screen.
pub struct Screen {
    /// The last look.
    pub report: Report,
    /// What happened since the look before.
    pub rates: Rates,
    /// Faults a second, the newest last.
    pub trend: VecDeque<u64>,
    /// Pages that each image of `report` brought in since the look before.
    pub image_rates: Vec<f64>,
    /// What the last key did, or could not do.
    pub word: String,
}

impl Screen {
    /// The first look.
    pub fn new(report: Report) -> Screen {
        let image_rates = vec![0.0; report.images.len()];
        Screen { report, rates: Rates::default(), trend: VecDeque::new(), image_rates, word: String::new() }
    }

    /// A later look, `took` after the one before.
    pub fn take(&mut self, report: Report, took: Duration) {
        self.rates = Rates::between(&self.report, &report, took);
        let seconds = took.as_secs_f64().max(1e-3);
        let before = |path: &str| {
            let known = self.report.images.iter().find(|image| image.path == path);
            known.map_or(0, |image| image.pages_filled)
        };
        self.image_rates = report
            .images
            .iter()
            .map(|image| image.pages_filled.saturating_sub(before(&image.path)) as f64 / seconds)
            .collect();
        self.trend.push_back(self.rates.faults() as u64);
        while self.trend.len() > TREND {
            self.trend.pop_front();
        }
        self.report = report;
    }

    /// Images by what they brought in lately, then in all.
    pub fn images(&self) -> Vec<(usize, f64)> {
        let mut order: Vec<(usize, f64)> = self.image_rates.iter().copied().enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order
    }
}

/// The cap after a key: a tenth more or less of `pages`, at least one page, and never less than `least`.
pub fn changed_cap(pages: u64, step: Step, least: u64) -> u64 {
    let tenth = (pages / 10).max(1);
    match step {
        Step::More => pages.saturating_add(tenth),
        Step::Less => pages.saturating_sub(tenth).max(least),
    }
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Up.
    More,
    /// Down.
    Less,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::sample;

    #[test]
    fn a_look_gives_rates_and_the_busiest_image_first() {
        let mut screen = Screen::new(sample());
        let mut now = sample();
        now.faults.swap_in += 40;
        let mut other = now.images[0].clone();
        other.path = "/lib/new.so".into();
        other.pages_filled = 8;
        now.images.push(other);
        screen.take(now.clone(), Duration::from_secs(2));
        assert_eq!((screen.rates.swap_in, screen.trend.back()), (20.0, Some(&20)));
        assert_eq!(screen.images()[0], (1, 4.0));
        (0..300).for_each(|_| screen.take(now.clone(), Duration::from_secs(1)));
        assert_eq!(screen.trend.len(), TREND);
    }

    #[test]
    fn the_cap_goes_by_tenths_and_stops_at_the_least() {
        assert_eq!(changed_cap(1000, Step::More, 64), 1100);
        assert_eq!(changed_cap(70, Step::Less, 64), 64);
        assert_eq!(changed_cap(u64::MAX - 1, Step::More, 64), u64::MAX);
    }
}
