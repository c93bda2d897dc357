//! How much memory a process may hold: the least that works, and how a cap is written.

use crate::size::ByteSize;

/// Fewest pages that a process can run in: what one instruction and the buffers of one system call may need
/// at once, and a batch to evict.
pub const LEAST_CAP_PAGES: u64 = 64;

/// A cap, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// At most this much.
    Cap(ByteSize),
    /// As much as the program wants.
    Unlimited,
}

impl std::str::FromStr for Limit {
    type Err = <ByteSize as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Limit, Self::Err> {
        if text == "none" { Ok(Limit::Unlimited) } else { text.parse().map(Limit::Cap) }
    }
}
