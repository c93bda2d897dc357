//! Corners of filters. That random ones answer as the kernel does is `tests/seccomp_kernel.rs`'s.

use proptest::prelude::*;

use super::code::{ADD, DIV, JA, JEQ, JSET, LD_ABS, LD_IMM, LD_MEM, LDX_IMM, LSH, RET_A, RET_K, ST, X};
use super::{
    ARCH_X86_64, Action, Data, Filter, Instruction, LONGEST, Made, Verdict, decode, encode, path_has_room,
};

const ALLOW: u32 = 0x7fff_0000;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

const DATA: Data = Data {
    number: 39,
    arch: ARCH_X86_64,
    instruction_pointer: 0x1111_2222_3333_4444,
    args: [0xaaaa_bbbb_cccc_dddd, 1, 2, 3, 4, 0x5555_6666_7777_8888],
};

fn plain(code: u16, constant: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, constant }
}

fn jump(code: u16, constant: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, constant }
}

fn answer(filter: &[Instruction]) -> u32 {
    Filter::check(filter.to_vec()).expect("a valid filter").run(&DATA)
}

fn is_valid(filter: &[Instruction]) -> bool {
    Filter::check(filter.to_vec()).is_ok()
}

#[test]
fn every_word_of_a_call_can_be_loaded() {
    let loaded: Vec<u32> = (0..16).map(|word| answer(&[plain(LD_ABS, word * 4), plain(RET_A, 0)])).collect();
    assert_eq!(loaded[..6], [39, ARCH_X86_64, 0x3333_4444, 0x1111_2222, 0xcccc_dddd, 0xaaaa_bbbb]);
    assert_eq!(loaded[14..], [0x7777_8888, 0x5555_6666]);
    assert!(
        !is_valid(&[plain(LD_ABS, 64), plain(RET_A, 0)]) && !is_valid(&[plain(LD_ABS, 2), plain(RET_A, 0)])
    );
}

#[test]
fn a_division_by_zero_ends_the_thread_and_a_constant_one_is_refused() {
    assert_eq!(answer(&[plain(LD_IMM, 7), plain(DIV | X, 0), plain(RET_K, ALLOW)]), 0);
    assert_eq!(answer(&[plain(LD_IMM, 7), plain(LDX_IMM, 2), plain(DIV | X, 0), plain(RET_A, 0)]), 3);
    assert!(!is_valid(&[plain(DIV, 0), plain(RET_A, 0)]));
}

#[test]
fn shifts_by_a_register_wrap_and_constant_ones_must_fit() {
    assert_eq!(answer(&[plain(LD_IMM, 1), plain(LDX_IMM, 33), plain(LSH | X, 0), plain(RET_A, 0)]), 2);
    assert!(!is_valid(&[plain(LSH, 32), plain(RET_A, 0)]) && is_valid(&[plain(LSH, 31), plain(RET_A, 0)]));
}

#[test]
fn jumps_stay_inside_and_filters_end_by_returning() {
    assert!(is_valid(&[plain(JA, 0), plain(RET_K, 0)]) && !is_valid(&[plain(JA, 1), plain(RET_K, 0)]));
    assert!(
        !is_valid(&[jump(JEQ, 0, 0, 1), plain(RET_K, 0)]) && !is_valid(&[plain(ADD, 1)]) && !is_valid(&[])
    );
    assert!(is_valid(&[plain(RET_K, 0); LONGEST]) && !is_valid(&[plain(RET_K, 0); LONGEST + 1]));
}

#[test]
fn memory_has_to_be_written_on_every_way() {
    let both = [jump(JEQ, 0, 0, 1), plain(ST, 3), plain(LD_MEM, 3), plain(RET_A, 0)];
    assert!(!is_valid(&both));
    assert!(is_valid(&[plain(ST, 3), jump(JEQ, 0, 0, 1), plain(ADD, 1), plain(LD_MEM, 3), plain(RET_A, 0)]));
    // Nobody comes there, which the kernel takes for everything written.
    assert!(is_valid(&[plain(JA, 1), plain(LD_MEM, 3), plain(RET_A, 0)]));
}

#[test]
fn the_least_answer_counts_and_of_equals_the_newest() {
    let verdict = |answers: &[u32]| Verdict::of(answers.iter().copied());
    assert_eq!(verdict(&[]).action, Action::Allow);
    assert_eq!(verdict(&[ERRNO | 1, ALLOW, ERRNO | 2]), Verdict { action: Action::Errno, data: 1 });
    assert_eq!(verdict(&[ERRNO | 1, TRAP | 9, 0]).action, Action::KillThread);
    assert_eq!(verdict(&[0, KILL_PROCESS]).action, Action::KillProcess);
    assert_eq!(verdict(&[0x0001_0000, TRAP]).action, Action::KillProcess, "a value that names nothing");
    assert_eq!(verdict(&[ERRNO | 0xffff]).errno(), 4095);
}

#[test]
fn filters_on_top_of_each_other_have_a_limit() {
    let long = Filter::check(vec![plain(RET_K, ALLOW); LONGEST]).unwrap();
    let before = |count| std::iter::repeat_n(&long, count);
    assert!(path_has_room(&long, before(2)) && !path_has_room(&long, before(3)));
}

fn instruction() -> impl Strategy<Value = Instruction> {
    let code = prop_oneof![
        4 => prop::sample::select(vec![LD_ABS, LD_IMM, LDX_IMM, ST, LD_MEM, ADD, DIV | X, LSH | X, JEQ, JSET | X, RET_K, RET_A]),
        1 => any::<u16>(),
    ];
    (code, 0u8..6, 0u8..6, prop_oneof![0u32..64, any::<u32>()]).prop_map(
        |(code, jump_true, jump_false, constant)| Instruction { code, jump_true, jump_false, constant },
    )
}

proptest! {
    /// A filter that was checked ends at one of its returns.
    #[test]
    fn valid_filters_return(mut body in prop::collection::vec(instruction(), 0..12), end in any::<u32>()) {
        body.push(plain(RET_K, end));
        let is_return = |instruction: &Instruction| instruction.code == RET_K;
        let computed = body.iter().any(|instruction| instruction.code == RET_A || instruction.code == DIV | X);
        let returned: Vec<u32> = body.iter().filter(|&i| is_return(i)).map(|i| i.constant).collect();
        if let Ok(filter) = Filter::check(body) {
            let answer = filter.run(&DATA);
            prop_assert!(computed || returned.contains(&answer));
        }
    }

    #[test]
    fn filters_are_read_as_they_were_written(bodies in prop::collection::vec(prop::collection::vec(any::<u32>(), 1..9), 0..4)) {
        let filters: Vec<Filter> = bodies
            .iter()
            .map(|body| Filter::check(body.iter().map(|constant| plain(RET_K, *constant)).collect()).unwrap())
            .collect();
        let entry = |(at, filter)| (filter, if at % 2 == 0 { Made::BySeccomp } else { Made::ByPrctl }, at as u32);
        let bytes = encode(filters.iter().enumerate().map(entry));
        let read = decode(&bytes).unwrap();
        prop_assert_eq!(read.iter().map(|entry| &entry.filter).collect::<Vec<_>>(), filters.iter().collect::<Vec<_>>());
        prop_assert!(read.iter().enumerate().all(|(at, e)| e.flags == at as u32 && (e.made == Made::BySeccomp) == (at % 2 == 0)));
        prop_assert!(bytes.is_empty() || decode(&bytes[..bytes.len() - 1]).is_none());
    }
}
