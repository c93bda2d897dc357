//! Changing the cap of a run that is under way.

use std::sync::atomic::Ordering::SeqCst;

use thiserror::Error;

use crate::attach::{AttachError, Attached};
use crate::balance;
use crate::cap::{LEAST_CAP_PAGES, Limit};
use crate::size::ByteSize;

/// Why the cap stays as it is.
#[derive(Debug, Error)]
pub enum LimitError {
    /// Under [`LEAST_CAP_PAGES`].
    #[error(
        "{asked}: too small to run in; the smallest that works is {}",
        ByteSize::of_pages(LEAST_CAP_PAGES)
    )]
    TooSmall {
        /// What was asked for.
        asked: ByteSize,
    },
    /// There is no such run.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

impl LimitError {
    /// 2 for wrong usage, else 1.
    pub const fn exit_code(&self) -> u8 {
        if matches!(self, LimitError::TooSmall { .. }) { 2 } else { 1 }
    }
}

/// Sets the cap of the run that process `pid` belongs to: the supervisor, or any of its programs. Each
/// process of the run keeps to it at once, or all together under `--children share`; one that sleeps with a
/// timeout may wake early, with EINTR.
///
/// # Errors
///
/// See [`LimitError`].
pub fn limit(pid: u32, limit: Limit) -> Result<(), LimitError> {
    let pages = match limit {
        Limit::Unlimited => u64::MAX,
        Limit::Cap(asked) if asked.pages() < LEAST_CAP_PAGES => return Err(LimitError::TooSmall { asked }),
        Limit::Cap(asked) => asked.pages(),
    };
    set(&Attached::to(pid)?, pages);
    Ok(())
}

/// Sets the cap of a run, in pages, `u64::MAX` for none. Not less than [`LEAST_CAP_PAGES`].
pub fn set(run: &Attached, pages: u64) {
    let (control, pages) = (run.control(), pages.max(LEAST_CAP_PAGES));
    let before = control.settings.cap_pages.swap(pages, SeqCst);
    // Under a shared cap more may be lent than there is now: then the pool is in debt until the processes
    // have paid.
    control.pool.resize(before, pages);
    balance::set_level(control);
    let used = control.processes.iter().filter(|process| process.pid.load(SeqCst) != 0);
    used.for_each(|process| balance::poke(process, &run.mark));
}
