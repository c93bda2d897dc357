//! Flat buffers, texts, and structures that point on.

use super::*;
use crate::addr::USER_END;

#[test]
fn lengths_come_from_the_arguments() {
    assert_eq!(flat("read", &[3, 0x5000, 77]), [(0x5000, 77, Out)]);
    assert_eq!(flat("write", &[3, 0x5000, 77]), [(0x5000, 77, In)]);
    assert_eq!(flat("fstat", &[3, 0x5000]), [(0x5000, 144, Out)]);
    assert_eq!(flat("poll", &[0x5000, 3, 0]), [(0x5000, 24, InOut)]);
    assert_eq!(flat("epoll_wait", &[4, 0x5000, 10, 0]), [(0x5000, 120, Out)]);
    assert_eq!(flat("msgsnd", &[1, 0x5000, 100, 0]), [(0x5000, 108, In)]);
    assert_eq!(flat("mincore", &[0x10000, 0x2001, 0x5000]), [(0x5000, 3, Out)]);
    assert_eq!(flat("set_mempolicy", &[1, 0x5000, 65]), [(0x5000, 16, In)]);
    assert_eq!(flat("getpid", &[0x5000, 0x5000]), []);
}

#[test]
fn lengths_are_capped_where_the_kernel_does() {
    assert_eq!(flat("connect", &[3, 0x5000, 1 << 20]), [(0x5000, 128, In)]);
    assert_eq!(
        flat("bind", &[3, 0x5000, 0xdead_0000_0010]),
        [(0x5000, 16, In)],
        "the upper half is not the kernel's"
    );
    assert_eq!(flat("getcwd", &[0x5000, u64::MAX]), [(0x5000, 4096, Out)]);
    assert_eq!(flat("sched_getaffinity", &[0, 128, 0x5000]), [(0x5000, 128, Out)]);
    assert_eq!(flat("read", &[3, 0x5000, u64::MAX]), [(0x5000, 0x7fff_f000, Out)]);
    assert_eq!(flat("poll", &[0x5000, u64::from(u32::MAX), 0]), [], "a negative count");
}

#[test]
fn spans_end_where_user_memory_does() {
    assert_eq!(flat("read", &[3, USER_END - 10, 100]), [(USER_END - 10, 10, Out)]);
    assert_eq!(flat("read", &[3, USER_END, 100]), []);
    assert_eq!(flat("read", &[3, u64::MAX - 5, 100]), []);
}

#[test]
fn null_small_numbers_and_nothing_are_skipped() {
    assert_eq!(flat("read", &[3, 0, 100]), []);
    assert_eq!(flat("read", &[3, 4095, 100]), []);
    assert_eq!(flat("read", &[3, 0x5000, 0]), []);
    assert_eq!(flat("wait4", &[1, 0x5000, 0, 0]), [(0x5000, 4, Out)]);
}

#[test]
fn a_path_ends_with_its_nul() {
    let mut memory = FakeMemory::default();
    memory.put(0x5ff8, b"/usr/lib/x\0after");
    assert_eq!(spans("open", &[0x5ff8], &mut memory), [(0x5ff8, 11, In)]);
    assert_eq!(spans("rename", &[0x5ff8, 0x5ffc], &mut memory), [(0x5ff8, 11, In), (0x5ffc, 7, In)]);
}

#[test]
fn a_path_without_end_stops_at_the_limit() {
    let mut memory = FakeMemory::default();
    memory.put(0x5010, &[b'a'; 8192]);
    assert_eq!(spans("chdir", &[0x5010], &mut memory), [(0x5010, 4096, In)]);
    assert_eq!(spans("memfd_create", &[0x5010], &mut memory), [(0x5010, 250, In)]);
}

#[test]
fn a_text_that_runs_into_nothing_is_named_up_to_there() {
    let mut memory = FakeMemory::default();
    memory.put(0x5f00, &[b'a'; 256]);
    let (found, outcome) = expand("stat", &[0x5f00, 0x9000], &mut memory);
    assert_eq!(found, [(0x5f00, 256, In), (0x9000, 144, Out)], "the other pointer is not forgotten");
    assert_eq!(outcome, Err(Fault { addr: 0x6000 }));
}

#[test]
fn vectors_of_texts_are_followed_to_the_null() {
    let mut memory = FakeMemory::default();
    memory.put(0x5000, b"/bin/ls\0").put(0x6000, b"ls\0-l\0").put(0x7000, b"HOME=/\0");
    memory.u64s(0x8000, &[0x6000, 0x6003, 0]).u64s(0x9000, &[0x7000, 0]);
    assert_eq!(
        spans("execve", &[0x5000, 0x8000, 0x9000], &mut memory),
        [(0x5000, 8, In), (0x6000, 6, In), (0x8000, 24, In), (0x7000, 7, In), (0x9000, 16, In)]
    );
}

