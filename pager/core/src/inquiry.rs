//! What somebody outside asks a process about one of its pages, and what it answers: the area that holds the
//! page, and the page's entry. Nothing is changed by it.
//!
//! The question travels inside a queued signal, the answer by the [`Desk`] in the control block.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{PageNum, PageRange};
use crate::area::{Area, Backing, Holding, ImageId, KernelReason, Protection, Role};
use crate::entry::Entry;

/// Value of a queued SIGSEGV that carries a question; see [`crate::shared::POKE`] for others.
pub const INQUIRY: u64 = 0x0070_6167_6572_0003;

const WORDS: usize = 6;
const HAS_IMAGE: u64 = 1 << 24;

/// Where questions are answered, one at a time.
#[repr(C)]
#[derive(Default)]
pub struct Desk {
    /// Who asks now: the number of a question, whose high half is the process that asks; 0 for nobody.
    pub asked: AtomicU64,
    /// Number of the question that was answered last; written after the answer.
    pub answered: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// What a process knows of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The area that holds it. Its image goes by the number of its row in the control block, and what has to
    /// do with fork, locks and keys is left out.
    pub area: Option<Area>,
    /// Its entry.
    pub entry: Entry,
}

impl Desk {
    /// Leaves the answer to the question `number`.
    pub fn answer(&self, number: u64, answer: &Answer) {
        for (word, value) in self.words.iter().zip(answer.pack()) {
            word.store(value, Ordering::Relaxed);
        }
        self.answered.store(number, Ordering::Release);
    }

    /// The answer to the question `number`, once it is there; `Some(None)` for one that makes no sense.
    pub fn take(&self, number: u64) -> Option<Option<Answer>> {
        (self.answered.load(Ordering::Acquire) == number)
            .then(|| Answer::unpack(core::array::from_fn(|at| self.words[at].load(Ordering::Relaxed))))
    }
}

impl Answer {
    fn pack(&self) -> [u64; WORDS] {
        let Some(area) = self.area else { return [self.entry.pack(), 0, 0, 0, 0, 0] };
        let (image, offset, valid) = match area.backing {
            Backing::Image { image, offset, valid } => (HAS_IMAGE | u64::from(image.0) << 32, offset, valid),
            Backing::Zero => (0, 0, 0),
        };
        let kinds = u64::from(area.protection.bits()) | holding_number(area.holding) << 8;
        let kinds = kinds | role_number(area.role) << 16;
        let (start, end) = (area.range.start().0, area.range.end().0);
        [self.entry.pack(), start, end, kinds | image, offset, valid]
    }

    /// Anybody could have written the words.
    fn unpack([entry, start, end, kinds, offset, valid]: [u64; WORDS]) -> Option<Answer> {
        let entry = Entry::is_sound(entry).then(|| Entry::unpack(entry))?;
        let Some(range) = PageRange::new(PageNum(start), PageNum(end)) else {
            return Some(Answer { area: None, entry });
        };
        let protection = Protection::from_bits_truncate(kinds as u8);
        let (holding, role) = (holding_from(kinds >> 8 & 0xff)?, role_from(kinds >> 16 & 0xff)?);
        let backing = match kinds & HAS_IMAGE {
            0 => Backing::Zero,
            _ => Backing::Image { image: ImageId((kinds >> 32) as u16), offset, valid },
        };
        let area = Area { backing, ..Area::new(range, protection, holding, role) };
        Some(Answer { area: Some(area), entry })
    }
}

const HOLDINGS: [Holding; 7] = [
    Holding::Private,
    Holding::MapThrough,
    Holding::SharedThrough,
    Holding::Kernel(KernelReason::Shared),
    Holding::Kernel(KernelReason::Device),
    Holding::Kernel(KernelReason::Huge),
    Holding::Kernel(KernelReason::Other),
];
const ROLES: [Role; 5] = [Role::Text, Role::Data, Role::Heap, Role::Stack, Role::Mapping];

fn holding_number(holding: Holding) -> u64 {
    HOLDINGS.iter().position(|one| *one == holding).unwrap_or(0) as u64
}

fn holding_from(number: u64) -> Option<Holding> {
    HOLDINGS.get(number as usize).copied()
}

fn role_number(role: Role) -> u64 {
    ROLES.iter().position(|one| *one == role).unwrap_or(0) as u64
}

fn role_from(number: u64) -> Option<Role> {
    ROLES.get(number as usize).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{Dirt, SwapSlot};

    #[test]
    fn every_kind_of_area_comes_out_as_it_went_in() {
        let range = PageRange::with_count(PageNum(7), 9).expect("not empty");
        let slot = SwapSlot { file: 2, index: 77, tag: 3 };
        let entries = [Entry::Empty, Entry::Swapped(slot), Entry::Resident(Dirt::Clean, Some(slot))];
        let image = Backing::Image { image: ImageId(511), offset: 4096, valid: 5000 };
        for holding in HOLDINGS {
            for role in ROLES {
                for (backing, entry) in [Backing::Zero, image, image].into_iter().zip(entries) {
                    let area = Area { backing, ..Area::new(range, Protection::READ, holding, role) };
                    let answer = Answer { area: Some(area), entry };
                    assert_eq!(Answer::unpack(answer.pack()), Some(answer));
                }
            }
        }
        let nowhere = Answer { area: None, entry: Entry::Empty };
        assert_eq!(Answer::unpack(nowhere.pack()), Some(nowhere));
    }

    #[test]
    fn an_answer_is_that_of_its_question() {
        let desk = Desk::default();
        let answer = Answer { area: None, entry: Entry::Zero };
        desk.answer(5, &answer);
        assert_eq!((desk.take(4), desk.take(5)), (None, Some(Some(answer))));
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(words: [u64; WORDS]) {
            let _ = Answer::unpack(words);
        }
    }
}
