//! The cap: this process's own, or its part of one that the run shares.

use core::sync::atomic::Ordering;

use pager_core::pool::Occasion;
use pager_core::replacement::PolicyKind;
use pager_engine::host::Budget;

use super::Guest;
use crate::control;
use crate::credit;
use crate::residency;

impl Budget for Guest {
    fn charge(&self, pages: u64) -> u64 {
        residency::add(pages)
    }

    fn uncharge(&self, pages: u64) {
        residency::remove(pages);
    }

    fn resident(&self) -> u64 {
        residency::now()
    }

    fn room(&self) -> u64 {
        residency::room()
    }

    fn reach(&self) -> u64 {
        residency::reach()
    }

    fn cap(&self) -> u64 {
        control::cap()
    }

    fn policy(&self) -> PolicyKind {
        PolicyKind::from_number(control::settings().policy.load(Ordering::Relaxed))
    }

    fn claim(&self, pages: u64, occasion: Occasion) -> u64 {
        credit::settle(residency::with_overhead(pages), occasion)
    }

    fn settle(&self, owed: u64, resident: u64) {
        credit::pay(owed, residency::with_overhead(resident).saturating_sub(credit::held()));
        residency::note_settled(resident);
    }
}
