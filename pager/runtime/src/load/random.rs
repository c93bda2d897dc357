//! How far the places of a program, its heap and its stack are random: as the personality and
//! `/proc/sys/kernel/randomize_va_space` say.
//!
//! Mappings are the kernel's to place, and the runtime inherits its choice for the stack.

use crate::sys::{file, task};

/// `ADDR_NO_RANDOMIZE` of personality(2).
const ADDR_NO_RANDOMIZE: u64 = 1 << 18;

/// What is random.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Randomisation {
    /// Nothing.
    Off,
    /// All but the heap's start.
    ButHeap,
    /// Everything.
    Full,
}

impl Randomisation {
    /// What holds for this process. Without `/proc` everything is random.
    pub fn of_this_process() -> Randomisation {
        if task::personality() & ADDR_NO_RANDOMIZE != 0 {
            return Randomisation::Off;
        }
        let mut digit = [0u8; 1];
        let path = b"/proc/sys/kernel/randomize_va_space\0";
        if let Ok(fd) = file::open(path, file::O_RDONLY | file::O_CLOEXEC) {
            let _ = file::pread_all(fd, &mut digit, 0);
            file::close(fd);
        }
        match digit[0] {
            b'0' => Randomisation::Off,
            b'1' => Randomisation::ButHeap,
            _ => Randomisation::Full,
        }
    }

    /// What holds for the heap alone.
    pub fn of_heap(self) -> Randomisation {
        if self == Randomisation::ButHeap { Randomisation::Off } else { self }
    }

    /// Random pages below `limit`; zero where nothing is random.
    pub fn pages(self, limit: u64) -> u64 {
        if self == Randomisation::Off {
            return 0;
        }
        let mut bytes = [0u8; 8];
        task::random(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }
}
