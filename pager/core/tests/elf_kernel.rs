//! That this kernel maps a segment as `elf::pieces` says, where the two could be thought to differ. Assumes
//! that `CARGO_TARGET_TMPDIR` may hold programs.

mod elf_support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use elf_support::build::{R, W, X, elf, load};
use elf_support::parse;
use pager_core::addr::PageNum;
use pager_core::area::Protection;
use pager_core::elf::PieceBacking;

const BASE: u64 = 0x40_0000;
/// What the file holds after the segment's 0x100 bytes.
const FILLER: i32 = 0xa5;

/// A program of one segment which stores to its second page, whose bytes are all past `filesz`, and exits
/// with a byte of the first, after `filesz`.
fn program(flags: u32) -> Vec<u8> {
    let code: [u8; 23] = [
        0xc6, 0x04, 0x25, 0x00, 0x18, 0x40, 0x00, 0x01, // mov byte ptr [0x401800], 1
        0x0f, 0xb6, 0x3c, 0x25, 0x80, 0x01, 0x40, 0x00, // movzx edi, byte ptr [0x400180]
        0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, 60
        0x0f, 0x05, // syscall
    ];
    let mut file = elf(2, &[load(flags, 0, BASE, 0x100, 0x2000)], 0x200);
    file[0x78..0x78 + code.len()].copy_from_slice(&code);
    file[24..32].copy_from_slice(&(BASE + 0x78).to_le_bytes());
    file
}

fn run(name: &str, file: &[u8]) -> Option<i32> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, file).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Command::new(&path).status().unwrap().code()
}

/// Version of the running kernel. Before 6.6 a read-only segment with bss could not be run at all.
fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// One test, because a fork in another thread while a program is being written makes it "busy".
#[test]
#[cfg_attr(miri, ignore = "runs programs")]
fn bss_is_mapped_as_the_kernel_maps_it() {
    let read_only = program(R | X);
    let pieces: Vec<_> = parse(&read_only).unwrap().pieces(0).collect();
    assert_eq!(pieces[0].backing, PieceBacking::File { offset: 0, valid: 0x200 });
    assert!(pieces[1].range.contains(PageNum(0x401)) && pieces[1].protection.contains(Protection::WRITE));
    if kernel() >= (6, 6) {
        assert_eq!(
            run("read-only-bss", &read_only),
            Some(FILLER),
            "bss can be written, the page before it is not zeroed"
        );
    }

    let writable = program(R | W | X);
    let pieces: Vec<_> = parse(&writable).unwrap().pieces(0).collect();
    assert_eq!(pieces[0].backing, PieceBacking::File { offset: 0, valid: 0x100 });
    assert_eq!(
        run("writable-bss", &writable),
        Some(0),
        "the page before it is zeroed from where the file bytes end"
    );
}
