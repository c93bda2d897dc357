//! Rules and requests at times that are made up.

use super::*;
use crate::filesystem::Ino;

fn throttle(rules: &str) -> Throttle {
    Throttle::new(&parse_rules(rules).unwrap(), 1)
}

fn request(now: u64, direction: Direction, bytes: u64) -> Request {
    Request::sample(direction, 0, bytes, Nanos(now))
}

/// Submits a request for `swap/a` that arrived when it says.
fn submit(throttle: &mut Throttle, ticket: u64, request: &Request) -> Planned {
    let path = Path::new("swap/a");
    let rule = throttle.rule_for(throttle.know(Known::default(), path), path, &Client::default());
    throttle.submit(rule, request.arrived, Ticket(ticket), request)
}

/// Submits requests one after the other, and lets time go by until each is planned: when, in the order of the
/// requests.
fn plan(throttle: &mut Throttle, requests: &[Request]) -> Vec<u64> {
    let mut planned = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        throttle.advance(request.arrived, &mut planned);
        match submit(throttle, number as u64, request) {
            Planned::Free => planned.push((Ticket(number as u64), request.arrived)),
            Planned::At(at) => planned.push((Ticket(number as u64), at)),
            Planned::Queued => {}
        }
    }
    while let Some(next) = throttle.next() {
        throttle.advance(next, &mut planned);
    }
    planned.sort();
    planned.into_iter().map(|(_, at)| at.0).collect()
}

fn reads(count: usize, now: u64, bytes: u64) -> Vec<Request> {
    vec![request(now, Direction::Read, bytes); count]
}

#[test]
fn latency_overlaps_and_is_never_hidden() {
    assert_eq!(plan(&mut throttle("**: latency=2ms"), &reads(3, 5, 4096)), [2_000_005; 3]);
}

#[test]
fn what_passes_on_the_way_is_latency_but_no_share_of_a_rate() {
    let far = |way| Request { way: Nanos(way), ..request(0, Direction::Read, 1000) };
    assert_eq!(plan(&mut throttle("**: latency=2ms"), &[far(300_000), far(3_000_000)]), [1_700_000, 0]);
    assert_eq!(plan(&mut throttle("**: bw=1MB"), &[far(300_000)]), [1_000_000]);
    let queue = &mut throttle("**: latency=2ms, queue-depth=1");
    assert_eq!(plan(queue, &[far(300_000), far(300_000)]), [1_700_000, 3_700_000]);
}

#[test]
fn what_is_owed_shortens_a_latency_a_little() {
    let owed = |owed| Request { owed: Nanos(owed), ..request(0, Direction::Read, 1000) };
    assert_eq!(
        plan(&mut throttle("**: latency=2ms"), &[owed(100_000), owed(9_000_000)]),
        [1_900_000, 1_750_000]
    );
    assert_eq!(plan(&mut throttle("**: bw=1MB"), &[owed(100_000)]), [1_000_000]);
}

#[test]
fn a_queue_of_two_lets_two_overlap() {
    let at = plan(&mut throttle("**: latency=2ms, queue-depth=2"), &reads(4, 0, 1));
    assert_eq!(at, [2_000_000, 2_000_000, 4_000_000, 4_000_000]);
}

#[test]
fn the_tighter_limit_decides() {
    let requests = [request(0, Direction::Read, 1), request(0, Direction::Read, 1_000_000)];
    assert_eq!(plan(&mut throttle("**: bw=1MB, iops=100"), &requests), [10_000_000, 1_000_001_000]);
}

#[test]
fn a_burst_is_at_once_and_no_more() {
    let requests = [request(0, Direction::Read, 100_000), request(0, Direction::Read, 1000)];
    assert_eq!(plan(&mut throttle("**: bw=1MB, burst=100KB"), &requests), [0, 1_000_000]);
}

