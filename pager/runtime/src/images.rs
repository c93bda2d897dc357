//! Files that pages come from: their descriptors in this process, and their rows in the control block.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use pager_core::addr::PageRange;
use pager_core::area::{AreaTree, Backing, ImageId};
use pager_core::entry::ImageRow;
use pager_core::shared::{IMAGES as ROWS, Image as Row};

use crate::control;
use crate::lock::{Mutex, Rank};
use crate::memory::limits;
use crate::own_descriptors;
use crate::sys::file::{self, Fd, Stat};
use crate::sys::{Errno, task};

/// More open images than this start a search for unused ones.
const FIRST_SWEEP: usize = 48;
/// Looks at a row that another process is just claiming.
const CLAIM_ROUNDS: u32 = 1000;

/// A file in use by an area.
#[derive(Clone, Copy)]
struct Image {
    /// For pages that are read; mapped-through areas need it once they become writable.
    fd: Option<Fd>,
    row: usize,
    device: u64,
    inode: u64,
}

/// What an image is entered for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Pages of it may be read into memory of ours.
    Read,
    /// Its pages are let through, or they are the kernel's.
    LetThrough,
}

/// The process's images by [`ImageId`].
pub struct Images {
    images: Vec<Option<Image>>,
    sweep_at: usize,
}

/// The process's images.
pub static IMAGES: Mutex<Images> = Mutex::new(Rank::Images, Images::empty());

impl Images {
    pub const fn empty() -> Images {
        Images { images: Vec::new(), sweep_at: FIRST_SWEEP }
    }

    /// Finds or makes the image of an open file. A descriptor of its own is kept where it may be read.
    ///
    /// # Errors
    /// EMFILE where no descriptor is left, ENOMEM for more than 65,535 images.
    pub fn enter(&mut self, fd: Fd, stat: &Stat, path: &[u8], use_of: Use) -> Result<ImageId, Errno> {
        let known = self.images.iter().position(
            |image| matches!(image, Some(image) if image.device == stat.device && image.inode == stat.inode),
        );
        let at = match known {
            Some(at) => at,
            None => self.add(stat, path)?,
        };
        if let Some(image) = &mut self.images[at]
            && image.fd.is_none()
            && use_of == Use::Read
        {
            let own = limits::with_descriptors(|| file::duplicate_high(fd))?;
            own_descriptors::note(own);
            image.fd = Some(own);
        }
        Ok(ImageId(at as u16))
    }

    fn add(&mut self, stat: &Stat, path: &[u8]) -> Result<usize, Errno> {
        let image = Image { fd: None, row: claim_row(stat, path), device: stat.device, inode: stat.inode };
        if let Some(free) = self.images.iter().position(Option::is_none) {
            self.images[free] = Some(image);
            return Ok(free);
        }
        if self.images.len() > usize::from(u16::MAX) {
            return Err(Errno::ENOMEM);
        }
        self.images.push(Some(image));
        Ok(self.images.len() - 1)
    }

    /// The image that is this file, if it is one.
    pub fn find(&self, stat: &Stat) -> Option<ImageId> {
        let is = |image: &Option<Image>| matches!(image, Some(image) if image.device == stat.device && image.inode == stat.inode);
        self.images.iter().position(is).map(|at| ImageId(at as u16))
    }

    /// The descriptor for reading.
    pub fn fd(&self, id: ImageId) -> Option<Fd> {
        self.images.get(usize::from(id.0)).copied().flatten()?.fd
    }

    /// The number of the image's row in the control block; that of the row for all others where it has none
    /// of its own.
    pub fn row_number(&self, id: ImageId) -> ImageRow {
        let at = self.images.get(usize::from(id.0)).copied().flatten().map_or(ROWS - 1, |image| image.row);
        ImageRow(at as u16)
    }

    /// The row of the control block.
    pub fn row(&self, id: ImageId) -> &'static Row {
        row_at(self.row_number(id))
    }

    /// Whether `fd` is one of ours.
    pub fn holds(&self, fd: Fd) -> bool {
        self.images.iter().flatten().any(|image| image.fd == Some(fd))
    }

    /// Adds the numbers of all descriptors of ours.
    pub fn descriptors(&self, into: &mut Vec<u32>) {
        into.extend(self.images.iter().flatten().filter_map(|image| image.fd).map(|fd| fd.0 as u32));
    }

    /// Closes images that no area uses any more, once there are many.
    pub fn sweep(&mut self, areas: &AreaTree) {
        if self.images.len() < self.sweep_at {
            return;
        }
        let mut used = alloc::vec![false; self.images.len()];
        for area in areas.iter() {
            if let Backing::Image { image, .. } = area.backing {
                used[usize::from(image.0)] = true;
            }
        }
        for (slot, used) in self.images.iter_mut().zip(&used) {
            if !used && let Some(image) = slot.take() {
                image.fd.into_iter().for_each(file::close);
            }
        }
        let left = self.images.iter().flatten().count();
        self.sweep_at = (left * 2).max(FIRST_SWEEP);
    }
}

/// The row with this number.
pub fn row_at(number: ImageRow) -> &'static Row {
    match control::control() {
        Some(control) => &control.images[usize::from(number.0).min(ROWS - 1)],
        None => crate::die::internal(format_args!("no control block")),
    }
}

/// The control block's row for a file: the one that is there, a new one, or the last for all that do not fit.
fn claim_row(stat: &Stat, path: &[u8]) -> usize {
    let Some(control) = control::control() else { return 0 };
    for (at, row) in control.images.iter().enumerate() {
        match row.state.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                row.device.store(stat.device, Ordering::Relaxed);
                row.inode.store(stat.inode, Ordering::Relaxed);
                row.path.set(path);
                row.state.store(2, Ordering::SeqCst);
                return at;
            }
            Err(_) => {
                // Its claimer may have been killed: then the row stays as it is.
                let mut patience = CLAIM_ROUNDS;
                while row.state.load(Ordering::SeqCst) == 1 && patience > 0 {
                    task::give_way();
                    patience -= 1;
                }
                let same = row.device.load(Ordering::Relaxed) == stat.device
                    && row.inode.load(Ordering::Relaxed) == stat.inode;
                if same {
                    return at;
                }
            }
        }
    }
    ROWS - 1
}

/// Path of an open file, as the kernel tells it.
pub fn path_of(fd: Fd) -> Vec<u8> {
    let line = crate::die::Line::format(format_args!("/proc/self/fd/{}\0", fd.0));
    let mut path = alloc::vec![0u8; 4096];
    let len = file::readlink(line.as_bytes(), &mut path).unwrap_or(0);
    path.truncate(len);
    path
}

/// Counts a new mapping of an image.
pub fn count_mapping(id: ImageId, range: PageRange) {
    let row = IMAGES.lock().row(id);
    row.bytes_mapped.fetch_add(range.bytes(), Ordering::Relaxed);
}
