//! How the allocator keeps what was freed. Nothing is promised of any allocator but glibc's.

/// Has all threads share one heap. Else glibc gives each thread its own, and what one walk over many files took
/// stays with the thread that looked them up: after as many walks as there are threads, that many times as
/// much. Call before threads start.
pub fn share_one() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator's, before other threads allocate.
    if unsafe { nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1) } == 0 {
        tracing::debug!("the allocator keeps a heap for each thread");
    }
}

/// Gives the system back what can be given of what was freed. It takes milliseconds for each 100 MiB, in which
/// other threads wait to allocate. (Of locked memory only what is at the heap's end can be given.)
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches only memory that is free.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