#[test]
fn a_vector_that_runs_into_nothing_is_named_up_to_there() {
    let mut memory = FakeMemory::default();
    memory.put(0x6000, b"a\0").u64s(0x8ff8, &[0x6000]);
    let (found, outcome) = expand("execve", &[0, 0x8ff8], &mut memory);
    assert_eq!(found, [(0x6000, 2, In), (0x8ff8, 8, In)]);
    assert_eq!(outcome, Err(Fault { addr: 0x9000 }));
}

#[test]
fn iovecs_are_expanded_and_limited() {
    let mut memory = FakeMemory::default();
    memory.u64s(0x5000, &[0x10000, 5, 0x20000, 0, 0x30000, 7]);
    assert_eq!(
        spans("readv", &[3, 0x5000, 3], &mut memory),
        [(0x5000, 48, In), (0x10000, 5, Out), (0x30000, 7, Out)]
    );
    assert_eq!(spans("pwritev2", &[3, 0x5000, 1], &mut memory), [(0x5000, 16, In), (0x10000, 5, In)]);
    assert_eq!(spans("readv", &[3, 0x5000, 1025], &mut memory), []);
    assert_eq!(spans("readv", &[3, 0x5000, u64::MAX], &mut memory), []);
    memory.u64s(0x5008, &[u64::MAX]);
    assert_eq!(
        spans("readv", &[3, 0x5000, 3], &mut memory),
        [(0x5000, 48, In)],
        "a negative length fails the call"
    );
}

#[test]
fn process_vm_names_both_sides() {
    let mut memory = FakeMemory::default();
    memory.u64s(0x5000, &[0x10000, 5]).u64s(0x6000, &[0x20000, 6]);
    assert_eq!(
        spans("process_vm_readv", &[1, 0x5000, 1, 0x6000, 1, 0], &mut memory),
        [(0x5000, 16, In), (0x10000, 5, Out), (0x6000, 16, In), (0x20000, 6, In)]
    );
    assert_eq!(spans("process_madvise", &[4, 0x5000, 1, 21, 0], &mut memory), [(0x5000, 16, In)]);
}

fn message(memory: &mut FakeMemory, addr: u64) {
    memory.u64s(addr, &[0x10000, 28, 0x6000, 2, 0x20000, 64, 0]);
    memory.u64s(0x6000, &[0x30000, 100, 0x40000, 200]);
}

#[test]
fn messages_have_names_payload_and_control_data() {
    let mut memory = FakeMemory::default();
    message(&mut memory, 0x5000);
    let received = [
        (0x5000, 56, InOut),
        (0x10000, 28, Out),
        (0x20000, 64, Out),
        (0x6000, 32, In),
        (0x30000, 100, Out),
        (0x40000, 200, Out),
    ];
    assert_eq!(spans("recvmsg", &[3, 0x5000, 0], &mut memory), received);
    let sent = received.map(|(addr, len, _)| (addr, len, In));
    assert_eq!(spans("sendmsg", &[3, 0x5000, 0], &mut memory), sent);
}

#[test]
fn arrays_of_messages_are_64_bytes_apart_and_written() {
    let mut memory = FakeMemory::default();
    memory.u64s(0x5000, &[0, 0, 0x6000, 1, 0, 0, 0, 0]).u64s(0x5040, &[0, 0, 0x6010, 1, 0, 0, 0, 0]);
    memory.u64s(0x6000, &[0x30000, 1, 0x40000, 2]);
    assert_eq!(
        spans("sendmmsg", &[3, 0x5000, 2, 0], &mut memory),
        [(0x5000, 128, InOut), (0x6000, 16, In), (0x30000, 1, In), (0x6010, 16, In), (0x40000, 2, In)]
    );
    assert_eq!(spans("recvmmsg", &[3, 0x5000, 1, 0, 0x9000], &mut memory).last(), Some(&(0x9000, 16, InOut)));
}

#[test]
fn socket_lengths_are_pointed_at() {
    let mut memory = FakeMemory::default();
    memory.u32(0x6000, 16).u32(0x6010, 5000);
    assert_eq!(spans("accept", &[3, 0x5000, 0x6000], &mut memory), [(0x5000, 16, Out), (0x6000, 4, InOut)]);
    assert_eq!(spans("getsockname", &[3, 0x5000, 0x6010], &mut memory)[0], (0x5000, 128, Out));
    assert_eq!(
        spans("getsockopt", &[3, 1, 2, 0x5000, 0x6000], &mut memory),
        [(0x5000, 16, InOut), (0x6000, 4, InOut)]
    );
    assert_eq!(spans("recvfrom", &[3, 0x5000, 9, 0, 0, 0], &mut memory), [(0x5000, 9, Out)]);
}

