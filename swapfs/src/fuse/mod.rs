//! The FUSE side: decode, call, reply. Decides nothing.
//!
//! Not answered on purpose: `getxattr` where there are no images (ENOSYS, so that the kernel asks no more),
//! `ioctl`, `copy_file_range`, file locks (the kernel does those among the mount's own clients).

mod adapter;
mod answer;
mod convert;
pub mod uring;

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};

use crate::filesystem::Ino;
use crate::filesystem::caching::Strictness;
use crate::images::Space;
use crate::service::{Entry, HandleId, Opened, SetAttr};
pub use adapter::{Adapter, OverUring};

use adapter::MAX_REQUEST_BYTES;
use answer::{answer_xattr, guarded, with_buffer};
use convert::{access, errno, file_attr, file_type, fopen_flags, no_such_file, whence};

/// Asynchronous requests (readahead, AIO) that may be under way at once: as many as the kernel can be asked
/// for. Those that a rule holds back count, too; with fewer, enough of them would keep the readahead of every
/// other file from being sent at all.
const MAX_BACKGROUND: u16 = u16::MAX;
/// What sizes are counted in for `statfs`.
const BLOCK_BYTES: u64 = 4096;
const GENERATION: Generation = Generation(0);

impl Filesystem for Adapter {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = [
            InitFlags::FUSE_ASYNC_READ,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_AUTO_INVAL_DATA,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
            InitFlags::FUSE_DO_READDIRPLUS,
        ];
        for flag in wanted {
            if config.add_capabilities(flag).is_err() {
                tracing::warn!("this kernel's FUSE has no {flag:?}; going on without");
            }
        }
        self.ask_for_uring(config)?;
        // Both setters answer the nearest possible value where they refuse.
        let _ = config.set_max_write(MAX_REQUEST_BYTES);
        let _ = config.set_max_background(MAX_BACKGROUND);
        let _ = config.set_congestion_threshold(MAX_BACKGROUND);
        if self.service.strictness() == Strictness::EveryRead {
            // The kernel counts readahead in whole pages, so this is none.
            let _ = config.set_max_readahead(1);
        }
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.wakes.request();
        guarded(|| match self.find(Ino(parent.0), name) {
            Ok(Ok(entry)) => reply.entry(&entry.ttl, &file_attr(&entry.attr), GENERATION),
            Ok(Err(ttl)) => reply.entry(&ttl, &no_such_file(), GENERATION),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn forget(&self, _req: &Request, ino: INodeNo, times: u64) {
        guarded(|| self.service.forget(Ino(ino.0), times));
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        self.wakes.request();
        guarded(|| match self.service.getattr(Ino(ino.0), fh.map(|fh| HandleId(fh.0))) {
            Ok(entry) => reply.attr(&entry.ttl, &file_attr(&entry.attr)),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = match (mode, uid, gid, size) {
            (None, None, None, Some(size)) => SetAttr::Size(size),
            _ => SetAttr::Other,
        };
        guarded(|| match self.service.setattr(Ino(ino.0), change) {
            Ok(entry) => reply.attr(&entry.ttl, &file_attr(&entry.attr)),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        guarded(|| match self.service.readlink(Ino(ino.0)) {
            Ok(target) => reply.data(target.as_os_str().as_encoded_bytes()),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.wakes.request();
        guarded(|| {
            match self.service.open(req.pid(), Ino(ino.0), access(flags), |file| self.control_text(file)) {
                Ok(opened) => reply.opened(FileHandle(opened.handle.0), fopen_flags(opened.caching)),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn read(
        &self,
        req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.wakes.request();
        guarded(|| {
            with_buffer(size as usize, |buffer| {
                let transfer = self.service.read(req.pid(), HandleId(fh.0), offset, buffer);
                self.answer_read(transfer, buffer, reply);
            });
        });
    }

    fn write(
        &self,
        req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.wakes.request();
        guarded(|| self.answer_write(self.service.write(req.pid(), HandleId(fh.0), offset, data), reply));
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        // Nothing is buffered here; after ENOSYS the kernel asks no more, and close() succeeds.
        reply.error(fuser::Errno::ENOSYS);
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        guarded(|| self.service.release(HandleId(fh.0)));
        reply.ok();
    }

    fn fsync(&self, req: &Request, _ino: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        guarded(|| match self.service.fsync(req.pid(), HandleId(fh.0)) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        guarded(|| match self.service.opendir(Ino(ino.0)) {
            Ok(handle) => reply.opened(FileHandle(handle.0), FopenFlags::empty()),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn readdir(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        guarded(|| match self.service.readdir(HandleId(fh.0)) {
            Ok(entries) => {
                for (index, entry) in
                    entries.iter().enumerate().skip(usize::try_from(offset).unwrap_or(usize::MAX))
                {
                    if reply.add(INodeNo(entry.ino.0), index as u64 + 1, file_type(entry.kind), &entry.name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        guarded(|| match self.service.readdir(HandleId(fh.0)) {
            Ok(entries) => {
                for (index, entry) in
                    entries.iter().enumerate().skip(usize::try_from(offset).unwrap_or(usize::MAX))
                {
                    let (seen, ttl, attr) = self.entry_plus(Ino(ino.0), entry);
                    if reply.add(INodeNo(attr.ino.0), index as u64 + 1, &entry.name, &ttl, &attr, GENERATION)
                    {
                        // It is not in the answer, so the kernel will never forget it.
                        seen.inspect(|ino| self.service.forget(*ino, 1));
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        guarded(|| self.service.release(HandleId(fh.0)));
        reply.ok();
    }

    fn statfs(&self, _req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        guarded(|| match self.service.space(Ino(ino.0)) {
            Ok(Space { total_bytes, free_bytes, files }) => {
                let (blocks, free) = (total_bytes.div_ceil(BLOCK_BYTES), free_bytes / BLOCK_BYTES);
                reply.statfs(blocks, free, free, files, 0, BLOCK_BYTES as u32, 255, BLOCK_BYTES as u32);
            }
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn fallocate(
        &self,
        req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        guarded(|| match self.service.fallocate(req.pid(), HandleId(fh.0), mode as u32, offset, length) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn lseek(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, offset: i64, how: i32, reply: ReplyLseek) {
        guarded(|| {
            let sought =
                whence(how, offset).and_then(|(how, from)| self.service.seek(HandleId(fh.0), how, from));
            match sought {
                Ok(position) => reply.offset(i64::try_from(position).unwrap_or(i64::MAX)),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn getxattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        if !self.service.has_attributes() {
            return reply.error(fuser::Errno::ENOSYS);
        }
        guarded(|| answer_xattr(self.service.xattr(Ino(ino.0), name), size, reply));
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        if !self.service.has_attributes() {
            return reply.error(fuser::Errno::ENOSYS);
        }
        guarded(|| answer_xattr(self.service.xattr_names(Ino(ino.0)), size, reply));
    }

    fn setxattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        _name: &OsStr,
        _value: &[u8],
        _flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        guarded(|| reply.error(errno(&self.service.refuse_attribute(Ino(ino.0)))));
    }

    fn removexattr(&self, _req: &Request, ino: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        guarded(|| reply.error(errno(&self.service.refuse_attribute(Ino(ino.0)))));
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        guarded(|| match self.service.create(req.pid(), Ino(parent.0), name) {
            Ok((Entry { attr, ttl }, Opened { handle, caching })) => {
                reply.created(
                    &ttl,
                    &file_attr(&attr),
                    GENERATION,
                    FileHandle(handle.0),
                    fopen_flags(caching),
                );
            }
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn mknod(
        &self,
        _req: &Request,
        parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        reply.error(self.refuse(parent));
    }

    fn mkdir(
        &self,
        _req: &Request,
        parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        reply.error(self.refuse(parent));
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        guarded(|| match self.service.unlink(Ino(parent.0), name) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(self.refuse(parent));
    }

    fn symlink(&self, _req: &Request, parent: INodeNo, _name: &OsStr, _target: &Path, reply: ReplyEntry) {
        reply.error(self.refuse(parent));
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        _name: &OsStr,
        _to: INodeNo,
        _new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(self.refuse(parent));
    }

    fn link(&self, _req: &Request, _ino: INodeNo, parent: INodeNo, _name: &OsStr, reply: ReplyEntry) {
        reply.error(self.refuse(parent));
    }
}
