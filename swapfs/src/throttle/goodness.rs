//! How well samples fit the distribution that they were asked from. For the tests of the latency models and,
//! by path, for the bench of what clients see of them.

/// The distance above which Kolmogorov's and Smirnov's test refuses at 1 %.
pub fn refused_above(samples: usize) -> f64 {
    1.63 / (samples as f64).sqrt()
}

/// Kolmogorov's and Smirnov's distance of samples, in ascending order, from a distribution: `below` is the
/// chance of a smaller value.
pub fn distance(sorted: &[f64], below: impl Fn(f64) -> f64) -> f64 {
    let n = sorted.len() as f64;
    let apart = |(i, x): (usize, &f64)| {
        let p = below(*x);
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    };
    sorted.iter().enumerate().map(apart).fold(0.0, f64::max)
}

/// The chance of a value below, of the standard normal distribution (Abramowitz and Stegun 26.2.17, good to
/// 7.5e-8).
pub fn normal_below(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z >= 0.0 { 1.0 - tail } else { tail }
}
