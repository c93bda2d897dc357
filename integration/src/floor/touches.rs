//! Touching each page of a region once, in an order.

use std::time::Instant;

use super::region::Region;
pub use super::touch::Touch;

/// The order in which pages are touched; a permutation that no neighbour batching can follow, or every one in
/// turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Ascending.
    Sequential,
    /// By an odd stride modulo the number of pages (a power of two).
    Scattered,
}

/// The stride of [`Order::Scattered`]; `guests/fault_times.c` has the same.
const STRIDE: usize = 7919;

/// Touches each page of `region` once; nanoseconds a page.
pub fn time_touches(region: &Region, order: Order, touch: Touch) -> f64 {
    let pages = region.pages();
    assert!(pages.is_power_of_two(), "an odd stride visits each page only of a power of two");
    let step = match order {
        Order::Sequential => 1,
        Order::Scattered => STRIDE,
    };
    let started = Instant::now();
    for index in 0..pages {
        region.touch(index * step % pages, touch);
    }
    started.elapsed().as_nanos() as f64 / pages as f64
}
