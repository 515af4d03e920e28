use super::*;
use crate::{
    crypto::{Curve, SigningKey},
    delegation::web::{Chain, WebDocument},
    entropy::SeededEntropy,
    ipld::Cid,
    plc::{Operation, UnsignedOperation},
};

fn check(world: &World, statement: &Statement, purpose: Purpose) -> Result<CheckedStatement, DelegationError> {
    let verified = world.verified();
    let delegations: Vec<DelegationId> =
        world.state().verification_methods.keys().filter(|id| *id != "atproto").map(|id| id.parse().unwrap()).collect();
    let server_keys = [world.signing.did_key().to_string()];
    check_statement(
        statement,
        purpose,
        &Account {
            did: &world.did,
            ground: Ground::Plc(&verified),
            delegations: &delegations,
            server_keys: &server_keys,
            now: world.now,
        },
    )
}

fn name(world: &World, statement: &Statement, purpose: Purpose) -> &'static str {
    check(world, statement, purpose).unwrap_err().name()
}

#[test]
fn a_first_key_a_rotation_a_claim_and_an_end_are_told_apart() {
    let mut world = World::new(1);
    world.pass(hours(1));
    let first = check(&world, &world.claim(&key(1), None), Purpose::Create).unwrap();
    assert_eq!((first.effect, first.endorsed, first.first), (Effect::Names, false, true));
    assert_eq!(first.key, Some(key(1).public()));
    world.delegate(&key(1), None);
    world.pass(hours(1));
    let claim = check(&world, &world.claim(&key(1), None), Purpose::Create).unwrap();
    assert_eq!((claim.effect, claim.endorsed, claim.first), (Effect::Claims, false, false));
    let next = check(&world, &world.claim(&key(2), Some(&key(1))), Purpose::Update).unwrap();
    assert_eq!((next.effect, next.endorsed, next.first), (Effect::Names, true, false));
    assert_eq!(next.current, Some(NamedKey::from(key(1).public())));
    let unendorsed = check(&world, &world.claim(&key(2), None), Purpose::Update).unwrap();
    assert!(!unendorsed.endorsed);
    let end = check(&world, &world.ending(&key(1)), Purpose::Delete).unwrap();
    assert_eq!((end.effect, end.endorsed, end.key), (Effect::Ends, true, None));
    world.end(&key(1));
    world.pass(hours(1));
    let again = check(&world, &world.claim(&key(2), Some(&key(1))), Purpose::Create).unwrap();
    assert_eq!((again.effect, again.endorsed, again.first), (Effect::Names, true, false));
}

#[test]
fn consent_is_an_endorsement_a_code_or_in_two_cases_a_fresh_session() {
    let mut world = World::new(1);
    world.pass(hours(1));
    let first = check(&world, &world.claim(&key(1), None), Purpose::Create).unwrap();
    world.delegate(&key(1), None);
    let unendorsed = check(&world, &world.claim(&key(2), None), Purpose::Update).unwrap();
    let endorsed = check(&world, &world.claim(&key(2), Some(&key(1))), Purpose::Update).unwrap();
    let (fresh, second) = (Session::Fresh { second_factor: false }, Session::Fresh { second_factor: true });
    for (statement, needed) in [
        (first, [true, true, false, false]),
        (unendorsed, [true, true, true, false]),
        (endorsed, [false, false, false, false]),
    ] {
        assert_eq!([Session::OAuth, Session::Full, fresh, second].map(|s| statement.needs_token(s)), needed);
    }
}

#[test]
fn what_a_server_accepts_readers_find_verified() {
    let mut world = World::new(1);
    for n in 1..5 {
        world.pass(hours(1));
        let endorser = key(n - 1);
        let statement = world.claim(&key(n), (n > 1).then_some(&endorser));
        let purpose = if n > 1 { Purpose::Update } else { Purpose::Create };
        assert!(check(&world, &statement, purpose).is_ok());
        world.statements.push(statement);
        world.name(Some(&key(n).public()));
        let seen = world.assess();
        assert_eq!(seen.verdict.status, Status::Verified);
        assert!(seen.verdict.complete && seen.verdict.resets.is_empty());
    }
}

