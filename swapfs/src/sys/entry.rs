//! The memory of one request on a ring: headers and payload, which belong in turn to the kernel and to
//! whoever answers.
//!
//! Layout: `struct fuse_uring_req_header` of `include/uapi/linux/fuse.h`, 288 bytes: the request's header (in
//! its place comes the answer's), its fixed arguments, and what the ring says of it. The payload holds what
//! does not fit there: names and data, and then all of the answer.

use std::io;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags};

/// `struct fuse_in_header`.
pub const HEADER_BYTES: usize = 40;
/// The most that the fixed arguments of a request take.
pub const ARGUMENT_BYTES: usize = 128;
/// The headers of a request, all together.
pub const HEADERS_BYTES: usize = 288;

const ARGUMENTS_AT: usize = 128;
const COMMIT_ID_AT: usize = 256 + 8;
const PAYLOAD_SIZE_AT: usize = 256 + 16;
/// In `struct fuse_in_header`.
const UNIQUE_AT: usize = 8;
/// `struct fuse_out_header`.
const ANSWER_BYTES: u32 = 16;
const PAGE_BYTES: usize = 4096;
/// From one entry's headers to the next one's.
const HEADERS_STRIDE: usize = 512;

/// Room for some entries. Untouched pages of it take no memory.
#[derive(Debug)]
struct Room {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it is plain memory of this process, which any thread may use; who may touch which part of it is
// said by `Entry`.
unsafe impl Send for Room {}
// SAFETY: as above; a shared reference gives out addresses only.
unsafe impl Sync for Room {}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no entry is left that points into it, as each holds a reference to
        // this.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// The memory of one request, owned by whoever is to answer it.
#[derive(Debug)]
pub struct Entry {
    room: Arc<Room>,
    headers: NonNull<u8>,
    payload: NonNull<u8>,
    payload_bytes: usize,
    queue: u16,
}

// SAFETY: an entry owns its part of the room, and nothing of it is bound to a thread.
unsafe impl Send for Entry {}

impl Entry {
    /// `count` entries of the kernel's queue with this number, each with so much room for a payload.
    ///
    /// # Errors
    /// When there is no address space for them.
    pub fn allocate(queue: u16, count: usize, payload_bytes: usize) -> io::Result<Vec<Entry>> {
        let payload_bytes = payload_bytes.next_multiple_of(PAGE_BYTES);
        let headers_bytes = (count * HEADERS_STRIDE).next_multiple_of(PAGE_BYTES);
        let bytes = headers_bytes + count * payload_bytes;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
        let base = unsafe {
            rustix::mm::mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags)?
        };
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let room = Arc::new(Room { base, bytes });
        let entry = |index: usize| {
            // SAFETY: `index < count`, so that its headers end within the first `headers_bytes` of the
            // mapping.
            let headers = unsafe { base.add(index * HEADERS_STRIDE) };
            // SAFETY: likewise, and `count` payloads follow the headers.
            let payload = unsafe { base.add(headers_bytes + index * payload_bytes) };
            Entry { room: room.clone(), headers, payload, payload_bytes, queue }
        };
        Ok((0..count).map(entry).collect())
    }

    /// The number of the kernel's queue that it belongs to.
    pub fn queue(&self) -> u16 {
        self.queue
    }

    /// The request's `struct fuse_in_header`, until it is answered.
    pub fn header(&self) -> &[u8] {
        &self.headers()[..HEADER_BYTES]
    }

    /// The request's fixed arguments, padded by what was there before.
    pub fn arguments(&self) -> &[u8] {
        &self.headers()[ARGUMENTS_AT..ARGUMENTS_AT + ARGUMENT_BYTES]
    }

    /// What came with the request besides: names, or data.
    pub fn input(&self) -> &[u8] {
        let bytes = u32::from_ne_bytes(self.field(PAYLOAD_SIZE_AT)) as usize;
        &self.payload()[..bytes.min(self.payload_bytes)]
    }

