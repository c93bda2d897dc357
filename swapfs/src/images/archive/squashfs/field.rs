//! Fields of the format, and what is said of one that makes no sense.

use std::io;

/// Something of the image makes no sense.
pub(super) fn corrupt(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A little-endian number in `bytes`, which must hold it.
pub(super) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut whole = [0; 8];
    whole[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(whole)
}

/// Where an inode is: the beginning of its metadata block, from the inode table, in the upper 48 bits, and
/// its place in the block in the lower 16. Names of one file have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InodeRef(pub(super) u64);
