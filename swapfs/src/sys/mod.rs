//! What the system offers only through raw pointers, wrapped so that the rest of the crate needs none.

#![allow(unsafe_code)]

pub mod entry;
pub mod heap;
pub mod question;
pub mod rings;
