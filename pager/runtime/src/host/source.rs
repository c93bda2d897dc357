//! Images: files that pages are read from.

use core::sync::atomic::Ordering;

use pager_core::addr::PAGE_SIZE;
use pager_core::area::ImageId;
use pager_core::entry::ImageRow;
use pager_core::shared::FillMode;
use pager_engine::host::{DeviceError, Source};

use super::Guest;
use super::mmu::failed;
use crate::control;
use crate::die;
use crate::images::IMAGES;
use crate::sys::Errno;
use crate::sys::file::{self, Fd};
use crate::window::Window;

impl Source for Guest {
    fn read_image(&self, image: ImageId, offset: u64, into: &mut [u8]) -> Result<usize, DeviceError> {
        let fd = IMAGES.lock().fd(image);
        let Some(fd) = fd else { die::internal(format_args!("{image:?} has no descriptor")) };
        let got = read_pages(fd, into, offset).map_err(failed)?;
        fill_holes(fd, offset, &into[..got]);
        Ok(got)
    }

    fn row(&self, image: ImageId) -> ImageRow {
        IMAGES.lock().row_number(image)
    }
}

/// Reads what there is; in exact mode page by page, so that whoever serves the file sees each.
fn read_pages(fd: Fd, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
    if control::settings().image_fill.load(Ordering::Relaxed) != FillMode::Exact as u32 {
        return file::pread_all(fd, into, offset);
    }
    let mut done = 0;
    for page in into.chunks_mut(PAGE_SIZE as usize) {
        let got = file::pread_all(fd, page, offset + done as u64)?;
        done += got;
        if got < page.len() {
            break;
        }
    }
    Ok(done)
}

/// Has a file in memory get pages for its holes among what was read from `offset` on: it does so when a
/// mapping of it is touched, and not when it is read. Other processes see that by mincore.
fn fill_holes(fd: Fd, offset: u64, read: &[u8]) {
    let has_hole = read.chunks(PAGE_SIZE as usize).any(|page| page.iter().all(|byte| *byte == 0));
    if has_hole
        && file::is_in_memory(fd)
        && let Ok(window) = Window::open(fd, offset, read.len().div_ceil(PAGE_SIZE as usize))
    {
        window.populate();
    }
}
