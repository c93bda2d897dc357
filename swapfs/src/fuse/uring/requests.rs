//! Answering what comes on a ring: decode, call, encode. Decides nothing.

use rustix::io::Errno;

use super::wire::{
    Answer, FATTR_GID, FATTR_MODE, FATTR_SIZE, FATTR_UID, Fields, GETATTR_FH, Header, Listing, Name, Room,
    name, opcode,
};
use crate::filesystem::{FsError, Ino};
use crate::fuse::adapter::{Adapter, Seen};
use crate::fuse::convert::{fopen_flags, open_access, whence};
use crate::service::{HandleId, SetAttr, Transfer};
use crate::sys::entry::Entry as Request;
use crate::throttle::Nanos;

/// How a request is answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// By the first bytes of the request's output, or an error number.
    Now(Result<usize, i32>),
    /// By what a transfer came to, which may have to wait and is not counted yet.
    Transfer(Transfer, Kind),
}

/// Which transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The output begins with what was read.
    Read,
    /// The answer says how much was written.
    Written,
}

/// No such operation here: the kernel asks no more, or does it itself.
const NOT_HERE: Reply = Reply::Now(Err(Errno::NOSYS.raw_os_error()));

impl Adapter {
    /// Serves `request`; its answer is in there, but for its length and its errors.
    pub(super) fn serve(&self, request: &mut Request) -> Reply {
        let head = Header::decode(request.header());
        let Header { opcode, ino, .. } = head;
        let refused = |error: FsError| Reply::Now(Err(error.errno()));
        match opcode {
            opcode::LOOKUP | opcode::GETATTR | opcode::OPEN | opcode::READ | opcode::WRITE => {
                self.wakes.request();
                self.serve_usual(head, request)
            }
            opcode::RELEASE | opcode::RELEASEDIR => {
                self.service.release(handle(request));
                Reply::Now(Ok(0))
            }
            opcode::DESTROY | opcode::NOTIFY_REPLY => Reply::Now(Ok(0)),
            opcode::MKNOD | opcode::MKDIR | opcode::RMDIR | opcode::SYMLINK | opcode::LINK => {
                refused(self.service.refuse_change(ino))
            }
            opcode::RENAME | opcode::RENAME2 => refused(self.service.refuse_change(ino)),
            opcode::SETXATTR | opcode::REMOVEXATTR => refused(self.service.refuse_attribute(ino)),
            opcode::GETXATTR | opcode::LISTXATTR if !self.service.has_attributes() => NOT_HERE,
            _ => self.serve_rare(head, request),
        }
    }

    fn serve_usual(&self, Header { opcode, ino, tid }: Header, request: &mut Request) -> Reply {
        let (fields, handle) = (Fields(request.arguments()), handle(request));
        match opcode {
            opcode::READ => {
                let (offset, bytes) = (fields.u64(8), fields.u32(16) as usize);
                let output = request.output();
                let bytes = bytes.min(output.len());
                Reply::Transfer(self.service.read(tid, handle, offset, &mut output[..bytes]), Kind::Read)
            }
            opcode::WRITE => {
                let transfer = self.service.write(tid, handle, fields.u64(8), request.input());
                Reply::Transfer(transfer, Kind::Written)
            }
            opcode::LOOKUP => {
                let found = self.find(ino, name(request.input()));
                answered(found, request, |found, answer| match found {
                    Ok(entry) => answer.entry(&entry),
                    Err(ttl) => answer.no_entry(ttl),
                })
            }
            opcode::GETATTR => {
                let open = (fields.u32(0) & GETATTR_FH != 0).then(|| HandleId(fields.u64(8)));
                answered(self.service.getattr(ino, open), request, |entry, answer| answer.attr(&entry))
            }
            _ => {
                let opened =
                    self.service.open(tid, ino, open_access(fields.u32(0)), |file| self.control_text(file));
                answered(opened, request, |opened, answer| {
                    answer.opened(opened.handle.0, fopen_flags(opened.caching).bits())
                })
            }
        }
    }

