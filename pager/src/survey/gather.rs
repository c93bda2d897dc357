//! The second pass over a trace: everything that is counted by time, place, file and instruction.

use std::collections::HashMap;

use pager_core::addr::{PAGE_SIZE, PageRange, VirtAddr};
use pager_core::trace::{Departure, Event, FaultKind, What};

use super::culprits::Site;
use super::heat::HeatCounter;
use super::images::Images;
use super::latency::Latencies;
use super::layout::{Anonymous, Place};
use super::model::{Ahead, COLUMNS, Heat, Image, Latency, Series, Tally};
use super::names::{Names, short};
use super::replay::Replay;
use super::scan::{Region, Scan, chunk_of};
use super::series::SeriesCounter;

/// Sums in the making.
pub struct Gather {
    replay: Replay,
    last_ns: u64,
    all: SeriesCounter,
    series: HashMap<usize, SeriesCounter>,
    ends: HashMap<usize, u64>,
    /// Processes that are still to end, the next one last.
    to_end: Vec<(u64, usize)>,
    peaks: HashMap<usize, u64>,
    heats: HashMap<usize, HeatCounter>,
    images: Images,
    latencies: Latencies,
    sites: HashMap<(usize, Site), Tally>,
}

/// Sums by number of process where they are.
pub struct Gathered {
    pub all: Series,
    pub series: HashMap<usize, Series>,
    pub peaks: HashMap<usize, u64>,
    pub heats: HashMap<usize, Heat>,
    pub images: Vec<Image>,
    pub latency: Vec<Latency>,
    pub sites: HashMap<(usize, Site), Tally>,
    pub ahead: Ahead,
}

impl Gather {
    /// Nothing so far. Only processes that are `shown` have series of their own.
    pub fn new(scan: &Scan, shown: &[usize], elapsed_ns: u64, names: &Names) -> Gather {
        let column_ns = elapsed_ns / COLUMNS as u64;
        let name = |region: Region| match region {
            Region::Image(image) => short(&names.image(image)).to_owned(),
            Region::Anonymous(what) => name_of(what),
        };
        let heats = scan.with_heat(shown).into_iter();
        Gather {
            replay: Replay::default(),
            last_ns: scan.last_ns,
            all: SeriesCounter::new(column_ns),
            series: shown.iter().map(|&number| (number, SeriesCounter::new(column_ns))).collect(),
            ends: shown.iter().map(|&number| (number, scan.processes[number].last_ns)).collect(),
            to_end: scan.ends().into_iter().rev().collect(),
            peaks: HashMap::new(),
            heats: heats
                .map(|number| (number, HeatCounter::new(&scan.processes[number], elapsed_ns, name)))
                .collect(),
            images: Images::new(&scan.image_pages, |number| names.image(number)),
            latencies: Latencies::default(),
            sites: HashMap::new(),
        }
    }

    /// Counts one event.
    pub fn step(&mut self, event: &Event) {
        while let Some((ended, number)) = self.to_end.pop_if(|(last, _)| *last < event.time_ns) {
            self.replay.end(number);
            self.all.resident(ended, self.replay.resident());
        }
        // Where its pages belong is asked before the event changes it.
        let number = self.replay.number(event.pid);
        match event.what {
            What::Fault { kind, range, instruction, cost_ns, .. } => {
                self.fault(number, event, (kind, range), instruction, cost_ns);
            }
            What::Evict { how, range } => self.evicted(number, event.time_ns, how, range),
            _ => {}
        }
        self.replay.step(event);
        let resident = self.replay.resident_of(number);
        self.all.resident(event.time_ns, self.replay.resident());
        if let Some(series) = self.series.get_mut(&number) {
            series.resident(event.time_ns, resident);
            let peak = self.peaks.entry(number).or_default();
            *peak = (*peak).max(resident);
        }
    }

    fn fault(
        &mut self,
        number: usize,
        event: &Event,
        (kind, range): (FaultKind, PageRange),
        instruction: u64,
        cost_ns: u64,
    ) {
        let (at, index) = (event.time_ns, kind as usize);
        let swapped_in = if kind == FaultKind::SwapIn { range.count() } else { 0 };
        self.all.fault(at, index, swapped_in);
        if let Some(series) = self.series.get_mut(&number) {
            series.fault(at, index, swapped_in);
        }
        if let (Some(heat), Some(touched)) = (self.heats.get_mut(&number), event.what.touched()) {
            heat.add(chunk_of(touched), at);
        }
        if matches!(kind, FaultKind::Image | FaultKind::MapThrough)
            && let Place::Image(image, page) = self.replay.place(number, range.start())
        {
            self.images.filled(image, page, range.count(), at);
        }
        self.latencies.add(index, cost_ns);
        let site = match VirtAddr(instruction) {
            VirtAddr(0) => Site::Call,
            at => match self.replay.place(number, at.page()) {
                Place::Image(image, page) => Site::Image(image, page * PAGE_SIZE + at.page_offset()),
                Place::Anonymous(_) => Site::Anonymous,
            },
        };
        self.sites.entry((number, site)).or_default().add(index, cost_ns);
    }

    fn evicted(&mut self, number: usize, at: u64, how: Departure, range: PageRange) {
        let written = if how == Departure::Written { range.count() } else { 0 };
        self.all.evicted(at, range.count(), written);
        if let Some(series) = self.series.get_mut(&number) {
            series.evicted(at, range.count(), written);
        }
        if how == Departure::Mapped
            && let Place::Image(image, _) = self.replay.place(number, range.start())
        {
            self.images.evicted(image, range.count());
        }
    }

    /// The sums.
    pub fn finish(self) -> Gathered {
        let ends = self.ends;
        let end = |number: &usize| ends.get(number).copied().unwrap_or(0);
        Gathered {
            all: self.all.finish(self.last_ns),
            series: self
                .series
                .into_iter()
                .map(|(number, series)| (number, series.finish(end(&number))))
                .collect(),
            peaks: self.peaks,
            heats: self.heats.into_iter().map(|(number, heat)| (number, heat.finish())).collect(),
            images: self.images.finish(),
            latency: self.latencies.finish(),
            sites: self.sites,
            ahead: self.replay.ahead_at_end(),
        }
    }
}

fn name_of(what: Anonymous) -> String {
    match what {
        Anonymous::Heap => "heap".to_owned(),
        Anonymous::Stack => "stack".to_owned(),
        Anonymous::Bss => "zeros of a program or library".to_owned(),
        Anonymous::Mapping(page) => format!("mapping at {:#x}", page * PAGE_SIZE),
        Anonymous::Unknown => "unnamed".to_owned(),
    }
}