#[test]
fn a_key_set_elsewhere_is_claimed_with_the_endorsement_of_the_one_before() {
    let mut world = world();
    world.name(Some(&key(2).public()));
    world.pass(hours(1));
    world.rename("alicia");
    let endorsed = world.claim(&key(2), Some(&key(1)));
    let checked = check(&world, &endorsed, Purpose::Create).unwrap();
    assert_eq!((checked.effect, checked.endorsed), (Effect::Claims, true));
    assert_eq!(name(&world, &world.claim(&key(2), Some(&key(3))), Purpose::Create), "InvalidEndorsement");
    world.statements.push(endorsed);
    assert!(world.assess().verdict.resets.is_empty());
}

#[test]
fn another_did_and_a_time_far_ahead_are_invalid() {
    let mut world = world();
    let other = World::new(2).claim(&key(2), None);
    assert_eq!(name(&world, &other, Purpose::Update), "InvalidStatement");
    let hour = crate::limits::delegation::CREATED_AT_MAX_AHEAD;
    world.pass(hour);
    let statement = world.claim(&key(2), None);
    world.now = world.now.minus(hour);
    assert!(check(&world, &statement, Purpose::Update).is_ok());
    world.now = world.now.minus(Duration::from_millis(1));
    assert_eq!(name(&world, &statement, Purpose::Update), "InvalidStatement");
}

#[test]
fn a_statement_for_another_method_is_invalid() {
    let world = world();
    assert_eq!(name(&world, &world.ending(&key(1)), Purpose::Update), "InvalidStatement");
    assert_eq!(name(&world, &world.claim(&key(2), None), Purpose::Delete), "InvalidStatement");
}

#[test]
fn reserved_ids_and_a_fifth_delegation_are_refused() {
    let mut world = world();
    for id in ["atproto", "atproto_label"] {
        world.id = id.parse().unwrap();
        assert_eq!(name(&world, &world.claim(&key(2), None), Purpose::Create), "ReservedDelegationId");
    }
    for id in ["two", "three", "four"] {
        world.id = id.parse().unwrap();
        assert!(check(&world, &world.claim(&key(2), None), Purpose::Create).is_ok());
        world.name(Some(&key(2).public()));
        world.pass(hours(1));
    }
    world.id = "five".parse().unwrap();
    assert_eq!(name(&world, &world.claim(&key(2), None), Purpose::Create), "TooManyDelegations");
    world.id = "two".parse().unwrap();
    assert!(check(&world, &world.claim(&key(2), None), Purpose::Create).is_ok(), "a claim is no new delegation");
}

#[test]
fn creating_what_exists_and_changing_what_does_not_are_refused() {
    let mut world = world();
    assert_eq!(name(&world, &world.claim(&key(2), None), Purpose::Create), "DelegationExists");
    assert_eq!(name(&world, &world.claim(&key(1), None), Purpose::Update), "DelegationExists");
    world.id = "other".parse().unwrap();
    assert_eq!(name(&world, &world.claim(&key(2), None), Purpose::Update), "DelegationNotFound");
    assert_eq!(name(&world, &world.ending(&key(1)), Purpose::Delete), "DelegationNotFound");
}

#[test]
fn keys_of_other_kinds_and_of_small_order_are_unsupported() {
    let world = world();
    let good = world.claim(&key(2), None).to_map();
    let small = format!("did:key:z{}", bs58::encode([[0xed, 0x01].as_slice(), &[0; 32]].concat()).into_string());
    for text in ["did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc", small.as_str()] {
        let mut map = good.clone();
        map.insert("key", text);
        let statement = Statement::from_map(&map).unwrap();
        assert_eq!(name(&world, &statement, Purpose::Update), "UnsupportedKeyType", "{text}");
    }
}

#[test]
fn keys_that_a_server_could_use_are_refused() {
    let mut world = world();
    let as_delegate = |key: &SigningKey| {
        let key_type = crate::crypto::DelegateKey::from(key.did_key()).key_type();
        DelegateSigningKey::from_bytes(key_type, key.to_bytes().as_slice()).unwrap()
    };
    for private in [&world.owner, &world.server, &world.signing] {
        let statement = world.claim(&as_delegate(private), None);
        assert_eq!(name(&world, &statement, Purpose::Update), "KeyNotUserHeld");
    }
    // One that is no longer listed was the account's once: readers would see a mismatch.
    let old = SigningKey::generate(Curve::P256, &SeededEntropy::new(77));
    for key in [old.clone(), world.signing.clone()] {
        let mut state = UnsignedOperation { prev: Some(world.head()), ..world.state() };
        state.set_signing_key(&key.did_key());
        let operation = state.sign(&world.server);
        world.post(&operation);
    }
    assert_eq!(name(&world, &world.claim(&as_delegate(&old), None), Purpose::Update), "KeyNotUserHeld");
}

