//! How long a request takes on its own: models of latency.

use std::fmt;
use std::time::Duration;

use super::nanos::Nanos;
use super::random::Random;
use crate::units::exact_duration;

/// No model answers later than this.
const LONGEST: Duration = Duration::from_secs(3600);

/// A distribution of latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Equally likely between both.
    Uniform(Duration, Duration),
    /// Mean and standard deviation; cut off at zero.
    Normal(Duration, Duration),
    /// Median, and the standard deviation of the logarithm.
    Lognormal(Duration, f64),
    /// A disk's arm: nothing where the last request ended, else from the first to the second with the square
    /// root of the distance (Ruemmler and Wilkes, "An introduction to disk drive modeling", IEEE Computer
    /// 1994).
    Seek(Duration, Duration),
}

impl Latency {
    /// One latency. `distance` is how far the request is from the end of the last one, as a part of the whole
    /// way.
    pub fn sample(&self, random: &mut Random, distance: f64) -> Nanos {
        let between = |from: Duration, to: Duration, part: f64| {
            let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
            from + (to - from) * part
        };
        let seconds = match *self {
            Latency::Fixed(time) => return time.into(),
            Latency::Uniform(from, to) => between(from, to, random.unit()),
            Latency::Normal(mean, deviation) => {
                mean.as_secs_f64() + deviation.as_secs_f64() * random.normal()
            }
            Latency::Lognormal(median, sigma) => median.as_secs_f64() * (sigma * random.normal()).exp(),
            Latency::Seek(..) if distance <= 0.0 => 0.0,
            Latency::Seek(from, to) => between(from, to, distance.min(1.0).sqrt()),
        };
        Nanos((seconds.clamp(0.0, LONGEST.as_secs_f64()) * 1e9) as u64)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = exact_duration;
        match *self {
            Latency::Fixed(time) => f.write_str(&show(time)),
            Latency::Uniform(a, b) => write!(f, "uniform({},{})", show(a), show(b)),
            Latency::Normal(mean, deviation) => write!(f, "normal({},{})", show(mean), show(deviation)),
            Latency::Lognormal(median, sigma) => write!(f, "lognormal({},{sigma})", show(median)),
            Latency::Seek(a, b) => write!(f, "seek({},{})", show(a), show(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::goodness::{self, normal_below, refused_above};
    use super::*;

    const SAMPLES: usize = 20_000;

    fn distance(latency: Latency, cumulative: impl Fn(f64) -> f64) -> f64 {
        let mut random = Random::new(7);
        let mut samples: Vec<f64> =
            (0..SAMPLES).map(|_| latency.sample(&mut random, 0.0).0 as f64 / 1e6).collect();
        samples.sort_by(f64::total_cmp);
        goodness::distance(&samples, cumulative)
    }

    #[test]
    fn samples_follow_their_distribution() {
        let ms = Duration::from_millis;
        let limit = refused_above(SAMPLES);
        let uniform = distance(Latency::Uniform(ms(1), ms(3)), |x| (x - 1.0) / 2.0);
        let normal = distance(Latency::Normal(ms(20), ms(2)), |x| normal_below((x - 20.0) / 2.0));
        let lognormal = distance(Latency::Lognormal(ms(2), 0.5), |x| normal_below((x / 2.0).ln() / 0.5));
        println!("D: uniform {uniform:.5}, normal {normal:.5}, lognormal {lognormal:.5}; limit {limit:.5}");
        assert!(uniform < limit && normal < limit && lognormal < limit);
    }

    #[test]
    fn seeks_grow_with_the_distance() {
        let seek = Latency::Seek(Duration::from_millis(1), Duration::from_millis(9));
        let at = |distance| seek.sample(&mut Random::new(1), distance).0;
        assert_eq!([at(0.0), at(0.25), at(1.0)], [0, 5_000_000, 9_000_000]);
    }
}
