//! What happens to pages, as events: how they are passed on, and how they are written to a file.
//!
//! | module | owns |
//! |---|---|
//! | [`ring`] | the buffer in shared memory through which the processes of a run hand events to their supervisor |
//! | [`format`] | the trace file: chunks, checksums, the encoding of an event |
//!
//! This module says what an event *is*; it knows no file, no clock and no process.

/// An enum whose variants have numbers, which files keep, and names, which people and scripts see.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $number:literal $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$one])* $variant = $number,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: [$name; [$($number),+].len()] = [$($name::$variant),+];

            /// Name for people and scripts.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }

            pub(crate) const fn from_number(number: u8) -> Option<$name> {
                match number {
                    $($number => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub mod format;
pub mod ring;
mod varint;

use crate::addr::{PageNum, PageRange};
use crate::area::{Access, Protection, Role};

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// When it ended, in nanoseconds since the first process of the run began.
    pub time_ns: u64,
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// What it was.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A thread missed a page, and it was brought in, perhaps with its neighbours; or the first write to a
    /// clean page was let through.
    Fault {
        /// What had to be done.
        kind: FaultKind,
        /// What the thread wanted.
        access: Access,
        /// Whose the page is: `range.start()` plus this many pages was touched.
        touched: u16,
        /// The pages that were brought in together. At most 65,535.
        range: PageRange,
        /// Address of the instruction; 0 for a page that a system call needed.
        instruction: u64,
        /// How long it took to decide and to fill, without the signal itself, in nanoseconds.
        cost_ns: u64,
    },
    /// Pages left memory to make room. At most 65,535 of them.
    Evict {
        /// Where their contents are now.
        how: Departure,
        /// Which.
        range: PageRange,
    },
    /// The program mapped memory.
    Map {
        /// Where.
        range: PageRange,
        /// What it may do there.
        protection: Protection,
        /// What it is for.
        purpose: Use,
        /// Number of the file in the run's table of images and page offset in it; `None` for zeros.
        image: Option<(u16, u64)>,
    },
    /// The program gave up what was in these pages: munmap, a mapping over them, `MADV_DONTNEED`, exec.
    Discard {
        /// Which.
        range: PageRange,
    },
    /// The program had what was in `range` moved (mremap): the first page is `to` now, and so on.
    Move {
        /// Where it was.
        range: PageRange,
        /// Where it is.
        to: PageNum,
    },
    /// Process `pid` is a copy of another, made by fork: all of that one's resident pages are its own as
    /// well.
    Fork {
        /// Process id of the parent.
        parent: u32,
    },
    /// Process `pid` begins to execute a program; nothing of what it had before is left.
    Exec,
}

impl What {
    /// The page that a thread missed, of a fault.
    pub fn touched(&self) -> Option<PageNum> {
        match *self {
            What::Fault { range, touched, .. } => Some(range.start().plus(touched.into())),
            _ => None,
        }
    }
}

named! {
    /// What a fault had to do.
    FaultKind {
        /// Copy pages of a file.
        Image = 0 "image",
        /// Make pages of zeros.
        Zero = 1 "zero",
        /// Read pages from a swap file.
        SwapIn = 2 "swap-in",
        /// Have the pages of a file itself mapped.
        MapThrough = 3 "map-through",
        /// Lift the protection of a clean page that is written to for the first time.
        Protection = 4 "protection",
    }
}

impl FaultKind {
    /// Whether the page had not been in memory.
    pub const fn is_miss(self) -> bool {
        !matches!(self, FaultKind::Protection)
    }
}

named! {
    /// Where the contents of an evicted page are.
    Departure {
        /// Where they came from: a file, or a swap slot that still holds them.
        Clean = 0 "clean",
        /// In a swap slot, written just now.
        Written = 1 "written",
        /// Nowhere: they were all zeros.
        Zero = 2 "zero",
        /// In the file that was mapped there.
        Mapped = 3 "mapped",
    }
}

named! {
    /// What mapped memory is for; see [`crate::area::Role`].
    Use {
        /// What the program mapped itself.
        Mapping = 0 "mapping",
        /// Code and read-only data of a program or library.
        Text = 1 "text",
        /// Writable data of a program or library.
        Data = 2 "data",
        /// The brk heap.
        Heap = 3 "heap",
        /// The first thread's stack.
        Stack = 4 "stack",
    }
}

impl From<Role> for Use {
    fn from(role: Role) -> Use {
        match role {
            Role::Text => Use::Text,
            Role::Data => Use::Data,
            Role::Heap => Use::Heap,
            Role::Stack => Use::Stack,
            Role::Mapping => Use::Mapping,
        }
    }
}

const fn access_number(access: Access) -> u8 {
    match access {
        Access::Read => 0,
        Access::Write => 1,
        Access::Execute => 2,
    }
}

const fn access_from_number(number: u8) -> Option<Access> {
    match number {
        0 => Some(Access::Read),
        1 => Some(Access::Write),
        2 => Some(Access::Execute),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Arbitrary events for property tests.

    use proptest::prelude::*;

    use super::*;

    fn range(most: u64) -> impl Strategy<Value = PageRange> {
        (0..1u64 << 35, 1..=most)
            .prop_filter_map("a range", |(start, count)| PageRange::with_count(PageNum(start), count))
    }

    fn what() -> impl Strategy<Value = What> {
        let access = prop_oneof![Just(Access::Read), Just(Access::Write), Just(Access::Execute)];
        let kind = (0u8..5).prop_filter_map("a kind", FaultKind::from_number);
        let how = (0u8..4).prop_filter_map("a departure", Departure::from_number);
        let purpose = (0u8..5).prop_filter_map("a use", Use::from_number);
        let fault = (kind, access, any::<u16>(), range(65_535), 0..1u64 << 47, 0..1u64 << 31);
        prop_oneof![
            8 => fault.prop_map(|(kind, access, touched, range, instruction, cost_ns)| {
                let touched = touched % range.count() as u16;
                What::Fault { kind, access, touched, range, instruction, cost_ns }
            }),
            4 => (how, range(65_535)).prop_map(|(how, range)| What::Evict { how, range }),
            1 => (range(1 << 34), 0u8..8, purpose, proptest::option::of((any::<u16>(), 0..1u64 << 40))).prop_map(
                |(range, protection, purpose, image)| What::Map {
                    range,
                    protection: Protection::from_bits_truncate(protection),
                    purpose,
                    image,
                }
            ),
            1 => range(1 << 35).prop_map(|range| What::Discard { range }),
            1 => (range(1 << 34), 0..1u64 << 35).prop_map(|(range, to)| What::Move { range, to: PageNum(to) }),
            1 => any::<u32>().prop_map(|parent| What::Fork { parent }),
            1 => Just(What::Exec),
        ]
    }

    /// Any event.
    pub fn event() -> impl Strategy<Value = Event> {
        (0..1u64 << 60, 1u32..5, 1u32..9, what()).prop_map(|(time_ns, pid, tid, what)| Event {
            time_ns,
            pid,
            tid,
            what,
        })
    }
}
