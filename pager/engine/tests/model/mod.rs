//! A host of the engine made of arrays: memory with a processor that faults, files, a swap device, all of which
//! check what they are asked, and fail by a seeded coin.
//!
//! Each test that includes this module brings a module `sync` of its own with the locks to use, so that a model
//! checker can take the place of the system's.

#![allow(dead_code)]

mod devices;
pub mod locks;
mod memory;
mod thread;

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange, VirtAddr};
use pager_core::area::{Area, AreaTree, Backing, Holding, ImageId, Protection, Role};
use pager_core::entry::Entry;
use pager_core::pool::Occasion;
use pager_core::replacement::PolicyKind;
use pager_core::table::{EntryCell, PageTable};
use pager_engine::batch::BATCH;
use pager_engine::host::{Budget, Event, Observer, Park, Space};
use pager_engine::queue::Queue;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::{Mutex, RwLock};
pub use devices::Device;
use locks::{lock, read, write};
#[allow(unused_imports)]
pub use memory::{Answer, Frame};

pub type Page = [u8; PAGE_SIZE as usize];

/// Where the model's memory begins.
pub const BASE: PageNum = PageNum(0x7000_0000);

/// What the parts of an address space of `pages` pages are, in eighths of it.
pub enum Part {
    /// Zeros, writable: five eighths.
    Anonymous,
    /// A private copy of a file that ends in the middle of its last page: one.
    Data,
    /// The file itself, let through, read only: one.
    Text,
    /// Memory of zeros that may only be read, and behind it, for half of that, nothing at all: one.
    ReadOnly,
}

/// The host.
pub struct Model {
    pub pages: u64,
    pub areas: RwLock<AreaTree>,
    pub table: PageTable,
    pub queue: Mutex<Queue>,
    pub busy: AtomicU64,
    /// One for each page, protected by itself.
    pub frames: Vec<Mutex<Frame>>,
    /// What the file has.
    pub image: Vec<u8>,
    /// Swap devices, written to in turn.
    pub swap: [Mutex<Device>; 2],
    pub turn: AtomicU64,
    /// Who fails how often: one time in so many, a power of two; 0 for never.
    pub failing: AtomicU64,
    /// The coin of the devices.
    pub chance: Mutex<u64>,
    pub resident: AtomicU64,
    pub cap: AtomicU64,
    pub policy: PolicyKind,
    /// Pages that have to stay.
    pub pinned: Mutex<Vec<PageNum>>,
    pub threads: u64,
    pub fault_around: u64,
    pub own: thread::Owned,
    pub told: Told,
}

/// What the observer was told.
#[derive(Default)]
pub struct Told {
    pub filled: AtomicU64,
    pub evicted: AtomicU64,
    pub written: AtomicU64,
    pub failed: AtomicU64,
    pub waited: AtomicU64,
    pub left: AtomicU64,
    pub out_of_swap: AtomicU64,
}

impl Model {
    /// An address space of `pages`, a multiple of 16, of which `cap` may be resident.
    pub fn new(pages: u64, cap: u64, policy: PolicyKind, threads: u64) -> Model {
        let part = pages / 8;
        let image = |i: u64| (i.wrapping_mul(0x9e37_79b9) >> 7) as u8;
        let bytes = part * PAGE_SIZE - 100;
        let model = Model {
            pages,
            areas: RwLock::new(AreaTree::new()),
            table: PageTable::new(),
            queue: Mutex::new(Queue::empty()),
            busy: AtomicU64::new(0),
            frames: (0..pages).map(|_| Mutex::new(Frame::default())).collect(),
            image: (0..bytes).map(image).collect(),
            swap: [0, 1].map(|_| Mutex::new(Device::new(2 * pages as usize))),
            turn: AtomicU64::new(0),
            failing: AtomicU64::new(0),
            chance: Mutex::new(1),
            resident: AtomicU64::new(0),
            cap: AtomicU64::new(cap),
            policy,
            pinned: Mutex::new(Vec::new()),
            threads,
            fault_around: 16,
            own: thread::Owned::new(),
            told: Told::default(),
        };
        let writable = Protection::READ | Protection::WRITE;
        let file = Backing::Image { image: ImageId(0), offset: 0, valid: bytes };
        let areas = [
            (0, 5 * part, writable, Holding::Private, Backing::Zero),
            (5 * part, part, writable, Holding::Private, file),
            (6 * part, part, Protection::READ, Holding::MapThrough, file),
            (7 * part, part / 2, Protection::READ, Holding::Private, Backing::Zero),
        ];
        for (start, count, protection, holding, backing) in areas {
            let range = PageRange::with_count(BASE.plus(start), count).expect("not empty");
            let area = Area { backing, ..Area::new(range, protection, holding, Role::Mapping) };
            write(&model.areas, |areas| areas.insert(area)).expect("room for an area");
        }
        model
    }

    pub fn part(&self, page: PageNum) -> Option<Part> {
        let at = page.0.checked_sub(BASE.0)?;
        match at * 16 / self.pages {
            0..10 => Some(Part::Anonymous),
            10..12 => Some(Part::Data),
            12..14 => Some(Part::Text),
            14 => Some(Part::ReadOnly),
            _ => None,
        }
    }

    /// The frame of a page, which must be one of the model's.
    pub fn frame(&self, page: PageNum) -> &Mutex<Frame> {
        &self.frames[(page.0 - BASE.0) as usize]
    }

