//! The ELF parser on this machine's own files, and on every kind of wrong one.

mod elf_support;

use elf_support::build::{self, INTERP, Ph, R, W, X, elf, load, ordinary_headers};
use elf_support::{check, parse};
use pager_core::addr::{PageNum, PageRange};
use pager_core::area::Protection;
use pager_core::elf::{ElfError, Header, Kind, Piece, PieceBacking, Program, pieces, script};

fn pages(start: u64, end: u64) -> PageRange {
    PageRange::new(PageNum(start), PageNum(end)).unwrap()
}

fn all_pieces(file: &[u8], bias: u64) -> Vec<Piece> {
    parse(file).unwrap().pieces(bias).collect()
}

#[test]
fn programs_of_this_machine() {
    for path in ["/bin/ls", "/bin/sh", "/usr/bin/env"] {
        let file = std::fs::read(path).unwrap();
        check(&file);
        let program = parse(&file).unwrap();
        assert_eq!(program.header.kind, Kind::Pie, "{path}");
        let interpreter = program.interpreter.unwrap();
        let text = &file[interpreter.offset as usize..][..interpreter.len as usize];
        assert_eq!(text, b"/lib64/ld-linux-x86-64.so.2\0", "{path}");
        assert_eq!(program.phdr_vaddr, Some(program.header.phoff), "{path}");
        assert!(!program.stack_executable, "{path}");
        let text_of_entry =
            program.pieces(0).find(|piece| piece.range.contains(PageNum(program.header.entry >> 12)));
        assert!(text_of_entry.unwrap().protection.contains(Protection::EXEC), "{path}");
    }
}

#[test]
fn the_interpreter_of_this_machine() {
    let file = std::fs::read("/lib64/ld-linux-x86-64.so.2").unwrap();
    check(&file);
    let program = parse(&file).unwrap();
    assert_eq!(program.interpreter, None);
    assert_eq!(program.span().start(), PageNum(0));
}

/// What /proc/self/maps says of this very program is what its pieces say, but for what relocation protected
/// later.
#[test]
fn the_kernel_maps_what_the_pieces_say() {
    let file = std::fs::read("/proc/self/exe").unwrap();
    let path = std::fs::read_link("/proc/self/exe").unwrap();
    let program = parse(&file).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut mapped: Vec<(u64, u64, u64)> = Vec::new();
    for line in maps.lines().filter(|line| line.ends_with(path.to_str().unwrap())) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = fields[0].split_once('-').unwrap();
        let [start, end, offset] = [start, end, fields[2]].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        mapped.push((start, end, offset));
    }
    let bias = mapped[0].0 - (program.span().start().0 << 12);
    for piece in program.pieces(bias) {
        let PieceBacking::File { offset, .. } = piece.backing else { continue };
        for page in piece.range.iter() {
            let address = page.0 << 12;
            let expected = offset + (address - (piece.range.start().0 << 12));
            let line = mapped.iter().find(|(start, end, _)| (*start..*end).contains(&address));
            let (start, _, line_offset) = line.expect("mapped by the kernel too");
            assert_eq!(line_offset + (address - start), expected);
        }
    }
}

#[test]
fn an_ordinary_program_becomes_these_areas() {
    let file = build::ordinary();
    let read = Protection::READ;
    let file_piece = |range, offset, valid, protection| Piece {
        range,
        backing: PieceBacking::File { offset, valid },
        protection,
    };
    let zero =
        Piece { range: pages(0x14, 0x16), backing: PieceBacking::Zero, protection: read | Protection::WRITE };
    let expected = [
        // Where zeros do not begin in the last page, the file shows through up to its end.
        file_piece(pages(0x10, 0x11), 0, 0x600, read),
        file_piece(pages(0x11, 0x12), 0, 0x600, read | Protection::EXEC),
        file_piece(pages(0x12, 0x13), 0, 0x600, read),
        file_piece(pages(0x13, 0x14), 0, 0x580, read | Protection::WRITE),
        zero,
    ];
    assert_eq!(all_pieces(&file, 0x10000), expected);
}

#[test]
fn bss_of_a_read_only_segment_is_writable_and_does_not_zero_the_file_page() {
    let file = elf(3, &[load(R | X, 0, 0, 0x80, 0x1080)], 0x200);
    let [text, bss] = all_pieces(&file, 0)[..] else { panic!("two pieces") };
    assert_eq!(text.backing, PieceBacking::File { offset: 0, valid: 0x200 });
    assert_eq!((bss.range, bss.backing), (pages(1, 2), PieceBacking::Zero));
    assert_eq!(bss.protection, Protection::READ | Protection::WRITE | Protection::EXEC);
}

#[test]
fn a_segment_without_file_bytes_is_zeros_from_its_first_page() {
    let program = parse(&elf(3, &[load(R | W, 3, 0x1234, 0, 0x2000)], 0)).unwrap();
    let [bss] = program.pieces(0).collect::<Vec<_>>()[..] else { panic!("one piece") };
    assert_eq!((bss.range, bss.backing), (pages(1, 4), PieceBacking::Zero));
}

