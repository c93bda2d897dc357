//! bpf(2): the attributes, and the memory that they name.
//!
//! Sizes of keys and values belong to maps, which are not known here: a page is named for each.

use super::expand::{Walk, count};
use super::{Direction, Fault, Span, UserMemory};
use crate::addr::PAGE_SIZE;
use Direction::{In, InOut, Out};

/// Where in the attributes a pointer stands, and how long what it points at is.
struct Field {
    offset: u64,
    direction: Direction,
    length: Length,
}

/// How long, told by the attributes.
enum Length {
    /// Not known: a page.
    Page,
    /// A text of at most a page.
    Text,
    /// The `u32` at this offset, times so many bytes.
    Counted(u64, u64),
    /// The `u32` at this offset, times the one at that.
    Records(u64, u64),
}

const fn field(offset: u64, direction: Direction, length: Length) -> Field {
    Field { offset, direction, length }
}

const KEY_AND_VALUE_READ: &[Field] = &[field(8, In, Length::Page), field(16, Out, Length::Page)];
const KEY_AND_VALUE_WRITTEN: &[Field] = &[field(8, In, Length::Page), field(16, In, Length::Page)];
const KEY_READ: &[Field] = &[field(8, In, Length::Page)];
const OBJECT: &[Field] = &[field(0, In, Length::Text)];
const PROGRAM: &[Field] = &[
    field(8, In, Length::Counted(4, 8)),
    field(16, In, Length::Text),
    field(32, Out, Length::Counted(28, 1)),
    field(80, In, Length::Records(88, 76)),
    field(96, In, Length::Records(104, 92)),
    field(120, In, Length::Page),
    field(128, In, Length::Records(116, 136)),
];
const TEST_RUN: &[Field] = &[
    field(16, In, Length::Counted(8, 1)),
    field(24, Out, Length::Counted(12, 1)),
    field(48, In, Length::Counted(40, 1)),
    field(56, Out, Length::Counted(44, 1)),
];
const INFO: &[Field] = &[field(8, InOut, Length::Counted(4, 1))];
const TYPES: &[Field] = &[field(0, In, Length::Counted(16, 1)), field(8, Out, Length::Counted(20, 1))];
const QUERY: &[Field] = &[field(16, Out, Length::Counted(24, 4))];
const BATCH: &[Field] = &[
    field(0, In, Length::Page),
    field(8, Out, Length::Page),
    field(16, InOut, Length::Page),
    field(24, InOut, Length::Page),
];
const TASK_QUERY: &[Field] = &[field(16, Out, Length::Counted(12, 1))];
const TRACEPOINT: &[Field] = &[field(0, In, Length::Text)];

/// The pointers in the attributes of a command (`enum bpf_cmd`).
const fn fields(command: u32) -> &'static [Field] {
    match command {
        1 | 21 => KEY_AND_VALUE_READ,
        2 => KEY_AND_VALUE_WRITTEN,
        3 => KEY_READ,
        4 => KEY_AND_VALUE_READ,
        5 => PROGRAM,
        6 | 7 => OBJECT,
        10 => TEST_RUN,
        15 => INFO,
        16 => QUERY,
        17 => TRACEPOINT,
        18 => TYPES,
        20 => TASK_QUERY,
        24..=27 => BATCH,
        _ => &[],
    }
}

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    /// bpf(command, attributes, size).
    pub(super) fn bpf(&mut self, addr: u64) -> Result<(), Fault> {
        let size = count(self.arg(2)).min(PAGE_SIZE);
        self.touch(addr, size, InOut);
        for Field { offset, direction, length } in fields(self.int(0)) {
            if offset + 8 > size {
                continue;
            }
            let at = self.u64_at(addr.saturating_add(*offset))?;
            match length {
                Length::Page => self.touch(at, PAGE_SIZE, *direction),
                Length::Text => self.text(at, 4096)?,
                Length::Counted(counter, times) => {
                    let entries = self.u32_at(addr.saturating_add(*counter))?;
                    self.touch(at, u64::from(entries) * times, *direction);
                }
                Length::Records(counter, record) => {
                    let entries = u64::from(self.u32_at(addr.saturating_add(*counter))?);
                    let size = u64::from(self.u32_at(addr.saturating_add(*record))?);
                    self.touch(at, entries.saturating_mul(size), *direction);
                }
            }
        }
        Ok(())
    }
}
