//! What is told of the engine's work: the run's counters, and the recording if there is one.

use core::sync::atomic::Ordering;

use pager_core::area::{Backing, ImageId};
use pager_core::fault::Plan;
use pager_core::shared::count;
use pager_engine::host::{Event, Observer};
use pager_engine::work::Fill;

use super::Guest;
use crate::control;
use crate::images::{self, IMAGES};
use crate::record;
use crate::row;

impl Observer for Guest {
    fn begin(&self) -> u64 {
        record::begin()
    }

    fn wants_departures(&self) -> bool {
        record::is_on()
    }

    fn event(&self, event: Event<'_>) {
        let counts = control::counts();
        match event {
            Event::Waited => _ = count(&counts.faults_waited, 1),
            Event::Filled { work, pages } => filled(work, pages),
            Event::Resolved { work, began } => record::fault(work, began),
            Event::Read { image, bytes } => {
                IMAGES.lock().row(image).bytes_read.fetch_add(bytes, Ordering::Relaxed);
                count(&counts.bytes_image_read, bytes);
            }
            Event::DeviceFailed => _ = count(&counts.io_errors, 1),
            Event::Written { pages } => {
                count(&counts.pages_written, pages);
                if let Some(row) = row::own() {
                    row.add_swap(pages);
                }
            }
            Event::ZeroDropped => _ = count(&counts.pages_zero_dropped, 1),
            Event::Unmapped { row } => _ = count(&images::row_at(row).pages_evicted, 1),
            Event::Leaves { range, how } => record::evicted(range, how),
            Event::Evicted { pages } => _ = count(&counts.pages_evicted, pages),
        }
    }
}

fn filled(work: &Fill, pages: u64) {
    let counts = control::counts();
    if work.plan != Plan::Unprotect && pages > 1 {
        count(&counts.pages_ahead, pages - 1);
    }
    match work.plan {
        Plan::Unprotect => _ = count(&counts.faults_protection, 1),
        Plan::FillZero => {
            count(&counts.faults_zero, 1);
            count(&counts.pages_zero, pages);
        }
        Plan::FillImage { .. } | Plan::MapThrough => {
            let row = IMAGES.lock().row(image_of(work));
            row.pages_filled.fetch_add(pages, Ordering::Relaxed);
            if work.plan == Plan::MapThrough {
                row.pages_mapped.fetch_add(pages, Ordering::Relaxed);
            }
            count(&counts.faults_image, 1);
            count(&counts.pages_image, pages);
        }
        Plan::SwapIn(_) => {
            count(&counts.faults_swap_in, 1);
            count(&counts.pages_swap_in, pages);
        }
        Plan::NoArea | Plan::Guarded | Plan::Denied | Plan::AlreadyThere | Plan::Wait | Plan::KernelOwned => {
        }
    }
}

fn image_of(work: &Fill) -> ImageId {
    match work.area.backing {
        Backing::Image { image, .. } => image,
        Backing::Zero => ImageId(u16::MAX),
    }
}
