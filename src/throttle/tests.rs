use super::*;
use crate::{clock::ManualClock, limits::throttle as limits};

const START: Timestamp = Timestamp::from_micros(1_780_000_000_500_000);
const ADDRESS: Key<'_> = Key::Address(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)));

fn throttle(settings: Settings) -> (Throttle, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    (Throttle::new(settings, Arc::<ManualClock>::clone(&clock)), clock)
}

fn enforced() -> (Throttle, Arc<ManualClock>) {
    throttle(Settings::default())
}

fn one(bucket: Bucket, key: Key<'_>) -> Draw<'_> {
    Draw { bucket, key, points: 1 }
}

fn times(throttle: &Throttle, draw: Draw<'_>, most: u32) -> u32 {
    (0..most).map(|_| u32::from(throttle.draw(&[draw]).is_ok())).sum()
}

fn address(text: &str) -> Key<'static> {
    Key::Address(text.parse().unwrap())
}

#[test]
fn every_budget_has_its_own_place() {
    assert!(ALL.iter().enumerate().all(|(place, budget)| budget.index() == place));
}

#[test]
fn what_is_left_falls_to_nothing_and_the_next_call_is_told_when_to_come_back() {
    let (throttle, clock) = enforced();
    let draw = one(Bucket::CreateAccount, ADDRESS);
    let first = throttle.draw(&[draw]).unwrap().standing.unwrap();
    assert_eq!((first.limit, first.remaining, first.window), (100, 99, 300));
    assert_eq!(first.reset, 1_780_000_301, "rounded up to a whole second");
    assert_eq!(times(&throttle, draw, 200), 99);
    clock.advance(Duration::from_secs(100));
    let refused = throttle.draw(&[draw]).unwrap_err();
    assert_eq!((refused.standing.remaining, refused.standing.reset), (0, first.reset));
    assert_eq!((refused.bucket, refused.retry_after), (Bucket::CreateAccount, 201));
    assert_eq!(throttle.refused(), 102);
}

#[test]
fn a_window_ends_at_the_instant_that_was_told_and_all_of_it_is_back() {
    let (throttle, clock) = enforced();
    let draw = one(Bucket::CreateAccount, ADDRESS);
    assert_eq!(times(&throttle, draw, 101), 100);
    clock.advance(Duration::from_mins(5).saturating_sub(Duration::from_micros(1)));
    assert!(throttle.draw(&[draw]).is_err());
    clock.advance(Duration::from_micros(1));
    assert_eq!(throttle.draw(&[draw]).unwrap().standing.unwrap().remaining, 99);
}

#[test]
fn the_long_budget_holds_when_the_short_one_is_full_again() {
    let (throttle, clock) = enforced();
    let draw = one(Bucket::CreateSession, Key::NameFrom("alice.test", "203.0.113.9".parse().unwrap()));
    let mut taken = 0;
    for _ in 0..12 {
        taken += times(&throttle, draw, 40);
        clock.advance(Duration::from_mins(5));
    }
    assert_eq!(taken, 300);
    assert_eq!(throttle.draw(&[draw]).unwrap_err().standing.window, 86_400);
}

#[test]
fn a_refused_draw_counts_nowhere() {
    let (throttle, _) = enforced();
    let writes = Draw { bucket: Bucket::RepoWrites, key: Key::Name("did:plc:a"), points: 4_999 };
    let calls = one(Bucket::Address, ADDRESS);
    drop(throttle.draw(&[writes]).unwrap());
    let more = Draw { points: 2, ..writes };
    for _ in 0..10 {
        assert_eq!(throttle.draw(&[calls, more]).unwrap_err().standing.remaining, 1);
    }
    let drawn = throttle.draw(&[calls, Draw { points: 1, ..writes }]).unwrap();
    assert_eq!(drawn.standing.unwrap().remaining, 0);
    assert_eq!(throttle.draw(&[calls]).unwrap().standing.unwrap().remaining, 2_998);
}

#[test]
fn callers_do_not_share_and_an_ipv6_network_counts_as_one() {
    let (throttle, _) = enforced();
    let draw = |key| one(Bucket::CreateAccount, key);
    assert_eq!(times(&throttle, draw(address("203.0.113.9")), 200), 100);
    assert_eq!(times(&throttle, draw(address("::ffff:203.0.113.9")), 5), 0, "the same address, mapped");
    assert_eq!(times(&throttle, draw(address("203.0.113.10")), 200), 100);
    let mut taken = 0;
    for host in 0..200 {
        taken += times(&throttle, draw(address(&format!("2001:db8:0:1:{host:x}::1"))), 1);
    }
    assert_eq!(taken, 100);
    assert_eq!(times(&throttle, draw(address("2001:db8:0:2::1")), 1), 1);
}