#[test]
fn zeros_that_end_inside_the_last_file_page_need_no_page_of_their_own() {
    let program = parse(&elf(3, &[load(R | W, 0, 0, 0x80, 0x100)], 0x200)).unwrap();
    let [data] = program.pieces(0).collect::<Vec<_>>()[..] else { panic!("one piece") };
    assert_eq!(data.backing, PieceBacking::File { offset: 0, valid: 0x80 });
}

#[test]
fn a_page_that_two_segments_share_is_the_later_ones() {
    let file = elf(3, &[load(R | X, 0, 0, 0x1120, 0x1120), load(R | W, 0x1120, 0x1120, 0x20, 0x20)], 0x1140);
    let [text, data] = all_pieces(&file, 0)[..] else { panic!("two pieces") };
    assert_eq!((text.range, text.backing), (pages(0, 1), PieceBacking::File { offset: 0, valid: 0x1000 }));
    assert_eq!(
        (data.range, data.backing),
        (pages(1, 2), PieceBacking::File { offset: 0x1000, valid: 0x140 })
    );
}

#[test]
fn a_bias_out_of_user_space_yields_nothing() {
    let program = parse(&build::ordinary()).unwrap();
    assert_eq!(
        program.pieces(0x7fff_ffff_e000).filter(|piece| piece.range.end().0 > 0x7_ffff_ffff).count(),
        0
    );
    assert_eq!(pieces(&program.segments[0], u64::MAX - 0xfff).count(), 0);
}

#[test]
fn stack_and_alignment_are_read() {
    let mut headers = ordinary_headers();
    headers[5].flags = R | W | X;
    headers[2].align = 0x20_0000;
    headers[3].align = 3;
    let program = parse(&elf(3, &headers, 0x600)).unwrap();
    assert!(program.stack_executable);
    assert_eq!(program.align, 0x20_0000);
}

