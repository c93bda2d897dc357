//! How a row is written: [`call`] starts it, the methods say what differs, and the functions name its
//! pointers.

use crate::calls::{Chunk, Direction, Length, Managed, Pointer, Restart, Route, Row, Shape, Virtual};

pub(super) const ENOSYS: i32 = 38;
pub(super) const EINVAL: i32 = 22;
pub(super) const EOPNOTSUPP: i32 = 95;

pub(super) const fn call(number: u32, name: &'static str, arguments: u8) -> Row {
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
    pub(super) const fn route(mut self, route: Route, pointers: &'static [Pointer]) -> Row {
        self.route = route;
        self.pointers = pointers;
        self
    }

    pub(super) const fn fills(self, pointers: &'static [Pointer]) -> Row {
        self.route(Route::Filled, pointers)
    }

    pub(super) const fn repeats(self, pointers: &'static [Pointer]) -> Row {
        self.route(Route::Repeated, pointers)
    }

    pub(super) const fn managed(self, managed: Managed, pointers: &'static [Pointer]) -> Row {
        self.route(Route::Managed(managed), pointers)
    }

    pub(super) const fn virtualised(self, with: Virtual, pointers: &'static [Pointer]) -> Row {
        self.route(Route::Virtual(with), pointers)
    }

    pub(super) const fn refused(self, errno: i32) -> Row {
        self.route(Route::Refused(errno), &[])
    }

    pub(super) const fn restartable(mut self) -> Row {
        self.restart = Restart::Restartable;
        self
    }

    pub(super) const fn interrupted(mut self) -> Row {
        self.restart = Restart::NeverAfterHandler;
        self
    }

    pub(super) const fn always(mut self) -> Row {
        self.restart = Restart::Always;
        self
    }

    pub(super) const fn stream(mut self, buffer_arg: u8, length_arg: u8) -> Row {
        self.chunk = Chunk::Stream { buffer_arg, length_arg };
        self
    }

    pub(super) const fn positioned(mut self, buffer_arg: u8, length_arg: u8, offset_arg: u8) -> Row {
        self.chunk = Chunk::Positioned { buffer_arg, length_arg, offset_arg };
        self
    }

    pub(super) const fn vector(mut self, vector_arg: u8, count_arg: u8, offset_arg: Option<u8>) -> Row {
        self.chunk = Chunk::Vector { vector_arg, count_arg, offset_arg };
        self
    }

    pub(super) const fn message(mut self, buffer_arg: u8, length_arg: u8) -> Row {
        self.chunk = Chunk::Message { buffer_arg, length_arg };
        self
    }

    pub(super) const fn header(mut self, header_arg: u8) -> Row {
        self.chunk = Chunk::Header { header_arg };
        self
    }

    pub(super) const fn shorter(mut self, buffer_arg: u8, length_arg: u8) -> Row {
        self.chunk = Chunk::Shorter { buffer_arg, length_arg };
        self
    }
}

pub(super) const fn at(argument: u8, shape: Shape) -> Pointer {
    Pointer { argument, shape }
}

pub(super) const fn path(argument: u8) -> Pointer {
    at(argument, Shape::Path)
}

pub(super) const fn text(argument: u8, max: u32) -> Pointer {
    at(argument, Shape::Text(max))
}

pub(super) const fn input(argument: u8, length: Length) -> Pointer {
    at(argument, Shape::Buffer(Direction::In, length))
}

pub(super) const fn output(argument: u8, length: Length) -> Pointer {
    at(argument, Shape::Buffer(Direction::Out, length))
}

pub(super) const fn both(argument: u8, length: Length) -> Pointer {
    at(argument, Shape::Buffer(Direction::InOut, length))
}

/// The kernel reads a structure of `size` bytes.
pub(super) const fn reads(argument: u8, size: u32) -> Pointer {
    input(argument, Length::Fixed(size))
}

/// The kernel writes a structure of `size` bytes.
pub(super) const fn writes(argument: u8, size: u32) -> Pointer {
    output(argument, Length::Fixed(size))
}

/// The kernel reads and writes a structure of `size` bytes.
pub(super) const fn edits(argument: u8, size: u32) -> Pointer {
    both(argument, Length::Fixed(size))
}
