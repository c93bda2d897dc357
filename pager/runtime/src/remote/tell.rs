//! The answer to who asks about a page from outside the run.

use pager_core::addr::PageNum;
use pager_core::area::{Area, Backing, ImageId};
use pager_core::entry::Entry;
use pager_core::inquiry::Answer;
use pager_core::table::EntryCell;

use crate::control;
use crate::images::IMAGES;
use crate::space::SPACE;

/// Answers the question `number` about `page`. Called where the thread holds nothing of the runtime's.
pub fn answer(page: PageNum, number: u64) {
    let area = SPACE.areas.read().find(page).copied();
    let entry = SPACE.table.existing(page).map_or(Entry::Empty, EntryCell::load);
    let answer = Answer { area: area.map(by_row), entry };
    control::must_control().desk.answer(number, &answer);
}

/// The same area with its image by the row of the control block, which others can look up.
fn by_row(area: Area) -> Area {
    let Backing::Image { image, offset, valid } = area.backing else { return area };
    let row = IMAGES.lock().row_number(image);
    Area { backing: Backing::Image { image: ImageId(row.0), offset, valid }, ..area }
}
