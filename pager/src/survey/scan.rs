//! A first look at a trace: how long it is, who is in it, and what of the address space was touched.

use std::collections::{HashMap, HashSet};

use pager_core::addr::PageNum;
use pager_core::trace::{Event, FaultKind, What};

use super::layout::{Anonymous, Place};
use super::model::Tally;
use super::replay::Replay;

/// Pages that a heat map can tell apart at best, as a power of two.
pub const CHUNK_BITS: u32 = 4;

/// Processes with a heat map.
const HEATS: usize = 8;

/// What a chunk of the address space belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Region {
    /// A file.
    Image(u16),
    /// None.
    Anonymous(Anonymous),
}

impl From<Place> for Region {
    fn from(place: Place) -> Region {
        match place {
            Place::Image(image, _) => Region::Image(image),
            Place::Anonymous(what) => Region::Anonymous(what),
        }
    }
}

/// What was seen of a process.
#[derive(Default)]
pub struct Seen {
    pub pid: u32,
    pub parent: u32,
    pub first_ns: u64,
    pub last_ns: u64,
    pub threads: HashSet<u32>,
    pub tally: Tally,
    /// Faults by chunk of [`CHUNK_BITS`], and what was there at last.
    pub chunks: HashMap<u64, (u64, Option<Region>)>,
}

/// What was seen of a run.
#[derive(Default)]
pub struct Scan {
    pub events: u64,
    pub last_ns: u64,
    /// By number of [`Replay`].
    pub processes: Vec<Seen>,
    /// One more than the highest page seen, by image.
    pub image_pages: HashMap<u16, u64>,
}

impl Scan {
    /// Looks at all events.
    pub fn of(events: impl Iterator<Item = Event>) -> Scan {
        let (mut scan, mut replay) = (Scan::default(), Replay::default());
        for event in events {
            scan.events += 1;
            scan.last_ns = scan.last_ns.max(event.time_ns);
            let number = replay.step(&event);
            scan.look(number, &event, &replay);
        }
        scan
    }

    fn look(&mut self, number: usize, event: &Event, replay: &Replay) {
        // A parent may have got its number at the fork of a child, without an event of its own.
        if self.processes.len() <= number {
            self.processes.resize_with(number + 1, Seen::default);
        }
        let seen = &mut self.processes[number];
        if seen.pid == 0 {
            (seen.pid, seen.first_ns) = (event.pid, event.time_ns);
        }
        seen.last_ns = seen.last_ns.max(event.time_ns);
        seen.first_ns = seen.first_ns.min(event.time_ns);
        match event.what {
            What::Fault { kind, range, cost_ns, .. } => {
                seen.tally.add(kind as usize, cost_ns);
                seen.threads.insert(event.tid);
                let touched = event.what.touched().unwrap_or(range.start());
                let region = Region::from(replay.place(number, touched));
                let chunk = seen.chunks.entry(touched.0 >> CHUNK_BITS).or_default();
                *chunk = (chunk.0 + 1, Some(region));
                if matches!(kind, FaultKind::Image | FaultKind::MapThrough) {
                    self.note_image(replay.place(number, range.start()), range.count());
                }
            }
            What::Fork { parent } => seen.parent = parent,
            _ => {}
        }
    }

    fn note_image(&mut self, place: Place, pages: u64) {
        if let Place::Image(image, page) = place {
            let most = self.image_pages.entry(image).or_default();
            *most = (*most).max(page.saturating_add(pages));
        }
    }
}

impl Scan {
    /// Those of `shown` that get a heat map.
    pub fn with_heat(&self, shown: &[usize]) -> Vec<usize> {
        let mut numbers = shown.to_vec();
        numbers.sort_by_key(|&number| std::cmp::Reverse(self.processes[number].tally.count()));
        numbers.truncate(HEATS);
        numbers
    }

    /// When each process was heard of for the last time, ascending: from then on its memory is taken to be
    /// given back. The end of a process is no event.
    pub fn ends(&self) -> Vec<(u64, usize)> {
        let mut ends: Vec<(u64, usize)> =
            self.processes.iter().enumerate().map(|(number, seen)| (seen.last_ns, number)).collect();
        ends.sort_unstable();
        ends
    }
}

/// The chunk of a page.
pub fn chunk_of(page: PageNum) -> u64 {
    page.0 >> CHUNK_BITS
}
