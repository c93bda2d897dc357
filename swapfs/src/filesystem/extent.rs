//! Which bytes of a file of known size a request may touch.

use std::ops::Range;

use super::FsError;

/// A range of bytes that lies wholly inside a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// How many bytes; zero only for a read at or past the end.
    pub len: usize,
}

/// A read of `len` bytes at `offset`, cut at the end of the file as `read(2)` does.
pub fn clip_read(size_bytes: u64, offset: u64, len: usize) -> Extent {
    let left = size_bytes.saturating_sub(offset);
    Extent { offset, len: usize::try_from(left).unwrap_or(usize::MAX).min(len) }
}

/// A write of `len` bytes at `offset`, cut at the end of the file as a block device does: what fits is taken.
///
/// # Errors
/// [`FsError::PastEnd`] where nothing fits.
pub fn clip_write(size_bytes: u64, offset: u64, len: usize) -> Result<Extent, FsError> {
    let extent = clip_read(size_bytes, offset, len);
    if extent.len == 0 && len > 0 { Err(FsError::PastEnd) } else { Ok(extent) }
}

/// The part of a range that is in the file; what lies past its end is no part of a hole or of room that is
/// asked for without changing the size.
///
/// # Errors
/// [`FsError::Invalid`] for an empty range, or one that ends beyond what a file can have.
pub fn part_in_file(size_bytes: u64, offset: u64, len: u64) -> Result<Range<u64>, FsError> {
    let end = offset
        .checked_add(len)
        .filter(|end| len > 0 && i64::try_from(*end).is_ok())
        .ok_or(FsError::Invalid)?;
    Ok(offset.min(size_bytes)..end.min(size_bytes))
}

/// A range given to `fallocate`: it must be there as a whole.
///
/// # Errors
/// [`FsError::Invalid`] if empty, [`FsError::PastEnd`] if any of it is past the end.
pub fn whole_range(size_bytes: u64, offset: u64, len: u64) -> Result<(), FsError> {
    match offset.checked_add(len) {
        _ if len == 0 => Err(FsError::Invalid),
        Some(end) if end <= size_bytes => Ok(()),
        _ => Err(FsError::PastEnd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_byte() {
        assert_eq!(clip_read(10, 9, 4), Extent { offset: 9, len: 1 });
        assert_eq!(clip_read(10, 10, 4).len, 0);
        assert!(matches!(clip_write(10, 10, 1), Err(FsError::PastEnd)));
        assert!(clip_write(10, 10, 0).is_ok());
        assert!(whole_range(10, 0, 10).is_ok());
        assert!(matches!(whole_range(10, 5, u64::MAX), Err(FsError::PastEnd)));
    }

    proptest! {
        #[test]
        fn an_extent_never_leaves_the_file(size in any::<u64>(), offset in any::<u64>(), len in any::<usize>()) {
            let extent = clip_read(size, offset, len);
            prop_assert!(extent.len <= len);
            prop_assert!(extent.len == 0 || extent.offset + extent.len as u64 <= size);
            if let Ok(written) = clip_write(size, offset, len) {
                prop_assert_eq!(written, extent);
            }
        }
    }
}
