//! Requests, as all that have to do with them know them.

use super::nanos::Nanos;
use crate::filesystem::Ino;

/// A direction of transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the mount to the client.
    Read,
    /// From the client to the mount.
    Write,
}

/// An answer makes good no more than this part of its latency ([`Request::owed`]).
pub(crate) const OWED_PART: u64 = 8;

/// A request to read or write, as all that have to do with it know it: throttle and gate, counts and traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its file.
    pub file: Ino,
    /// Its process.
    pub pid: u32,
    /// The thread of it that waits.
    pub thread: u32,
    /// Read or write.
    pub direction: Direction,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes are asked for.
    pub asked: u64,
    /// How many were transferred; none where it failed.
    pub bytes: u64,
    /// When it came; latency counts from here.
    pub arrived: Nanos,
    /// How much of a latency passes on the way between client and mount, and need not be waited for.
    pub way: Nanos,
    /// By how much more than they were to take its thread's last answers came late. Made good here, up to an
    /// eighth of the latency.
    pub owed: Nanos,
}

impl Request {
    /// One for bytes that are all there, of file, process and thread number 1, for tests.
    #[cfg(test)]
    pub(crate) fn sample(direction: Direction, offset: u64, bytes: u64, arrived: Nanos) -> Self {
        let (file, pid, thread, asked) = (Ino(1), 1, 1, bytes);
        Request { file, pid, thread, direction, offset, asked, bytes, arrived, way: Nanos(0), owed: Nanos(0) }
    }
}

/// Stands for a request while it waits; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);
