//! The fair part of a shared cap: a water level.

use super::LEAST_CREDIT;

/// The fair part of `cap`: accounts that are not hungry keep what they have up to it, the hungry ones get it.
/// By account: its credit and whether it is hungry.
pub fn level(cap: u64, accounts: impl Iterator<Item = (u64, bool)> + Clone) -> u64 {
    let mut level = 0;
    // Each round takes those for granted who have no more than the level: it rises until nobody is added.
    loop {
        let modest = |account: &(u64, bool)| !account.1 && account.0 <= level;
        let granted =
            accounts.clone().filter(modest).fold(0, |sum: u64, (credit, _)| sum.saturating_add(credit));
        let others = accounts.clone().filter(|account| !modest(account)).count() as u64;
        let next = cap.saturating_sub(granted) / others.max(1);
        if next <= level {
            return level.max(LEAST_CREDIT);
        }
        level = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_of(cap: u64, accounts: &[(u64, bool)]) -> u64 {
        level(cap, accounts.iter().copied())
    }

    #[test]
    fn the_level_is_what_the_hungry_can_have_each() {
        assert_eq!(level_of(1000, &[(1000, true)]), 1000);
        assert_eq!(
            level_of(1000, &[(900, false), (100, true)]),
            500,
            "idle memory is called in, down to as much"
        );
        assert_eq!(level_of(1000, &[(900, true), (100, true)]), 500);
        assert_eq!(
            level_of(1000, &[(700, true), (100, false), (200, true)]),
            450,
            "the modest one keeps what it has"
        );
        assert_eq!(level_of(1000, &[(64, true); 20]), LEAST_CREDIT);
    }
}
