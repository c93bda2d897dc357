//! What `/proc/PID` tells of the process: the program's auxiliary vector, segments, arguments and environment
//! instead of the runtime's.
//!
//! `PR_SET_MM_MAP` needs no privilege as long as the executable stays, and CAP_CHECKPOINT_RESTORE to name
//! another; where the kernel lacks it (no CONFIG_CHECKPOINT_RESTORE), `/proc` tells of the runtime.

use pager_core::addr::PAGE_SIZE;

use super::executed::{Executed, Inherited, Loaded};
use super::itself::Itself;
use crate::memory::brk::HEAP;
use crate::memory::limits;
use crate::program;
use crate::sys::{Errno, call, file, nr};

const PR_SET_MM: u64 = 35;
const PR_SET_MM_MAP: u64 = 14;
const AUXILIARY_MAX: usize = 40;

/// `struct prctl_mm_map`.
#[repr(C)]
struct Map {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: *const u64,
    auxv_size: u32,
    exe_fd: i32,
}

/// Tells the kernel, and which file the program is where it may be told that. Where it may not, a descriptor
/// stands in for the link to it.
pub fn announce(main: &Loaded, executed: &Executed<'_>, stack: u64, auxiliary: &[u64], start: &Inherited) {
    let span = main.program.span();
    let (first, end) = (span.start().start().0 + main.bias, span.end().start().0 + main.bias);
    let heap = HEAP.lock().start;
    let auxiliary = &auxiliary[..auxiliary.len().min(AUXILIARY_MAX)];
    let mut map = Map {
        start_code: first,
        end_code: end,
        start_data: first,
        end_data: end,
        start_brk: heap,
        // A page, by which the kernel knows the heap in /proc/PID/maps.
        brk: heap + PAGE_SIZE,
        start_stack: stack,
        arg_start: start.arguments.start,
        arg_end: start.arguments.end,
        env_start: start.environment.start,
        env_end: start.environment.end,
        auxv: auxiliary.as_ptr(),
        auxv_size: size_of_val(auxiliary) as u32,
        exe_fd: if executed.itself == Itself::Elsewhere { executed.fd.0 } else { -1 },
    };
    if map.exe_fd < 0 || map.tell().is_err() {
        map.exe_fd = -1;
        let _ = map.tell();
        if let Ok(fd) = limits::with_descriptors(|| file::duplicate_high(executed.fd)) {
            program::set_stand_in(fd);
        }
    }
}

impl Map {
    fn tell(&self) -> Result<(), Errno> {
        call!(nr::PRCTL, PR_SET_MM, PR_SET_MM_MAP, &raw const *self, size_of::<Map>(), 0).map(drop)
    }
}
