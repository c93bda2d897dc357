//! The gate's thread, against the clock: never early, in order, and nobody is forgotten.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::accounting::{FileClass, Ledger, Occasion};
use crate::filesystem::Ino;
use crate::throttle::{Direction, parse_rules};
use crate::wake::Wake;

const PATIENCE: Duration = Duration::from_secs(30);

fn gate(clock: Clock, rules: &str) -> Gate {
    let wakes = Arc::new(Wakes::start(Wake::Plain, clock).unwrap());
    Gate::start(clock, wakes, Throttle::new(&parse_rules(rules).unwrap(), 1)).unwrap()
}

fn who(path: &str) -> Who {
    let ledger = Ledger::default();
    let account = ledger.account(Ino(1), FileClass::Swap, || path.into());
    let process = ledger.processes().account(std::process::id(), Occasion::Request);
    Who { account, process, known: Arc::default() }
}

fn request(arrived: Nanos, bytes: u64) -> Request {
    Request::sample(Direction::Read, 0, bytes, arrived)
}

/// Has a request of `bytes` come; its answer says how late it was sent.
fn come(gate: &Gate, who: &Who, clock: Clock, bytes: u64, hang: Nanos, sender: &mpsc::Sender<(u64, Nanos)>) {
    let arrived = clock.now();
    let sender = sender.clone();
    match gate.admit(who, request(arrived, bytes), hang) {
        Admission::Held(ticket) => {
            gate.leave(ticket, Box::new(move || sender.send((bytes, clock.now().before(arrived))).unwrap()))
        }
        Admission::Free | Admission::Served => sender.send((bytes, Nanos(0))).unwrap(),
    }
}

#[test]
fn answers_come_in_turn_and_never_early() {
    let clock = Clock::start();
    let (gate, who, (sender, receiver)) = (gate(clock, "**: bw=1MB"), who("swap/a"), mpsc::channel());
    for bytes in [30_000u64, 5000, 20_000] {
        come(&gate, &who, clock, bytes, Nanos(0), &sender);
    }
    let told: Vec<_> = (0..3).map(|_| receiver.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(told.iter().map(|(bytes, _)| *bytes).collect::<Vec<_>>(), [30_000, 5000, 20_000]);
    // The second and the third came a little later than the first, which is where the rate begins.
    assert!(told[0].1.0 >= 30_000_000 && told[2].1.0 >= 40_000_000, "{told:?}");
    assert!(gate.is_empty());
}

#[test]
fn ten_thousand_can_wait_and_be_dropped() {
    let clock = Clock::start();
    let (gate, who) = (gate(clock, "**: latency=60s"), who("swap/a"));
    for _ in 0..10_000 {
        let Admission::Held(ticket) = gate.admit(&who, request(clock.now(), 1), Nanos(0)) else {
            panic!("it is let through")
        };
        gate.leave(ticket, Box::new(|| unreachable!("dropped before its time")));
    }
    assert_eq!(gate.len(), 10_000);
    drop(gate);
}

#[test]
fn who_waits_is_let_go_when_the_rules_are() {
    let clock = Clock::start();
    let (gate, who, (sender, receiver)) =
        (gate(clock, "**: bw=1K, latency=3600s"), who("swap/a"), mpsc::channel());
    for bytes in 1..100 {
        come(&gate, &who, clock, bytes << 20, Nanos(0), &sender);
    }
    come(&gate, &who, clock, 1, Nanos::from(Duration::from_secs(3600)), &sender);
    let began = Instant::now();
    gate.replace(parse_rules("swap/other: bw=1").unwrap());
    for _ in 1..100 {
        receiver.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(gate.len(), 1, "one hangs, which is no matter of these rules");
    gate.end_hangs();
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().0, 1);
    assert!(gate.is_empty() && began.elapsed() < PATIENCE);
}

#[test]
fn an_answer_that_comes_after_its_time_is_sent_by_who_brings_it() {
    let clock = Clock::start();
    let (gate, who, (sender, receiver)) = (gate(clock, "**: latency=1ms"), who("swap/a"), mpsc::channel());
    let Admission::Held(ticket) = gate.admit(&who, request(clock.now(), 1), Nanos(0)) else { return };
    std::thread::sleep(Duration::from_millis(20));
    gate.leave(ticket, Box::new(move || sender.send(()).unwrap()));
    receiver.recv_timeout(PATIENCE).unwrap();
    assert!(gate.is_empty());
}

/// Random requests for a few files, against a naive list of those that wait.
#[test]
fn a_file_is_held_up_while_any_request_for_it_waits() {
    let rules = ["**: latency=5us", "**: bw=1MB, latency=3us", "swap/other: bw=1", "**: iops=100000"];
    let rules = rules.map(|rule| parse_rules(rule).unwrap());
    let (mut waiting, who) = (Waiting::new(Throttle::new(&rules[0], 1)), who("swap/a"));
    let (sent, receiver) = mpsc::channel();
    let (mut model, mut to_come, mut now, mut random) = (BTreeMap::new(), Vec::new(), Nanos(0), 1u64);
    let (mut most, mut hung_up) = (0, 0);
    for _ in 0..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (file, hang) = (random >> 33 & 7, Nanos(random >> 40 & 4095));
        now = now.after(Nanos(random >> 50 & 4095));
        match random >> 60 {
            0..4 => {
                let came = Request { file: Ino(file), ..request(now, 1 + file) };
                if let (Admission::Held(ticket), _) = waiting.admit(now, &who, came, hang) {
                    model.insert(ticket, file);
                    to_come.push(ticket);
                }
            }
            4..9 if !to_come.is_empty() => {
                let ticket = to_come.swap_remove(random as usize % to_come.len());
                let sent = sent.clone();
                if let Some(job) = waiting.leave(now, ticket, Box::new(move || sent.send(ticket).unwrap())) {
                    job();
                }
            }
            15 if random >> 50 & 63 == 0 => waiting.replace(now, rules[file as usize % 4].clone()),
            15 if random >> 50 & 63 == 1 => waiting.end_hangs(),
            _ => {
                while let Step::Send(_, _, job) = waiting.step(now, Nanos(0)) {
                    job();
                }
            }
        }
        receiver.try_iter().for_each(|ticket| assert!(model.remove(&ticket).is_some()));
        for file in 0..8 {
            let is_held = model.values().any(|held| *held == file);
            assert_eq!(waiting.holdup(file) == Holdup::Waiting, is_held, "{file}");
            hung_up += usize::from(is_held);
        }
        assert_eq!(waiting.len(), model.len());
        most = most.max(model.len());
    }
    assert!(
        most > 8 && (10_000..150_000).contains(&hung_up),
        "a test of nothing: {most} at once, {hung_up} times"
    );
}

