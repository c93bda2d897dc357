//! Ranges of a store that somebody works on now, so that what takes several steps (read, change, write back;
//! cut off) meets nobody else half-way. Not a lock held across I/O: the lock is of the list alone, and who
//! finds his range taken waits for that one range.

use parking_lot::{Condvar, Mutex};

/// With whom a claimed range is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// With others who share.
    Shared,
    /// With nobody.
    Alone,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    start: u64,
    end: u64,
    kind: Use,
    /// Tells it from equal ones.
    number: u64,
}

impl Held {
    fn excludes(&self, other: &Held) -> bool {
        let apart = self.end <= other.start || other.end <= self.start;
        !apart && (self.kind == Use::Alone || other.kind == Use::Alone)
    }
}

/// All claims of one store: as many as there are requests under way.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: Mutex<(Vec<Held>, u64)>,
    freed: Condvar,
}

/// A claimed range; dropping it frees it.
#[derive(Debug)]
#[must_use = "a claim that is dropped claims nothing"]
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    number: u64,
}

impl Claims {
    /// Waits until nobody's use of `start..end` excludes this one. A thread holds one claim at a time.
    pub(super) fn claim(&self, start: u64, end: u64, kind: Use) -> Claim<'_> {
        let mut guard = self.held.lock();
        let wanted = Held { start, end, kind, number: guard.1 };
        guard.1 += 1;
        while guard.0.iter().any(|held| held.excludes(&wanted)) {
            self.freed.wait(&mut guard);
        }
        guard.0.push(wanted);
        Claim { claims: self, number: wanted.number }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claims.held.lock().0.retain(|held| held.number != self.number);
        self.claims.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_does_not_wait() {
        let claims = Claims::default();
        let _a = claims.claim(0, 10, Use::Shared);
        let _b = claims.claim(5, 10, Use::Shared);
        let _c = claims.claim(10, 20, Use::Alone);
        assert_eq!(claims.held.lock().0.len(), 3);
    }

    #[test]
    fn read_change_write_back_loses_no_change() {
        const CHANGES: u64 = 2000;
        let (claims, cell) = (Claims::default(), Mutex::new(0u64));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..CHANGES {
                        let _claim = claims.claim(3, 4, Use::Alone);
                        let old = *cell.lock();
                        std::thread::yield_now();
                        *cell.lock() = old + 1;
                    }
                });
            }
        });
        assert_eq!(*cell.lock(), 3 * CHANGES);
        assert!(claims.held.lock().0.is_empty());
    }
}
