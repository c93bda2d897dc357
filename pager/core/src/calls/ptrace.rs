//! ptrace(2), by request.

use super::expand::Walk;
use super::{Direction, Fault, Span, UserMemory};
use Direction::{In, InOut, Out};

/// Requests whose data is a structure of one size.
const REQUESTS: &[(u32, Direction, u64)] = &[
    (1, Out, 8),        // PEEKTEXT: the raw call stores the word
    (2, Out, 8),        // PEEKDATA
    (3, Out, 8),        // PEEKUSER
    (12, Out, 216),     // GETREGS
    (13, In, 216),      // SETREGS
    (14, Out, 512),     // GETFPREGS
    (15, In, 512),      // SETFPREGS
    (25, Out, 16),      // GET_THREAD_AREA
    (26, In, 16),       // SET_THREAD_AREA
    (0x4201, Out, 8),   // GETEVENTMSG
    (0x4202, Out, 128), // GETSIGINFO
    (0x4203, In, 128),  // SETSIGINFO
];

/// Requests whose data is as long as the address argument says.
const COUNTED: &[(u32, Direction)] = &[
    (0x420a, Out),   // GETSIGMASK
    (0x420b, In),    // SETSIGMASK
    (0x420d, InOut), // SECCOMP_GET_METADATA
    (0x420e, Out),   // GET_SYSCALL_INFO
    (0x420f, Out),   // GET_RSEQ_CONFIGURATION
    (0x4210, In),    // SET_SYSCALL_USER_DISPATCH_CONFIG
    (0x4211, Out),   // GET_SYSCALL_USER_DISPATCH_CONFIG
    (0x4212, In),    // SET_SYSCALL_INFO
];

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    /// ptrace(request, pid, addr, data).
    pub(super) fn ptrace(&mut self, data: u64) -> Result<(), Fault> {
        const GETREGSET: u32 = 0x4204;
        const SETREGSET: u32 = 0x4205;
        const PEEKSIGINFO: u32 = 0x4209;
        const ARCH_PRCTL: u32 = 30;
        const GET_FILTER: u32 = 0x420c;
        let request = self.int(0);
        let addr = self.arg(2);
        match request {
            GETREGSET => self.regset(data, Out)?,
            SETREGSET => self.regset(data, In)?,
            PEEKSIGINFO => {
                self.touch(addr, 16, In);
                let infos = self.u32_at(addr.saturating_add(12))?.min(1024);
                self.touch(data, u64::from(infos) * 128, Out);
            }
            // The code is in `data`, the place to write to in `addr`.
            ARCH_PRCTL => self.touch(addr, 8, Out),
            GET_FILTER => self.touch(data, 4096 * 8, Out),
            _ => {
                if let Some(&(_, direction, len)) = REQUESTS.iter().find(|(of, ..)| *of == request) {
                    self.touch(data, len, direction);
                } else if let Some(&(_, direction)) = COUNTED.iter().find(|(of, _)| *of == request) {
                    self.touch(data, addr.min(4096), direction);
                }
            }
        }
        Ok(())
    }

    /// One `iovec`, of which the length is written back.
    fn regset(&mut self, data: u64, direction: Direction) -> Result<(), Fault> {
        self.touch(data, 16, InOut);
        let base = self.u64_at(data)?;
        let len = self.u64_at(data.saturating_add(8))?;
        self.touch(base, len.min(1 << 16), direction);
        Ok(())
    }
}
