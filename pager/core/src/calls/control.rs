//! fcntl, prctl, arch_prctl and quotactl: what the argument is, by command.

use super::expand::{Walk, count};
use super::{Direction, Fault, Restart, Span, UserMemory};
use crate::addr::PAGE_SIZE;
use Direction::{In, InOut, Out};

const F_SETLKW: u32 = 7;
const F_OFD_SETLKW: u32 = 38;

/// What a signal does to fcntl(2) with this command: only waiting for a lock is a wait.
pub(super) fn fcntl_blocking(command: u64) -> Restart {
    match command as u32 {
        F_SETLKW | F_OFD_SETLKW => Restart::Restartable,
        _ => Restart::Uninterruptible,
    }
}

/// Commands of fcntl that take a pointer: first, last, what is done with how many bytes.
const FCNTL: &[(u32, u32, Direction, u64)] = &[
    (5, 5, InOut, 32),          // F_GETLK: struct flock
    (6, F_SETLKW, In, 32),      // F_SETLK, F_SETLKW
    (15, 15, In, 8),            // F_SETOWN_EX: struct f_owner_ex
    (16, 17, Out, 8),           // F_GETOWN_EX, F_GETOWNER_UIDS
    (36, 36, InOut, 32),        // F_OFD_GETLK
    (37, F_OFD_SETLKW, In, 32), // F_OFD_SETLK, F_OFD_SETLKW
    (1035, 1035, Out, 8),       // F_GET_RW_HINT
    (1036, 1036, In, 8),        // F_SET_RW_HINT
    (1037, 1037, Out, 8),       // F_GET_FILE_RW_HINT
    (1038, 1038, In, 8),        // F_SET_FILE_RW_HINT
];

/// Options of prctl whose first value is a pointer to something of one size.
const PRCTL: &[(u32, Direction, u64)] = &[
    (2, Out, 4),   // PR_GET_PDEATHSIG
    (5, Out, 4),   // PR_GET_UNALIGN
    (9, Out, 4),   // PR_GET_FPEMU
    (11, Out, 4),  // PR_GET_FPEXC
    (16, Out, 16), // PR_GET_NAME
    (19, Out, 4),  // PR_GET_ENDIAN
    (25, Out, 4),  // PR_GET_TSC
    (37, Out, 4),  // PR_GET_CHILD_SUBREAPER
    (40, Out, 8),  // PR_GET_TID_ADDRESS
    (74, Out, 8),  // PR_GET_SHADOW_STACK_STATUS
];

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    pub(super) fn fcntl(&mut self, addr: u64) {
        let command = self.int(1);
        let entry = FCNTL.iter().find(|(first, last, ..)| (*first..=*last).contains(&command));
        if let Some(&(_, _, direction, len)) = entry {
            self.touch(addr, len, direction);
        }
    }

    /// prctl(option, arg2, arg3, arg4, arg5): arguments 1 to 4 here.
    pub(super) fn prctl(&mut self) -> Result<(), Fault> {
        const SET_NAME: u32 = 15;
        const SET_SECCOMP: u32 = 22;
        const SET_MM: u32 = 35;
        const SYSCALL_USER_DISPATCH: u32 = 59;
        const SCHED_CORE: u32 = 62;
        const GET_AUXV: u32 = 0x4155_5856;
        const SET_VMA: u32 = 0x5356_4d41;
        let (first, second) = (self.arg(1), self.arg(2));
        match self.int(0) {
            SET_NAME => return self.text(first, 16),
            SET_SECCOMP if second != 0 => {
                self.touch(second, 16, In);
                return self.sock_fprog(second);
            }
            SET_MM => self.prctl_mm(first as u32, second),
            SYSCALL_USER_DISPATCH => self.touch(self.arg(4), 1, In),
            SCHED_CORE => self.touch(self.arg(4), 8, Out),
            GET_AUXV => self.touch(first, second, Out),
            SET_VMA => return self.text(self.arg(4), 80),
            option => {
                if let Some(&(_, direction, len)) = PRCTL.iter().find(|(of, ..)| *of == option) {
                    self.touch(first, len, direction);
                }
            }
        }
        Ok(())
    }

    fn prctl_mm(&mut self, what: u32, value: u64) {
        const AUXV: u32 = 12;
        const MAP: u32 = 14;
        const MAP_SIZE: u32 = 15;
        match what {
            AUXV | MAP => self.touch(value, self.arg(3).min(PAGE_SIZE), In),
            MAP_SIZE => self.touch(value, 4, Out),
            _ => {}
        }
    }

    /// arch_prctl(code, address): the codes that write an `u64`. Setting FS or GS touches nothing.
    pub(super) fn arch_prctl(&mut self, addr: u64) {
        const GET_FS: u32 = 0x1003;
        const GET_GS: u32 = 0x1004;
        const GET_XCOMP_SUPP: u32 = 0x1021;
        const GET_XCOMP_PERM: u32 = 0x1022;
        const GET_XCOMP_GUEST_PERM: u32 = 0x1024;
        const GET_UNTAG_MASK: u32 = 0x4001;
        const GET_MAX_TAG_BITS: u32 = 0x4003;
        const SHSTK_STATUS: u32 = 0x5005;
        let writes = matches!(
            self.int(0),
            GET_FS
                | GET_GS
                | GET_XCOMP_SUPP
                | GET_XCOMP_PERM
                | GET_XCOMP_GUEST_PERM
                | GET_UNTAG_MASK
                | GET_MAX_TAG_BITS
                | SHSTK_STATUS
        );
        if writes {
            self.touch(addr, 8, Out);
        }
    }

    /// quotactl: the sub-command is the upper 24 bits of the command.
    pub(super) fn quotactl(&mut self, addr: u64, command: u32) -> Result<(), Fault> {
        const QUOTAON: u32 = 0x80_0002;
        const XFS: u32 = (b'X' as u32) << 8;
        let (direction, len) = match command >> 8 {
            QUOTAON => return self.text(addr, 4096),
            0x80_0004 => (Out, 4),              // Q_GETFMT
            0x80_0005 => (Out, 24),             // Q_GETINFO: struct if_dqinfo
            0x80_0006 => (In, 24),              // Q_SETINFO
            0x80_0007 | 0x80_0009 => (Out, 72), // Q_GETQUOTA, Q_GETNEXTQUOTA: struct if_nextdqblk
            0x80_0008 => (In, 72),              // Q_SETQUOTA
            sub if sub == XFS + 1 || sub == XFS + 2 || sub == XFS + 6 => (In, 4), // Q_XQUOTAON, OFF, RM
            sub if sub & !0xff == XFS => (InOut, 192), // the rest of XFS: the longest of its structures
            _ => return Ok(()),
        };
        self.touch(addr, count(len), direction);
        Ok(())
    }
}
