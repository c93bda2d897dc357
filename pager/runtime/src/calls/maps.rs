//! `/proc/self/maps`, `smaps` and `numa_maps`: what the program opens is a copy, made when it is opened,
//! without the runtime's mappings and with the names of files whose pages lie in private memory
//! ([`pager_core::calls::maps`]).

use alloc::vec::Vec;

use pager_core::area::{Area, Backing, ImageId};
use pager_core::calls::maps::{self, File, List};
use pager_core::calls::procfs;

use crate::arena;
use crate::die::Line;
use crate::images;
use crate::images::IMAGES;
use crate::memory::limits;
use crate::space::SPACE;
use crate::sys::file::{self, Fd, O_ACCMODE, O_CLOEXEC, O_PATH, O_RDONLY};
use crate::sys::{Errno, call, task};

const MEMFD_CREATE: u64 = 319;
const MFD_CLOEXEC: u64 = 1;
const DUP3: u64 = 292;
const FIRST_BYTES: usize = 64 << 10;

/// Which list of this process's mappings a call opens by `path`, if any.
pub fn opened(path: &[u8], flags: u64) -> Option<List> {
    let list = procfs::list_of_mappings(path, task::pid())?;
    (flags & O_ACCMODE == O_RDONLY && flags & O_PATH == 0).then_some(list)
}

/// Puts a copy as of a native run in the place of the list that was just opened as `opened`. Where there is
/// no memory or descriptor for it, the list stays the kernel's.
pub fn replace(list: List, opened: Fd, flags: u64) {
    let Ok(text) = read_all(opened) else { return };
    let areas: Vec<Area> = SPACE.areas.read().iter().copied().collect();
    let files = files_of(&areas);
    let file = |image: ImageId| files.get(usize::from(image.0)).cloned().flatten();
    let text = maps::as_natively(list, &text, &areas, &arena::RESERVED, file);
    let Ok(copy) = limits::with_descriptors(|| copy(&text)) else { return };
    let _ = call!(DUP3, copy.0, opened.0, flags & O_CLOEXEC);
    file::close(copy);
}

/// The files whose pages lie in private memory, by the number of their image.
fn files_of(areas: &[Area]) -> Vec<Option<File>> {
    let mut files: Vec<Option<File>> = Vec::new();
    for area in areas {
        let Backing::Image { image, .. } = area.backing else { continue };
        let at = usize::from(image.0);
        if files.get(at).is_none_or(Option::is_none) {
            files.resize(files.len().max(at + 1), None);
            // A descriptor may be closed by another thread meanwhile: then there is no name.
            let fd = IMAGES.lock().fd(image);
            files[at] = fd.and_then(|fd| Some((file::stat_fd(fd).ok()?, fd))).map(|(stat, fd)| {
                let (major, minor) = (stat.device as u32, stat.device >> 32);
                let place = Line::format(format_args!("{major:02x}:{minor:02x} {}", stat.inode));
                File { place: place.as_bytes().to_vec(), path: escaped(&images::path_of(fd)) }
            });
        }
    }
    files
}

/// A path as the kernel writes it into the list.
fn escaped(path: &[u8]) -> Vec<u8> {
    path.iter().flat_map(|byte| if *byte == b'\n' { b"\\012".to_vec() } else { alloc::vec![*byte] }).collect()
}

fn read_all(fd: Fd) -> Result<Vec<u8>, Errno> {
    let mut text = alloc::vec![0u8; FIRST_BYTES];
    let mut done = 0;
    loop {
        match file::read(fd, &mut text[done..])? {
            0 => break,
            got => done += got,
        }
        if done == text.len() {
            text.resize(done * 2, 0);
        }
    }
    text.truncate(done);
    Ok(text)
}

/// A file with this text that may only be read.
fn copy(text: &[u8]) -> Result<Fd, Errno> {
    let name = b"maps\0";
    let written = Fd(call!(MEMFD_CREATE, name.as_ptr(), MFD_CLOEXEC)? as i32);
    let link = Line::format(format_args!("/proc/self/fd/{}\0", written.0));
    let copied =
        file::pwrite_all(written, text, 0).and_then(|()| file::open(link.as_bytes(), O_RDONLY | O_CLOEXEC));
    file::close(written);
    copied
}
