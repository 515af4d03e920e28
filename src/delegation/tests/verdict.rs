use super::*;
use crate::{delegation::verdict::Declaration, ipld::Cid, plc::Operation};

#[test]
fn nothing_delegated_is_none() {
    let world = World::new(1);
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::None);
    assert!(seen.to_pin(&world.did, &world.id).is_none());
}

#[test]
fn a_first_key_is_verified_and_for_72_hours_recent() {
    let mut world = World::new(1);
    world.pass(hours(1));
    world.delegate(&key(1), None);
    world.pass(hours(72));
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Verified);
    assert!(seen.verdict.recent && seen.verdict.complete);
    world.pass(Duration::from_millis(1));
    assert!(!world.assess().verdict.recent);
}

#[test]
fn an_endorsed_rotation_is_a_successor_without_a_reset_for_every_pair_of_types() {
    for old in KeyType::ALL {
        for new in KeyType::ALL {
            let (first, second) = (delegate(old, 1), delegate(new, 2));
            let mut world = World::new(1);
            world.delegate(&first, None);
            let pin = world.pin();
            world.pass(hours(100));
            world.delegate(&second, Some(&first));
            let seen = world.assess_with(Some(&pin));
            assert_eq!(seen.verdict.status, Status::Verified);
            assert!(seen.verdict.complete && seen.verdict.resets.is_empty());
            assert_eq!(seen.verdict.vs_pin, VsPin::Successor);
            assert_eq!(seen.statement(), Some(world.statements[1].cid()));
        }
    }
}

#[test]
fn the_same_key_all_along_is_the_same_whatever_else_changes() {
    let mut world = world();
    let pin = world.pin();
    world.rename("alicia");
    assert_eq!(world.assess_with(Some(&pin)).verdict.vs_pin, VsPin::Same);
}

#[test]
fn ended_and_re_created_with_the_same_key_is_an_interruption_and_no_reset() {
    let mut world = world();
    let pin = world.pin();
    world.end(&key(1));
    world.pass(hours(1));
    let ended = world.assess_with(Some(&pin));
    assert_eq!((ended.verdict.status, ended.verdict.vs_pin), (Status::Ended, VsPin::Interrupted));
    assert_eq!(ended.statement(), Some(world.statements[1].cid()));
    let pin_of_the_end = world.pin();
    assert_eq!(pin_of_the_end.key.as_str(), key(1).public().to_string());
    assert_eq!(world.assess_with(Some(&pin_of_the_end)).verdict.vs_pin, VsPin::Same);
    world.delegate(&key(1), None);
    let seen = world.assess_with(Some(&pin));
    assert_eq!((seen.verdict.status, seen.verdict.vs_pin), (Status::Verified, VsPin::Interrupted));
    assert!(seen.verdict.resets.is_empty() && seen.verdict.complete);
}

#[test]
fn an_end_is_endorsed_by_the_latest_key_and_the_next_key_too() {
    let mut world = world();
    world.end(&key(1));
    world.pass(hours(1));
    world.delegate(&key(2), Some(&key(1)));
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Verified);
    assert!(seen.verdict.resets.is_empty(), "{:?}", seen.ignored);
}

#[test]
fn a_tombstone_ends_every_delegation() {
    let mut world = world();
    let tombstone = Operation::tombstone(world.head(), &world.server);
    world.post(&tombstone);
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Ended);
    assert_eq!(seen.statement(), None);
}

#[test]
fn a_key_that_was_set_elsewhere_can_be_claimed_until_the_next_change() {
    let mut world = World::new(1);
    world.name(Some(&key(1).public()));
    world.pass(hours(1));
    world.rename("alicia");
    assert_eq!(world.assess().verdict.status, Status::Unproven);
    let late = world.claim(&key(1), None);
    world.statements.push(late);
    assert_eq!(world.assess().verdict.status, Status::Verified);
    // After the next change a claim for the key of before counts for nothing present.
    world.name(Some(&key(2).public()));
    let too_late = world.claim(&key(1), None);
    world.statements = vec![too_late];
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Unproven);
    assert!(!seen.verdict.complete);
}

#[test]
fn a_key_in_the_genesis_operation_is_claimed_after_it() {
    let mut world = World::new(1);
    let mut genesis = world.state();
    genesis.verification_methods.insert("e2ee".to_owned(), key(1).public().to_string());
    let genesis = genesis.sign(&world.server);
    world.did = genesis.did_for_genesis();
    world.log = vec![crate::plc::Entry::new(world.did.clone(), genesis, world.now)];
    let statement = world.claim(&key(1), None);
    world.statements.push(statement);
    assert_eq!(world.assess().verdict.status, Status::Verified);
}

#[test]
fn one_endorsed_statement_suffices_beside_others_that_are_not() {
    let mut world = world();
    let plain = world.claim(&key(2), None);
    world.statements.push(plain);
    world.delegate(&key(2), Some(&key(1)));
    let seen = world.assess();
    assert!(seen.verdict.resets.is_empty());
    assert_eq!(seen.statement(), Some(world.statements[2].cid()));
    // Later than the change, the key before may still heal a reset.
    world.statements.truncate(2);
    assert_eq!(world.assess().verdict.resets.len(), 1);
    let healing = world.claim(&key(2), Some(&key(1)));
    world.statements.push(healing);
    assert!(world.assess().verdict.resets.is_empty());
}

#[test]
fn the_same_statement_twice_is_one_proof() {
    let mut world = world();
    let again = world.statements[0].clone();
    world.statements.push(again);
    assert_eq!(world.assess().eras[0].proofs.len(), 1);
}

