//! The table as a whole.

use super::*;

/// Number and name of every call of the kernel.
fn listed() -> Vec<(u64, &'static str)> {
    include_str!("../fixtures/unistd_64.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("number and name"))
        .map(|(number, name)| (number.parse().expect("a number"), name))
        .collect()
}

#[test]
fn every_call_of_the_kernels_list_has_its_row() {
    let listed = listed();
    assert_eq!(listed.len(), 383);
    for (number, name) in &listed {
        let row = row(*number).unwrap_or_else(|| panic!("no row for {number} {name}"));
        assert_eq!((u64::from(row.number), row.name), (*number, *name));
    }
    let rows = (0..ROWS as u64).filter(|&number| row(number).is_some()).count();
    assert_eq!(rows, listed.len(), "rows that the kernel does not have");
}

#[test]
fn the_list_agrees_with_the_headers_of_this_machine() {
    let Ok(header) = std::fs::read_to_string("/usr/include/x86_64-linux-gnu/asm/unistd_64.h") else { return };
    for line in header.lines() {
        let Some((name, number)) = line.strip_prefix("#define __NR_").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let number: u64 = number.trim().parse().expect("a number");
        // A header newer than Linux 6.18 may know more.
        if number < ROWS as u64 {
            assert_eq!(row(number).map(|row| row.name), Some(name));
        }
    }
}

#[test]
fn numbers_without_a_call_have_no_row() {
    for number in [337, 423, 470, 512, 547, 0x4000_0000, u64::MAX, 1 << 32] {
        assert_eq!(row(number), None, "{number}");
    }
}

#[test]
fn arguments_that_rows_speak_of_exist() {
    for row in (0..ROWS as u64).filter_map(row) {
        let fits = |argument: u8| assert!(argument < row.arguments, "{}: argument {argument}", row.name);
        assert!(row.arguments <= 6, "{}", row.name);
        for pointer in row.pointers {
            fits(pointer.argument);
            if let Shape::Buffer(_, length) = pointer.shape {
                match length {
                    Length::Fixed(size) => assert!(size > 0, "{}", row.name),
                    Length::Arg(at) | Length::UpTo(at, _) | Length::Int(at, _) | Length::ArgTimes(at, _) => {
                        fits(at)
                    }
                    Length::ArgPlus(at, _) | Length::Pointed(at) | Length::Bits(at) | Length::Pages(at) => {
                        fits(at)
                    }
                }
            }
        }
        match row.chunk {
            Chunk::Whole => {}
            Chunk::Header { header_arg } => {
                assert!(row.pointers.iter().any(|pointer| pointer.argument == header_arg), "{}", row.name);
            }
            Chunk::Stream { buffer_arg, length_arg }
            | Chunk::Message { buffer_arg, length_arg }
            | Chunk::Shorter { buffer_arg, length_arg } => {
                fits(buffer_arg);
                fits(length_arg);
            }
            Chunk::Positioned { buffer_arg, length_arg, offset_arg } => {
                [buffer_arg, length_arg, offset_arg].map(fits).into_iter().collect()
            }
            Chunk::Vector { vector_arg, count_arg, offset_arg } => {
                fits(vector_arg);
                fits(count_arg);
                offset_arg.into_iter().for_each(fits);
            }
        }
    }
}

#[test]
fn routes_agree_with_pointers() {
    for row in (0..ROWS as u64).filter_map(row) {
        match row.route {
            Route::Straight | Route::Refused(_) => assert!(row.pointers.is_empty(), "{}", row.name),
            Route::Filled | Route::Repeated => assert!(!row.pointers.is_empty(), "{}", row.name),
            Route::Managed(_) | Route::Virtual(_) => {}
        }
        if let Route::Refused(errno) = row.route {
            assert!((1..134).contains(&errno), "{}", row.name);
        }
    }
}

#[test]
fn calls_that_signals_end_are_told_apart() {
    use Restart::{Always, NeverAfterHandler, Restartable, Uninterruptible};
    // signal(7), "Interruption of system calls and library functions by signal handlers".
    for name in [
        "read",
        "writev",
        "wait4",
        "waitid",
        "accept4",
        "recvmsg",
        "flock",
        "mq_timedsend",
        "getrandom",
        "open",
    ] {
        assert_eq!(named(name).restart, Restartable, "{name}");
    }
    let never = [
        "pause",
        "rt_sigsuspend",
        "rt_sigtimedwait",
        "epoll_wait",
        "epoll_pwait2",
        "poll",
        "ppoll",
        "select",
        "pselect6",
        "msgrcv",
        "msgsnd",
        "semop",
        "semtimedop",
        "clock_nanosleep",
        "nanosleep",
    ];
    for name in never {
        assert_eq!(named(name).restart, NeverAfterHandler, "{name}");
    }
    for name in ["kill", "tgkill", "getpid", "mmap", "close", "stat", "clock_gettime"] {
        assert_eq!(named(name).restart, Uninterruptible, "{name}");
    }
    assert_eq!(named("fork").restart, Always);
}

#[test]
fn arguments_tell_whether_this_very_call_waits() {
    use Restart::{Always, NeverAfterHandler, Restartable, Uninterruptible};
    let futex = |operation, timeout| blocking(named("futex"), &args(&[0x1000, operation, 0, timeout]));
    assert_eq!(futex(128, 0), Restartable);
    assert_eq!(futex(128, 0x2000), NeverAfterHandler);
    assert_eq!(futex(9 | 256, 0x2000), NeverAfterHandler);
    assert_eq!(futex(1, 0x2000), Uninterruptible);
    assert_eq!(futex(6, 0), Always);
    assert_eq!(blocking(named("fcntl"), &args(&[3, 7])), Restartable);
    assert_eq!(blocking(named("fcntl"), &args(&[3, 6])), Uninterruptible);
    assert_eq!(blocking(named("read"), &args(&[])), Restartable);
}

#[test]
fn setting_up_what_cannot_be_carried_is_refused() {
    let refused = |name, given: &[u64]| refusal(named(name), &args(given));
    assert_eq!(refused("setsockopt", &[3, 1, 60, 0x1000, 4]), Some(92));
    assert_eq!(refused("setsockopt", &[3, 1, 2, 0x1000, 4]), None);
    assert_eq!(refused("prctl", &[22, 2, 0x1000]), None);
    assert_eq!(refused("prctl", &[59, 1]), Some(22));
    assert_eq!(refused("prctl", &[15, 0x1000]), None);
    assert_eq!(refused("ioctl", &[3, 0x4020_ae46, 0x1000]), Some(25));
    assert_eq!(refused("ioctl", &[3, 0x5401, 0x1000]), None);
}

#[test]
fn calls_with_a_mask_of_their_own_are_found() {
    let with: Vec<_> = (0..ROWS as u64)
        .filter_map(row)
        .filter_map(|row| signal_mask(row).map(|mask| (row.name, mask)))
        .collect();
    let expected = [
        ("rt_sigsuspend", MaskArgument::Direct(0)),
        ("pselect6", MaskArgument::Boxed(5)),
        ("ppoll", MaskArgument::Direct(3)),
        ("epoll_pwait", MaskArgument::Direct(4)),
        ("epoll_pwait2", MaskArgument::Direct(4)),
    ];
    assert_eq!(with, expected);
}
