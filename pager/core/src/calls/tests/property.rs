//! Whatever the arguments and the memory are: no panic, bounded work, spans that keep their promise.

use super::*;
use crate::addr::USER_END;
use proptest::prelude::*;

/// Memory that is everywhere, and full of one pattern: the worst case for whatever loops.
struct Endless {
    pattern: [u8; 8],
    reads: u64,
    bytes: u64,
}

impl UserMemory for Endless {
    fn read(&mut self, addr: u64, into: &mut [u8]) -> Result<(), Fault> {
        assert!(addr.checked_add(into.len() as u64).is_some_and(|end| end <= USER_END));
        assert!(into.len() <= 256);
        self.reads += 1;
        self.bytes += into.len() as u64;
        for (at, byte) in (addr..).zip(into) {
            *byte = self.pattern[(at % 8) as usize];
        }
        Ok(())
    }
}

/// Checks one expansion against the promises of [`buffers`].
fn keeps_its_promises(row: &Row, args: &[u64; 6], memory: &mut impl UserMemory) -> u32 {
    let mut found = 0;
    let _ = buffers(row, args, memory, &mut |span| {
        found += 1;
        assert!(span.len > 0, "{}: an empty span", row.name);
        assert!(span.addr >= PAGE, "{}: {span:?}", row.name);
        assert!(span.addr.checked_add(span.len).is_some_and(|end| end <= USER_END), "{}: {span:?}", row.name);
        assert!(span.len <= 0x7fff_f000, "{}: {span:?}", row.name);
    });
    assert!(found <= MAX_SPANS, "{}: {found} spans", row.name);
    found
}

/// Numbers of the kinds that calls are given: small, commands, addresses, all ones.
fn argument() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..64,
        0u64..0x6000,
        Just(0x5000u64),
        0x5000u64..0x9000,
        (0u64..1 << 32),
        any::<u64>(),
        Just(u64::MAX),
        Just(USER_END - 3),
        Just(0x7fff_ffff),
    ]
}

proptest! {
    #[test]
    fn any_call_in_sparse_memory(number in 0..ROWS as u64, args: [u64; 6], words in prop::collection::vec(argument(), 1024)) {
        let Some(row) = row(number) else { return Ok(()) };
        let mut memory = FakeMemory::default();
        memory.u64s(0x5000, &words).u64s(0x8000, &words[..64]);
        keeps_its_promises(row, &args, &mut memory);
    }

    #[test]
    fn any_call_with_likely_arguments(number in 0..ROWS as u64, args in prop::array::uniform6(argument()), words in prop::collection::vec(argument(), 1024)) {
        let Some(row) = row(number) else { return Ok(()) };
        let mut memory = FakeMemory::default();
        memory.u64s(0x5000, &words).u64s(0x8000, &words[..64]);
        keeps_its_promises(row, &args, &mut memory);
    }

    #[test]
    fn work_is_bounded_where_memory_never_ends(number in 0..ROWS as u64, args in prop::array::uniform6(argument()), word in argument()) {
        let Some(row) = row(number) else { return Ok(()) };
        let mut memory = Endless { pattern: word.to_le_bytes(), reads: 0, bytes: 0 };
        keeps_its_promises(row, &args, &mut memory);
        prop_assert!(memory.bytes <= 24 << 20, "{}: {} bytes read", row.name, memory.bytes);
    }

    #[test]
    fn the_safety_net_keeps_them_too(args in prop::array::uniform6(argument())) {
        unknown_buffers(&args, &mut |span| {
            assert!((1..=PAGE).contains(&span.len));
            assert!(span.addr + span.len <= USER_END);
        });
    }
}

#[test]
fn a_million_empty_iovecs_are_not_a_million_spans() {
    // Each word of memory is 1024: a count, and neither a pointer nor a text.
    let mut memory = Endless { pattern: 1024u64.to_le_bytes(), reads: 0, bytes: 0 };
    keeps_its_promises(named("sendmmsg"), &args(&[3, 0x5000, 1024, 0]), &mut memory);
    assert!(memory.reads <= u64::from(MAX_SPANS), "{} reads", memory.reads);
    // Each is a pointer whose upper half makes the counts too big.
    let mut memory = Endless { pattern: 0x5000u64.to_le_bytes(), reads: 0, bytes: 0 };
    keeps_its_promises(named("recvmmsg"), &args(&[3, 0x5000, 1024, 0, 0]), &mut memory);
    assert!(memory.reads <= 2048, "{} reads", memory.reads);
}

#[test]
fn a_vector_of_texts_without_end_ends() {
    let mut memory = Endless { pattern: *b"aaaaaaaa", reads: 0, bytes: 0 };
    keeps_its_promises(named("execve"), &args(&[0x5000, 0x5000, 0x5000]), &mut memory);
    assert!(memory.bytes <= 17 << 20, "{} bytes read", memory.bytes);
    let mut memory = Endless { pattern: 0x0000_0000_0061_5000u64.to_le_bytes(), reads: 0, bytes: 0 };
    keeps_its_promises(named("execve"), &args(&[0x5000, 0x5000, 0x5000]), &mut memory);
    assert!(memory.reads <= 1 << 22, "{} reads", memory.reads);
}
