//! Calls about the address space. The addresses that they are about are not buffers: only what they read and
//! write beside is listed.

use super::builder::*;
use crate::calls::*;
use Direction::Out;
use Length::{ArgTimes, Bits, Pages};
use Managed as M;

pub(super) const ROWS: &[Row] = &[
    call(9, "mmap", 6).managed(M::Mmap, &[]),
    call(10, "mprotect", 3).managed(M::Mprotect, &[]),
    call(11, "munmap", 2).managed(M::Munmap, &[]),
    call(12, "brk", 1).managed(M::Brk, &[]),
    call(25, "mremap", 5).managed(M::Mremap, &[]),
    call(26, "msync", 3).managed(M::Msync, &[]),
    call(27, "mincore", 3).managed(M::Mincore, &[output(2, Pages(1))]),
    call(28, "madvise", 3).managed(M::Madvise, &[]),
    call(30, "shmat", 3).managed(M::Shmat, &[]),
    call(67, "shmdt", 1).managed(M::Shmdt, &[]),
    call(149, "mlock", 2).managed(M::Mlock, &[]),
    call(150, "munlock", 2).managed(M::Munlock, &[]),
    call(151, "mlockall", 1).managed(M::Mlockall, &[]),
    call(152, "munlockall", 0).managed(M::Munlockall, &[]),
    call(216, "remap_file_pages", 5).managed(M::RemapFilePages, &[]),
    call(237, "mbind", 6).managed(M::Mbind, &[input(3, Bits(4))]),
    call(238, "set_mempolicy", 3).fills(&[input(1, Bits(2))]),
    call(239, "get_mempolicy", 5).fills(&[writes(0, 4), output(1, Bits(2)), at(3, Shape::PolicyAddress)]),
    call(256, "migrate_pages", 4).fills(&[input(2, Bits(1)), input(3, Bits(1))]),
    call(279, "move_pages", 6).fills(&[
        input(2, ArgTimes(1, 8)),
        input(3, ArgTimes(1, 4)),
        output(4, ArgTimes(1, 4)),
    ]),
    // The remote side is listed as though it were ours: right when the process is the caller, only too
    // careful when it is another.
    call(310, "process_vm_readv", 6)
        .fills(&[at(1, Shape::IoVec(Out, 2)), at(3, Shape::IoVec(Direction::In, 4))]),
    call(311, "process_vm_writev", 6)
        .fills(&[at(1, Shape::IoVec(Direction::In, 2)), at(3, Shape::IoVec(Out, 4))]),
    // The kernel would serve faults into memory that it cannot tell from the pager's own.
    call(323, "userfaultfd", 1).refused(ENOSYS),
    call(325, "mlock2", 3).managed(M::Mlock2, &[]),
    call(329, "pkey_mprotect", 4).managed(M::PkeyMprotect, &[]),
    call(330, "pkey_alloc", 2),
    call(331, "pkey_free", 1),
    call(440, "process_madvise", 5).managed(M::ProcessMadvise, &[at(1, Shape::IoVecArray(2))]),
    call(448, "process_mrelease", 2),
    call(450, "set_mempolicy_home_node", 4).managed(M::SetMempolicyHomeNode, &[]),
    call(453, "map_shadow_stack", 3).refused(EOPNOTSUPP),
    call(462, "mseal", 3).managed(M::Mseal, &[]),
];
