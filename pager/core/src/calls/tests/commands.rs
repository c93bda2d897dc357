//! Calls whose pointers depend on a command, operation or option.

use super::*;

#[test]
fn futex_words_by_operation() {
    const FIRST: u64 = 0x5000;
    const TIME: u64 = 0x6000;
    const SECOND: u64 = 0x7000;
    let futex = |operation: u64| flat("futex", &[FIRST, operation, 0, TIME, SECOND, 0]);
    let timed = (TIME, 16, In);
    assert_eq!(futex(128), [(FIRST, 4, In), timed], "wait");
    assert_eq!(futex(9 | 128 | 256), [(FIRST, 4, In), timed], "wait for bits");
    assert_eq!(futex(0), [(FIRST, 4, InOut), timed], "wait at a shared one: looked up for writing");
    assert_eq!(futex(1), [(FIRST, 4, InOut)], "wake a shared one");
    assert_eq!(futex(1 | 128), [], "wake a private one");
    assert_eq!(futex(3), [(FIRST, 4, InOut), (SECOND, 4, InOut)], "requeue shared ones");
    assert_eq!(futex(4 | 128), [(FIRST, 4, In)], "compare and requeue private ones");
    assert_eq!(futex(5 | 128), [(SECOND, 4, InOut)], "change the second");
    assert_eq!(futex(6 | 128), [(FIRST, 4, InOut), timed], "lock");
    assert_eq!(futex(7 | 128), [(FIRST, 4, InOut)], "unlock");
    assert_eq!(futex(11 | 128), [(FIRST, 4, In), (SECOND, 4, InOut), timed], "wait to be requeued");
    assert_eq!(futex(2), [], "FUTEX_FD is gone");
}

#[test]
fn futex_waiters_are_24_bytes_apart() {
    let mut memory = FakeMemory::default();
    memory.u64s(0x5000, &[1, 0x6000, 2, 1, 0x7000, 2]);
    let both = [(0x5000, 48, In), (0x6000, 4, InOut), (0x7000, 4, InOut)];
    assert_eq!(spans("futex_requeue", &[0x5000, 0, 1, 1], &mut memory), both);
    assert_eq!(spans("futex_waitv", &[0x5000, 2, 0, 0, 0], &mut memory), both);
    assert_eq!(spans("futex_waitv", &[0x5000, 129, 0, 0, 0], &mut memory), []);
}

#[test]
fn fcntl_by_command() {
    let fcntl = |command: u64| flat("fcntl", &[3, command, 0x5000]);
    assert_eq!(fcntl(5), [(0x5000, 32, InOut)]);
    assert_eq!(fcntl(7), [(0x5000, 32, In)]);
    assert_eq!(fcntl(36), [(0x5000, 32, InOut)]);
    assert_eq!(fcntl(38), [(0x5000, 32, In)]);
    assert_eq!(fcntl(15), [(0x5000, 8, In)]);
    assert_eq!(fcntl(1035), [(0x5000, 8, Out)]);
    for number in [0, 1, 2, 3, 4, 8, 9, 10, 1024, 1030, 1031, 1032, 1033] {
        assert_eq!(fcntl(number), [], "{number}");
    }
}

#[test]
fn prctl_by_option() {
    let mut memory = FakeMemory::default();
    memory.put(0x5000, b"worker\0");
    assert_eq!(spans("prctl", &[15, 0x5000], &mut memory), [(0x5000, 7, In)]);
    assert_eq!(spans("prctl", &[0x5356_4d41, 0, 0x9000, 4096, 0x5000], &mut memory), [(0x5000, 7, In)]);
    assert_eq!(flat("prctl", &[16, 0x5000]), [(0x5000, 16, Out)]);
    assert_eq!(flat("prctl", &[0x4155_5856, 0x5000, 320]), [(0x5000, 320, Out)]);
    assert_eq!(flat("prctl", &[35, 12, 0x5000, 300]), [(0x5000, 300, In)]);
    assert_eq!(flat("prctl", &[4, 0x5000]), [], "PR_SET_DUMPABLE takes a number");
    assert_eq!(flat("arch_prctl", &[0x1002, 0x5000]), [], "setting FS touches nothing");
    assert_eq!(flat("arch_prctl", &[0x1003, 0x5000]), [(0x5000, 8, Out)]);
}

#[test]
fn system_v_control_by_command() {
    assert_eq!(flat("shmctl", &[1, 2, 0x5000]), [(0x5000, 112, Out)]);
    assert_eq!(flat("shmctl", &[1, 0x102, 0x5000]), [(0x5000, 112, Out)], "IPC_64");
    assert_eq!(flat("shmctl", &[1, 0, 0x5000]), [], "IPC_RMID");
    assert_eq!(flat("msgctl", &[1, 1, 0x5000]), [(0x5000, 120, In)]);
    assert_eq!(flat("semctl", &[1, 0, 2, 0x5000]), [(0x5000, 104, Out)]);
    assert_eq!(flat("semctl", &[1, 0, 16, 0x5000]), [], "SETVAL takes a number");
    assert_eq!(flat("semctl", &[1, 0, 17, 0x5000]), [(0x5000, 4096, In)]);
    assert_eq!(flat("semop", &[1, 0x5000, 3]), [(0x5000, 18, In)]);
}

