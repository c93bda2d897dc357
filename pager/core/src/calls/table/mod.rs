//! The rows, by subject, and the dense index over them.
//!
//! One call is one line. [`call`] starts a row that is `Straight`, `Uninterruptible` and `Whole`; the methods say what differs.

use super::{Chunk, Direction, Length, Managed, Pointer, Restart, Route, Row, Shape, Virtual};

mod admin;
mod events;
mod files;
mod ipc;
mod memory;
mod net;
mod paths;
mod process;
mod signals;
mod time;

/// One more than the highest number that has a row.
pub const ROWS: usize = 470;

/// Dense index: the row of call number `i` at `i`. Duplicate or excessive numbers do not compile.
static INDEX: [Option<&'static Row>; ROWS] = index(&[
    files::ROWS,
    paths::ROWS,
    memory::ROWS,
    signals::ROWS,
    net::ROWS,
    ipc::ROWS,
    process::ROWS,
    time::ROWS,
    events::ROWS,
    admin::ROWS,
]);

/// What is known about call `number`, in constant time; `None` for numbers that Linux 6.18 does not have (x32 numbers among them).
pub fn row(number: u64) -> Option<&'static Row> {
    let at = usize::try_from(number).ok()?;
    INDEX.get(at).copied().flatten()
}

const fn index(groups: &[&'static [Row]]) -> [Option<&'static Row>; ROWS] {
    let mut dense: [Option<&'static Row>; ROWS] = [None; ROWS];
    let mut group = 0;
    while group < groups.len() {
        let rows = groups[group];
        let mut at = 0;
        while at < rows.len() {
            let number = rows[at].number as usize;
            assert!(dense[number].is_none(), "two rows for one call number");
            dense[number] = Some(&rows[at]);
            at += 1;
        }
        group += 1;
    }
    dense
}

const ENOSYS: i32 = 38;
const EINVAL: i32 = 22;
const EOPNOTSUPP: i32 = 95;

const fn call(number: u32, name: &'static str, arguments: u8) -> Row {
    Row {
        number,
        name,
        arguments,
        route: Route::Straight,
        pointers: &[],
        restart: Restart::Uninterruptible,
        chunk: Chunk::Whole,
    }
}

impl Row {
    const fn route(mut self, route: Route, pointers: &'static [Pointer]) -> Row {
        self.route = route;
        self.pointers = pointers;
        self
    }

    const fn fills(self, pointers: &'static [Pointer]) -> Row {
        self.route(Route::Filled, pointers)
    }

    const fn repeats(self, pointers: &'static [Pointer]) -> Row {
        self.route(Route::Repeated, pointers)
    }

    const fn managed(self, managed: Managed, pointers: &'static [Pointer]) -> Row {
        self.route(Route::Managed(managed), pointers)
    }

    const fn virtualised(self, with: Virtual, pointers: &'static [Pointer]) -> Row {
        self.route(Route::Virtual(with), pointers)
    }

    const fn refused(self, errno: i32) -> Row {
        self.route(Route::Refused(errno), &[])
    }

    const fn restartable(mut self) -> Row {
        self.restart = Restart::Restartable;
        self
    }

    const fn interrupted(mut self) -> Row {
        self.restart = Restart::NeverAfterHandler;
        self
    }

    const fn always(mut self) -> Row {
        self.restart = Restart::Always;
        self
    }

    const fn stream(mut self, buffer_arg: u8, length_arg: u8) -> Row {
        self.chunk = Chunk::Stream { buffer_arg, length_arg };
        self
    }

    const fn positioned(mut self, buffer_arg: u8, length_arg: u8, offset_arg: u8) -> Row {
        self.chunk = Chunk::Positioned { buffer_arg, length_arg, offset_arg };
        self
    }

    const fn vector(mut self, vector_arg: u8, count_arg: u8, offset_arg: Option<u8>) -> Row {
        self.chunk = Chunk::Vector { vector_arg, count_arg, offset_arg };
        self
    }

    const fn message(mut self, buffer_arg: u8, length_arg: u8) -> Row {
        self.chunk = Chunk::Message { buffer_arg, length_arg };
        self
    }

    const fn header(mut self, header_arg: u8) -> Row {
        self.chunk = Chunk::Header { header_arg };
        self
    }

    const fn shorter(mut self, buffer_arg: u8, length_arg: u8) -> Row {
        self.chunk = Chunk::Shorter { buffer_arg, length_arg };
        self
    }
}

const fn at(argument: u8, shape: Shape) -> Pointer {
    Pointer { argument, shape }
}

const fn path(argument: u8) -> Pointer {
    at(argument, Shape::Path)
}

const fn text(argument: u8, max: u32) -> Pointer {
    at(argument, Shape::Text(max))
}

const fn input(argument: u8, length: Length) -> Pointer {
    at(argument, Shape::Buffer(Direction::In, length))
}

const fn output(argument: u8, length: Length) -> Pointer {
    at(argument, Shape::Buffer(Direction::Out, length))
}

const fn both(argument: u8, length: Length) -> Pointer {
    at(argument, Shape::Buffer(Direction::InOut, length))
}

/// The kernel reads a structure of `size` bytes.
const fn reads(argument: u8, size: u32) -> Pointer {
    input(argument, Length::Fixed(size))
}

/// The kernel writes a structure of `size` bytes.
const fn writes(argument: u8, size: u32) -> Pointer {
    output(argument, Length::Fixed(size))
}

/// The kernel reads and writes a structure of `size` bytes.
const fn edits(argument: u8, size: u32) -> Pointer {
    both(argument, Length::Fixed(size))
}
