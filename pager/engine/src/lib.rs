//! The paging itself: what happens between a touch of a missing page and the instruction that runs again.
//!
//! A fault is decided on ([`fault`]), room is made for what it needs ([`evict`]), and the pages are filled
//! ([`fill`], [`map_through`]). All of it is written against the seams in [`host`]: who hosts the engine says
//! how pages are installed and dropped, where contents come from, where they go, how many may be resident, how
//! a thread waits, and who wants to know. The guest's runtime is one host (userfaultfd, guard markers, swap
//! files); the byte array of `tests/` is another.
//!
//! # What keeps it right
//!
//! - A page is changed by the one thread that made its entry busy ([`busy`]); everybody else waits for the
//!   entry. So no lock is held while a page is filled, read or written out.
//! - An entry is made busy under the areas' readers' lock (a fault) or the queue's (an eviction). Who wants the
//!   space at rest takes the writers' lock and the queue's, and waits until none is busy.
//! - A page that is resident is in the queue before its entry is settled, so that at no moment a resident page
//!   is in no queue while nothing is busy.
//! - Nothing here allocates on the path of a fault or an eviction, but for nodes of the page table and of the
//!   queue, which grow with the pages that were ever touched.
//!
//! Order of locks: areas, then the queue. Neither is held when a method of another seam is called.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod arrival;
pub mod batch;
pub mod busy;
pub mod coin;
pub mod evict;
pub mod fault;
pub mod fill;
pub mod host;
pub mod map_through;
pub mod neighbours;
pub mod queue;
pub mod readahead;
pub mod runs;
pub mod work;
pub mod write_out;