#[test]
fn quotas_by_command() {
    assert_eq!(flat("quotactl", &[0x8000_0700, 0, 0, 0x5000]), [(0x5000, 72, Out)]);
    assert_eq!(flat("quotactl_fd", &[3, 0x8000_0600, 0, 0x5000]), [(0x5000, 24, In)]);
    assert_eq!(flat("quotactl", &[0x8000_0100, 0, 0, 0x5000]), [], "Q_SYNC");
}

#[test]
fn clone_stores_ids_only_where_asked() {
    assert_eq!(flat("clone", &[17, 0, 0x5000, 0x6000, 0]), []);
    assert_eq!(flat("clone", &[17 | 0x120_0000, 0, 0, 0x6000, 0]), [(0x6000, 4, Out)]);
}

#[test]
fn get_mempolicy_looks_at_a_page_only_for_its_node() {
    assert_eq!(flat("get_mempolicy", &[0x5000, 0, 0, 0x9000, 3]), [(0x5000, 4, Out), (0x9000, 1, In)]);
    assert_eq!(flat("get_mempolicy", &[0x5000, 0, 0, 0x9000, 2]), [(0x5000, 4, Out)]);
}

#[test]
fn ptrace_by_request() {
    let ptrace = |request: u64, addr: u64| flat("ptrace", &[request, 1, addr, 0x5000]);
    assert_eq!(ptrace(12, 0), [(0x5000, 216, Out)]);
    assert_eq!(ptrace(0x4203, 0), [(0x5000, 128, In)]);
    assert_eq!(ptrace(0x420e, 88), [(0x5000, 88, Out)]);
    assert_eq!(ptrace(7, 0x5000), [], "PTRACE_CONT");
    let mut memory = FakeMemory::default();
    memory.u64s(0x5000, &[0x6000, 512]);
    assert_eq!(
        spans("ptrace", &[0x4204, 1, 1, 0x5000], &mut memory),
        [(0x5000, 16, InOut), (0x6000, 512, Out)]
    );
}

#[test]
fn keyctl_by_operation() {
    assert_eq!(flat("keyctl", &[11, 1, 0x5000, 64]), [(0x5000, 64, Out)]);
    assert_eq!(flat("keyctl", &[3, 0x5000]), [], "revoke takes a serial");
    let mut memory = FakeMemory::default();
    memory.put(0x5000, b"user\0").put(0x6000, b"name\0");
    assert_eq!(spans("keyctl", &[10, 1, 0x5000, 0x6000, 0], &mut memory), [(0x5000, 5, In), (0x6000, 5, In)]);
    memory.u64s(0x7000, &[3 | 40 << 32, 20]).put(0x6000, b"enc=raw\0");
    assert_eq!(
        spans("keyctl", &[27, 0x7000, 0x6000, 0x8000, 0x9000], &mut memory),
        [(0x7000, 40, In), (0x6000, 8, In), (0x8000, 40, In), (0x9000, 20, Out)]
    );
}

#[test]
fn bpf_by_command() {
    let mut memory = FakeMemory::default();
    memory.u64s(0x5000, &[3, 0x6000, 0x7000, 0]).put(0x5020, &[0; 16]);
    assert_eq!(
        spans("bpf", &[1, 0x5000, 32], &mut memory),
        [(0x5000, 32, InOut), (0x6000, 4096, In), (0x7000, 4096, Out)]
    );
    memory.put(0x8000, b"GPL\0").u64s(0x5000, &[5 | 7 << 32, 0x6000, 0x8000, 0, 0, 0]);
    assert_eq!(
        spans("bpf", &[5, 0x5000, 48], &mut memory),
        [(0x5000, 48, InOut), (0x6000, 56, In), (0x8000, 4, In)],
        "seven instructions, and no pointer past the size given"
    );
}

#[test]
fn fsconfig_by_command() {
    let mut memory = FakeMemory::default();
    memory.put(0x5000, b"source\0").put(0x6000, b"/dev/vda\0");
    assert_eq!(
        spans("fsconfig", &[3, 1, 0x5000, 0x6000, 0], &mut memory),
        [(0x5000, 7, In), (0x6000, 9, In)]
    );
    assert_eq!(
        spans("fsconfig", &[3, 2, 0x5000, 0x6000, 99], &mut memory),
        [(0x5000, 7, In), (0x6000, 99, In)]
    );
    assert_eq!(spans("fsconfig", &[3, 6, 0, 0, 0], &mut memory), []);
}
