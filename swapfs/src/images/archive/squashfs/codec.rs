//! The compressions that squashfs knows. Each writes into room of a given size and no further, so nothing can
//! swell.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::field::corrupt;
use crate::images::archive::ArchiveError;

/// Dictionaries of xz are as large as a block, 1 MiB at most; with what a decoder needs besides.
const XZ_MOST_KIB: u32 = 4 << 10;

/// How an image is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Xz,
    Lz4,
    Zstd,
}

impl Codec {
    /// The one with this number in a superblock.
    ///
    /// # Errors
    /// [`ArchiveError::Unsupported`] for those that are hardly ever used.
    pub(super) fn numbered(number: u16) -> Result<Self, ArchiveError> {
        match number {
            1 => Ok(Codec::Gzip),
            4 => Ok(Codec::Xz),
            5 => Ok(Codec::Lz4),
            6 => Ok(Codec::Zstd),
            _ => {
                let name = match number {
                    2 => "lzma",
                    3 => "lzo",
                    _ => "something unknown",
                };
                let what = format!("it is compressed by {name}; make it anew with `mksquashfs -comp zstd`");
                Err(ArchiveError::Unsupported(what))
            }
        }
    }

    /// Decompresses `stored` into at most `most` bytes.
    ///
    /// # Errors
    /// `InvalidData` if it is damaged or longer.
    pub(super) fn decompress(self, stored: &[u8], most: usize) -> io::Result<Vec<u8>> {
        let mut out = vec![0; most];
        let bytes = match self {
            Codec::Gzip => inflate(stored, &mut out)?,
            Codec::Xz => unxz(stored, &mut out)?,
            Codec::Lz4 => {
                lz4_flex::block::decompress_into(stored, &mut out).map_err(|_| corrupt("damaged lz4 data"))?
            }
            Codec::Zstd => zstd::bulk::decompress_to_buffer(stored, &mut out)
                .map_err(|_| corrupt("damaged zstd data"))?,
        };
        if bytes == 0 {
            return Err(corrupt("a compressed block of nothing"));
        }
        out.truncate(bytes);
        Ok(out)
    }
}

fn inflate(stored: &[u8], out: &mut [u8]) -> io::Result<usize> {
    let mut stream = Decompress::new(true);
    match stream.decompress(stored, out, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => Ok(stream.total_out() as usize),
        _ => Err(corrupt("damaged gzip data")),
    }
}

fn unxz(stored: &[u8], out: &mut [u8]) -> io::Result<usize> {
    let damaged = |_| corrupt("damaged xz data");
    let mut stream = lzma_rust2::XzReader::new_mem_limit(stored, false, XZ_MOST_KIB);
    let mut filled = 0;
    while filled < out.len() {
        match stream.read(&mut out[filled..]).map_err(damaged)? {
            0 => return Ok(filled),
            bytes => filled += bytes,
        }
    }
    // The end must follow, which also has the checksum looked at.
    match stream.read(&mut [0]).map_err(damaged)? {
        0 => Ok(filled),
        _ => Err(corrupt("a block that is too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_swells_is_refused() {
        let zeros = vec![0; 100_000];
        let mut gzip = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&zeros).unwrap();
        let stored = [
            (Codec::Gzip, gzip.finish().unwrap()),
            (Codec::Lz4, lz4_flex::block::compress(&zeros)),
            (Codec::Zstd, zstd::bulk::compress(&zeros, 3).unwrap()),
        ];
        for (codec, stored) in stored {
            assert!(codec.decompress(&stored, 100_000).unwrap() == zeros, "{codec:?}");
            assert!(codec.decompress(&stored, 99_999).is_err(), "{codec:?}");
            assert!(codec.decompress(&stored[..stored.len() - 1], 100_000).is_err(), "{codec:?}");
            assert!(codec.decompress(b"", 100).is_err(), "{codec:?}");
        }
        assert!(Codec::Xz.decompress(b"\xfd7zXZ\0\0\0", 100).is_err());
    }
}
