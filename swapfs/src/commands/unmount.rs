//! `swapfs unmount`.

use swapfs::mounting::{Unmounted, unmount};

use crate::arguments::UnmountArguments;

/// Unmounts, and says so where somebody may be surprised.
pub fn run(arguments: &UnmountArguments) -> anyhow::Result<()> {
    if unmount(&arguments.mountpoint)? == Unmounted::WhileBusy {
        let path = arguments.mountpoint.display();
        eprintln!("swapfs: {path} was in use and is detached; files still open there fail with ENOTCONN");
    }
    Ok(())
}
