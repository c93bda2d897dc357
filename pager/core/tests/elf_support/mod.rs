//! What the ELF tests and the fuzz target share: a builder of small files, and what must hold for any bytes
//! at all.
#![allow(dead_code, reason = "each user needs a part")]

pub mod build;

use pager_core::addr::{PAGE_SIZE, PageNum, USER_END, VirtAddr};
use pager_core::area::{
    Area, AreaTree, ForkPolicy, Growth, Holding, ImageId, Key, Locking, PageSource, Protection, Role, Sealing,
};
use pager_core::elf::{ElfError, Header, Program, SCRIPT_BYTES, Segment, pieces, script};

/// Biases that a position-independent program is tried at.
const BIASES: [u64; 3] = [0, 0x5555_5555_4000, USER_END - PAGE_SIZE];

/// Reads a file, all of whose bytes are `file`, as an exec would.
pub fn parse(file: &[u8]) -> Result<Program, ElfError> {
    let len = file.len() as u64;
    let header = Header::parse(&file[..file.len().min(SCRIPT_BYTES)], len)?;
    let table = &file[header.phoff as usize..][..header.table_bytes() as usize];
    Program::parse(header, table, len)
}

/// Checks what must hold for any file: no panic, and either an error that survives the control block, or a
/// program that can be mapped.
pub fn check(file: &[u8]) {
    if let Some(script) = script(file) {
        assert!(script.interpreter.len() + script.argument.map_or(0, <[u8]>::len) < SCRIPT_BYTES);
        assert!(!script.interpreter.contains(&0) && !script.interpreter.contains(&b'\n'));
    }
    match parse(file) {
        Err(error) => {
            let code = error.code();
            assert_ne!(ElfError::from_code(code), ElfError::Unknown);
            assert_eq!(ElfError::from_code(code).code(), code);
        }
        Ok(program) => {
            check_segments(&program, file.len() as u64);
            BIASES.iter().for_each(|&bias| check_pieces(&program, bias));
        }
    }
}

fn check_segments(program: &Program, file_len: u64) {
    let span = program.span();
    let mut reached = 0;
    assert!(!program.segments.is_empty());
    for segment in &program.segments {
        assert!(segment.vaddr >= reached && segment.memsz > 0);
        reached = segment.vaddr + segment.memsz;
        assert!(reached <= USER_END && segment.filesz <= segment.memsz);
        assert!(segment.filesz == 0 || segment.offset + segment.filesz <= file_len);
        assert!(span.contains(VirtAddr(segment.vaddr).page()) && span.contains(VirtAddr(reached - 1).page()));
    }
    assert!(program.align.is_power_of_two() && program.align >= PAGE_SIZE);
    if let Some(interpreter) = program.interpreter {
        assert!(interpreter.offset + interpreter.len <= file_len);
    }
}

/// The pieces are disjoint areas which hold every byte of every segment, from where it has to come.
fn check_pieces(program: &Program, bias: u64) {
    let mut tree = AreaTree::new();
    for piece in program.pieces(bias) {
        assert!(piece.range.end() <= VirtAddr(USER_END).page());
        tree.insert(Area {
            range: piece.range,
            protection: piece.protection,
            holding: Holding::Private,
            backing: piece.backing.of(ImageId(1)),
            fork: ForkPolicy::Copy,
            role: Role::Data,
            locking: Locking::Pageable,
            growth: Growth::Fixed,
            sealing: Sealing::Open,
            key: Key::Number(0),
        })
        .expect("pieces are disjoint");
    }
    if bias.checked_add(program.span().end().start().0).is_none_or(|end| end > USER_END) {
        return;
    }
    for (index, segment) in program.segments.iter().enumerate() {
        let shared_from =
            program.segments.get(index + 1).map_or(u64::MAX, |next| next.vaddr & !(PAGE_SIZE - 1));
        check_bytes(&tree, segment, bias, shared_from);
        assert!(pieces(segment, bias).count() <= 2);
    }
}

/// Looks at the bytes around the edges of a segment, below the page that the next segment shares with it.
fn check_bytes(tree: &AreaTree, segment: &Segment, bias: u64, shared_from: u64) {
    let edges = [0, PAGE_SIZE, segment.filesz, segment.memsz];
    let near = |edge: u64| [edge.wrapping_sub(1), edge, edge.saturating_add(1)];
    for into in edges.into_iter().flat_map(near).filter(|&into| into < segment.memsz) {
        let vaddr = segment.vaddr + into;
        if vaddr >= shared_from {
            continue;
        }
        let address = VirtAddr(vaddr + bias);
        let area = tree.find(address.page()).expect("every byte of a segment has an area");
        let from_file = match area.backing_at(PageNum(address.page().0)) {
            PageSource::Zero => None,
            PageSource::Image { offset, valid_bytes, .. } => {
                Some(offset + address.page_offset()).filter(|_| address.page_offset() < valid_bytes.into())
            }
        };
        if into < segment.filesz {
            assert_eq!(from_file, Some(segment.offset + into), "byte {into:#x} of {segment:x?}");
        } else if segment.protection.contains(Protection::WRITE) {
            assert_eq!(from_file, None, "byte {into:#x} of {segment:x?}");
        }
    }
}