#[test]
fn a_prev_that_is_not_the_head_is_stale_and_the_head_is_named() {
    let mut world = world();
    let statement = world.claim(&key(2), None);
    world.rename("alicia");
    let error = check(&world, &statement, Purpose::Update).unwrap_err();
    assert_eq!(error, DelegationError::StaleStatement(Some(world.head())));
}

#[test]
fn claims_and_endorsements_by_other_keys_are_invalid() {
    let world = world();
    let draft = world.draft(world.head(), Some(&key(2)));
    let of = |claimer: u64, endorser: Option<u64>| {
        draft.clone().sign(Some(&key(claimer)), endorser.map(key).as_ref()).unwrap()
    };
    assert_eq!(name(&world, &of(3, None), Purpose::Update), "InvalidClaim");
    assert_eq!(name(&world, &of(2, Some(3)), Purpose::Update), "InvalidEndorsement");
    let mut empty = World::new(3);
    empty.pass(hours(1));
    assert_eq!(name(&empty, &empty.claim(&key(1), Some(&key(1))), Purpose::Create), "InvalidEndorsement");
    assert_eq!(name(&world, &world.ending(&key(2)), Purpose::Delete), "InvalidEndorsement");
}

#[test]
fn errors_come_in_the_order_of_the_contract() {
    // One statement in which everything is wrong, mended step by step.
    let mut world = world();
    let mut wrong = World::new(2);
    wrong.id = "atproto".parse().unwrap();
    assert_eq!(name(&world, &wrong.claim(&key(1), Some(&key(2))), Purpose::Create), "InvalidStatement");
    world.id = "atproto".parse().unwrap();
    let absent = Cid::of_cbor(b"x");
    let at = |world: &World, claimer: &DelegateSigningKey, key: &DelegateSigningKey| {
        world.draft(absent, Some(key)).sign(Some(claimer), Some(claimer)).unwrap()
    };
    assert_eq!(name(&world, &at(&world, &key(3), &key(2)), Purpose::Create), "ReservedDelegationId");
    world.id = DelegationId::default();
    assert_eq!(name(&world, &at(&world, &key(3), &key(2)), Purpose::Create), "DelegationExists");
    let server = DelegateSigningKey::from_bytes(KeyType::K256, world.server.to_bytes().as_slice()).unwrap();
    assert_eq!(name(&world, &at(&world, &key(3), &server), Purpose::Update), "KeyNotUserHeld");
    assert_eq!(name(&world, &at(&world, &key(3), &key(2)), Purpose::Update), "StaleStatement");
    let draft = world.draft(world.head(), Some(&key(2)));
    assert_eq!(
        name(&world, &draft.clone().sign(Some(&key(3)), Some(&key(3))).unwrap(), Purpose::Update),
        "InvalidClaim"
    );
    assert_eq!(
        name(&world, &draft.clone().sign(Some(&key(2)), Some(&key(3))).unwrap(), Purpose::Update),
        "InvalidEndorsement"
    );
    assert!(check(&world, &draft.sign(Some(&key(2)), Some(&key(1))).unwrap(), Purpose::Update).is_ok());
}

fn operation(world: &World, operation: &Operation, n: Option<u64>) -> Result<(), String> {
    let key = n.map(|n| key(n).public());
    check_operation(operation, &world.verified(), &world.id, key.as_ref()).map_err(|error| {
        assert_eq!(error.name(), "InvalidOperation");
        error.to_string()
    })
}

#[test]
fn a_user_signed_operation_that_changes_the_method_alone_is_taken() {
    let world = world();
    assert_eq!(operation(&world, &world.naming(Some(&key(2).public()), &world.owner), Some(2)), Ok(()));
    assert_eq!(operation(&world, &world.naming(None, &world.owner), None), Ok(()));
}

