//! The state of each process of a run while its events go by.

use std::collections::HashMap;

use pager_core::addr::{PageNum, PageRange};
use pager_core::trace::{Departure, Event, FaultKind, What};

use super::layout::{Layout, Place};
use super::model::Ahead;
use super::pages::PageSet;

/// Processes by their number in order of appearance.
#[derive(Default)]
pub struct Replay {
    numbers: HashMap<u32, usize>,
    processes: Vec<State>,
    resident: u64,
    /// What became of pages that came along.
    pub ahead: Ahead,
}

/// One process at one moment.
#[derive(Default)]
struct State {
    layout: Layout,
    resident: PageSet,
    /// Pages that came along and have not been seen to be used.
    ahead: PageSet,
}

impl Replay {
    /// The number of the process with this id.
    pub fn number(&mut self, pid: u32) -> usize {
        let next = self.processes.len();
        let number = *self.numbers.entry(pid).or_insert(next);
        if number == next {
            self.processes.push(State::default());
        }
        number
    }

    /// Pages of all processes that are resident. Those that a fork shares count once for each.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// Pages of one process.
    pub fn resident_of(&self, number: usize) -> u64 {
        self.processes[number].resident.count()
    }

    /// Where a page of a process belongs now.
    pub fn place(&self, number: usize, page: PageNum) -> Place {
        self.processes[number].layout.place(page)
    }

    /// Goes on by one event; the number of its process.
    pub fn step(&mut self, event: &Event) -> usize {
        let number = self.number(event.pid);
        let before = self.processes[number].resident.count();
        if let What::Fork { parent } = event.what {
            self.fork(number, parent);
        } else {
            self.processes[number].step(&event.what, &mut self.ahead);
        }
        self.resident = self.resident + self.processes[number].resident.count() - before;
        number
    }

    /// A process is gone, and its memory with it.
    pub fn end(&mut self, number: usize) {
        if let Some(process) = self.processes.get_mut(number) {
            self.resident -= process.resident.count();
            self.ahead.unknown += process.ahead.count();
            *process = State::default();
        }
    }

    /// What became of pages that came along, when nothing follows any more.
    pub fn ahead_at_end(&self) -> Ahead {
        let left: u64 = self.processes.iter().map(|process| process.ahead.count()).sum();
        Ahead { unknown: self.ahead.unknown + left, ..self.ahead }
    }

    fn fork(&mut self, child: usize, parent: u32) {
        let parent = self.number(parent);
        let (layout, resident) =
            (self.processes[parent].layout.clone(), self.processes[parent].resident.clone());
        self.processes[child] = State { layout, resident, ahead: PageSet::default() };
    }
}

impl State {
    fn step(&mut self, what: &What, ahead: &mut Ahead) {
        match *what {
            What::Fault { kind, range, .. } => {
                if let Some(touched) = what.touched() {
                    self.fault(kind, range, touched, ahead);
                }
            }
            What::Evict { how, range } => {
                self.resident.remove(range);
                let known = self.ahead.remove(range);
                match how {
                    Departure::Written => ahead.used += known,
                    Departure::Zero => ahead.wasted += known,
                    Departure::Clean | Departure::Mapped => ahead.unknown += known,
                }
            }
            What::Discard { range } => {
                self.resident.remove(range);
                ahead.unknown += self.ahead.remove(range);
            }
            What::Map { range, purpose, image, .. } => self.layout.map(range, image, purpose),
            What::Move { range, to } => {
                self.resident.shift(range, to);
                self.ahead.shift(range, to);
                self.layout.shift(range, to);
            }
            What::Exec => {
                ahead.unknown += self.ahead.count();
                *self = State::default();
            }
            What::Fork { .. } => {}
        }
    }

    fn fault(&mut self, kind: FaultKind, range: PageRange, touched: PageNum, ahead: &mut Ahead) {
        ahead.used += self.ahead.remove(PageRange::single(touched));
        if !kind.is_miss() {
            return;
        }
        self.resident.insert(range);
        // Of a file's own pages nothing is seen, neither reads nor what the kernel knows of them.
        if kind != FaultKind::MapThrough && range.count() > 1 {
            ahead.pages += range.count() - 1;
            self.ahead.insert(range);
            self.ahead.remove(PageRange::single(touched));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::{discard, event, evict, exec, fault, fork};

    #[test]
    fn resident_pages_come_go_and_are_inherited() {
        let mut replay = Replay::default();
        let mut at = |event: Event| {
            replay.step(&event);
            replay.resident()
        };
        assert_eq!(at(fault(1, FaultKind::Zero, 10, 4, 0)), 4);
        assert_eq!(at(fault(1, FaultKind::Protection, 10, 1, 0)), 4, "it was there");
        assert_eq!(at(evict(1, Departure::Written, 11, 2)), 2);
        assert_eq!(at(event(2, fork(1))), 4, "the child has the parent's");
        assert_eq!(at(event(2, exec())), 2);
        assert_eq!(at(discard(1, 0, 1 << 30)), 0);
    }

    #[test]
    fn what_came_along_is_used_once_it_is_written_to() {
        let mut replay = Replay::default();
        for event in [
            fault(1, FaultKind::SwapIn, 10, 8, 0),
            fault(1, FaultKind::Protection, 12, 1, 0),
            evict(1, Departure::Written, 13, 1),
            evict(1, Departure::Zero, 14, 2),
            evict(1, Departure::Clean, 10, 3),
        ] {
            replay.step(&event);
        }
        assert_eq!(replay.ahead, Ahead { pages: 7, used: 2, wasted: 2, unknown: 1 });
    }
}
