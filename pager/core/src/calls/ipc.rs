//! The control calls of System V IPC, by command.

use super::expand::Walk;
use super::{Direction, Span, UserMemory};
use crate::addr::PAGE_SIZE;
use Direction::{In, Out};

const IPC_SET: u32 = 1;
const IPC_STAT: u32 = 2;
const IPC_INFO: u32 = 3;
/// `IPC_64`: the size of structures, of which x86-64 has one.
const IPC_64: u32 = 0x100;

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    /// shmctl(id, command, `shmid_ds` or `shminfo` or `shm_info`).
    pub(super) fn shmctl(&mut self, addr: u64) {
        const SHM_STAT: u32 = 13;
        const SHM_INFO: u32 = 14;
        const SHM_STAT_ANY: u32 = 15;
        match self.int(1) & !IPC_64 {
            IPC_SET => self.touch(addr, 112, In),
            IPC_STAT | SHM_STAT | SHM_STAT_ANY => self.touch(addr, 112, Out),
            IPC_INFO => self.touch(addr, 72, Out),
            SHM_INFO => self.touch(addr, 48, Out),
            _ => {}
        }
    }

    /// msgctl(id, command, `msqid_ds` or `msginfo`).
    pub(super) fn msgctl(&mut self, addr: u64) {
        const MSG_STAT: u32 = 11;
        const MSG_INFO: u32 = 12;
        const MSG_STAT_ANY: u32 = 13;
        match self.int(1) & !IPC_64 {
            IPC_SET => self.touch(addr, 120, In),
            IPC_STAT | MSG_STAT | MSG_STAT_ANY => self.touch(addr, 120, Out),
            IPC_INFO | MSG_INFO => self.touch(addr, 32, Out),
            _ => {}
        }
    }

    /// semctl(id, number, command, `semid_ds` or `seminfo` or array). How many semaphores a set has is not
    /// known here: a page of them is named, 2048.
    pub(super) fn semctl(&mut self, addr: u64) {
        const GETALL: u32 = 13;
        const SETALL: u32 = 17;
        const SEM_STAT: u32 = 18;
        const SEM_INFO: u32 = 19;
        const SEM_STAT_ANY: u32 = 20;
        match self.int(2) & !IPC_64 {
            IPC_SET => self.touch(addr, 104, In),
            IPC_STAT | SEM_STAT | SEM_STAT_ANY => self.touch(addr, 104, Out),
            IPC_INFO | SEM_INFO => self.touch(addr, 40, Out),
            GETALL => self.touch(addr, PAGE_SIZE, Out),
            SETALL => self.touch(addr, PAGE_SIZE, In),
            _ => {}
        }
    }
}