#[test]
fn directions_are_apart() {
    let mut throttle = throttle("**: read-bw=1000");
    assert_eq!(submit(&mut throttle, 0, &request(3, Direction::Write, 1 << 30)), Planned::At(Nanos(3)));
}

#[test]
fn an_arm_moves_from_request_to_request() {
    let mut throttle = throttle("**: latency=seek(1ms,9ms), queue-depth=1");
    let at = |offset| Request { file: Ino(0), offset, ..request(0, Direction::Read, 4096) };
    assert_eq!(plan(&mut throttle, &[at(0), at(4096), at(0)]), [0, 0, 9_000_000]);
}

#[test]
fn one_who_asks_for_much_leaves_his_share_to_one_who_asks_for_little() {
    let mut throttle = throttle("**: bw=1MB");
    let mut requests = reads(100, 0, 1000);
    requests.extend(vec![Request { file: Ino(2), ..request(5_500_000, Direction::Read, 1000) }; 5]);
    let at = plan(&mut throttle, &requests);
    // He comes when the sixth of a hundred is served, and from then on has every other turn.
    assert_eq!(at[100..], [7_000_000, 9_000_000, 11_000_000, 13_000_000, 15_000_000]);
    assert_eq!(at[99], 105_000_000);
    let others = vec![Request { pid: 2, ..request(200_000_000, Direction::Read, 1000) }; 2];
    let at = plan(&mut throttle, &[reads(100, 200_000_000, 1000), others].concat());
    assert!(at[100] < at[50], "processes share as files do: {at:?}");
}

#[test]
fn the_first_rule_that_accepts_decides_until_the_rules_change() {
    let mut throttle =
        throttle("swap/* & comm=sort & pid=7: latency=3ns\nswap/*: latency=1ns\n**: latency=9ns");
    let rule = |throttle: &Throttle, path: &str, client| {
        let path = Path::new(path);
        throttle.rule_for(throttle.know(Known::default(), path), path, &client)
    };
    let sort = Client { pid: 7, comm: "sort", cgroups: &[] };
    assert_eq!(rule(&throttle, "swap/a", sort), Some(0));
    assert_eq!(rule(&throttle, "swap/a", Client { pid: 8, ..sort }), Some(1));
    assert_eq!(rule(&throttle, "swapped", sort), Some(2));
    let known = throttle.know(Known::default(), Path::new("swap/a"));
    throttle.replace(vec![]);
    assert_ne!(throttle.know(known, Path::new("swap/a")), known);
    assert_eq!(submit(&mut throttle, 0, &request(0, Direction::Read, 1)), Planned::Free);
}

#[test]
fn who_waited_under_other_rules_waits_on_under_these_as_if_he_had_come_now() {
    let mut throttle = throttle("**: bw=1000");
    assert_eq!(
        submit(&mut throttle, 0, &request(0, Direction::Read, 60_000)),
        Planned::At(Nanos(60_000_000_000))
    );
    assert_eq!(submit(&mut throttle, 1, &request(0, Direction::Read, 60_000)), Planned::Queued);
    throttle.replace(parse_rules("**: bw=1MB, latency=10ms").unwrap());
    assert_eq!(throttle.next(), None);
    let again = |throttle: &mut Throttle, ticket| {
        let asked = request(0, Direction::Read, 60_000);
        throttle.submit(Some(0), Nanos(5_000_000_000), Ticket(ticket), &asked)
    };
    assert_eq!(again(&mut throttle, 0), Planned::At(Nanos(5_070_000_000)));
    assert_eq!(again(&mut throttle, 1), Planned::Queued);
    let mut planned = Vec::new();
    throttle.advance(Nanos(5_060_000_000), &mut planned);
    assert_eq!(planned, [(Ticket(1), Nanos(5_130_000_000))]);
}

#[test]
fn a_seed_gives_the_same_again() {
    let run = || plan(&mut throttle("**: latency=lognormal(2ms,0.5)"), &reads(20, 0, 1));
    assert_eq!(run(), run());
}
