//! What hosts do that show old or moved data, or different logs to different people, and what shows it.

use proptest::prelude::*;

use super::*;
use crate::{
    delegation::{
        anchor::Anchor,
        app_data::{AppDataFault, Associated},
        proof::{Fault, Ignored},
        verdict::Assessment,
    },
    ipld::{Cid, Map},
};

fn fault_of(assessment: &Assessment, statement: &Statement) -> Option<Fault> {
    let found = assessment.ignored.iter().find(|Ignored { statement: cid, .. }| *cid == statement.cid());
    found.map(|ignored| ignored.fault)
}

#[test]
fn old_associated_data_replayed_is_caught_by_its_rev_and_in_the_end_by_its_expiry() {
    let mut world = world();
    let old = world.entry("com.example.chat", Some(Map::new()), &key(1));
    world.pass(hours(1));
    let new = world.entry("com.example.chat", None, &key(1));
    world.entries = vec![new];
    let pin = world.pin();
    world.entries = vec![old];
    let seen = world.assess_with(Some(&pin));
    assert!(seen.associated.apps.is_empty());
    assert_eq!(seen.associated.refused[0].1, AppDataFault::Replayed);
    // Somebody who sees it for the first time is fooled until it expires, and no longer.
    assert_eq!(world.assess().associated.apps.len(), 1);
    world.pass(hours(24 * 30));
    assert_eq!(world.assess().associated.refused[0].1, AppDataFault::Expired);
}

#[test]
fn a_domain_moved_by_the_host_is_not_signed_by_the_key() {
    let mut world = world();
    let domain = |name: &str| Some([("domain", name)].into_iter().collect::<Map>());
    world.entries = vec![world.entry(DOMAIN_APP, domain("keys.test"), &key(1))];
    assert_eq!(world.assess().associated.domain.as_deref(), Some("keys.test"));
    // In the key's name by another key; with the text changed; by another key in its own name.
    let mut map = world.entries[0].to_map();
    map.insert("data", domain("evil.test").unwrap());
    let changed = AppData::from_map(&map).unwrap();
    let own = world.entry(DOMAIN_APP, domain("evil.test"), &key(9));
    for (entry, fault) in [(changed, AppDataFault::Signature), (own, AppDataFault::OtherKey)] {
        world.entries = vec![entry];
        let seen = world.assess();
        assert_eq!(seen.associated.domain, None);
        assert_eq!(seen.associated.refused[0].1, fault);
    }
}

#[test]
fn associated_data_of_an_unproven_key_is_not_read() {
    let mut world = world();
    world.name(Some(&key(2).public()));
    world.entries = vec![world.entry("com.example.chat", Some(Map::new()), &key(2))];
    assert_eq!(world.assess().associated, Associated::default());
}

#[test]
fn one_key_shown_to_alice_and_another_to_bob_differs_from_what_was_exchanged() {
    let world = world();
    let mut shown_to_bob = world.clone();
    shown_to_bob.rename("bob");
    shown_to_bob.delegate(&key(2), None);
    let mut shown_to_alice = world;
    shown_to_alice.rename("alice");
    shown_to_alice.delegate(&key(3), None);
    // Each sees a history that verifies; what the other one remembers is not in it.
    let (bobs, alices) = (shown_to_bob.pin(), shown_to_alice.pin());
    for (world, pin) in [(&shown_to_alice, bobs), (&shown_to_bob, alices)] {
        assert_eq!(world.assess().verdict.status, Status::Verified);
        let seen = world.assess_with(Some(&pin));
        assert_eq!((seen.verdict.status, seen.verdict.vs_pin), (Status::Mismatch, VsPin::Rollback));
        // The key alone, from a code that was scanned, does too.
        let scanned = Pin { head: None, statement: None, ..pin };
        let seen = world.assess_with(Some(&scanned));
        assert_eq!((seen.verdict.status, seen.verdict.vs_pin), (Status::Mismatch, VsPin::Rollback));
    }
}

#[test]
fn a_private_log_is_caught_by_a_statement_that_speaks_of_the_public_one() {
    let world = world();
    let mut public = world.clone();
    public.rename("public");
    public.pass(hours(1));
    let statement = public.claim(&key(1), None);
    let mut private = world;
    private.rename("private");
    private.statements.push(statement.clone());
    let seen = private.assess();
    assert_eq!(seen.verdict.status, Status::Mismatch);
    assert_eq!(fault_of(&seen, &statement), Some(Fault::HiddenLog));
}

#[test]
fn a_void_statement_is_told_from_one_that_hangs_nowhere() {
    let mut world = world();
    let before = world.head();
    let statement = world.claim(&key(2), Some(&key(1)));
    world.name(Some(&key(2).public()));
    world.pass(hours(1));
    world.recover(before, Some(&key(1).public()));
    let verified = world.verified();
    let log = anchor::IdLog::read(&verified, &world.id);
    assert_eq!(log.anchor(&statement), Anchor::Void);
    assert_eq!(log.anchor(&world.claim_at(before, &key(3), None)), Anchor::Nowhere);
    assert_eq!(log.anchor(&world.claim_at(Cid::of_cbor(b"x"), &key(1), None)), Anchor::PrevAbsent);
    assert_eq!(log.anchor(&world.claim(&key(1), None)), Anchor::At(0));
}

#[test]
fn a_reader_finds_what_generic_methods_may_go_back_to() {
    let mut world = world();
    world.name(Some(&key(2).public()));
    let seen = world.assess();
    let proven = history::last_proven(&seen.eras).and_then(|era| era.key.as_ref());
    assert_eq!(proven, Some(&NamedKey::from(key(1).public())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whoever holds statements back, repeats or reorders them, or adds some of their own, never makes it look better.
    #[test]
    fn what_is_done_to_statements_never_makes_a_delegation_look_better(
        steps in prop::collection::vec((1u64..4, prop::option::of(1u64..4), any::<bool>(), any::<bool>()), 1..6),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut world = World::new(1);
        let mut current = None;
        for (n, endorser, covered, ended) in steps {
            world.pass(hours(1));
            let next = if ended { None } else { Some(n) };
            if next == current {
                continue;
            }
            if covered {
                let endorser = endorser.filter(|other| Some(*other) != next).map(key);
                let statement = match (next, &endorser) {
                    (Some(n), _) => Some(world.claim(&key(n), endorser.as_ref())),
                    (None, Some(endorser)) => Some(world.ending(endorser)),
                    (None, None) => None,
                };
                world.statements.extend(statement);
            }
            world.name(next.map(|n| key(n).public()).as_ref());
            current = next;
        }
        let honest = world.assess();
        let stranger = key(8);
        let mut shown = vec![world.claim(&stranger, None), world.ending(&stranger)];
        if !world.statements.is_empty() {
            shown.extend(order.iter().map(|index| index.get(&world.statements).clone()));
        }
        world.statements = shown;
        let seen = world.assess();
        prop_assert!(seen.verdict.status == honest.verdict.status || seen.verdict.status == Status::Unproven);
        prop_assert!(honest.verdict.resets.iter().all(|reset| seen.verdict.resets.contains(reset)));
        prop_assert!(honest.verdict.complete || !seen.verdict.complete);
    }
}