    fn serve_rare(&self, Header { opcode, ino, tid }: Header, request: &mut Request) -> Reply {
        let (fields, handle) = (Fields(request.arguments()), handle(request));
        match opcode {
            opcode::SETATTR => {
                let change = match fields.u32(0) & (FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE) {
                    FATTR_SIZE => SetAttr::Size(fields.u64(16)),
                    _ => SetAttr::Other,
                };
                answered(self.service.setattr(ino, change), request, |entry, answer| answer.attr(&entry))
            }
            opcode::READLINK => {
                let target = self.service.readlink(ino);
                answered(target, request, |target, answer| {
                    answer.bytes(target.as_os_str().as_encoded_bytes())
                })
            }
            opcode::STATFS => {
                answered(self.service.space(ino), request, |space, answer| answer.statfs(&space))
            }
            opcode::FSYNC => answered(self.service.fsync(tid, handle), request, |(), answer| answer),
            opcode::OPENDIR => {
                answered(self.service.opendir(ino), request, |handle, answer| answer.opened(handle.0, 0))
            }
            opcode::READDIR | opcode::READDIRPLUS => {
                Reply::Now(self.list(opcode, ino, request).map_err(|error| error.errno()))
            }
            opcode::FALLOCATE => {
                let (offset, length, mode) = (fields.u64(8), fields.u64(16), fields.u32(24));
                let done = self.service.fallocate(tid, handle, mode, offset, length);
                answered(done, request, |(), answer| answer)
            }
            opcode::LSEEK => {
                let how = whence(fields.u32(16) as i32, fields.u64(8) as i64);
                let sought = how.and_then(|(how, from)| self.service.seek(handle, how, from));
                answered(sought, request, |position, answer| answer.u64(position))
            }
            opcode::GETXATTR => xattr(self.service.xattr(ino, name(request.input())), request),
            opcode::LISTXATTR => xattr(self.service.xattr_names(ino), request),
            opcode::CREATE => {
                let created = self.service.create(tid, ino, name(request.input()));
                answered(created, request, |(entry, opened), answer| {
                    answer.entry(&entry).opened(opened.handle.0, fopen_flags(opened.caching).bits())
                })
            }
            opcode::UNLINK => {
                let gone = self.service.unlink(ino, name(request.input()));
                answered(gone, request, |(), answer| answer)
            }
            _ => NOT_HERE,
        }
    }

    /// Lists the directory `parent`, for `READDIR` or `READDIRPLUS`.
    fn list(&self, opcode: u32, parent: Ino, request: &mut Request) -> Result<usize, FsError> {
        let entries = self.service.readdir(handle(request))?;
        let fields = Fields(request.arguments());
        let (offset, bytes) = (fields.u64(8), fields.u32(16) as usize);
        let output = request.output();
        let bytes = bytes.min(output.len());
        let mut listing = Listing::new(&mut output[..bytes]);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, entry) in entries.iter().enumerate().skip(from) {
            let mut shown =
                Name { ino: entry.ino, kind: entry.kind, next: index as u64 + 1, name: &entry.name };
            if opcode == opcode::READDIR {
                if listing.add(&shown) == Room::None {
                    break;
                }
                continue;
            }
            let seen = self.seen(parent, entry);
            let found = match &seen {
                // Without attributes the kernel takes over the name and the kind only.
                Seen::Itself | Seen::Unknown => None,
                Seen::Found(found) => {
                    (shown.ino, shown.kind) = (found.attr.ino, found.attr.kind);
                    Some(found)
                }
                Seen::Gone => {
                    shown.ino = Ino(0);
                    None
                }
            };
            if listing.add_plus(&shown, found) == Room::None {
                // It is not in the answer, so the kernel will never forget it.
                found.inspect(|found| self.service.forget(found.attr.ino, 1));
                break;
            }
        }
        Ok(listing.len())
    }
}

/// The handle that stands first in the arguments of those requests that have one.
fn handle(request: &Request) -> HandleId {
    HandleId(Fields(request.arguments()).u64(0))
}

/// Counts a transfer as answered at `now`, and makes that its request's answer.
pub(super) fn finish(transfer: Transfer, kind: Kind, now: Nanos, request: &mut Request) {
    let answer = match (transfer.finish(now), kind) {
        (Ok(bytes), Kind::Read) => Ok(bytes),
        (Ok(bytes), Kind::Written) => Ok(Answer::new(request.output()).u32(bytes as u32).u32(0).len()),
        (Err(error), _) => Err(error.errno()),
    };
    request.answer(answer);
}

fn answered<T>(
    result: Result<T, FsError>,
    request: &mut Request,
    encode: impl FnOnce(T, Answer) -> Answer,
) -> Reply {
    match result {
        Ok(value) => Reply::Now(Ok(encode(value, Answer::new(request.output())).len())),
        Err(error) => Reply::Now(Err(error.errno())),
    }
}

/// Answers with an extended attribute or a list of them: with its size, where none is given.
fn xattr(value: Result<Vec<u8>, FsError>, request: &mut Request) -> Reply {
    let room = Fields(request.arguments()).u32(0) as usize;
    match value {
        Ok(value) if room != 0 && value.len() > room => Reply::Now(Err(Errno::RANGE.raw_os_error())),
        value => answered(value, request, |value, answer| match room {
            0 => answer.u32(u32::try_from(value.len()).unwrap_or(u32::MAX)).u32(0),
            _ => answer.bytes(&value),
        }),
    }
}