    /// What the first touch of a byte finds.
    pub fn first_byte(&self, addr: VirtAddr) -> u8 {
        let eighth = match self.part(addr.page()) {
            Some(Part::Data) => 5,
            Some(Part::Text) => 6,
            _ => return 0,
        };
        let at = addr.0 - BASE.plus(eighth * self.pages / 8).start().0;
        self.image.get(at as usize).copied().unwrap_or(0)
    }

    /// Whether a device fails now.
    pub fn fails(&self) -> bool {
        let one_in = self.failing.load(Ordering::Relaxed);
        one_in != 0 && lock(&self.chance, |state| next(state) >> 20 & (one_in - 1) == 0)
    }

    /// Checks, while nothing is under way, that entries, frames, slots and counts say the same.
    pub fn check(&self) {
        assert_eq!(self.busy.load(Ordering::SeqCst), 0, "something is busy at rest");
        let mut resident = Vec::new();
        let mut slots = [Vec::new(), Vec::new()];
        for page in (0..self.pages).map(|at| BASE.plus(at)) {
            let entry = self.table.existing(page).map_or(Entry::Empty, EntryCell::load);
            lock(self.frame(page), |frame| frame.agrees_with(page, entry));
            resident.extend(entry.is_resident().then_some(page));
            entry.slot().into_iter().for_each(|slot| slots[usize::from(slot.file)].push(slot.index));
        }
        let count = resident.len() as u64;
        assert_eq!(self.resident.load(Ordering::SeqCst), count, "pages are counted wrongly");
        for (device, mut slots) in self.swap.iter().zip(slots) {
            slots.sort_unstable();
            lock(device, |swap| {
                assert_eq!(swap.taken(), slots, "slots are lost, or taken twice");
            });
        }
        assert_eq!(self.tracked(), resident, "what is resident is not what may be evicted");
    }

    /// The pages that are candidates for eviction, ascending.
    fn tracked(&self) -> Vec<PageNum> {
        let mut tracked = Vec::new();
        lock(&self.queue, |queue| {
            loop {
                let candidates = queue.victims(BATCH, &self.table);
                if candidates.is_empty() {
                    break;
                }
                tracked.extend_from_slice(&candidates);
                queue.return_list(candidates);
            }
            tracked.iter().for_each(|page| queue.put_back(*page));
        });
        tracked.sort_unstable();
        tracked
    }

    /// Sets how many pages each swap device takes.
    pub fn set_swap_room(&self, pages: u64) {
        for device in &self.swap {
            lock(device, |swap| swap.room = pages as usize);
        }
    }
}

/// The next number of a xorshift generator.
pub fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

impl Space for Model {
    fn table(&self) -> &PageTable {
        crate::sync::step();
        &self.table
    }

    fn busy(&self) -> &AtomicU64 {
        &self.busy
    }

    fn with_areas<R>(&self, look: impl FnOnce(&AreaTree) -> R) -> R {
        read(&self.areas, look)
    }

    fn with_queue<R>(&self, act: impl FnOnce(&mut Queue) -> R) -> R {
        lock(&self.queue, act)
    }
}

impl Park for Model {
    fn wait(&self, cell: &EntryCell) {
        // Nobody sleeps: the entry's word is not one that the model's locks could be told of.
        if cell.wait_word().is_some() {
            crate::sync::give_way();
        }
    }

    fn wake(&self, _: &EntryCell) {}

    fn give_way(&self) {
        if self.threads > 1 {
            crate::sync::give_way();
        }
    }
}

impl Budget for Model {
    fn charge(&self, pages: u64) -> u64 {
        self.resident.fetch_add(pages, Ordering::SeqCst) + pages
    }

    fn uncharge(&self, pages: u64) {
        let before = self.resident.fetch_sub(pages, Ordering::SeqCst);
        assert!(before >= pages, "{pages} pages leave, and {before} were there");
    }

    fn resident(&self) -> u64 {
        self.resident.load(Ordering::SeqCst)
    }

    fn room(&self) -> u64 {
        self.cap()
    }

    fn reach(&self) -> u64 {
        self.cap()
    }

    fn cap(&self) -> u64 {
        self.cap.load(Ordering::SeqCst)
    }

    fn policy(&self) -> PolicyKind {
        self.policy
    }

    fn claim(&self, _: u64, _: Occasion) -> u64 {
        0
    }

    fn settle(&self, owed: u64, _: u64) {
        assert_eq!(owed, 0);
    }
}

impl Observer for Model {
    fn begin(&self) -> u64 {
        0
    }

    fn wants_departures(&self) -> bool {
        true
    }

    fn event(&self, event: Event<'_>) {
        let (counter, by) = match event {
            Event::Filled { pages, .. } => (&self.told.filled, pages),
            Event::Evicted { pages } => (&self.told.evicted, pages),
            Event::Written { pages } => (&self.told.written, pages),
            Event::Leaves { range, .. } => (&self.told.left, range.count()),
            Event::DeviceFailed => (&self.told.failed, 1),
            Event::Waited => (&self.told.waited, 1),
            Event::Resolved { .. } | Event::Read { .. } | Event::ZeroDropped | Event::Unmapped { .. } => {
                return;
            }
        };
        counter.fetch_add(by, Ordering::Relaxed);
    }
}
