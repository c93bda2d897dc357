//! The trace file.
//!
//! ```text
//! file:    "pgtrace\n"  version u32  0 u32    chunk*
//! chunk:   tag u32  length u32  xxh3-64 of the payload u64    payload [length]
//! tags:    1 description (JSON, first)   2 events   3 end (JSON, last; its absence means that the recording was cut off)
//! ```
//!
//! Numbers are little-endian. Each chunk of events stands by itself: times, pages and instructions are
//! differences from the event before, and the first is counted from zero, so a damaged chunk costs its own
//! events only. An event takes about ten bytes:
//!
//! ```text
//! tag u8 = kind (bits 0-3) | access or departure (4-5) | one page (6) | same thread as before (7)
//! [pid varint, tid varint]    unless it is the same thread
//! time    step (zigzag varint) in nanoseconds
//! page    step in pages       [count varint, touched varint]   unless it is one page
//! fault:  instruction step, cost varint in nanoseconds
//! map:    protection (bits 0-2) and use (3-5) varint, 0 or image + 1 varint, [page offset varint]
//! move:   step from the old first page to the new one
//! fork:   parent varint
//! ```

use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64;

use super::{Departure, Event, FaultKind, Use, What, access_from_number, access_number, varint};
use crate::addr::{PageNum, PageRange};
use crate::area::Protection;

/// The first bytes of a trace file.
pub const MAGIC: [u8; 8] = *b"pgtrace\n";
/// Version of the format; a reader refuses any other.
pub const VERSION: u32 = 1;
/// Bytes before the first chunk.
pub const FILE_HEADER_BYTES: usize = 16;
/// Bytes before a chunk's payload.
pub const CHUNK_HEADER_BYTES: usize = 16;
/// Longest payload that a reader believes in.
pub const LONGEST_PAYLOAD: usize = 1 << 26;

const MAP: u8 = 8;
const DISCARD: u8 = 9;
const FORK: u8 = 10;
const EXEC: u8 = 11;
const EVICT: u8 = 12;
const MOVE: u8 = 13;
const ONE_PAGE: u8 = 1 << 6;
const SAME_THREAD: u8 = 1 << 7;
/// What memory is for stands above its protection; traces of before have 0 there, [`Use::Mapping`].
const USE_SHIFT: u32 = 3;

/// What a chunk holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ChunkKind {
    /// JSON about the run, known when it began.
    Description = 1,
    /// Events.
    Events = 2,
    /// JSON about the run, known when it ended.
    End = 3,
}

impl ChunkKind {
    fn from_number(number: u32) -> Option<ChunkKind> {
        match number {
            1 => Some(ChunkKind::Description),
            2 => Some(ChunkKind::Events),
            3 => Some(ChunkKind::End),
            _ => None,
        }
    }
}

/// The first bytes of a file.
pub fn file_header() -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header
}

/// What precedes `payload`.
pub fn chunk_header(kind: ChunkKind, payload: &[u8]) -> [u8; CHUNK_HEADER_BYTES] {
    let mut header = [0; CHUNK_HEADER_BYTES];
    header[..4].copy_from_slice(&(kind as u32).to_le_bytes());
    header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..].copy_from_slice(&xxh3_64(payload).to_le_bytes());
    header
}

/// What an event is coded against: the one before it in its chunk.
#[derive(Clone, Copy, Default, Debug)]
struct Before {
    time_ns: u64,
    page: u64,
    instruction: u64,
    thread: (u32, u32),
}

/// Events on their way into one chunk.
#[derive(Default, Debug)]
pub struct Encoder {
    before: Before,
    bytes: Vec<u8>,
}

impl Encoder {
    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        let before = self.before;
        let (tag, place) = tag_of(&event.what);
        let same = before.thread == (event.pid, event.tid);
        let one = place.is_some_and(|range| range.count() == 1);
        let out = &mut self.bytes;
        out.push(tag | if one { ONE_PAGE } else { 0 } | if same { SAME_THREAD } else { 0 });
        if !same {
            varint::put(out, event.pid.into());
            varint::put(out, event.tid.into());
        }
        varint::put_step(out, before.time_ns, event.time_ns);
        if let Some(range) = place {
            varint::put_step(out, before.page, range.start().0);
            if !one {
                varint::put(out, range.count());
            }
            self.before.page = range.start().0;
        }
        match event.what {
            What::Fault { touched, instruction, cost_ns, .. } => {
                if !one {
                    varint::put(out, touched.into());
                }
                varint::put_step(out, before.instruction, instruction);
                varint::put(out, cost_ns);
                self.before.instruction = instruction;
            }
            What::Map { protection, purpose, image, .. } => {
                varint::put(out, (protection.bits() | (purpose as u8) << USE_SHIFT).into());
                varint::put(out, image.map_or(0, |(image, _)| u64::from(image) + 1));
                if let Some((_, page)) = image {
                    varint::put(out, page);
                }
            }
            What::Move { to, .. } => varint::put_step(out, self.before.page, to.0),
            What::Fork { parent } => varint::put(out, parent.into()),
            What::Evict { .. } | What::Discard { .. } | What::Exec => {}
        }
        self.before.time_ns = event.time_ns;
        self.before.thread = (event.pid, event.tid);
    }

    /// The payload so far.
    pub fn payload(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins a new chunk.
    pub fn clear(&mut self) {
        self.before = Before::default();
        self.bytes.clear();
    }
}

