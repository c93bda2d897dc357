//! Memory and its processor: a touch reads or writes a byte of a page that is there, and faults otherwise.

use pager_core::addr::{PAGE_SIZE, PageNum, PageRange, VirtAddr};
use pager_core::area::Access;
use pager_core::entry::{Dirt, Entry};
use pager_engine::fault;
use pager_engine::host::{DeviceError, Install, Mmu};
use pager_engine::work::Outcome;

use super::locks::lock;
use super::{Model, Page, Part};

/// What is at a page's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing: a touch faults.
    Absent,
    /// A page of the program's own.
    Private(Install),
    /// The file's page.
    Through,
}

/// A page's address.
pub struct Frame {
    pub state: State,
    /// Of a private page.
    contents: Page,
}

impl Default for Frame {
    fn default() -> Frame {
        Frame { state: State::Absent, contents: [0; PAGE_SIZE as usize] }
    }
}

impl Frame {
    /// Whether the processor sees what the page table says. A page of a file that could not be brought in may
    /// be let through all the same.
    pub fn agrees_with(&self, page: PageNum, entry: Entry) {
        let agrees = match (self.state, entry) {
            (State::Absent, Entry::Empty | Entry::Zero | Entry::Guard | Entry::Swapped(_)) => true,
            (State::Private(Install::Protected), Entry::Resident(Dirt::Clean, _)) => true,
            (State::Private(Install::Writable), Entry::Resident(Dirt::Dirty, slot)) => slot.is_none(),
            (State::Through, Entry::Mapped(_)) => true,
            _ => false,
        };
        assert!(agrees, "{page:?} says {entry:?}, and the processor does not");
    }
}

/// How a touch ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The byte that was read, or that stood there before it was written over.
    Byte(u8),
    /// As the program would be told.
    Refused(Outcome),
}

impl Model {
    /// Reads the byte at `addr`, or writes `value` there: as an instruction does, faulting until it is done.
    pub fn touch(&self, addr: VirtAddr, value: Option<u8>) -> Answer {
        let access = if value.is_some() { Access::Write } else { Access::Read };
        // A page may be evicted again before the instruction runs, but not by one thread, and not for ever.
        for _ in 0..10_000 {
            if let Some(byte) = self.access(addr, value) {
                return Answer::Byte(byte);
            }
            match fault::on_fault(self, addr, access) {
                Outcome::Resolved | Outcome::Spurious => {}
                refused => return Answer::Refused(refused),
            }
        }
        panic!("{addr:?} faults for ever");
    }

    fn access(&self, addr: VirtAddr, value: Option<u8>) -> Option<u8> {
        // As the kernel's own area of that memory has it.
        if matches!((self.part(addr.page())?, value), (Part::Text | Part::ReadOnly, Some(_))) {
            return None;
        }
        let at = addr.page_offset() as usize;
        lock(self.frame(addr.page()), |frame| match (frame.state, value) {
            (State::Private(_), None) => Some(frame.contents[at]),
            (State::Private(Install::Writable), Some(value)) => {
                Some(core::mem::replace(&mut frame.contents[at], value))
            }
            (State::Through, None) => Some(self.first_byte(addr)),
            _ => None,
        })
    }

    fn each(&self, run: PageRange, mut act: impl FnMut(PageNum, &mut Frame)) {
        for page in run.iter() {
            let entry = self.table.existing(page).map(|cell| cell.load());
            assert!(matches!(entry, Some(Entry::Busy(_))), "{page:?} is changed and says {entry:?}");
            lock(self.frame(page), |frame| act(page, frame));
        }
    }
}

impl Mmu for Model {
    type Open = ();

    fn open(&self) {}

    fn install(&self, run: PageRange, contents: &[u8], how: Install) {
        assert_eq!(contents.len() as u64, run.bytes());
        let mut pages = contents.as_chunks::<{ PAGE_SIZE as usize }>().0.iter();
        self.each(run, |page, frame| {
            assert_eq!(frame.state, State::Absent, "{page:?} is installed over another");
            frame.contents = *pages.next().expect("counted above");
            frame.state = State::Private(how);
        });
    }

    fn install_zeros(&self, run: PageRange) {
        self.each(run, |page, frame| {
            assert_eq!(frame.state, State::Absent, "{page:?} is installed over another");
            *frame = Frame { state: State::Private(Install::Writable), ..Frame::default() };
        });
    }

    fn protect(&self, run: PageRange, how: Install) {
        self.each(run, |page, frame| {
            assert!(matches!(frame.state, State::Private(_)), "{page:?} is protected and not there");
            frame.state = State::Private(how);
        });
    }

    fn read_page(&self, page: PageNum, into: &mut [u8]) {
        self.each(PageRange::single(page), |page, frame| {
            let stays = frame.state == State::Private(Install::Protected)
                || frame.state == State::Private(Install::Writable) && self.threads == 1;
            assert!(stays, "{page:?} is not there, or others may write to it while it is copied");
            into.copy_from_slice(&frame.contents);
        });
    }

    fn remove(&self, runs: &[PageRange]) {
        for run in runs {
            self.each(*run, |page, frame| {
                assert!(matches!(frame.state, State::Private(_)), "{page:?} is removed and not there");
                frame.state = State::Absent;
            });
        }
    }

    fn hold_back(&self, run: PageRange) {
        self.each(run, |page, frame| {
            assert!(!matches!(frame.state, State::Private(_)), "{page:?} is no page of a file");
            frame.state = State::Absent;
        });
    }

    fn let_through(&self, run: PageRange) -> Result<(), DeviceError> {
        self.each(run, |page, frame| {
            assert_eq!(frame.state, State::Absent, "{page:?} is let through already");
            frame.state = State::Through;
        });
        Ok(())
    }

    fn bring_in(&self, _: PageRange) -> Result<(), DeviceError> {
        if self.fails() { Err(DeviceError(5)) } else { Ok(()) }
    }

    fn can_be_had(&self, _: PageNum, _: Access) -> bool {
        true
    }
}
