//! Structures that point at more memory: `iovec`, `msghdr`, signal mask boxes, handles, extended attributes,
//! kexec segments.

use super::expand::{Walk, count, u32_of, u64_of};
use super::{Direction, Fault, Span, UserMemory};
use Direction::{In, InOut, Out};

/// `UIO_MAXIOV`: most `iovec`s, and most messages, that the kernel takes.
pub(super) const MAX_IOVECS: u64 = 1024;
/// `sizeof(struct iovec)`.
const IOVEC: u64 = 16;
/// `sizeof(struct msghdr)`.
const MSGHDR: u64 = 56;
/// `sizeof(struct mmsghdr)`.
const MMSGHDR: u64 = 64;
/// `sizeof(struct sockaddr_storage)`: no address is longer.
const SOCKADDR: u64 = 128;
/// `MAX_HANDLE_SZ`.
const MAX_HANDLE: u32 = 128;
/// `KEXEC_SEGMENT_MAX`.
const MAX_SEGMENTS: u64 = 16;

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    /// An `iovec` array and, with a direction, what it names. More than 1024 are refused by the kernel
    /// unseen.
    pub(super) fn iovec(
        &mut self,
        addr: u64,
        entries: u64,
        direction: Option<Direction>,
    ) -> Result<(), Fault> {
        if entries > MAX_IOVECS || addr == 0 {
            return Ok(());
        }
        self.touch(addr, entries * IOVEC, In);
        let Some(direction) = direction else { return Ok(()) };
        for entry in 0..entries {
            if self.exhausted() {
                break;
            }
            let at = addr.saturating_add(entry * IOVEC);
            let iovec: [u8; IOVEC as usize] = self.bytes(at)?;
            let (base, len) = (u64_of(&iovec, 0), u64_of(&iovec, 8));
            // A length that is negative as `ssize_t` fails the whole call.
            if len > i64::MAX as u64 {
                break;
            }
            self.touch(base, len, direction);
        }
        Ok(())
    }

    /// A `msghdr`: name, control data, `iovec`s. The kernel writes lengths and flags back when it receives.
    pub(super) fn msghdr(&mut self, addr: u64, payload: Direction) -> Result<(), Fault> {
        self.touch(addr, MSGHDR, if payload.writes() { InOut } else { In });
        self.msghdr_fields(addr, payload)
    }

    fn msghdr_fields(&mut self, addr: u64, payload: Direction) -> Result<(), Fault> {
        let msghdr: [u8; MSGHDR as usize] = self.bytes(addr)?;
        let (name, name_len) = (u64_of(&msghdr, 0), count(u64::from(u32_of(&msghdr, 8))));
        let (vector, entries) = (u64_of(&msghdr, 16), u64_of(&msghdr, 24));
        let (control, control_len) = (u64_of(&msghdr, 32), u64_of(&msghdr, 40));
        self.touch(name, name_len.min(SOCKADDR), payload);
        // `msg_controllen` over INT_MAX is ENOBUFS.
        if control_len <= i32::MAX as u64 {
            self.touch(control, control_len, payload);
        }
        self.iovec(vector, entries, Some(payload))
    }

    /// An array of `mmsghdr`. The kernel takes 1024 of a longer one, and writes each message's count back in
    /// both directions.
    pub(super) fn mmsghdr(&mut self, addr: u64, messages: u32, payload: Direction) -> Result<(), Fault> {
        let messages = u64::from(messages).min(MAX_IOVECS);
        self.touch(addr, messages * MMSGHDR, InOut);
        for message in 0..messages {
            if self.exhausted() {
                break;
            }
            self.msghdr_fields(addr.saturating_add(message * MMSGHDR), payload)?;
        }
        Ok(())
    }

    /// An `fd_set` of `nfds` bits in 64-bit words.
    pub(super) fn fd_set(&mut self, addr: u64, nfds: u32) {
        self.touch(addr, count(u64::from(nfds)).div_ceil(64) * 8, InOut);
    }

    /// A socket address to be written; its length stands at `length`.
    pub(super) fn sock_addr_out(&mut self, addr: u64, length: u64) -> Result<(), Fault> {
        if length != 0 {
            let len = count(u64::from(self.u32_at(length)?));
            self.touch(addr, len.min(SOCKADDR), Out);
        }
        Ok(())
    }

    /// The value of setsockopt, and what it names: the program of a classic packet filter, the old counters
    /// of a packet table.
    pub(super) fn sock_opt(&mut self, addr: u64) -> Result<(), Fault> {
        const SOL_IP: u32 = 0;
        const SOL_SOCKET: u32 = 1;
        const SOL_IPV6: u32 = 41;
        const SOL_PACKET: u32 = 263;
        const FANOUT_DATA: u32 = 22;
        const ATTACH_FILTER: u32 = 26;
        const ATTACH_REUSEPORT_CBPF: u32 = 51;
        const REPLACE_TABLE: u32 = 64;
        let len = count(self.arg(4));
        self.touch(addr, len, In);
        match (self.int(1), self.int(2)) {
            (SOL_SOCKET, ATTACH_FILTER | ATTACH_REUSEPORT_CBPF) | (SOL_PACKET, FANOUT_DATA) if len >= 16 => {
                self.sock_fprog(addr)
            }
            (SOL_IP | SOL_IPV6, REPLACE_TABLE) if len >= 96 => {
                let tail: [u8; 12] = self.bytes(addr.saturating_add(84))?;
                self.touch(u64_of(&tail, 4), u64::from(u32_of(&tail, 0)) * 16, Out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The instructions of a `sock_fprog`: an `u16` count, and a pointer to that many of 8 bytes.
    pub(super) fn sock_fprog(&mut self, addr: u64) -> Result<(), Fault> {
        let program: [u8; 16] = self.bytes(addr)?;
        let instructions = u32_of(&program, 0) & 0xffff;
        self.touch(u64_of(&program, 8), u64::from(instructions) * 8, In);
        Ok(())
    }

    /// A pointer to a signal mask, and its size.
    pub(super) fn sigset_box(&mut self, addr: u64) -> Result<(), Fault> {
        self.touch(addr, 16, In);
        let parts: [u8; 16] = self.bytes(addr)?;
        self.touch(u64_of(&parts, 0), u64_of(&parts, 8).min(8), In);
        Ok(())
    }

    /// A structure with its size in an `u32` at `offset`. The kernel takes no more than a page.
    pub(super) fn sized(&mut self, addr: u64, direction: Direction, offset: u32) -> Result<(), Fault> {
        let size = self.u32_at(addr.saturating_add(u64::from(offset)))?;
        // A size of 0 stands for the first version of perf_event_attr (64) and sched_attr (48).
        let size = if size == 0 { 64 } else { size.min(4096) };
        self.touch(addr, u64::from(size), direction);
        Ok(())
    }

    /// A `file_handle`: `handle_bytes`, a type, and that many bytes.
    pub(super) fn file_handle(&mut self, addr: u64, direction: Direction) -> Result<(), Fault> {
        let bytes = self.u32_at(addr)?.min(MAX_HANDLE);
        self.touch(addr, 8 + u64::from(bytes), direction);
        Ok(())
    }

    /// One `user_cap_data` of 12 bytes for version 1, two for the later ones.
    pub(super) fn cap_data(&mut self, addr: u64, direction: Direction) -> Result<(), Fault> {
        const VERSION_1: u32 = 0x1998_0330;
        let header = self.arg(0);
        if header != 0 {
            let len = if self.u32_at(header)? == VERSION_1 { 12 } else { 24 };
            self.touch(addr, len, direction);
        }
        Ok(())
    }

    /// A `sigevent`; with `SIGEV_THREAD`, mq_notify reads a cookie of 32 bytes where the value points.
    pub(super) fn sig_event(&mut self, addr: u64) -> Result<(), Fault> {
        const SIGEV_THREAD: u32 = 2;
        self.touch(addr, 64, In);
        if self.u32_at(addr.saturating_add(12))? == SIGEV_THREAD {
            let cookie = self.u64_at(addr)?;
            self.touch(cookie, 32, In);
        }
        Ok(())
    }

    /// A `xattr_args`: the value's address, its size, flags.
    pub(super) fn xattr_args(&mut self, addr: u64, size: u64, direction: Direction) -> Result<(), Fault> {
        self.touch(addr, size.min(4096), In);
        if size >= 16 {
            let value = self.u64_at(addr)?;
            let len = self.u32_at(addr.saturating_add(8))?;
            self.touch(value, u64::from(len), direction);
        }
        Ok(())
    }

    /// fsconfig's value: a text, bytes counted by `aux`, a path, or nothing.
    pub(super) fn fs_config(&mut self, addr: u64) -> Result<(), Fault> {
        match self.int(1) {
            1 => self.text(addr, 256),
            2 => {
                let len = count(self.arg(4)).min(1 << 20);
                self.touch(addr, len, In);
                Ok(())
            }
            3 | 4 => self.text(addr, 4096),
            _ => Ok(()),
        }
    }

    /// `kexec_segment`s: buffer, its size, and where it goes.
    pub(super) fn kexec_segments(&mut self, addr: u64, segments: u64) -> Result<(), Fault> {
        if segments > MAX_SEGMENTS {
            return Ok(());
        }
        self.touch(addr, segments * 32, In);
        for segment in 0..segments {
            let at = addr.saturating_add(segment * 32);
            let part: [u8; 16] = self.bytes(at)?;
            self.touch(u64_of(&part, 0), u64_of(&part, 8), In);
        }
        Ok(())
    }

    /// clone stores the thread id for `CLONE_PARENT_SETTID` (or a descriptor, `CLONE_PIDFD`) in the parent,
    /// for `CLONE_CHILD_SETTID` in the child, and clears the child's for `CLONE_CHILD_CLEARTID`.
    pub(super) fn clone_tid(&mut self, addr: u64) {
        const ANY: u64 = 0x1000 | 0x10_0000 | 0x20_0000 | 0x100_0000;
        if self.arg(0) & ANY != 0 {
            self.touch(addr, 4, Out);
        }
    }

    /// get_mempolicy looks at the page itself only for `MPOL_F_NODE | MPOL_F_ADDR`.
    pub(super) fn policy_address(&mut self, addr: u64) {
        if self.arg(4) & 3 == 3 {
            self.touch(addr, 1, In);
        }
    }
}
