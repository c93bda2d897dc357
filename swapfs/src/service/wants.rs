//! What rules want to know of requests.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::throttle::Selector;

/// What the rules of one kind want to know of each request; read without a lock, so that no request pays for
/// rules that are not there.
#[derive(Debug)]
pub(super) struct Wants {
    any: AtomicBool,
    cgroups: AtomicBool,
}

impl Wants {
    /// What `selectors` want, one for each rule.
    pub(super) fn new<'a>(selectors: impl Iterator<Item = &'a Selector>) -> Self {
        let wants = Wants { any: false.into(), cgroups: false.into() };
        wants.set(selectors);
        wants
    }

    pub(super) fn set<'a>(&self, selectors: impl Iterator<Item = &'a Selector>) {
        let (mut any, mut cgroups) = (false, false);
        for selector in selectors {
            any = true;
            cgroups |= selector.names_cgroups();
        }
        self.any.store(any, Ordering::Relaxed);
        self.cgroups.store(cgroups, Ordering::Relaxed);
    }

    /// Whether there are rules.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Whether one names control groups, so that they have to be read.
    pub(super) fn cgroups(&self) -> bool {
        self.cgroups.load(Ordering::Relaxed)
    }
}
