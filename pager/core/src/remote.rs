//! What a process of the run asks another one for whose memory it accesses: to bring pages in, which the
//! kernel cannot do for it.
//!
//! The request travels inside a queued signal, the answer by the process's slot in the control block.

use crate::addr::{PAGE_SIZE, PageNum, PageRange};
use crate::area::Access;

/// Value of a queued SIGSEGV that carries a request; see [`crate::shared::POKE`] for the other one.
pub const REQUEST: u64 = 0x0070_6167_6572_0002;
/// Most pages of one request.
pub const MOST_PAGES: u64 = 64;

/// By what right a page is brought in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Right {
    /// As the program itself may access it.
    Program,
    /// As a debugger, which reads what the program may not read and writes to private pages that the program
    /// may not write to (FOLL_FORCE).
    Debugger,
}

/// Pages to be brought in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Which.
    pub pages: PageRange,
    /// What for: to be read or to be written to.
    pub access: Access,
    /// By what right.
    pub right: Right,
}

const WRITES: u64 = 1 << 6;
const FORCES: u64 = 1 << 7;
const COUNT: u64 = MOST_PAGES - 1;

impl Request {
    /// The request as one number; of its pages the first [`MOST_PAGES`].
    pub fn pack(&self) -> u64 {
        let writes = if self.access == Access::Write { WRITES } else { 0 };
        let forces = if self.right == Right::Debugger { FORCES } else { 0 };
        self.pages.start().start().0 | (self.pages.count().min(MOST_PAGES) - 1) | writes | forces
    }

    /// The request in a number; nothing where its pages are none of a program's.
    pub fn unpack(bits: u64) -> Option<Request> {
        let pages = PageRange::with_count(PageNum(bits / PAGE_SIZE), (bits & COUNT) + 1)?;
        let access = if bits & WRITES != 0 { Access::Write } else { Access::Read };
        let right = if bits & FORCES != 0 { Right::Debugger } else { Right::Program };
        Some(Request { pages, access, right })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_unpacked_as_it_was_packed() {
        for (start, count) in [(0x7_ffff_7ff0, 1), (1, 64), (0x10, 63)] {
            let pages = PageRange::with_count(PageNum(start), count).expect("no empty range");
            for access in [Access::Read, Access::Write] {
                for right in [Right::Program, Right::Debugger] {
                    let request = Request { pages, access, right };
                    assert_eq!(Request::unpack(request.pack()), Some(request));
                }
            }
        }
    }

    #[test]
    fn a_request_for_too_many_pages_is_cut() {
        let pages = PageRange::with_count(PageNum(9), 1000).expect("no empty range");
        let request = Request { pages, access: Access::Read, right: Right::Program };
        let cut = PageRange::with_count(PageNum(9), MOST_PAGES);
        assert_eq!(Request::unpack(request.pack()).map(|request| request.pages), cut);
    }
}
