//! Memory calls: the program's mmap and its kin, done on our areas with Linux's results.
//!
//! One file per operation. All of them change the areas under the writers' lock, and wait there for busy
//! pages: whoever owns a busy page needs no lock of ours to finish.

pub mod advise;
mod advise_fork;
pub mod brk;
mod contents;
pub mod deny;
pub mod grow;
pub mod guard;
mod kernel_held;
pub mod limits;
pub mod locks;
pub mod map;
mod populate;
mod private;
pub mod protect;
pub mod range;
mod refusal;
pub mod remap;
mod remap_request;
mod remap_shared;
pub mod seal;
pub mod shared;
pub mod unmap;

pub use contents::{discard, discard_where, drop_contents, forget, own, own_all};
pub use kernel_held::{count_unmanaged, leave_shared_to_kernel, leave_to_kernel};
pub use private::{make_private, register_afresh, rights_at_once};
pub use range::{aligned_range, covered_from_start, is_ours, prot_bits};
