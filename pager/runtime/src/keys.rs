//! Protection keys: the PKRU register, which says what of the memory with each key a thread may not touch.
//!
//! The kernel keeps which keys are allocated and which memory has which; the areas keep the latter too
//! ([`pager_core::area::Key`]). This module owns the register. The kernel gives every signal handler the
//! register that a process starts with, and restores the program's from the frame. Meanwhile
//! - a call of the program is made under the program's register ([`as_program`]), so that the kernel refuses
//!   the buffers that it refuses natively, and what the call does to the register is noted in the frame
//!   ([`note_changes`]);
//! - fills, write-outs and signal frames are made with all keys open ([`open_all`]), as the kernel does.
//!
//! Key 0, which the runtime's own memory has, stays open all the while.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicU32, Ordering};

use pager_core::area::{Access, Key};

use crate::sys::Errno;
use crate::sys::memory::{self, PROT_NONE};
use crate::sys::signal::UContext;

/// Where in the extended state of a frame the register stands; 0 on processors without keys, or where the
/// kernel does not use them.
static OFFSET: AtomicU32 = AtomicU32::new(0);

/// Bits of the register for key 0. Each key has two: no access at all, and no writes.
const KEY_0: u32 = 3;
const NO_ACCESS: u32 = 1;
const NO_WRITES: u32 = 2;
/// The register's number among the parts of the extended state, and where a frame says which parts it holds.
const COMPONENT: u32 = 9;
const XSTATE_BV: u64 = 512;

/// Finds out whether there are keys. Once, before the program's first instruction.
pub fn learn() {
    const FEATURES: u32 = 7;
    const EXTENDED_STATE: u32 = 0xd;
    const IN_USE: u32 = 1 << 4;
    let highest = __cpuid_count(0, 0).eax;
    if highest >= EXTENDED_STATE && __cpuid_count(FEATURES, 0).ecx & IN_USE != 0 {
        OFFSET.store(__cpuid_count(EXTENDED_STATE, COMPONENT).ebx, Ordering::Relaxed);
    }
}

/// Whether the processor has keys and the kernel uses them.
pub fn are_there() -> bool {
    OFFSET.load(Ordering::Relaxed) != 0
}

/// Whether the program may give memory the key.
///
/// # Errors
/// EINVAL for one that is not allocated.
pub fn check(key: i32) -> Result<(), Errno> {
    // The kernel looks at the key before it looks for the memory, and no program has any there.
    const NOWHERE: u64 = 0xffff_8000_0000_0000;
    match memory::pkey_mprotect(NOWHERE, pager_core::addr::PAGE_SIZE, PROT_NONE, key) {
        Err(Errno::ENOMEM) => Ok(()),
        refused => refused,
    }
}

/// Whether this thread's register denies the access to memory with the key. The program's must be in place.
pub fn deny(key: Key, access: Access) -> bool {
    match key {
        _ if !are_there() => false,
        // Its number is the kernel's secret; the register denies it since the kernel chose it.
        Key::ExecuteOnly => access != Access::Execute,
        Key::Number(number) => {
            let bits = read() >> (u32::from(number) * 2);
            match access {
                Access::Read => bits & NO_ACCESS != 0,
                Access::Write => bits & (NO_ACCESS | NO_WRITES) != 0,
                Access::Execute => false,
            }
        }
    }
}

/// All keys are open to this thread until it is dropped.
pub struct Opened(u32);

/// Opens all keys to this thread.
pub fn open_all() -> Opened {
    if !are_there() {
        return Opened(0);
    }
    let before = read();
    if before != 0 {
        write(0);
    }
    Opened(before)
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.0 != 0 {
            write(self.0);
        }
    }
}

/// Puts the program's register in place, as the frame has it; what it is now, for [`note_changes`].
pub fn as_program(context: &UContext) -> u32 {
    let Some(place) = Place::of(context) else { return 0 };
    let wanted = place.read() & !KEY_0;
    if read() != wanted {
        write(wanted);
    }
    wanted
}

/// Has the program go on with what a call has done to the register since [`as_program`]: pkey_alloc sets the
/// new key's bits, and mmap and mprotect those of the key for memory that may only be executed.
pub fn note_changes(context: &UContext, entered: u32) {
    let Some(place) = Place::of(context) else { return };
    let now = read();
    if now != entered {
        place.write(now & !KEY_0 | place.read() & KEY_0);
    }
}

/// Whether the frame's register lets the runtime reach its own memory.
pub fn leave_runtime_open(context: &UContext) -> bool {
    Place::of(context).is_none_or(|place| place.read() & KEY_0 == 0)
}

/// Where a frame on this thread's block keeps the register.
struct Place {
    /// The parts of the extended state that are not in their first state.
    present: *mut u64,
    register: *mut u32,
}

impl Place {
    fn of(context: &UContext) -> Option<Place> {
        let (offset, state) = (OFFSET.load(Ordering::Relaxed), context.machine.fpstate);
        (offset != 0 && state != 0).then(|| Place {
            present: (state + XSTATE_BV) as *mut u64,
            register: (state + u64::from(offset)) as *mut u32,
        })
    }

    fn read(&self) -> u32 {
        // SAFETY: with keys in use the kernel's frames hold the register; the frame is this thread's.
        if unsafe { self.present.read() } & (1 << COMPONENT) == 0 {
            0
        } else {
            // SAFETY: as above.
            unsafe { self.register.read() }
        }
    }

    fn write(&self, value: u32) {
        // SAFETY: as in `read`; nobody else looks at the frame.
        unsafe { self.register.write(value) };
        // SAFETY: as above.
        unsafe { self.present.write(self.present.read() | 1 << COMPONENT) };
    }
}

fn read() -> u32 {
    let value;
    // SAFETY: only where there are keys. Reads a register.
    unsafe { asm!("rdpkru", in("ecx") 0, out("eax") value, out("edx") _, options(nostack, nomem)) };
    value
}

fn write(value: u32) {
    // SAFETY: only where there are keys. Key 0, which all memory of the runtime has, is open in every value
    // that is written.
    unsafe { asm!("wrpkru", in("ecx") 0, in("eax") value, in("edx") 0, options(nostack)) };
}
