//! The program's first stack: pointers to arguments and environment, and the auxiliary vector, laid out as
//! Linux' binfmt_elf does. The texts themselves stay where the kernel has put them.

use alloc::vec::Vec;

use pager_core::addr::PAGE_SIZE;
use pager_core::area::{Protection, Role};

use super::executed::{Inherited, Loaded};
use super::random::Randomisation;
use crate::memory::limits;
use crate::memory::map::{MAP_GROWSDOWN, Request, map_anonymous};
use crate::memory::prot_bits;
use crate::sys::Errno;
use crate::sys::memory::{MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_NORESERVE, MAP_PRIVATE};
use crate::user;

const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_BASE: u64 = 7;
const AT_ENTRY: u64 = 9;
const AT_PLATFORM: u64 = 15;
const AT_RANDOM: u64 = 25;
const AT_RSEQ_FEATURE_SIZE: u64 = 27;
const AT_RSEQ_ALIGN: u64 = 28;
const AT_EXECFN: u64 = 31;

/// Largest stack that is mapped whole where it cannot grow. It is address space, not memory.
const LARGEST: u64 = 1 << 30;
const SMALLEST: u64 = 256 << 10;
/// What Linux gives a stack at first beyond what is on it.
const FIRST_BYTES: u64 = 128 << 10;
/// How far below the runtime's own stack the program's begins: as far as a stack keeps others off.
const APART: u64 = 2 << 20;

/// What goes onto the stack.
pub struct Stack<'a> {
    pub main: &'a Loaded,
    pub interpreter: Option<&'a Loaded>,
    pub start: &'a Inherited,
    pub filename: &'a [u8],
    pub randomisation: Randomisation,
}

/// Texts that are pushed downwards from a top address.
struct Texts {
    bytes: Vec<u8>,
    top: u64,
}

impl Texts {
    /// Adds bytes below what is there; their address.
    fn push(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.extend(bytes.iter().rev());
        self.top - self.bytes.len() as u64
    }

    fn push_text(&mut self, text: &[u8]) -> u64 {
        self.push(&[0]);
        self.push(text)
    }
}

impl Stack<'_> {
    /// Maps and fills the stack; the stack pointer to start with, and the auxiliary vector.
    ///
    /// # Errors
    /// ENOMEM where there is no room, EFAULT where it cannot be written.
    pub fn build(&self) -> Result<(u64, Vec<u64>), Errno> {
        let top = self.map()?;
        let mut texts = Texts { bytes: Vec::new(), top: top - 8 - self.randomisation.pages(512) * 16 };
        let execfn = texts.push_text(self.filename);
        let platform = texts.push_text(b"x86_64");
        let random = texts.push(&self.start.random);
        let mut words: Vec<u64> = Vec::new();
        words.push(self.start.argv_at.len() as u64);
        words.extend(self.start.argv_at.iter().chain(&[0]).chain(&self.start.envp_at).chain(&[0]));
        let auxiliary = self.auxiliary([(AT_EXECFN, execfn), (AT_PLATFORM, platform), (AT_RANDOM, random)]);
        words.extend(&auxiliary);
        texts.bytes.reverse();
        let low = texts.top - texts.bytes.len() as u64;
        user::write(low, &texts.bytes)?;
        let sp = (low - words.len() as u64 * 8) & !15;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        user::write(sp, &bytes)?;
        Ok((sp, auxiliary))
    }

    /// Maps the stack; its top. It lies below the one that the kernel made for the runtime, where Linux
    /// leaves room to grow for as much as the limit allows, and grows as it is touched.
    fn map(&self) -> Result<u64, Errno> {
        let texts: usize =
            self.start.argv.iter().chain(&self.start.envp).map(|text| text.len() + 1 + 8).sum();
        let first = (texts as u64 + self.filename.len() as u64 + 2 * PAGE_SIZE + FIRST_BYTES)
            .next_multiple_of(PAGE_SIZE);
        let top = (self.start.arguments.start - APART - 2 * texts as u64) & !(PAGE_SIZE - 1);
        let mut protection = Protection::READ | Protection::WRITE;
        if self.main.program.stack_executable {
            protection |= Protection::EXEC;
        }
        let growing = Request {
            addr: top - first,
            len: first,
            prot: prot_bits(protection),
            flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE | MAP_GROWSDOWN,
            fd: -1,
            offset: 0,
        };
        if map_anonymous(&growing, Role::Stack).is_ok() {
            return Ok(top);
        }
        let size = limits::stack().clamp(SMALLEST, LARGEST).next_multiple_of(PAGE_SIZE).max(first);
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        Ok(map_anonymous(&Request { addr: 0, len: size, flags, ..growing }, Role::Stack)? + size)
    }

    /// The kernel's vector for the runtime, with what is about the program replaced.
    fn auxiliary(&self, texts: [(u64, u64); 3]) -> Vec<u64> {
        let mut words = Vec::new();
        let base = self.interpreter.map_or(0, |interpreter| interpreter.bias);
        let header = &self.main.program.header;
        let ours = [
            (AT_PHDR, self.main.program_headers),
            (AT_PHENT, header.phentsize.into()),
            (AT_PHNUM, header.phnum.into()),
            (AT_BASE, base),
            (AT_ENTRY, self.main.entry),
        ];
        for &(key, value) in &self.start.auxiliary {
            // No restartable sequences: the kernel would write to memory of the program behind our back.
            if key == AT_RSEQ_FEATURE_SIZE || key == AT_RSEQ_ALIGN {
                continue;
            }
            let replaced =
                ours.iter().chain(&texts).find(|(ours, _)| *ours == key).map_or(value, |(_, ours)| *ours);
            words.extend([key, replaced]);
        }
        words.extend([AT_NULL, 0]);
        words
    }
}
