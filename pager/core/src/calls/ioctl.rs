//! ioctl(2): what the argument is, by request.
//!
//! Most requests say it themselves: two bits of direction and 14 of size. Those that say nothing (the
//! terminal's and the sockets', older than the scheme) or lie (a descriptor where a pointer is declared, a
//! structure that goes on) are in the tables here. What is in neither is taken for a pointer to at most a
//! page, read and written.

use super::expand::{Walk, count};
use super::{Direction, Fault, Span, UserMemory};
use crate::addr::PAGE_SIZE;
use Direction::{In, InOut, Out};

/// What a request does with its argument.
#[derive(Clone, Copy)]
enum Argument {
    /// A number or nothing: no memory.
    Number,
    /// A structure of one size.
    Plain(Direction, u64),
    /// A structure with more behind it or elsewhere.
    Nested(Nested),
}

/// Structures that point further or go on.
#[derive(Clone, Copy)]
enum Nested {
    /// `struct ifreq` whose data points at a page or less.
    InterfaceData,
    /// `struct ifconf`: a length and a buffer of `ifreq`.
    InterfaceList,
    /// `struct iwreq`: a pointer at 16, a length at 24.
    Wireless,
    /// `struct sock_fprog`.
    Filter,
    /// A text.
    Text,
    /// `header` bytes, then as many entries of `size` as the `u32` at `count` says.
    Counted { header: u64, count: u64, size: u64 },
    /// `header` bytes, and at each pair a pointer and the `u32` that says how many bytes it points at.
    Pointing { header: u64, direction: Direction, parts: &'static [(u64, u64)] },
    /// `struct fsverity_digest`: two `u16`, of which the second counts the bytes that follow.
    Digest,
    /// `struct sg_io_hdr`.
    Scsi,
    /// The structure tells its whole size in the `u32` at this offset.
    Sized(u64),
}

use Argument::{Number, Plain};

/// The first and the last of a run of requests, and what each of them does.
struct Requests(u32, u32, Argument);

const fn one(request: u32, argument: Argument) -> Requests {
    Requests(request, request, argument)
}

/// Requests that do not say (or do not say truly) what their argument is, in ascending order.
const TABLE: &[Requests] = &[
    one(0x0001, Plain(InOut, 4)),            // FIBMAP
    one(0x0002, Plain(Out, 4)),              // FIGETBSZ
    one(0x0301, Plain(Out, 16)),             // HDIO_GETGEO
    one(0x030d, Plain(Out, 512)),            // HDIO_GET_IDENTITY
    one(0x125d, Plain(In, 4)),               // BLKROSET
    one(0x125e, Plain(Out, 4)),              // BLKROGET
    one(0x125f, Number),                     // BLKRRPART
    one(0x1260, Plain(Out, 8)),              // BLKGETSIZE
    Requests(0x1261, 0x1262, Number),        // BLKFLSBUF, BLKRASET
    one(0x1263, Plain(Out, 8)),              // BLKRAGET
    one(0x1264, Number),                     // BLKFRASET
    Requests(0x1265, 0x1268, Plain(Out, 8)), // BLKFRAGET, BLKSECTSET, BLKSECTGET, BLKSSZGET
    one(0x1269, Argument::Nested(Nested::Pointing { header: 24, direction: InOut, parts: &[(16, 8)] })), // BLKPG
    Requests(0x1274, 0x1276, Number),        // BLKTRACESTART, STOP, TEARDOWN
    one(0x1277, Plain(In, 16)),              // BLKDISCARD
    Requests(0x1278, 0x127c, Plain(Out, 4)), // BLKIOMIN .. BLKDISCARDZEROES
    one(0x127d, Plain(In, 16)),              // BLKSECDISCARD
    one(0x127e, Plain(Out, 2)),              // BLKROTATIONAL
    one(0x127f, Plain(In, 16)),              // BLKZEROOUT
    one(0x2285, Argument::Nested(Nested::Scsi)), // SG_IO
    Requests(0x4c00, 0x4c01, Number),        // LOOP_SET_FD, LOOP_CLR_FD
    one(0x4c02, Plain(In, 168)),             // LOOP_SET_STATUS
    one(0x4c03, Plain(Out, 168)),            // LOOP_GET_STATUS
    one(0x4c04, Plain(In, 232)),             // LOOP_SET_STATUS64
    one(0x4c05, Plain(Out, 232)),            // LOOP_GET_STATUS64
    Requests(0x4c06, 0x4c09, Number),        // LOOP_CHANGE_FD .. LOOP_SET_BLOCK_SIZE
    one(0x4c0a, Plain(In, 304)),             // LOOP_CONFIGURE
    Requests(0x4c80, 0x4c82, Number),        // LOOP_CTL_*
    one(0x5401, Plain(Out, 36)),             // TCGETS
    Requests(0x5402, 0x5404, Plain(In, 36)), // TCSETS, TCSETSW, TCSETSF
    one(0x5405, Plain(Out, 18)),             // TCGETA
    Requests(0x5406, 0x5408, Plain(In, 18)), // TCSETA, TCSETAW, TCSETAF
    Requests(0x5409, 0x540e, Number),        // TCSBRK, TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL, TIOCSCTTY
    one(0x540f, Plain(Out, 4)),              // TIOCGPGRP
    one(0x5410, Plain(In, 4)),               // TIOCSPGRP
    one(0x5411, Plain(Out, 4)),              // TIOCOUTQ
    one(0x5412, Plain(In, 1)),               // TIOCSTI
    one(0x5413, Plain(Out, 8)),              // TIOCGWINSZ
    one(0x5414, Plain(In, 8)),               // TIOCSWINSZ
    one(0x5415, Plain(Out, 4)),              // TIOCMGET
    Requests(0x5416, 0x5418, Plain(In, 4)),  // TIOCMBIS, TIOCMBIC, TIOCMSET
    one(0x5419, Plain(Out, 4)),              // TIOCGSOFTCAR
    one(0x541a, Plain(In, 4)),               // TIOCSSOFTCAR
    one(0x541b, Plain(Out, 4)),              // FIONREAD
    one(0x541c, Plain(InOut, PAGE_SIZE)),    // TIOCLINUX
    one(0x541d, Number),                     // TIOCCONS
    one(0x541e, Plain(Out, 72)),             // TIOCGSERIAL
    one(0x541f, Plain(In, 72)),              // TIOCSSERIAL
    Requests(0x5420, 0x5421, Plain(In, 4)),  // TIOCPKT, FIONBIO
    one(0x5422, Number),                     // TIOCNOTTY
    one(0x5423, Plain(In, 4)),               // TIOCSETD
    one(0x5424, Plain(Out, 4)),              // TIOCGETD
    Requests(0x5425, 0x5428, Number),        // TCSBRKP, TIOCSBRK, TIOCCBRK
    one(0x5429, Plain(Out, 4)),              // TIOCGSID
    one(0x542e, Plain(Out, 32)),             // TIOCGRS485
    one(0x542f, Plain(InOut, 32)),           // TIOCSRS485
    one(0x5432, Plain(Out, 18)),             // TCGETX
    Requests(0x5433, 0x5435, Plain(In, 18)), // TCSETX, TCSETXF, TCSETXW
    one(0x5437, Number),                     // TIOCVHANGUP
    one(0x5441, Number),                     // TIOCGPTPEER
    Requests(0x5450, 0x5451, Number),        // FIONCLEX, FIOCLEX
    one(0x5452, Plain(In, 4)),               // FIOASYNC
    Requests(0x5453, 0x5455, Number),        // TIOCSERCONFIG and its wild cards
    one(0x5456, Plain(Out, 36)),             // TIOCGLCKTRMIOS
    one(0x5457, Plain(In, 36)),              // TIOCSLCKTRMIOS
    one(0x5459, Plain(Out, 4)),              // TIOCSERGETLSR
    one(0x545c, Number),                     // TIOCMIWAIT
    one(0x545d, Plain(Out, 80)),             // TIOCGICOUNT
    one(0x5460, Plain(Out, 8)),              // FIOQSIZE
    Requests(0x8901, 0x8902, Plain(In, 4)),  // FIOSETOWN, SIOCSPGRP
    Requests(0x8903, 0x8905, Plain(Out, 4)), // FIOGETOWN, SIOCGPGRP, SIOCATMARK
    Requests(0x8906, 0x8907, Plain(Out, 16)), // SIOCGSTAMP, SIOCGSTAMPNS
    Requests(0x890b, 0x890d, Plain(In, 120)), // SIOCADDRT, SIOCDELRT, SIOCRTMSG
    Requests(0x8910, 0x8911, Plain(InOut, 40)), // SIOCGIFNAME, SIOCSIFLINK
    one(0x8912, Argument::Nested(Nested::InterfaceList)), // SIOCGIFCONF
    Requests(0x8913, 0x893f, Plain(InOut, 40)), // SIOCGIFFLAGS .. the other requests of struct ifreq
    Requests(0x8940, 0x8941, Argument::Nested(Nested::InterfaceData)), // SIOCGIFBR, SIOCSIFBR
    Requests(0x8942, 0x8945, Plain(InOut, 40)), // SIOCGIFTXQLEN, SIOCSIFTXQLEN
    one(0x8946, Argument::Nested(Nested::InterfaceData)), // SIOCETHTOOL
    Requests(0x8947, 0x8949, Plain(InOut, 40)), // SIOCGMIIPHY, SIOCGMIIREG, SIOCSMIIREG
    one(0x894b, Plain(Out, 4)),              // SIOCOUTQNSD
    one(0x894c, Number),                     // SIOCGSKNS
    Requests(0x8953, 0x8955, Plain(InOut, 68)), // SIOCDARP, SIOCGARP, SIOCSARP
    Requests(0x8960, 0x8962, Plain(InOut, 68)), // SIOCDRARP, SIOCGRARP, SIOCSRARP
    Requests(0x8970, 0x8971, Plain(InOut, 40)), // SIOCGIFMAP, SIOCSIFMAP
    Requests(0x8980, 0x8983, Plain(InOut, 64)), // SIOCADDDLCI, SIOCDELDLCI, SIOCGIFVLAN, SIOCSIFVLAN
    Requests(0x8990, 0x8995, Argument::Nested(Nested::InterfaceData)), // SIOCBOND*
    Requests(0x89a0, 0x89a1, Plain(In, 16)), // SIOCBRADDBR, SIOCBRDELBR
    Requests(0x89a2, 0x89a3, Plain(InOut, 40)), // SIOCBRADDIF, SIOCBRDELIF
    Requests(0x89b0, 0x89b1, Argument::Nested(Nested::InterfaceData)), // SIOCSHWTSTAMP, SIOCGHWTSTAMP
    Requests(0x89f0, 0x89ff, Argument::Nested(Nested::InterfaceData)), // SIOCDEVPRIVATE
    Requests(0x8b00, 0x8bff, Argument::Nested(Nested::Wireless)), // SIOC[SG]IW*
    Requests(0xae00, 0xae01, Number),        // KVM_GET_API_VERSION, KVM_CREATE_VM
    Requests(0xae03, 0xae04, Number),        // KVM_CHECK_EXTENSION, KVM_GET_VCPU_MMAP_SIZE
    one(0xae41, Number),                     // KVM_CREATE_VCPU
    one(0xae80, Number),                     // KVM_RUN
    Requests(0xb701, 0xb703, Number),        // NS_GET_USERNS, NS_GET_PARENT, NS_GET_NSTYPE
    one(0xb704, Plain(Out, 4)),              // NS_GET_OWNER_UID
    one(0x4004_2408, Number),                // PERF_EVENT_IOC_SET_BPF
    Requests(0x4004_4500 | 0x90, 0x4004_4500 | 0x91, Number), // EVIOCGRAB, EVIOCREVOKE
    one(0x4004_4900, Number),                // INOTIFY_IOC_SETNEXTWD
    Requests(0x4004_54c8, 0x4004_54c9, Number), // TUNSETNOCSUM, TUNSETDEBUG
    one(0x4004_54ca, Plain(InOut, 40)),      // TUNSETIFF
    Requests(0x4004_54cb, 0x4004_54ce, Number), // TUNSETPERSIST, TUNSETOWNER, TUNSETLINK, TUNSETGROUP
    one(0x4004_54d0, Number),                // TUNSETOFFLOAD
    one(0x4004_54d9, Plain(In, 40)),         // TUNSETQUEUE
    one(0x4004_9409, Number),                // FICLONE
    one(0x4008_2406, Argument::Nested(Nested::Text)), // PERF_EVENT_IOC_SET_FILTER
    one(0x4008_5203, Argument::Nested(Nested::Counted { header: 8, count: 4, size: 1 })), // RNDADDENTROPY
    one(0x4008_700c, Number),                // RTC_IRQP_SET
    one(0x4010_54d5, Argument::Nested(Nested::Filter)), // TUNATTACHFILTER
    one(
        0x4080_6685,
        Argument::Nested(Nested::Pointing { header: 128, direction: In, parts: &[(16, 12), (32, 24)] }),
    ), // FS_IOC_ENABLE_VERITY
    one(0x8004_54d2, Plain(Out, 40)),        // TUNGETIFF
    Requests(0xc004_5877, 0xc004_5878, Number), // FIFREEZE, FITHAW
    one(0xc004_6686, Argument::Nested(Nested::Digest)), // FS_IOC_MEASURE_VERITY
    one(0xc009_6616, Plain(InOut, 32)),      // FS_IOC_GET_ENCRYPTION_POLICY_EX
    one(0xc018_5502, Argument::Nested(Nested::Pointing { header: 24, direction: InOut, parts: &[(16, 4)] })), // USBDEVFS_BULK
    one(0xc018_9436, Argument::Nested(Nested::Counted { header: 24, count: 16, size: 32 })), // FIDEDUPERANGE
    one(0xc020_660b, Argument::Nested(Nested::Counted { header: 32, count: 24, size: 56 })), // FS_IOC_FIEMAP
    one(0xc028_6687, Argument::Nested(Nested::Pointing { header: 40, direction: Out, parts: &[(24, 16)] })), // FS_IOC_READ_VERITY_METADATA
    one(0xc050_6617, Argument::Nested(Nested::Counted { header: 80, count: 40, size: 1 })), // FS_IOC_ADD_ENCRYPTION_KEY
    one(0xc070_9411, Argument::Nested(Nested::Counted { header: 112, count: 104, size: 1 })), // BTRFS_IOC_TREE_SEARCH_V2
    one(0xc0c0_583b, Argument::Nested(Nested::Counted { header: 192, count: 8, size: 64 })), // FS_IOC_GETFSMAP
];

/// Device mapper requests: type 0xfd, `struct dm_ioctl` of 312 bytes that tells its whole size at 12.
const DEVICE_MAPPER: u32 = 0xfd;

/// Requests by which a device or the kernel touches the caller's memory after the call.
pub(super) fn touches_memory_later(request: u32) -> bool {
    const KVM_SET_USER_MEMORY_REGION: u32 = 0x4020_ae46;
    const KVM_SET_USER_MEMORY_REGION2: u32 = 0x40a0_ae49;
    const VHOST_SET_MEM_TABLE: u32 = 0x4008_af03;
    const VFIO_IOMMU_MAP_DMA: u32 = 0x3b71;
    const USBDEVFS_SUBMITURB: u32 = 0x8038_550a;
    matches!(
        request,
        KVM_SET_USER_MEMORY_REGION
            | KVM_SET_USER_MEMORY_REGION2
            | VHOST_SET_MEM_TABLE
            | VFIO_IOMMU_MAP_DMA
            | USBDEVFS_SUBMITURB
    )
}

/// What a request does with its argument: by the tables, else by its bits.
fn argument(request: u32) -> Argument {
    let after = TABLE.partition_point(|of| of.0 <= request);
    if let Some(Requests(_, last, argument)) = TABLE[..after].last()
        && request <= *last
    {
        return *argument;
    }
    let size = u64::from(request >> 16 & 0x3fff);
    if request >> 8 & 0xff == DEVICE_MAPPER && size != 0 {
        return Argument::Nested(Nested::Sized(12));
    }
    match request >> 30 {
        1 if size != 0 => Plain(In, size),
        2 if size != 0 => Plain(Out, size),
        3 if size != 0 => Plain(InOut, size),
        _ => Plain(InOut, PAGE_SIZE),
    }
}

impl<M: UserMemory, F: FnMut(Span)> Walk<'_, M, F> {
    /// ioctl(descriptor, request, argument).
    pub(super) fn ioctl(&mut self, addr: u64) -> Result<(), Fault> {
        match argument(self.int(1)) {
            Number => Ok(()),
            Plain(direction, size) => {
                self.touch(addr, size, direction);
                Ok(())
            }
            Argument::Nested(nested) => self.ioctl_nested(addr, nested),
        }
    }