#[test]
fn socket_filters_are_followed() {
    let mut memory = FakeMemory::default();
    memory.u64s(0x5000, &[3, 0x6000]);
    assert_eq!(
        spans("setsockopt", &[3, 1, 26, 0x5000, 16], &mut memory),
        [(0x5000, 16, In), (0x6000, 24, In)]
    );
    assert_eq!(spans("setsockopt", &[3, 1, 2, 0x5000, 4], &mut memory), [(0x5000, 4, In)]);
}

#[test]
fn select_has_words_of_bits_and_a_boxed_mask() {
    assert_eq!(
        flat("select", &[65, 0x5000, 0, 0x6000, 0x7000]),
        [(0x5000, 16, InOut), (0x6000, 16, InOut), (0x7000, 16, InOut)]
    );
    let mut memory = FakeMemory::default();
    memory.u64s(0x8000, &[0x9000, 8]);
    assert_eq!(
        spans("pselect6", &[1, 0x5000, 0, 0, 0, 0x8000], &mut memory),
        [(0x5000, 8, InOut), (0x8000, 16, In), (0x9000, 8, In)]
    );
    assert_eq!(flat("ppoll", &[0x5000, 1, 0, 0x6000, 8]), [(0x5000, 8, InOut), (0x6000, 8, In)]);
}

#[test]
fn structures_that_tell_their_size_are_asked() {
    let mut memory = FakeMemory::default();
    memory.u32(0x5000, 56).u32(0x6000, 1).u32(0x6004, 0).u32(0x7000, 20);
    assert_eq!(spans("sched_setattr", &[0, 0x5000, 0], &mut memory), [(0x5000, 56, InOut)]);
    assert_eq!(spans("perf_event_open", &[0x6000, 0, 0, 0, 0], &mut memory), [(0x6000, 64, InOut)]);
    assert_eq!(
        spans("name_to_handle_at", &[3, 0, 0x7000, 0x8000, 0], &mut memory),
        [(0x7000, 28, InOut), (0x8000, 8, Out)]
    );
    assert_eq!(spans("open_by_handle_at", &[3, 0x7000, 0], &mut memory), [(0x7000, 28, In)]);
}

#[test]
fn capabilities_are_as_long_as_their_version_says() {
    let mut memory = FakeMemory::default();
    memory.u32(0x5000, 0x2008_0522).u32(0x6000, 0x1998_0330);
    assert_eq!(spans("capget", &[0x5000, 0x7000], &mut memory), [(0x5000, 8, InOut), (0x7000, 24, Out)]);
    assert_eq!(spans("capset", &[0x6000, 0x7000], &mut memory), [(0x6000, 8, InOut), (0x7000, 12, In)]);
    assert_eq!(spans("capget", &[0x5000, 0], &mut memory), [(0x5000, 8, InOut)]);
}

#[test]
fn attributes_segments_and_cookies_are_followed() {
    let mut memory = FakeMemory::default();
    memory.put(0x4000, b"user.a\0").u64s(0x5000, &[0x6000, 33]);
    assert_eq!(
        spans("getxattrat", &[3, 0x4000, 0, 0x4000, 0x5000, 16], &mut memory),
        [(0x4000, 7, In), (0x4000, 7, In), (0x5000, 16, In), (0x6000, 33, Out)]
    );
    memory.u64s(0x8000, &[0x9000, 2 << 32]);
    assert_eq!(spans("mq_notify", &[3, 0x8000], &mut memory), [(0x8000, 64, In), (0x9000, 32, In)]);
    memory.u64s(0xa000, &[0xb000, 100, 0, 0]);
    assert_eq!(spans("kexec_load", &[0, 1, 0xa000, 0], &mut memory), [(0xa000, 32, In), (0xb000, 100, In)]);
}

#[test]
fn unknown_calls_get_a_page_at_what_could_be_a_pointer() {
    let mut found = Vec::new();
    unknown_buffers(&[3, 0x5010, u64::MAX, 0, USER_END - 8, 4096], &mut |span| {
        found.push((span.addr, span.len, span.direction));
    });
    assert_eq!(found, [(0x5010, 4096, InOut), (USER_END - 8, 8, InOut), (4096, 4096, InOut)]);
}