#[test]
fn a_user_signed_operation_that_does_anything_else_is_refused() {
    let world = world();
    let base = || {
        let mut state = UnsignedOperation { prev: Some(world.head()), ..world.state() };
        state.verification_methods.insert("e2ee".to_owned(), key(2).public().to_string());
        state
    };
    let changes: [fn(&mut UnsignedOperation); 6] = [
        |state| state.rotation_keys.reverse(),
        |state| state.also_known_as.push("at://evil.test".to_owned()),
        |state| state.set_pds("https://evil.test"),
        |state| drop(state.verification_methods.remove("atproto")),
        |state| drop(state.verification_methods.insert("other".to_owned(), key(3).public().to_string())),
        |state| drop(state.verification_methods.insert("e2ee".to_owned(), key(3).public().to_string())),
    ];
    for change in changes {
        let mut state = base();
        change(&mut state);
        assert!(operation(&world, &state.sign(&world.owner), Some(2)).unwrap_err().contains("alone"));
    }
    let stranger = SigningKey::generate(Curve::K256, &SeededEntropy::new(5));
    assert!(operation(&world, &base().sign(&stranger), Some(2)).unwrap_err().contains("rotation keys"));
    let stale = UnsignedOperation { prev: Some(world.log[0].cid), ..base() };
    assert!(operation(&world, &stale.sign(&world.owner), Some(2)).unwrap_err().contains("prev"));
    let same = world.naming(Some(&key(1).public()), &world.owner);
    assert!(operation(&world, &same, Some(1)).unwrap_err().contains("already"));
    let planned = plan_operation(&world.verified(), &world.id, Some(&key(2).public()));
    assert_eq!(planned, Ok(base()));
    let tombstone = Operation::tombstone(world.head(), &world.owner);
    assert!(operation(&world, &tombstone, None).unwrap_err().contains("plc_operation"));
    assert!(operation(&world, &world.naming(None, &world.owner), Some(2)).is_err());
}

#[test]
fn an_eleventh_verification_method_is_refused_before_signing() {
    let mut world = world();
    let mut state = UnsignedOperation { prev: Some(world.head()), ..world.state() };
    for n in state.verification_methods.len()..10 {
        state.verification_methods.insert(format!("m{n}"), key(2).public().to_string());
    }
    let full = state.sign(&world.server);
    world.post(&full);
    let error = plan_operation(&world.verified(), &"one_more".parse().unwrap(), Some(&key(3).public())).unwrap_err();
    assert_eq!(error.name(), "InvalidOperation");
    assert!(plan_operation(&world.verified(), &world.id, Some(&key(3).public())).is_ok(), "a rotation adds none");
    let tombstone = Operation::tombstone(world.head(), &world.server);
    world.post(&tombstone);
    assert!(plan_operation(&world.verified(), &world.id, Some(&key(3).public())).is_err(), "the DID has ended");
}

#[test]
fn generic_methods_may_leave_a_delegated_id_alone_or_restore_it() {
    let world = world();
    let (id, current) = (DelegationId::default(), world.state());
    let with = |n: Option<u64>| {
        let mut next = current.clone();
        next.verification_methods.remove("e2ee");
        next.verification_methods.extend(n.map(|n| ("e2ee".to_owned(), key(n).public().to_string())));
        next
    };
    let check = |current: &UnsignedOperation, next: &UnsignedOperation, proven: Option<u64>| {
        check_generic_change(current, next, &[(id.clone(), proven.map(|n| key(n).public()))]).is_ok()
    };
    assert!(check(&current, &with(Some(1)), Some(1)));
    assert!(!check(&current, &with(Some(2)), Some(1)));
    assert!(!check(&current, &with(None), Some(1)));
    // Somebody swapped the key: back to the proven one, and nowhere else.
    assert!(check(&with(Some(2)), &with(Some(1)), Some(1)));
    assert!(!check(&with(Some(2)), &with(Some(3)), Some(1)));
    assert!(check(&with(Some(2)), &with(Some(2)), Some(1)), "leaving it is no change");
    assert!(check(&with(Some(2)), &with(None), None), "back to an end");
    assert!(check_generic_change(&current, &with(None), &[]).is_ok());
}

