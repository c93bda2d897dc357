//! The three verbs.

pub mod mount;
pub mod stat;
pub mod unmount;
