//! Builds small ELF files, field by field, right or wrong.

/// A program header.
#[derive(Clone, Copy, Debug)]
pub struct Ph {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub vaddr: u64,
    pub filesz: u64,
    pub memsz: u64,
    pub align: u64,
}

pub const LOAD: u32 = 1;
pub const INTERP: u32 = 3;
pub const STACK: u32 = 0x6474_e551;
pub const R: u32 = 4;
pub const W: u32 = 2;
pub const X: u32 = 1;

/// A loadable segment.
pub fn load(flags: u32, offset: u64, vaddr: u64, filesz: u64, memsz: u64) -> Ph {
    Ph { kind: LOAD, flags, offset, vaddr, filesz, memsz, align: 0x1000 }
}

/// An ELF file with the given type, program headers directly after the header, and `len` bytes in all.
pub fn elf(kind: u16, headers: &[Ph], len: usize) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(kind.to_le_bytes());
    file.extend(62u16.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(0x40_1000u64.to_le_bytes());
    file.extend(64u64.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.extend(0u32.to_le_bytes());
    for field in [64u16, 56, headers.len() as u16, 64, 0, 0] {
        file.extend(field.to_le_bytes());
    }
    for header in headers {
        file.extend(header.kind.to_le_bytes());
        file.extend(header.flags.to_le_bytes());
        for field in [header.offset, header.vaddr, header.vaddr, header.filesz, header.memsz, header.align] {
            file.extend(field.to_le_bytes());
        }
    }
    file.resize(file.len().max(len), 0xa5);
    file
}

/// A well-formed program: text, read-only data, data with bss, interpreter, stack.
pub fn ordinary() -> Vec<u8> {
    elf(3, &ordinary_headers(), 0x600)
}

/// The headers of [`ordinary`].
pub fn ordinary_headers() -> Vec<Ph> {
    let interp = Ph { kind: INTERP, ..load(R, 0x500, 0x500, 0x1c, 0x1c) };
    let stack = Ph { kind: STACK, ..load(R | W, 0, 0, 0, 0) };
    vec![
        interp,
        load(R, 0, 0, 0x300, 0x300),
        load(R | X, 0x300, 0x1300, 0x100, 0x100),
        load(R, 0x400, 0x2400, 0x80, 0x80),
        load(R | W, 0x480, 0x3480, 0x100, 0x2345),
        stack,
    ]
}

/// The seed corpus of the fuzz target, by name.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut class32 = ordinary();
    class32[4] = 1;
    let mut long_line = b"#!/usr/bin/env -S ".to_vec();
    long_line.resize(300, b'x');
    vec![
        ("ordinary-pie", ordinary()),
        (
            "fixed-static",
            elf(
                2,
                &[load(R | X, 0, 0x40_0000, 0x100, 0x100), load(R | W, 0x100, 0x40_1100, 0x10, 0x5000)],
                0x110,
            ),
        ),
        ("bss-only", elf(3, &[load(R, 0, 0, 0x40, 0x40), load(R | W, 0, 0x1234, 0, 0x3000)], 0)),
        ("read-only-bss", elf(3, &[load(R, 0, 0, 0x80, 0x1080)], 0x200)),
        (
            "shared-page",
            elf(3, &[load(R | X, 0, 0, 0x120, 0x120), load(R | W, 0x120, 0x120, 0x20, 0x2000)], 0x140),
        ),
        ("huge-align", elf(3, &[Ph { align: 1 << 21, ..load(R | W | X, 0, 0, 0x78, 1 << 40) }], 0)),
        ("class-32", class32),
        ("truncated", ordinary()[..0x200].to_vec()),
        ("header-only", ordinary()[..64].to_vec()),
        ("script", b"#!/bin/sh -e\necho\n".to_vec()),
        ("script-long", long_line),
        ("script-nul", b"#! /bin/sh \0\n".to_vec()),
    ]
}