#[test]
fn a_thousand_callers_at_once_get_exactly_what_there_is() {
    let (throttle, _) = enforced();
    let taken: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..16).map(|_| scope.spawn(|| times(&throttle, one(Bucket::Address, ADDRESS), 1_000))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, limits::ADDRESS.0);
    assert_eq!(throttle.refused(), u64::from(16_000 - limits::ADDRESS.0));
}

#[test]
fn what_is_given_back_can_be_drawn_again_but_not_from_another_window() {
    let (throttle, clock) = enforced();
    let draw = one(Bucket::WrongPasswordsFrom, ADDRESS);
    let kept = throttle.draw(&[draw]).unwrap();
    for _ in 0..500 {
        throttle.give_back(&throttle.draw(&[draw]).unwrap());
    }
    assert_eq!(times(&throttle, draw, 100), limits::WRONG_PASSWORDS_ADDRESS.0 - 1);
    clock.advance(Duration::from_hours(1));
    assert_eq!(times(&throttle, draw, 100), limits::WRONG_PASSWORDS_ADDRESS.0);
    throttle.give_back(&kept);
    assert!(throttle.draw(&[draw]).is_err());
}

#[test]
fn a_flood_of_keys_costs_bounded_memory_and_leaves_other_buckets_alone() {
    let (throttle, clock) = enforced();
    let victim = one(Bucket::WrongPasswordsFor, Key::Name("did:plc:victim"));
    assert_eq!(times(&throttle, victim, 100), limits::WRONG_PASSWORDS_ACCOUNT.0);
    for n in 0..limits::KEYS_MAX + 10_000 {
        let name = n.to_string();
        drop(throttle.draw(&[one(Bucket::WrongPasswordsForNobody, Key::Name(&name))]).unwrap());
    }
    assert_eq!(throttle.keys(), limits::KEYS_MAX as u64 + 1);
    assert!(throttle.draw(&[victim]).is_err());
    clock.advance(Duration::from_hours(1));
    drop(throttle.draw(&[one(Bucket::WrongPasswordsForNobody, Key::Name("x"))]).unwrap());
    assert_eq!(throttle.keys(), 2, "what is over is forgotten");
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let (throttle, clock) = enforced();
    let draw = one(Bucket::CreateAccount, ADDRESS);
    assert_eq!(times(&throttle, draw, 200), 100);
    clock.set(START.minus(Duration::from_hours(10)));
    assert_eq!(times(&throttle, draw, 200), 100);
}

#[test]
fn switched_off_everything_is_always_left_and_nothing_is_remembered() {
    let (throttle, _) = throttle(Settings { mode: Mode::Off, ..Settings::default() });
    let draw = one(Bucket::CreateAccount, ADDRESS);
    assert_eq!(times(&throttle, draw, 1_000), 1_000);
    let standing = throttle.draw(&[draw]).unwrap().standing.unwrap();
    assert_eq!((standing.limit, standing.remaining, throttle.keys()), (100, 100, 0));
}

#[test]
fn the_operator_sets_the_writes() {
    let (throttle, _) = throttle(Settings { write_hour: Some(7), ..Settings::default() });
    let draw = Draw { bucket: Bucket::RepoWrites, key: Key::Name("did:plc:a"), points: 3 };
    assert_eq!(times(&throttle, draw, 10), 2);
    assert_eq!(throttle.draw(&[draw]).unwrap_err().standing.limit, 7);
}

#[test]
fn only_the_whole_key_or_a_listed_address_is_exempt() {
    let (throttle, _) = throttle(Settings {
        bypass_key: Some(Secret::new("let me through")),
        bypass_addresses: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        ..Settings::default()
    });
    let is = |address: &str, key: Option<&str>| throttle.is_exempt(address.parse().unwrap(), key.map(str::as_bytes));
    assert!(is("203.0.113.9", Some("let me through")));
    for key in [None, Some(""), Some("let me throug"), Some("let me through "), Some("LET ME THROUGH")] {
        assert!(!is("203.0.113.9", key), "{key:?}");
    }
    assert!(is("192.0.2.77", None) && is("::ffff:192.0.2.77", None) && is("2001:db8:1::1", None));
    let (without, _) = enforced();
    assert!(!without.is_exempt("203.0.113.9".parse().unwrap(), Some(b"")), "no key is no open door");
}