#[test]
fn on_did_web_a_statement_follows_the_latest_one() {
    let did: crate::syntax::Did = "did:web:alice.test".parse().unwrap();
    let world = World::new(1);
    let draft = |n: Option<u64>, prev: Option<Cid>| Draft {
        did: did.clone(),
        id: DelegationId::default(),
        key: n.map(|n| key(n).public()),
        prev,
        created_at: world.now,
    };
    let first = draft(Some(1), None).sign(Some(&key(1)), None).unwrap();
    let held = [world.signing.did_key().to_string()];
    let current = key(1).public().to_string();
    let check = |statement: &Statement, purpose, document: Option<&str>, known: &[Statement]| {
        let document = WebDocument { key: document, server_keys: &held };
        let account = Account {
            did: &did,
            ground: Ground::Web(document, known),
            delegations: &[],
            server_keys: &[],
            now: world.now,
        };
        check_statement(statement, purpose, &account).map_err(|error| error.name())
    };
    assert!(check(&first, Purpose::Create, None, &[]).unwrap().first);
    let known = std::slice::from_ref(&first);
    let next = draft(Some(2), Some(first.cid())).sign(Some(&key(2)), Some(&key(1))).unwrap();
    assert!(check(&next, Purpose::Update, Some(&current), known).unwrap().endorsed);
    let stale = draft(Some(2), None).sign(Some(&key(2)), Some(&key(1))).unwrap();
    assert_eq!(check(&stale, Purpose::Update, Some(&current), known), Err("StaleStatement"));
    let unknown = draft(Some(2), Some(first.cid())).sign(Some(&key(2)), Some(&key(3))).unwrap();
    assert_eq!(check(&unknown, Purpose::Update, Some(&current), known), Err("InvalidEndorsement"));
    let end = draft(None, Some(first.cid())).sign(None, Some(&key(1))).unwrap();
    assert_eq!(check(&end, Purpose::Delete, Some(&current), known).unwrap().effect, Effect::Ends);
    let account_key = DelegateSigningKey::from_bytes(KeyType::K256, world.signing.to_bytes().as_slice()).unwrap();
    let reused =
        Draft { key: Some(account_key.public()), ..draft(Some(2), None) }.sign(Some(&account_key), None).unwrap();
    assert_eq!(check(&reused, Purpose::Create, None, &[]), Err("KeyNotUserHeld"));
    assert_eq!(Chain::read(&did, &DelegationId::default(), known).head(), Some(first.cid()));
}

#[test]
fn a_fifth_delegation_is_one_too_many_however_its_key_came_into_the_document() {
    let mut world = World::new(1);
    world.pass(hours(1));
    let others: Vec<DelegationId> = ["one", "two", "three", "four"].map(|id| id.parse().unwrap()).to_vec();
    let beside = |world: &World, others: &[DelegationId], statement: &Statement, purpose| {
        let (verified, did, now) = (world.verified(), &world.did, world.now);
        let account = Account { did, ground: Ground::Plc(&verified), delegations: others, server_keys: &[], now };
        check_statement(statement, purpose, &account).map(|checked| checked.effect)
    };
    let first = world.claim(&key(1), None);
    assert_eq!(beside(&world, &others, &first, Purpose::Create), Err(DelegationError::TooManyDelegations));
    assert_eq!(beside(&world, &others, &first, Purpose::Update), Err(DelegationError::DelegationNotFound));
    assert_eq!(beside(&world, &others[1..], &first, Purpose::Create), Ok(Effect::Names));

    // Somebody else's operation names it: a statement would make it a delegation.
    world.name(Some(&key(1).public()));
    world.pass(hours(1));
    for (statement, purpose, effect) in [
        (world.claim(&key(1), None), Purpose::Create, Effect::Claims),
        (world.claim(&key(2), None), Purpose::Update, Effect::Names),
    ] {
        assert_eq!(beside(&world, &others, &statement, purpose), Err(DelegationError::TooManyDelegations));
        assert_eq!(beside(&world, &others[1..], &statement, purpose), Ok(effect));
        let own = [&others[1..], std::slice::from_ref(&world.id)].concat();
        assert_eq!(beside(&world, &own, &statement, purpose), Ok(effect), "it is one of the four");
    }
}
