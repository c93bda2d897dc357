//! The kernel's own demand paging.

use std::fs::File;

use super::region::Region;
use super::touches::{Order, Touch, time_touches};

pub fn anonymous(pages: usize, order: Order) -> f64 {
    time_touches(&Region::anonymous(pages), order, Touch::Write)
}

pub fn file(file: &File, pages: usize, order: Order) -> f64 {
    time_touches(&Region::file(file, pages), order, Touch::Read)
}

pub fn private_file(file: &File, pages: usize, order: Order) -> f64 {
    time_touches(&Region::private_file(file, pages), order, Touch::Write)
}