#[test]
fn who_comes_later_than_he_may_is_told_from_whom_no_rule_holds() {
    let mut waiting = Waiting::new(Throttle::new(&parse_rules("swap/*: iops=10000").unwrap(), 1));
    let mut come = |path, now| waiting.admit(Nanos(now), &who(path), request(Nanos(now), 1), Nanos(0));
    assert!(matches!(come("swap/a", 1_000_000_000), (Admission::Held(_), Some(Nanos(1_000_100_000)))));
    assert!(matches!(come("swap/a", 1_001_000_000), (Admission::Free, Some(Nanos(1_001_000_000)))));
    assert_eq!(come("images/a", 1_001_000_000), (Admission::Free, None));
}

#[test]
fn a_way_that_was_taken_for_too_long_is_seen_to_be_shorter() {
    let rules = parse_rules("**: latency=1ms").unwrap();
    let (mut waiting, who, mut now) = (Waiting::new(Throttle::new(&rules, 1)), who("swap/a"), Nanos(0));
    // One read after the other of 1 MiB, which takes 0.1 ms to serve; says whether the last was held back.
    let mut reads = |way_ns: u64| {
        let mut held = false;
        for _ in 0..2000 {
            let served = now.after(Nanos(100_000));
            let (admission, _) = waiting.admit(served, &who, request(now, 1 << 20), Nanos(0));
            held = matches!(admission, Admission::Held(_));
            now = served;
            if let Admission::Held(ticket) = admission {
                assert!(waiting.leave(now, ticket, Box::new(|| {})).is_none());
                now = waiting.next().unwrap();
                assert!(matches!(waiting.step(now, Nanos(0)), Step::Send(..)));
            }
            now = now.after(Nanos(way_ns));
        }
        held
    };
    assert!(reads(200_000));
    assert!(!reads(1_100_000), "all of the latency passes on the way");
    assert!(reads(200_000), "and not any more");
}