    /// Where the answer goes; what came with the request is there, too.
    pub fn output(&mut self) -> &mut [u8] {
        // SAFETY: this part of the room is this entry's alone while it is in user space, and it is borrowed
        // mutably.
        unsafe { slice::from_raw_parts_mut(self.payload.as_ptr(), self.payload_bytes) }
    }

    /// Makes this the answer: the first bytes of [`Entry::output`], or an error number.
    pub fn answer(&mut self, answer: Result<usize, i32>) {
        let unique: [u8; 8] = self.field(UNIQUE_AT);
        let (bytes, error) = match answer {
            Ok(bytes) => (bytes.min(self.payload_bytes) as u32, 0),
            Err(errno) => (0, -errno.abs()),
        };
        let headers = self.headers_mut();
        headers[..4].copy_from_slice(&(ANSWER_BYTES + bytes).to_ne_bytes());
        headers[4..8].copy_from_slice(&error.to_ne_bytes());
        headers[UNIQUE_AT..UNIQUE_AT + 8].copy_from_slice(&unique);
        headers[PAYLOAD_SIZE_AT..PAYLOAD_SIZE_AT + 4].copy_from_slice(&bytes.to_ne_bytes());
    }

    /// By which the kernel finds the request again.
    pub(super) fn commit_id(&self) -> u64 {
        u64::from_ne_bytes(self.field(COMMIT_ID_AT))
    }

    /// What the kernel is told of this memory: headers, then payload.
    pub(super) fn parts(&self) -> [(NonNull<u8>, usize); 2] {
        [(self.headers, HEADERS_BYTES), (self.payload, self.payload_bytes)]
    }

    /// Gives the memory of the payload back, but for its first page; it is zeros when it is used again.
    pub fn shrink(&mut self) {
        let rest = self.payload_bytes - PAGE_BYTES;
        // SAFETY: within the mapping, which is private and anonymous.
        let start = unsafe { self.payload.as_ptr().add(PAGE_BYTES) };
        // SAFETY: what was there is not needed any more, and nobody has a reference to it, as that would
        // borrow the entry mutably.
        let _ = unsafe { rustix::mm::madvise(start.cast(), rest, rustix::mm::Advice::LinuxDontNeed) };
    }

    /// Keeps the memory mapped for ever: the kernel may yet write to it.
    pub(super) fn keep_mapped(&self) {
        std::mem::forget(self.room.clone());
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.headers()[at..at + N]);
        field
    }

    fn headers(&self) -> &[u8] {
        // SAFETY: within the mapping, which is zero or what the kernel wrote, and nobody writes there while
        // the entry is in user space.
        unsafe { slice::from_raw_parts(self.headers.as_ptr(), HEADERS_BYTES) }
    }

    fn headers_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `output`.
        unsafe { slice::from_raw_parts_mut(self.headers.as_ptr(), HEADERS_BYTES) }
    }

    fn payload(&self) -> &[u8] {
        // SAFETY: as for `headers`.
        unsafe { slice::from_raw_parts(self.payload.as_ptr(), self.payload_bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_do_not_overlap_and_an_answer_stands_where_the_kernel_looks() {
        let mut entries = Entry::allocate(3, 2, 5000).unwrap();
        for (number, entry) in entries.iter_mut().enumerate() {
            entry.output().fill(number as u8 + 1);
            entry.headers_mut()[UNIQUE_AT] = 77;
            entry.headers_mut()[COMMIT_ID_AT] = 77;
            entry.answer(Ok(4096));
        }
        assert!(entries[0].output().iter().all(|byte| *byte == 1) && entries[0].output().len() == 8192);
        let headers = entries[0].headers();
        assert_eq!(headers[..4], 4112u32.to_ne_bytes());
        assert_eq!(headers[4..8], [0; 4]);
        assert_eq!(headers[8..16], 77u64.to_ne_bytes());
        assert_eq!(entries[0].input().len(), 4096);
        assert_eq!((entries[1].commit_id(), entries[1].queue()), (77, 3));
        entries[1].answer(Err(5));
        assert_eq!(entries[1].headers()[4..8], (-5i32).to_ne_bytes());
        assert!(entries[1].input().is_empty());
    }
}