fn tag_of(what: &What) -> (u8, Option<PageRange>) {
    match *what {
        What::Fault { kind, access, range, .. } => (kind as u8 | access_number(access) << 4, Some(range)),
        What::Evict { how, range } => (EVICT | (how as u8) << 4, Some(range)),
        What::Map { range, .. } => (MAP, Some(range)),
        What::Discard { range } => (DISCARD, Some(range)),
        What::Move { range, .. } => (MOVE, Some(range)),
        What::Fork { .. } => (FORK, None),
        What::Exec => (EXEC, None),
    }
}

/// The events of one chunk; `Err` once, where the payload makes no sense.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    before: Before,
    left: &'a [u8],
}

impl<'a> Events<'a> {
    /// Those of a chunk of [`ChunkKind::Events`].
    pub fn new(payload: &'a [u8]) -> Events<'a> {
        Events { before: Before::default(), left: payload }
    }

    fn decode(&mut self) -> Option<Event> {
        let mut left = self.left;
        let (&tag, rest) = left.split_first()?;
        left = rest;
        if tag & SAME_THREAD == 0 {
            let pid = u32::try_from(varint::take(&mut left)?).ok()?;
            self.before.thread = (pid, u32::try_from(varint::take(&mut left)?).ok()?);
        }
        self.before.time_ns = varint::take_step(&mut left, self.before.time_ns)?;
        let what = match tag & 0xf {
            FORK => What::Fork { parent: u32::try_from(varint::take(&mut left)?).ok()? },
            EXEC => What::Exec,
            kind => self.decode_placed(kind, tag, &mut left)?,
        };
        self.left = left;
        let (pid, tid) = self.before.thread;
        Some(Event { time_ns: self.before.time_ns, pid, tid, what })
    }

    fn decode_placed(&mut self, kind: u8, tag: u8, left: &mut &[u8]) -> Option<What> {
        let start = varint::take_step(left, self.before.page)?;
        let count = if tag & ONE_PAGE != 0 { 1 } else { varint::take(left)? };
        let range = PageRange::with_count(PageNum(start), count)?;
        self.before.page = start;
        let detail = tag >> 4 & 3;
        Some(match kind {
            EVICT => What::Evict { how: Departure::from_number(detail)?, range },
            DISCARD => What::Discard { range },
            MOVE => What::Move { range, to: PageNum(varint::take_step(left, start)?) },
            MAP => {
                let rights = u8::try_from(varint::take(left)?).ok()?;
                let protection = Protection::from_bits_truncate(rights);
                let purpose = Use::from_number(rights >> USE_SHIFT)?;
                let image = match varint::take(left)? {
                    0 => None,
                    number => Some((u16::try_from(number - 1).ok()?, varint::take(left)?)),
                };
                What::Map { range, protection, purpose, image }
            }
            _ => {
                let touched = if count == 1 { 0 } else { varint::take(left)? };
                if touched >= count {
                    return None;
                }
                self.before.instruction = varint::take_step(left, self.before.instruction)?;
                What::Fault {
                    kind: FaultKind::from_number(kind)?,
                    access: access_from_number(detail)?,
                    touched: u16::try_from(touched).ok()?,
                    range,
                    instruction: self.before.instruction,
                    cost_ns: varint::take(left)?,
                }
            }
        })
    }
}

/// A payload that is no sequence of events although its checksum is right: another version wrote it, or its
/// writer is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a chunk of events makes no sense {left} bytes before its end")]
pub struct BadEvent {
    /// Bytes that were not read.
    pub left: usize,
}

impl Iterator for Events<'_> {
    type Item = Result<Event, BadEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        Some(self.decode().ok_or_else(|| BadEvent { left: core::mem::take(&mut self.left).len() }))
    }
}

/// Why bytes are no trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotATrace {
    /// Something else.
    #[error("this is no trace of the pager's: it does not begin with \"pgtrace\"")]
    Magic,
    /// Of another version.
    #[error("this trace has format {0}, and this pager reads format {VERSION}")]
    Version(u32),
}

/// Where the chunks of a file cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// The file ends inside the chunk that begins at this offset.
    Cut(usize),
    /// The payload of the chunk at this offset is not what was written.
    Checksum(usize),
    /// What begins at this offset is no chunk; nothing after it is read.
    Nonsense(usize),
}