    fn ioctl_nested(&mut self, addr: u64, nested: Nested) -> Result<(), Fault> {
        let field = |offset: u64| addr.saturating_add(offset);
        match nested {
            Nested::InterfaceData => {
                self.touch(addr, 40, InOut);
                let data = self.u64_at(field(16))?;
                self.touch(data, PAGE_SIZE, InOut);
            }
            Nested::InterfaceList => {
                self.touch(addr, 16, InOut);
                let (len, list) = (self.u32_at(addr)?, self.u64_at(field(8))?);
                self.touch(list, count(u64::from(len)), Out);
            }
            Nested::Wireless => {
                self.touch(addr, 32, InOut);
                let data = self.u64_at(field(16))?;
                self.touch(data, PAGE_SIZE, InOut);
            }
            Nested::Filter => {
                self.touch(addr, 16, In);
                self.sock_fprog(addr)?;
            }
            Nested::Text => self.text(addr, 4096)?,
            Nested::Counted { header, count: counter, size } => {
                let entries = u64::from(self.u32_at(field(counter))?);
                self.touch(addr, header + entries * size, InOut);
            }
            Nested::Pointing { header, direction, parts } => {
                self.touch(addr, header, InOut);
                for (pointer, length) in parts {
                    let (to, len) = (self.u64_at(field(*pointer))?, self.u32_at(field(*length))?);
                    self.touch(to, count(u64::from(len)), direction);
                }
            }
            Nested::Digest => {
                let digest = self.u32_at(addr)? >> 16;
                self.touch(addr, 4 + u64::from(digest), InOut);
            }
            Nested::Scsi => self.scsi(addr)?,
            Nested::Sized(offset) => {
                let size = u64::from(self.u32_at(field(offset))?);
                self.touch(addr, size.clamp(312, 1 << 20), InOut);
            }
        }
        Ok(())
    }

    /// `sg_io_hdr`: command at 24, sense buffer at 32, data at 16 (with its direction at 4 and its length at
    /// 12, or `iovec`s counted at 10).
    fn scsi(&mut self, addr: u64) -> Result<(), Fault> {
        let field = |offset: u64| addr.saturating_add(offset);
        self.touch(addr, 88, InOut);
        let [command_len, sense_len, vectors_low, vectors_high] = self.bytes(field(8))?;
        let data_len = self.u32_at(field(12))?;
        let (data, command, sense) =
            (self.u64_at(field(16))?, self.u64_at(field(24))?, self.u64_at(field(32))?);
        self.touch(command, u64::from(command_len), In);
        self.touch(sense, u64::from(sense_len), Out);
        match u16::from_le_bytes([vectors_low, vectors_high]) {
            0 => self.touch(data, u64::from(data_len), InOut),
            vectors => self.iovec(data, u64::from(vectors), Some(InOut))?,
        }
        Ok(())
    }
}

/// The first request of the table that does not come after the one before it: a search would miss it.
#[cfg(test)]
pub(super) fn out_of_order() -> Option<u32> {
    TABLE.windows(2).find(|pair| pair[0].1 >= pair[1].0).map(|pair| pair[1].0)
}
