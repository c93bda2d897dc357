//! The books of a shared cap: pool and accounts together are the cap.

use core::sync::atomic::Ordering;

use super::{NO_CAP, Pool};

/// Looks after which credit that is missing is taken for lost.
const AUDIT_LOOKS: u32 = 5;

/// Finds credit that went with processes that were killed while they moved it, or that a program wrote over.
#[derive(Default, Debug)]
pub struct Audit {
    missing: i64,
    looks: u32,
}

impl Audit {
    /// Compares `cap` with the pool and the `sum` of all accounts: what has been missing (or, below zero, too
    /// much) at several looks in a row goes to the pool.
    pub fn look(&mut self, pool: &Pool, cap: u64, sum: u64) {
        let free = pool.free.load(Ordering::Acquire);
        let missing = (cap.min(NO_CAP) as i64).wrapping_sub(free).wrapping_sub(sum as i64);
        self.looks = if missing != 0 && missing == self.missing { self.looks + 1 } else { 0 };
        self.missing = missing;
        if self.looks == AUDIT_LOOKS {
            pool.free.fetch_add(missing, Ordering::AcqRel);
            *self = Audit::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicI64, AtomicU64};

    use super::*;
    use crate::pool::NO_LEVEL;

    #[test]
    fn what_is_missing_for_long_is_found_and_what_is_on_its_way_is_not() {
        let (pool, mut audit) = (pool(900), Audit::default());
        for sum in [90, 80, 90, 80, 90, 80, 90, 80] {
            audit.look(&pool, 1000, sum);
        }
        assert_eq!(pool.free.load(Ordering::Relaxed), 900);
        (0..AUDIT_LOOKS + 1).for_each(|_| audit.look(&pool, 1000, 93));
        assert_eq!(pool.free.load(Ordering::Relaxed), 907);
        (0..AUDIT_LOOKS + 1).for_each(|_| audit.look(&pool, 1000, 1000));
        assert_eq!(pool.free.load(Ordering::Relaxed), 0, "too much");
    }

    fn pool(free: i64) -> Pool {
        Pool { free: AtomicI64::new(free), fair: AtomicU64::new(NO_LEVEL), asked: AtomicU64::new(0) }
    }
}
