//! ioctl, by request.

use super::super::ioctl;
use super::*;

fn request(request: u64) -> Vec<(u64, u64, Direction)> {
    flat("ioctl", &[3, request, 0x5000])
}

#[test]
fn the_table_is_in_order() {
    assert_eq!(ioctl::out_of_order(), None);
}

#[test]
fn terminals() {
    assert_eq!(request(0x5401), [(0x5000, 36, Out)], "TCGETS");
    assert_eq!(request(0x5404), [(0x5000, 36, In)], "TCSETSF");
    assert_eq!(request(0x5413), [(0x5000, 8, Out)], "TIOCGWINSZ");
    assert_eq!(request(0x540b), [], "TCFLSH");
    assert_eq!(request(0x541b), [(0x5000, 4, Out)], "FIONREAD");
    assert_eq!(request(0x5421), [(0x5000, 4, In)], "FIONBIO");
    assert_eq!(request(0x5451), [], "FIOCLEX");
    assert_eq!(request(0x802c_542a), [(0x5000, 44, Out)], "TCGETS2 says it itself");
    assert_eq!(request(0x8004_5430), [(0x5000, 4, Out)], "TIOCGPTN says it itself");
}

#[test]
fn requests_that_say_it_themselves() {
    assert_eq!(request(0x4020_940d), [(0x5000, 32, In)], "FICLONERANGE");
    assert_eq!(request(0x8008_1272), [(0x5000, 8, Out)], "BLKGETSIZE64");
    assert_eq!(request(0xc048_1273), [(0x5000, 72, InOut)], "BLKTRACESETUP");
}

#[test]
fn requests_that_lie() {
    assert_eq!(request(0x4004_9409), [], "FICLONE takes a descriptor");
    assert_eq!(request(0x4004_54ca), [(0x5000, 40, InOut)], "TUNSETIFF takes an ifreq");
    assert_eq!(request(0x4004_4590), [], "EVIOCGRAB takes a number");
}

#[test]
fn requests_that_say_nothing_get_a_page() {
    assert_eq!(request(0x4b3a), [(0x5000, 4096, InOut)]);
    assert_eq!(flat("ioctl", &[3, 0x4b3a, 7]), [], "a number");
}

#[test]
fn upper_bits_of_the_request_do_not_count() {
    assert_eq!(request(0xffff_ffff_0000_5401), [(0x5000, 36, Out)]);
}

#[test]
fn interfaces() {
    let mut memory = FakeMemory::default();
    memory.u64s(0x5000, &[400, 0x6000, 0, 0, 0]);
    assert_eq!(spans("ioctl", &[3, 0x8912, 0x5000], &mut memory), [(0x5000, 16, InOut), (0x6000, 400, Out)]);
    assert_eq!(request(0x8915), [(0x5000, 40, InOut)]);
    memory.u64s(0x5010, &[0x7000]);
    assert_eq!(
        spans("ioctl", &[3, 0x8946, 0x5000], &mut memory),
        [(0x5000, 40, InOut), (0x7000, 4096, InOut)]
    );
}

#[test]
fn structures_that_go_on() {
    let mut memory = FakeMemory::default();
    memory.put(0x5000, &[0; 256]).u32(0x5018, 10);
    assert_eq!(spans("ioctl", &[3, 0xc020_660b, 0x5000], &mut memory), [(0x5000, 32 + 560, InOut)], "FIEMAP");
    memory.u32(0x5010, 2);
    assert_eq!(
        spans("ioctl", &[3, 0xc018_9436, 0x5000], &mut memory),
        [(0x5000, 24 + 64, InOut)],
        "FIDEDUPERANGE"
    );
    memory.put(0x5000, &[1, 0, 32, 0]);
    assert_eq!(
        spans("ioctl", &[3, 0xc004_6686, 0x5000], &mut memory),
        [(0x5000, 36, InOut)],
        "FS_IOC_MEASURE_VERITY"
    );
    memory.u32(0x500c, 16384);
    assert_eq!(
        spans("ioctl", &[3, 0xc138_fd00, 0x5000], &mut memory),
        [(0x5000, 16384, InOut)],
        "DM_VERSION"
    );
}

#[test]
fn structures_that_point_on() {
    let mut memory = FakeMemory::default();
    memory.put(0x5000, &[0; 128]).u32(0x5008, 152).u64s(0x5010, &[0x6000]);
    assert_eq!(
        spans("ioctl", &[3, 0x1269, 0x5000], &mut memory),
        [(0x5000, 24, InOut), (0x6000, 152, InOut)],
        "BLKPG"
    );
    memory.put(0x5008, &[6, 32, 0, 0]).u32(0x500c, 512).u64s(0x5010, &[0x6000, 0x7000, 0x8000]);
    assert_eq!(
        spans("ioctl", &[3, 0x2285, 0x5000], &mut memory),
        [(0x5000, 88, InOut), (0x7000, 6, In), (0x8000, 32, Out), (0x6000, 512, InOut)],
        "SG_IO"
    );
}
