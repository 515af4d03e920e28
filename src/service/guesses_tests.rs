//! Guessing: one machine, many machines, many names, all at once; and the owner in the middle of it.

use crate::{
    limits::throttle as limits,
    service::{
        Origin,
        deletion::{DeleteError, delete_own},
        security_log,
        sessions::{LoginError, log_in},
        testing::{PASSWORD, World},
    },
};

#[derive(Debug, PartialEq)]
enum Outcome {
    In,
    Wrong,
    Refused,
}

async fn try_from(world: &World, address: &str, identifier: &str, password: &str) -> Outcome {
    let origin = Origin::new(address.parse().unwrap(), None);
    match origin.scope(log_in(&world.server, identifier, password.to_owned(), false)).await {
        Ok(_) => Outcome::In,
        Err(LoginError::Wrong) => Outcome::Wrong,
        Err(LoginError::Guess(_)) => Outcome::Refused,
        Err(other) => panic!("{other}"),
    }
}

/// How many of `tries` were looked at.
async fn wrong(world: &World, tries: u32, mut next: impl FnMut(u32) -> (String, String)) -> u32 {
    let mut looked_at = 0;
    for n in 0..tries {
        let (address, identifier) = next(n);
        looked_at += u32::from(try_from(world, &address, &identifier, "a guess").await == Outcome::Wrong);
    }
    looked_at
}

#[tokio::test]
async fn one_address_gets_so_many_guesses_at_an_account_whatever_it_calls_it() {
    let world = World::with_limits().await;
    let alice = world.account("alice").await;
    let names = ["alice.test", "ALICE.TEST", alice.did.as_str(), "at://alice.test"];
    let looked_at = wrong(&world, 60, |n| ("203.0.113.9".to_owned(), names[n as usize % 3].to_owned())).await;
    assert_eq!(looked_at, limits::WRONG_PASSWORDS_PAIR.0);
    assert_eq!(try_from(&world, "203.0.113.9", "alice.test", PASSWORD).await, Outcome::Refused, "even the right one");
    world.clock.advance(limits::WRONG_PASSWORDS_PAIR.1);
    assert_eq!(try_from(&world, "203.0.113.9", "alice.test", PASSWORD).await, Outcome::In);
}

#[tokio::test]
async fn one_address_gets_no_further_by_trying_many_names() {
    let world = World::with_limits().await;
    world.account("alice").await;
    let name = |n: u32| if n.is_multiple_of(2) { format!("nobody{n}.test") } else { format!("n{n}@example.com") };
    let looked_at = wrong(&world, 200, |n| ("203.0.113.9".to_owned(), name(n))).await;
    assert_eq!(looked_at, limits::WRONG_PASSWORDS_ADDRESS.0);
    assert_eq!(try_from(&world, "203.0.113.9", "alice.test", PASSWORD).await, Outcome::Refused);
    assert_eq!(try_from(&world, "203.0.113.10", "alice.test", PASSWORD).await, Outcome::In);
}

#[tokio::test]
async fn many_machines_together_get_so_many_guesses_and_cannot_lock_out_the_owner() {
    let world = World::with_limits().await;
    world.account("alice").await;
    assert_eq!(try_from(&world, "198.51.100.1", "alice.test", PASSWORD).await, Outcome::In, "the owner, at home");
    let looked_at = wrong(&world, 300, |n| (format!("203.0.{}.{}", n / 200, n % 200), "alice.test".to_owned())).await;
    assert_eq!(looked_at, limits::WRONG_PASSWORDS_ACCOUNT.0);
    assert_eq!(try_from(&world, "203.0.113.77", "alice.test", PASSWORD).await, Outcome::Refused, "a stranger");
    assert_eq!(try_from(&world, "198.51.100.1", "alice.test", PASSWORD).await, Outcome::In, "the owner, at home");
    let at_home = wrong(&world, 60, |_| ("198.51.100.1".to_owned(), "alice.test".to_owned())).await;
    assert_eq!(at_home, limits::WRONG_PASSWORDS_PAIR.0, "a known address is no open door");
    world.clock.advance(limits::WRONG_PASSWORDS_ACCOUNT.1);
    assert_eq!(try_from(&world, "203.0.113.77", "alice.test", PASSWORD).await, Outcome::In);
}

#[tokio::test]
async fn guesses_that_come_all_at_once_count_like_guesses_in_a_row() {
    let world = World::with_limits().await;
    world.account("alice").await;
    let tries = (0..60).map(|_| try_from(&world, "203.0.113.9", "alice.test", "a guess"));
    let outcomes = futures_util::future::join_all(tries).await;
    let looked_at = outcomes.iter().filter(|outcome| **outcome == Outcome::Wrong).count();
    assert_eq!(looked_at, limits::WRONG_PASSWORDS_PAIR.0 as usize);
}

#[tokio::test]
async fn the_password_for_a_deletion_is_guessed_no_faster_than_that_for_a_session() {
    let world = World::with_limits().await;
    let alice = world.account("alice").await;
    let delete = async |password: &str| {
        let origin = Origin::new("203.0.113.9".parse().unwrap(), None);
        origin.scope(delete_own(&world.server, &alice.did, password.to_owned(), "AAAAA-AAAAA")).await.unwrap_err()
    };
    let mut looked_at = 0;
    for _ in 0..60 {
        let refused = delete("a guess").await;
        looked_at += u32::from(refused == DeleteError::WrongPassword);
        assert!(matches!(refused, DeleteError::WrongPassword | DeleteError::Password(_)), "{refused}");
    }
    assert_eq!(looked_at, limits::WRONG_PASSWORDS_PAIR.0);
    assert!(matches!(delete(PASSWORD).await, DeleteError::Password(_)), "even the right one");
    assert_eq!(try_from(&world, "203.0.113.9", "alice.test", PASSWORD).await, Outcome::Refused, "one budget for both");
    let read = security_log::read(&world.server, alice.id, None, 100).await.unwrap();
    let noted = |kind: &str| {
        let of =
            read.iter().filter(|event| event.kind == kind && event.detail.as_deref() == Some("to delete the account"));
        of.filter(|event| event.address.as_deref() == Some("203.0.113.9")).count()
    };
    assert_eq!((noted("signInFailed"), noted("signInRefused")), (30, 31));
    world.clock.advance(limits::WRONG_PASSWORDS_PAIR.1);
    assert!(matches!(delete(PASSWORD).await, DeleteError::Code(_)), "the code is wrong as ever");
}

#[tokio::test]
async fn the_right_password_never_counts() {
    let world = World::with_limits().await;
    world.account("alice").await;
    for _ in 0..limits::WRONG_PASSWORDS_ADDRESS.0 * 2 {
        assert_eq!(try_from(&world, "203.0.113.9", "alice.test", PASSWORD).await, Outcome::In);
    }
}

#[tokio::test]
async fn refusals_do_not_tell_whose_address_an_address_is() {
    let world = World::with_limits().await;
    world.account("alice").await;
    let handle = |n: u32| (format!("203.0.113.{n}"), "alice.test".to_owned());
    assert_eq!(wrong(&world, 90, handle).await, limits::WRONG_PASSWORDS_ACCOUNT.0);
    for address in ["alice@example.com", "somebody@example.com"] {
        assert_eq!(try_from(&world, "203.0.113.200", address, "a guess").await, Outcome::Wrong, "{address}");
    }
    let nobody = |n: u32| (format!("203.0.114.{n}"), "nobody.test".to_owned());
    assert_eq!(wrong(&world, 90, nobody).await, limits::WRONG_PASSWORDS_ACCOUNT.0, "an invented name behaves alike");
}