/// The chunks of a file, whole ones only; what is damaged comes as `Err`, and if it can be told where the
/// next chunk begins, that one follows.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Chunks<'a> {
    /// The chunks of `file`.
    ///
    /// # Errors
    ///
    /// If it does not begin as a trace does.
    pub fn new(file: &'a [u8]) -> Result<Chunks<'a>, NotATrace> {
        if file.len() < FILE_HEADER_BYTES || file[..8] != MAGIC {
            return Err(NotATrace::Magic);
        }
        match number(file, 8) {
            VERSION => Ok(Chunks { file, at: FILE_HEADER_BYTES }),
            other => Err(NotATrace::Version(other)),
        }
    }

    fn stop(&mut self, damage: Damage) -> Option<Result<(ChunkKind, &'a [u8]), Damage>> {
        self.at = self.file.len();
        Some(Err(damage))
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<(ChunkKind, &'a [u8]), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, left) = (self.at, &self.file[self.at..]);
        if left.is_empty() {
            return None;
        }
        if left.len() < CHUNK_HEADER_BYTES {
            return self.stop(Damage::Cut(start));
        }
        let length = number(left, 4) as usize;
        let Some(kind) = ChunkKind::from_number(number(left, 0)).filter(|_| length <= LONGEST_PAYLOAD) else {
            return self.stop(Damage::Nonsense(start));
        };
        let Some(payload) = left.get(CHUNK_HEADER_BYTES..CHUNK_HEADER_BYTES + length) else {
            return self.stop(Damage::Cut(start));
        };
        self.at += CHUNK_HEADER_BYTES + length;
        if chunk_header(kind, payload) != left[..CHUNK_HEADER_BYTES] {
            return Some(Err(Damage::Checksum(start)));
        }
        Some(Ok((kind, payload)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::samples;

    fn file_of(chunks: &[Vec<Event>]) -> Vec<u8> {
        let mut file = file_header().to_vec();
        let mut encoder = Encoder::default();
        for events in chunks {
            encoder.clear();
            events.iter().for_each(|event| encoder.push(event));
            file.extend(chunk_header(ChunkKind::Events, encoder.payload()));
            file.extend(encoder.payload());
        }
        file
    }

    fn events_of(file: &[u8]) -> Vec<Vec<Event>> {
        let whole = Chunks::new(file).expect("a trace").filter_map(Result::ok);
        whole.map(|(_, payload)| Events::new(payload).map(|event| event.expect("whole")).collect()).collect()
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(chunks in proptest::collection::vec(proptest::collection::vec(samples::event(), 1..40), 0..5)) {
            prop_assert_eq!(events_of(&file_of(&chunks)), chunks);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _: Vec<_> = Events::new(&bytes).collect();
            let mut file = file_header().to_vec();
            file.extend(bytes);
            let _: Vec<_> = Chunks::new(&file).expect("a trace").collect();
        }

        #[test]
        fn a_file_that_was_cut_gives_its_whole_chunks(
            chunks in proptest::collection::vec(proptest::collection::vec(samples::event(), 1..20), 1..5),
            keep in 0.0..1.0f64,
        ) {
            let file = file_of(&chunks);
            let kept = FILE_HEADER_BYTES + ((file.len() - FILE_HEADER_BYTES) as f64 * keep) as usize;
            let read = events_of(&file[..kept]);
            prop_assert_eq!(&read[..], &chunks[..read.len()]);
            let damaged = Chunks::new(&file[..kept]).expect("a trace").any(|chunk| chunk.is_err());
            prop_assert!(damaged || file_of(&chunks[..read.len()]).len() == kept);
        }

        #[test]
        fn a_flipped_bit_costs_its_chunk_only(
            chunks in proptest::collection::vec(proptest::collection::vec(samples::event(), 1..20), 3..4),
            bit in 0usize..1 << 20,
        ) {
            let mut file = file_of(&chunks);
            let start = file_of(&chunks[..1]).len() + CHUNK_HEADER_BYTES;
            let length = file_of(&chunks[..2]).len() - start;
            file[start + bit / 8 % length] ^= 1 << (bit % 8);
            prop_assert_eq!(events_of(&file), [chunks[0].clone(), chunks[2].clone()]);
        }
    }

    #[test]
    fn an_ordinary_fault_takes_at_most_twelve_bytes() {
        let mut encoder = Encoder::default();
        let fault = |i: u64| Event {
            time_ns: i * 10_000,
            pid: 100_000,
            tid: 100_000,
            what: What::Fault {
                kind: FaultKind::SwapIn,
                access: crate::area::Access::Read,
                touched: 0,
                range: PageRange::single(PageNum(0x7_f000_0000 + i * 7919 % 32_768)),
                instruction: 0x5555_5555_0000 + i % 3 * 200,
                cost_ns: 7_000 + i % 1000,
            },
        };
        (0..1000).for_each(|i| encoder.push(&fault(i)));
        assert!(encoder.payload().len() <= 12_000, "{}", encoder.payload().len());
    }

    #[test]
    fn other_files_and_versions_are_refused() {
        assert_eq!(Chunks::new(b"\x7fELF............").err(), Some(NotATrace::Magic));
        let mut file = file_header();
        file[8] = 9;
        assert_eq!(Chunks::new(&file).err(), Some(NotATrace::Version(9)));
    }
}