/// The ordinary program with bytes of its ELF header replaced.
fn with_bytes(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = build::ordinary();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn with_segment(change: impl Fn(&mut Ph)) -> Vec<u8> {
    let mut headers = ordinary_headers();
    change(&mut headers[3]);
    elf(3, &headers, 0x600)
}

#[test]
fn every_wrong_header_has_its_error() {
    let cases: [(Vec<u8>, ElfError); 16] = [
        (Vec::new(), ElfError::NotElf),
        (b"\x7fEL".to_vec(), ElfError::NotElf),
        (b"#!/bin/sh\n".to_vec(), ElfError::NotElf),
        (b"\x7fELF".to_vec(), ElfError::HeaderTruncated { have: 4 }),
        (build::ordinary()[..63].to_vec(), ElfError::HeaderTruncated { have: 63 }),
        (with_bytes(4, &[1]), ElfError::Class32),
        (with_bytes(4, &[7]), ElfError::Class(7)),
        (with_bytes(5, &[2]), ElfError::ByteOrder(2)),
        (with_bytes(6, &[9]), ElfError::Version(9)),
        (with_bytes(20, &[2]), ElfError::Version(2)),
        (with_bytes(16, &[1]), ElfError::Type(1)),
        (with_bytes(18, &[183]), ElfError::Machine(183)),
        (with_bytes(54, &[32]), ElfError::EntrySize(32)),
        (with_bytes(56, &[0]), ElfError::NoTable),
        (with_bytes(56, &[0xff, 0xff]), ElfError::TableTooLarge { entries: 0xffff }),
        (with_bytes(32, &0x500u64.to_le_bytes()), ElfError::TableOutsideFile { offset: 0x500 }),
    ];
    for (file, error) in cases {
        assert_eq!(parse(&file), Err(error));
    }
    let wrapping = with_bytes(32, &u64::MAX.to_le_bytes());
    assert_eq!(parse(&wrapping), Err(ElfError::TableOutsideFile { offset: u64::MAX }));
    assert_eq!(
        parse(&with_bytes(56, &[1, 0])).unwrap_err(),
        ElfError::NoSegment,
        "only the interpreter is left"
    );
}

#[test]
fn every_wrong_segment_has_its_error() {
    let segment = 3;
    let cases: [(Vec<u8>, ElfError); 8] = [
        (with_segment(|ph| ph.filesz = 0x81), ElfError::FileLarger { segment, filesz: 0x81 }),
        (with_segment(|ph| ph.offset = 0x401), ElfError::NotCongruent { segment, vaddr: 0x2400 }),
        (with_segment(|ph| ph.offset = 0x1400), ElfError::Truncated { segment, end: 0x1480 }),
        (with_segment(|ph| ph.offset = u64::MAX), ElfError::Truncated { segment, end: u64::MAX }),
        (with_segment(|ph| ph.vaddr = 0x13ff), ElfError::NotCongruent { segment, vaddr: 0x13ff }),
        (
            with_segment(|ph| (ph.vaddr, ph.offset) = (0x13ff, 0x3ff)),
            ElfError::Overlap { segment, vaddr: 0x13ff },
        ),
        (with_segment(|ph| ph.memsz = 1 << 47), ElfError::OutsideUser { segment, vaddr: 0x2400 }),
        (
            with_segment(|ph| ph.vaddr = u64::MAX - 0x7f),
            ElfError::OutsideUser { segment, vaddr: u64::MAX - 0x7f },
        ),
    ];
    for (file, error) in cases {
        assert_eq!(parse(&file), Err(error));
    }
}

#[test]
fn every_wrong_interpreter_has_its_error() {
    for (offset, len) in [(0x500, 0), (0x500, 1), (0x500, 4097), (0x600, 28), (u64::MAX, 28)] {
        let mut headers = ordinary_headers();
        headers[0] = Ph { kind: INTERP, ..load(R, offset, 0x500, len, len) };
        assert_eq!(parse(&elf(3, &headers, 0x600)), Err(ElfError::Interpreter { segment: 0, len }));
    }
}

#[test]
fn a_table_of_which_less_was_read_is_refused() {
    let file = build::ordinary();
    let header = Header::parse(&file, file.len() as u64).unwrap();
    let short = Program::parse(header, &file[64..64 + 100], file.len() as u64);
    assert_eq!(short, Err(ElfError::TableShort { have: 100 }));
}

#[test]
fn errors_cross_the_control_block() {
    let errors = [
        ElfError::NotElf,
        ElfError::Class32,
        ElfError::Class(255),
        ElfError::ByteOrder(2),
        ElfError::Version(u32::MAX),
        ElfError::Machine(u16::MAX),
        ElfError::Type(4),
        ElfError::HeaderTruncated { have: 63 },
        ElfError::EntrySize(32),
        ElfError::NoTable,
        ElfError::TableTooLarge { entries: 1171 },
        ElfError::TableOutsideFile { offset: 0x7fff_1234_5678 },
        ElfError::TableShort { have: 1 },
        ElfError::NoSegment,
        ElfError::Truncated { segment: 1169, end: 0x1234 },
        ElfError::FileLarger { segment: 0, filesz: 1 },
        ElfError::NotCongruent { segment: 3, vaddr: 0x7fff_ffff_efff },
        ElfError::OutsideUser { segment: 3, vaddr: 0xffff_ffff_ffff },
        ElfError::Overlap { segment: 3, vaddr: 0 },
        ElfError::Interpreter { segment: 1, len: 4097 },
    ];
    for error in errors {
        assert_eq!(ElfError::from_code(error.code()), error);
        assert!(!error.to_string().is_empty());
    }
    for code in [0, u64::MAX, 21 << 59] {
        assert_eq!(ElfError::from_code(code), ElfError::Unknown);
    }
    let far = ElfError::OutsideUser { segment: 2, vaddr: u64::MAX };
    assert_eq!(ElfError::from_code(far.code()), ElfError::OutsideUser { segment: 2, vaddr: (1 << 48) - 1 });
}

#[test]
fn scripts_are_read_as_linux_reads_them() {
    let full = |start: &[u8], fill: u8| {
        let mut line = start.to_vec();
        line.resize(256, fill);
        line
    };
    /// Interpreter and argument.
    type Read<'a> = Option<(&'a [u8], Option<&'a [u8]>)>;
    let cases: [(&[u8], Read<'_>); 17] = [
        (b"#!/bin/sh\n", Some((b"/bin/sh", None))),
        (b"#! \t/bin/sh \t\nrest", Some((b"/bin/sh", None))),
        (b"#!/bin/sh -e  -u \n", Some((b"/bin/sh", Some(b"-e  -u")))),
        (b"#!/usr/bin/env\tpython3\n", Some((b"/usr/bin/env", Some(b"python3")))),
        (b"#!/bin/sh", Some((b"/bin/sh", None))),
        (b"#!/bin/sh -e", Some((b"/bin/sh", Some(b"-e")))),
        (b"#!/bin/sh ", Some((b"/bin/sh", Some(b"")))),
        (b"#!/bin/sh\0 -e\n", Some((b"/bin/sh", None))),
        (b"#!", Some((b"", None))),
        (b"#!\n/bin/sh\n", None),
        (b"#!   \n", None),
        (b"#/bin/sh\n", None),
        (b"", None),
        (&full(b"#!/bin/sh ", b'x'), Some((b"/bin/sh", Some(&[b'x'; 245])))),
        (&full(b"#!/bin/", b'x'), None),
        (&full(b"#!", b' '), None),
        (b"#!/bin/sh\r\n", Some((b"/bin/sh\r", None))),
    ];
    for (line, expected) in cases {
        let read = script(line).map(|script| (script.interpreter, script.argument));
        assert_eq!(read, expected, "{}", String::from_utf8_lossy(line));
    }
}