#[test]
fn what_cannot_be_fetched_is_unavailable_and_never_unproven() {
    let world = world();
    let pin = world.pin();
    let seen = assess(&Evidence { statements: None, ..world.evidence(None) });
    assert_eq!(seen.verdict.status, Status::Unavailable);
    let seen = assess(&Evidence { source: Source::Unavailable, ..world.evidence(Some(&pin)) });
    assert_eq!(seen.verdict.status, Status::Unavailable);
    let seen = assess(&Evidence { source: Source::Plc(&[]), ..world.evidence(None) });
    assert_eq!(seen.verdict.status, Status::Unavailable);
    // The log alone says that there is nothing, or nothing any more.
    let empty = World::new(2);
    assert_eq!(assess(&Evidence { statements: None, ..empty.evidence(None) }).verdict.status, Status::None);
}

#[test]
fn a_key_of_a_kind_that_is_not_supported_is_unproven() {
    let mut world = World::new(1);
    let mut state = crate::plc::UnsignedOperation { prev: Some(world.head()), ..world.state() };
    let x25519 = "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc";
    state.verification_methods.insert("e2ee".to_owned(), x25519.to_owned());
    let operation = state.sign(&world.server);
    world.post(&operation);
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Unproven);
    assert_eq!(seen.key().map(NamedKey::as_str), Some(x25519));
}

#[test]
fn a_declaration_for_another_messenger_matches_differs_or_is_absent() {
    let mut world = World::new(1);
    let key = delegate(KeyType::Ed25519, 1);
    world.delegate(&key, None);
    let raw = key.public().ed25519_bytes().copied().unwrap();
    let of = |declared: Option<&[u8]>| {
        assess(&Evidence { declaration: declared, ..world.evidence(None) }).verdict.declaration
    };
    assert_eq!(of(None), Declaration::Absent);
    assert_eq!(of(Some(&[[3].as_slice(), &raw].concat())), Declaration::Match);
    assert_eq!(of(Some(&[[3].as_slice(), &[0; 32]].concat())), Declaration::Differs);
    assert_eq!(of(Some(&raw)), Declaration::Differs);
}

#[test]
fn a_verdict_has_exactly_the_fields_of_the_contract() {
    let mut world = world();
    let before = world.head();
    world.name(None);
    world.pass(hours(1));
    world.recover(before, Some(&key(2).public()));
    let json = serde_json::to_value(world.assess().verdict).unwrap();
    let operation = |index: usize| world.log[index].cid.to_string();
    let at = |index: usize| world.log[index].created_at.to_rfc3339_millis();
    assert_eq!(
        json,
        serde_json::json!({
            "status": "unproven",
            "log": "plc",
            "complete": false,
            "resets": [{
                "key": key(2).public().to_string(),
                "previous": key(1).public().to_string(),
                "operation": operation(3),
                "at": at(3),
            }],
            "nullified": [{ "operation": operation(2), "at": at(2) }],
            "recent": true,
            "vsPin": "none",
            "declaration": "absent",
        })
    );
}

#[test]
fn a_pin_is_written_and_read_and_one_of_another_account_says_nothing() {
    let mut world = world();
    world.entries = vec![world.entry("com.example.chat", None, &key(1))];
    let pin = world.pin();
    assert_eq!(pin.revs.len(), 1);
    let json = serde_json::to_value(&pin).unwrap();
    assert_eq!(json["key"], key(1).public().to_string());
    assert_eq!(serde_json::from_value::<Pin>(json).unwrap(), pin);
    let other = Pin { did: World::new(2).did, head: Some(Cid::of_cbor(b"x")), ..pin };
    assert_eq!(world.assess_with(Some(&other)).verdict.vs_pin, VsPin::None);
}

#[test]
fn several_ids_do_not_disturb_each_other() {
    let mut world = world();
    let mut other = world.clone();
    other.id = "second".parse().unwrap();
    other.delegate(&key(2), None);
    world.log = other.log.clone();
    world.statements = other.statements.clone();
    world.now = other.now;
    assert_eq!(world.assess().key().map(NamedKey::as_str), Some(key(1).public().to_string().as_str()));
    assert_eq!(other.assess().key().map(NamedKey::as_str), Some(key(2).public().to_string().as_str()));
    assert_eq!(world.assess().verdict.status, Status::Verified);
    assert_eq!(other.assess().verdict.status, Status::Verified);
}

#[test]
fn safety_numbers_are_the_same_from_both_sides_and_change_with_every_part() {
    let (one, other) = (World::new(1), World::new(2));
    let (a, b) = (key(1).public(), key(2).public());
    fn side<'a>(world: &'a World, key: &'a crate::crypto::DelegateKey) -> safety_number::Side<'a> {
        safety_number::Side { did: &world.did, id: &world.id, key }
    }
    let (one, other, a, b) = (&one, &other, &a, &b);
    let number = safety_number::safety_number(side(one, a), side(other, b));
    assert_eq!(number, safety_number::safety_number(side(other, b), side(one, a)));
    assert_eq!(number.len(), 60);
    assert!(number.bytes().all(|digit| digit.is_ascii_digit()));
    let (low, high) = number.split_at(30);
    assert!(low <= high);
    assert_ne!(number, safety_number::safety_number(side(one, b), side(other, b)));
    assert_ne!(number, safety_number::safety_number(side(other, a), side(other, b)));
    let second = "second".parse().unwrap();
    let renamed = safety_number::Side { id: &second, ..side(one, a) };
    assert_ne!(number, safety_number::safety_number(renamed, side(other, b)));
    assert_eq!(safety_number::in_groups(&number).split(' ').count(), 12);
    assert_ne!(safety_number::fingerprint(a), safety_number::fingerprint(b));
}
