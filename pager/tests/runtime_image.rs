//! What the runtime image must not have: relocations, thread-local storage, an interpreter, anything outside
//! its reserved range.
//!
//! Assumes nothing: reads the image that the command embeds.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, Register};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Object, ObjectSection, elf};

/// The runtime's part of the address space (`pager_runtime::arena::RESERVED`).
const RESERVED: std::ops::Range<u64> = 0x5500_0000_0000..0x5540_0000_0000;

fn image() -> Vec<u8> {
    std::fs::read(env!("PAGER_RUNTIME_IMAGE")).expect("the build script made the image")
}

fn instructions(text: &[u8], address: u64) -> impl Iterator<Item = Instruction> {
    let mut decoder = Decoder::with_ip(64, text, address, DecoderOptions::NONE);
    let mut found = Vec::new();
    while decoder.can_decode() {
        found.push(decoder.decode());
    }
    found.into_iter()
}

fn with_text(look: impl Fn(&[u8], u64)) {
    let bytes = image();
    let file = ElfFile64::<object::Endianness>::parse(&*bytes).expect("an ELF file");
    let text = file.section_by_name(".text").expect("there is code");
    look(text.data().expect("the code can be read"), text.address());
}

#[test]
fn nothing_is_relocated_and_nobody_interprets_it() {
    let bytes = image();
    let file = ElfFile64::<object::Endianness>::parse(&*bytes).expect("an ELF file");
    assert!(
        file.sections().all(|section| section.relocations().next().is_none()),
        "a section has relocations"
    );
    assert!(
        file.dynamic_relocations().is_none_or(|mut all| all.next().is_none()),
        "there are dynamic relocations"
    );
    let endian = object::Endianness::Little;
    for header in file.elf_program_headers() {
        let kind = header.p_type(endian);
        assert!(
            ![elf::PT_INTERP, elf::PT_DYNAMIC, elf::PT_TLS].contains(&kind),
            "program header of type {kind}"
        );
        if kind == elf::PT_LOAD {
            let (start, len) = (header.p_vaddr(endian), header.p_memsz(endian));
            assert!(RESERVED.contains(&start) && RESERVED.contains(&(start + len)), "segment at {start:#x}");
            let writable_code = elf::PF_W | elf::PF_X;
            assert_ne!(header.p_flags(endian) & writable_code, writable_code, "segment at {start:#x}");
        }
    }
}

/// FS and GS are the program's.
#[test]
fn no_instruction_uses_a_segment_of_the_program() {
    with_text(|text, address| {
        for instruction in instructions(text, address) {
            let segment = instruction.segment_prefix();
            assert!(
                !matches!(segment, Register::FS | Register::GS),
                "{segment:?} is used at {:#x}",
                instruction.ip()
            );
        }
    });
}

/// Calls are not trapped when the address behind the instruction lies in the text: the last one may not be
/// its end.
#[test]
fn calls_are_made_well_inside_the_text() {
    with_text(|text, address| {
        let end = address + text.len() as u64;
        let calls: Vec<u64> = instructions(text, address)
            .filter(|instruction| instruction.mnemonic() == Mnemonic::Syscall)
            .map(|instruction| instruction.next_ip())
            .collect();
        assert!(calls.len() > 5, "the runtime makes system calls");
        assert!(calls.iter().all(|behind| *behind < end), "a call is the last instruction");
    });
}

/// A program that writes over the runtime's data must not make its handlers jump to nowhere, and fault there
/// for ever.
#[test]
fn no_call_goes_by_an_address_in_writable_memory() {
    let bytes = image();
    let file = ElfFile64::<object::Endianness>::parse(&*bytes).expect("an ELF file");
    let endian = object::Endianness::Little;
    let writable: Vec<_> = file
        .elf_program_headers()
        .iter()
        .filter(|header| header.p_type(endian) == elf::PT_LOAD && header.p_flags(endian) & elf::PF_W != 0)
        .map(|header| header.p_vaddr(endian)..header.p_vaddr(endian) + header.p_memsz(endian))
        .collect();
    assert!(!writable.is_empty(), "the runtime has data");
    with_text(|text, address| {
        let by_memory: Vec<_> = instructions(text, address)
            .filter(|instruction| instruction.is_call_near_indirect() || instruction.is_jmp_near_indirect())
            .filter(Instruction::is_ip_rel_memory_operand)
            .collect();
        assert!(by_memory.len() > 100, "the runtime calls by its table of addresses");
        for instruction in by_memory {
            let at = instruction.ip_rel_memory_address();
            assert!(
                !writable.iter().any(|data| data.contains(&at)),
                "the one at {:#x} does",
                instruction.ip()
            );
        }
    });
}

/// With a debug build every acquisition of a lock is checked; `pager_core::rank` tests that each reversed
/// pair is caught.
#[test]
fn a_debug_build_checks_the_order_of_locks() {
    let bytes = image();
    let says = bytes.windows(12).any(|text| text == b"lock order: ");
    assert_eq!(says, cfg!(debug_assertions), "what a lock out of order says");
}
