//! Which arguments of a call are descriptors that it acts upon.

/// Their indices. Not those of close, close_range, dup2 and dup3, which have ways of their own, nor what lies
/// in memory (poll, select, messages).
pub const fn descriptors(number: u64) -> &'static [usize] {
    match number {
        // read to lseek, ioctl to writev, dup
        0 | 1 | 5 | 8 | 16..=20 | 32 => &[0],
        // sockets
        42..=52 | 54 | 55 | 288 | 299 | 307 => &[0],
        // fcntl, flock, fsync to fchown, fstatfs, readahead, extended attributes, getdents64, fadvise64
        72..=75 | 77 | 78 | 81 | 91 | 93 | 138 | 187 | 190 | 193 | 196 | 199 | 217 | 221 => &[0],
        // epoll, inotify, signalfd, timerfd
        232 | 254 | 255 | 281 | 282 | 286 | 287 | 289 | 441 => &[0],
        // calls with a directory
        257..=263 | 267..=269 | 280 | 303 | 304 | 322 | 332 | 437 | 439 | 452 => &[0],
        // sync_file_range, vmsplice, fallocate, preadv and its kin, syncfs, setns, cachestat
        277 | 278 | 285 | 295 | 296 | 306 | 308 | 327 | 328 | 451 => &[0],
        // pidfds, io_uring, mounts, landlock, attributes of files
        424 | 426..=428 | 431..=433 | 438 | 440 | 442 | 443 | 445 | 446 | 448 | 463..=469 => &[0],
        // symlinkat
        266 => &[1],
        // perf_event_open
        298 => &[3],
        // mmap
        9 => &[4],
        // sendfile, tee
        40 | 276 => &[0, 1],
        // epoll_ctl, renameat, linkat, splice, renameat2, copy_file_range, move_mount
        233 | 264 | 265 | 275 | 316 | 326 | 429 => &[0, 2],
        // fanotify_mark
        301 => &[0, 3],
        _ => &[],
    }
}
