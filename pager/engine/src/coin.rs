//! A coin for decisions that have to be made now one way and now the other.
//!
//! Each thread tosses its own, from the same seed: a run whose threads fault in the same order decides alike,
//! and so does a simulator.

/// A thread's coin.
#[derive(Clone, Copy, Debug)]
pub struct Coin(u64);

impl Coin {
    /// The coin of a new thread.
    pub const fn new() -> Coin {
        Coin(0x9e37_79b9_7f4a_7c15)
    }

    /// Whether this is the one time in `times`, a power of two, on average.
    pub fn one_in(&mut self, times: u64) -> bool {
        debug_assert!(times.is_power_of_two());
        // xorshift64*, whose upper bits are the good ones (Vigna, "An experimental exploration of Marsaglia's
        // xorshift generators, scrambled").
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) & (times - 1) == 0
    }
}

impl Default for Coin {
    fn default() -> Coin {
        Coin::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Coin;

    #[test]
    fn it_falls_as_often_as_it_should_and_alike_for_all() {
        let tosses = |mut coin: Coin| (0..16_000).map(move |_| coin.one_in(16));
        let heads = tosses(Coin::new()).filter(|head| *head).count();
        assert!((800..1200).contains(&heads), "{heads} of 16,000");
        assert!(tosses(Coin::new()).eq(tosses(Coin::new())));
    }
}
