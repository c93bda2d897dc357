//! Pages of a file that are mapped through: the kernel's own, let through to the program and held back again.

use pager_core::addr::PageRange;
use pager_core::area::{Backing, Holding, ImageId};
use pager_core::entry::Entry;
use pager_core::replacement::Install as Arrival;

use crate::arrival::{arrived, give_up};
use crate::busy::settle;
use crate::evict;
use crate::host::{DeviceError, Event, Host};
use crate::work::{Fill, Outcome};

/// Lets the pages of the run through to the file.
pub fn map_through<H: Host>(host: &H, work: &Fill) -> Outcome {
    evict::make_room(host, work.run.count());
    if work.area.holding == Holding::SharedThrough {
        return let_through(host, work);
    }
    let mut run = work.run;
    if populate(host, run).is_err() {
        if run.count() == 1 {
            return unreadable(host, run);
        }
        // One page of the chunk cannot be had; the one that was touched perhaps can.
        host.hold_back(run);
        give_up(host, PageRange::new(run.start(), work.page));
        give_up(host, PageRange::new(work.page.plus(1), run.end()));
        run = PageRange::single(work.page);
        if populate(host, run).is_err() {
            return unreadable(host, run);
        }
    }
    let_in(host, work, run);
    counted(host, work, run)
}

/// Lifts the markers of a shared mapping, and has the kernel bring in the page that was touched, with what of
/// its neighbours is cached. The others are the kernel's to bring in when they are touched: to ask for them
/// would fill holes of a file in memory.
///
/// A page past the end of the file is let through as well: the file may grow by the very call that reads the
/// page, or by another process.
fn let_through<H: Host>(host: &H, work: &Fill) -> Outcome {
    let run = work.run;
    if host.let_through(run).is_err() {
        return unreadable(host, run);
    }
    if host.bring_in(PageRange::single(work.page)).is_err() {
        let_in(host, work, run);
        host.event(Event::DeviceFailed);
        return Outcome::Unreadable;
    }
    let_in(host, work, run);
    counted(host, work, run)
}

/// Settles what the kernel maps from now on.
fn let_in<H: Host>(host: &H, work: &Fill, run: PageRange) {
    arrived(host, run, work.page, Arrival::First);
    let row = host.row(image_of(work));
    for page in run.iter() {
        settle(host, page, Entry::Mapped(row));
    }
}

fn counted<H: Host>(host: &H, work: &Fill, run: PageRange) -> Outcome {
    host.event(Event::Filled { work, pages: run.count() });
    Outcome::Resolved
}

fn unreadable<H: Host>(host: &H, run: PageRange) -> Outcome {
    host.hold_back(run);
    give_up(host, Some(run));
    host.event(Event::DeviceFailed);
    Outcome::Unreadable
}

fn image_of(work: &Fill) -> ImageId {
    match work.area.backing {
        Backing::Image { image, .. } => image,
        Backing::Zero => ImageId(u16::MAX),
    }
}

fn populate<H: Host>(host: &H, run: PageRange) -> Result<(), DeviceError> {
    host.let_through(run)?;
    host.bring_in(run)
}
