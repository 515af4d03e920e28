//! What a lying server or directory does, and what shows it. Each test names what caught it.

use super::*;
use crate::{
    clock::Timestamp,
    delegation::{
        proof::{Fault, Ignored},
        verdict::Assessment,
    },
    ipld::Cid,
    plc::LogError,
};

fn fault_of(assessment: &Assessment, statement: &Statement) -> Option<Fault> {
    let found = assessment.ignored.iter().find(|Ignored { statement: cid, .. }| *cid == statement.cid());
    found.map(|ignored| ignored.fault)
}

/// The keys of the resets, with the times that PLC gives them.
fn resets(assessment: &Assessment) -> Vec<(String, Option<String>)> {
    assessment.verdict.resets.iter().map(|reset| (reset.key.clone(), reset.at.clone())).collect()
}

fn text(key: &DelegateSigningKey) -> String {
    key.public().to_string()
}

#[test]
fn a_key_swapped_with_the_statements_replaced_by_fresh_ones_is_a_reset_dated_by_the_log() {
    let mut world = world();
    let pin = world.pin();
    world.statements.clear();
    world.delegate(&key(2), None);
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Verified);
    assert_eq!(resets(&seen), [(text(&key(2)), Some(world.now.to_rfc3339_millis()))]);
    assert!(!seen.verdict.complete, "the first key has no statement any more");
    assert_eq!(world.assess_with(Some(&pin)).verdict.vs_pin, VsPin::Reset);
}

#[test]
fn a_key_swapped_and_swapped_back_leaves_a_reset_and_an_interruption() {
    let mut world = world();
    let pin = world.pin();
    world.delegate(&key(2), None);
    world.pass(hours(1));
    world.name(Some(&key(1).public()));
    let seen = world.assess_with(Some(&pin));
    assert_eq!(seen.verdict.vs_pin, VsPin::Interrupted);
    let reset: Vec<String> = resets(&seen).into_iter().map(|(key, _)| key).collect();
    assert_eq!(reset, [text(&key(2)), text(&key(1))]);
    // The statement of the first time does not count for the second.
    assert_eq!(seen.verdict.status, Status::Unproven);
}

#[test]
fn a_swap_without_any_statement_is_unproven_and_a_reset() {
    let mut world = world();
    world.name(Some(&key(2).public()));
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Unproven);
    assert_eq!(resets(&seen).len(), 1);
}

#[test]
fn ended_and_re_created_with_another_key_is_a_reset_although_an_end_lies_between() {
    let mut world = world();
    let pin = world.pin();
    world.name(None);
    world.pass(hours(1));
    assert_eq!(world.assess().verdict.status, Status::Ended);
    world.delegate(&key(2), None);
    let seen = world.assess_with(Some(&pin));
    assert_eq!(seen.verdict.status, Status::Verified);
    assert_eq!(resets(&seen).len(), 1);
    assert_eq!(seen.verdict.vs_pin, VsPin::Reset);
}

#[test]
fn swapped_used_and_nullified_within_72_hours_stays_reported() {
    let mut world = world();
    let (pin, before) = (world.pin(), world.head());
    world.delegate(&key(2), None);
    let statement = world.statements.last().unwrap().clone();
    let during = world.assess_with(Some(&pin));
    assert_eq!(during.verdict.vs_pin, VsPin::Reset);
    assert!(during.verdict.recent);
    let used = world.pin();
    world.pass(hours(71));
    world.recover(before, Some(&key(1).public()));
    let seen = world.assess_with(Some(&pin));
    assert_eq!(seen.verdict.status, Status::Verified);
    assert_eq!(seen.verdict.vs_pin, VsPin::Same);
    let nullified: Vec<Option<String>> = seen.verdict.nullified.iter().map(|n| n.key.clone()).collect();
    assert_eq!(nullified, [Some(text(&key(2)))]);
    assert_eq!(fault_of(&seen, &statement), Some(Fault::Void));
    // Who was shown the swapped key learns that it was undone.
    assert_eq!(world.assess_with(Some(&used)).verdict.vs_pin, VsPin::Rollback);
}

#[test]
fn an_operation_that_nullifies_an_honest_rotation_is_reported_and_undoes_it() {
    let mut world = world();
    let before = world.head();
    world.delegate(&key(2), Some(&key(1)));
    let pin = world.pin();
    world.pass(hours(2));
    world.recover(before, Some(&key(3).public()));
    let evil = world.claim(&key(3), None);
    world.statements.push(evil);
    let seen = world.assess_with(Some(&pin));
    assert_eq!(seen.verdict.vs_pin, VsPin::Rollback);
    assert_eq!(seen.verdict.nullified.len(), 1);
    assert_eq!(resets(&seen).len(), 1);
    assert!(seen.verdict.recent);
}

#[test]
fn a_statement_dropped_is_unproven_and_incomplete() {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    world.statements.pop();
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Unproven);
    assert!(!seen.verdict.complete);
    assert_eq!(resets(&seen).len(), 1, "what cannot be shown to be endorsed is a reset");
    // An older one dropped: the present is still proven, the history has a gap.
    world.statements.clear();
    let statement = world.claim_at(world.log[1].cid, &key(2), Some(&key(1)));
    world.statements.push(statement);
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Verified);
    assert!(!seen.verdict.complete && seen.verdict.resets.is_empty());
}

#[test]
fn a_statement_changed_in_any_signed_field_does_not_count() {
    let world = world();
    let statement = &world.statements[0];
    for (field, value) in [
        ("createdAt", "2027-01-01T00:00:00.000Z".to_owned()),
        ("prev", world.head().to_string()),
        ("id", "other".to_owned()),
        ("did", World::new(2).did.to_string()),
    ] {
        let mut map = statement.to_map();
        map.insert(field, value);
        let mut changed = world.clone();
        changed.statements = vec![Statement::from_map(&map).unwrap()];
        let seen = changed.assess();
        assert_eq!(seen.verdict.status, Status::Unproven, "{field}");
        let fault = fault_of(&seen, &changed.statements[0]).unwrap();
        assert!(matches!(fault, Fault::Claim | Fault::OtherDelegation), "{field}: {fault:?}");
    }
}

#[test]
fn a_statement_forged_by_another_key_does_not_count() {
    let mut world = world();
    world.name(Some(&key(2).public()));
    // Key 3 signs in the name of key 2.
    let draft = world.draft(world.head(), Some(&key(2)));
    let forged = draft.clone().sign(Some(&key(3)), None).unwrap();
    let endorsed = draft.sign(Some(&key(2)), Some(&key(3))).unwrap();
    world.statements.extend([forged.clone(), endorsed.clone()]);
    let seen = world.assess();
    assert_eq!(fault_of(&seen, &forged), Some(Fault::Claim));
    assert_eq!(fault_of(&seen, &endorsed), Some(Fault::Endorsement));
    assert_eq!(seen.verdict.status, Status::Unproven);
}

#[test]
fn a_statement_with_its_endorsement_stripped_is_no_statement() {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    let endorsed = world.statements.pop().unwrap();
    let mut map = endorsed.to_map();
    map.remove("endorsement");
    let cause = Statement::from_map(&map).unwrap_err();
    assert!(cause.to_string().contains("endorsed"), "{cause}");
    // With the mark changed as well, the claim is over other bytes.
    map.insert("endorsed", false);
    let stripped = Statement::from_map(&map).unwrap();
    world.statements.push(stripped.clone());
    let seen = world.assess();
    assert_eq!(fault_of(&seen, &stripped), Some(Fault::Claim));
    assert_eq!(seen.verdict.status, Status::Unproven);
    // Beside the endorsed one it changes nothing.
    world.statements.push(endorsed);
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Verified);
    assert!(seen.verdict.resets.is_empty());
}

#[test]
fn a_retired_key_does_not_bridge_one_that_nobody_endorsed() {
    let mut world = world();
    let pin = world.pin();
    world.name(Some(&key(2).public()));
    world.pass(hours(1));
    // Key 1, retired and perhaps stolen, endorses key 3 over key 2's head.
    world.delegate(&key(3), Some(&key(1)));
    let bridge = world.statements.last().unwrap().clone();
    let seen = world.assess_with(Some(&pin));
    assert_eq!(fault_of(&seen, &bridge), Some(Fault::Endorsement));
    assert_eq!(resets(&seen).len(), 2);
    assert_eq!(seen.verdict.vs_pin, VsPin::Reset);
}

#[test]
fn a_stolen_old_key_endorses_nothing_after_it_was_replaced() {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    world.pass(hours(1));
    world.delegate(&key(3), Some(&key(1)));
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Unproven);
    let (reset, _) = &resets(&seen)[0];
    assert_eq!(reset, &text(&key(3)));
}

#[test]
fn a_truncated_log_is_caught_by_the_head_seen_before() {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    let pin = world.pin();
    world.log.pop();
    let seen = world.assess_with(Some(&pin));
    assert_eq!(seen.verdict.status, Status::Mismatch);
    assert_eq!(seen.verdict.vs_pin, VsPin::Rollback);
}

#[test]
fn a_truncated_log_is_caught_by_a_statement_whose_prev_it_lacks() {
    let mut world = world();
    world.rename("alicia");
    world.delegate(&key(2), Some(&key(1)));
    let statement = world.statements.last().unwrap().clone();
    world.log.truncate(2);
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Mismatch, "key 1 endorsed what came after an operation that is hidden");
    assert_eq!(fault_of(&seen, &statement), Some(Fault::HiddenLog));
    assert!(seen.wants_newer_log());
}

#[test]
fn a_log_cut_by_its_last_operation_alone_asks_to_be_read_again() {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    let statement = world.statements.last().unwrap().clone();
    world.log.pop();
    let seen = world.assess();
    // Nobody can tell this from a change that is just being made: the log must be read once more.
    assert_eq!(fault_of(&seen, &statement), Some(Fault::Nowhere));
    assert!(seen.wants_newer_log());

    // Two operations later, with a key that nobody endorsed.
    world.pass(hours(1));
    world.delegate(&key(3), None);
    world.pass(hours(1));
    world.delegate(&key(4), None);
    let statement = world.statements.last().unwrap().clone();
    world.log.truncate(world.log.len() - 2);
    let seen = world.assess();
    assert_eq!(fault_of(&seen, &statement), Some(Fault::PrevAbsent));
    assert!(seen.wants_newer_log());
}

#[test]
fn a_log_with_its_beginning_or_middle_cut_out_does_not_verify() {
    let mut world = world();
    world.rename("alicia");
    for cut in [0, 1] {
        let mut log = world.log.clone();
        log.remove(cut);
        let seen = assess(&Evidence { source: Source::Plc(&log), ..world.evidence(None) });
        assert_eq!(seen.verdict.status, Status::Mismatch);
        assert!(seen.log_error.is_some(), "the hashes chain");
    }
    let mut log = world.log.clone();
    log[1].nullified = true;
    let seen = assess(&Evidence { source: Source::Plc(&log), ..world.evidence(None) });
    assert_eq!(seen.log_error, Some(LogError::Nullified { index: 1 }));
}

#[test]
fn a_key_reused_from_the_account_s_own_is_a_mismatch() {
    for pick in [
        |world: &World| world.signing.clone(),
        |world: &World| world.server.clone(),
        |world: &World| world.owner.clone(),
    ] {
        let mut world = World::new(1);
        let private = pick(&world);
        let key_type = crate::crypto::DelegateKey::from(private.did_key()).key_type();
        let reused = DelegateSigningKey::from_bytes(key_type, private.to_bytes().as_slice()).unwrap();
        world.delegate(&reused, None);
        let seen = world.assess();
        assert_eq!(seen.verdict.status, Status::Mismatch);
        assert_eq!(fault_of(&seen, &world.statements[0]), Some(Fault::ServerHeld));
        // What it endorses is a reset all the same.
        world.pass(hours(1));
        world.delegate(&key(2), Some(&reused));
        let seen = world.assess();
        assert_eq!(seen.verdict.status, Status::Verified);
        assert_eq!(resets(&seen).len(), 1);
    }
}

#[test]
fn a_key_that_once_was_the_account_s_and_is_no_more_is_a_mismatch_too() {
    let mut world = World::new(1);
    let old = key(2);
    let listed = crate::crypto::SigningKey::from_bytes(crate::crypto::Curve::K256, old.to_bytes().as_slice()).unwrap();
    let mut state = crate::plc::UnsignedOperation { prev: Some(world.head()), ..world.state() };
    state.set_signing_key(&listed.did_key());
    let operation = state.sign(&world.server);
    world.post(&operation);
    world.pass(hours(1));
    let mut state = crate::plc::UnsignedOperation { prev: Some(world.head()), ..world.state() };
    state.set_signing_key(&world.signing.did_key());
    let operation = state.sign(&world.server);
    world.post(&operation);
    world.pass(hours(1));
    world.delegate(&old, None);
    assert_eq!(world.assess().verdict.status, Status::Mismatch);
}

#[test]
fn a_public_key_listed_as_a_rotation_key_afterwards_harms_nobody() {
    let mut world = World::new(1);
    world.delegate(&key(2), None);
    world.pass(hours(1));
    let mut state = crate::plc::UnsignedOperation { prev: Some(world.head()), ..world.state() };
    state.rotation_keys.push(text(&key(2)));
    let operation = state.sign(&world.server);
    world.post(&operation);
    assert_eq!(world.assess().verdict.status, Status::Verified);
    // Even when the key is swapped out and comes back after that.
    world.name(Some(&key(1).public()));
    world.pass(hours(1));
    world.delegate(&key(2), None);
    assert_eq!(world.assess().verdict.status, Status::Verified);
}

#[test]
fn a_poisoned_recovery_is_not_endorsed_by_the_attacker_s_key() {
    let mut world = world();
    let (pin, before) = (world.pin(), world.head());
    world.delegate(&key(2), None);
    // The owner nullifies the swap with a new key, which the attacker had endorsed beforehand.
    let poisoned = world.claim(&key(3), Some(&key(2)));
    let poisoned_before = world.claim_at(before, &key(3), Some(&key(2)));
    world.pass(hours(10));
    world.statements.extend([poisoned.clone(), poisoned_before.clone()]);
    let honest = world.claim_at(before, &key(3), Some(&key(1)));
    world.recover(before, Some(&key(3).public()));
    let seen = world.assess_with(Some(&pin));
    assert_eq!(fault_of(&seen, &poisoned), Some(Fault::Nowhere), "its prev was nullified");
    assert_eq!(fault_of(&seen, &poisoned_before), Some(Fault::Endorsement), "key 1 came before, not key 2");
    assert_eq!(seen.verdict.status, Status::Unproven);
    world.statements.push(honest);
    let seen = world.assess_with(Some(&pin));
    assert_eq!(seen.verdict.status, Status::Verified);
    assert_eq!(seen.verdict.vs_pin, VsPin::Successor);
    assert_eq!(seen.verdict.nullified.len(), 1);
}

#[test]
fn an_attacker_s_key_that_endorses_later_keys_leaves_its_own_reset_for_good() {
    let mut world = world();
    let pin = world.pin();
    world.delegate(&key(2), None);
    for n in 3..6 {
        world.pass(hours(200));
        world.delegate(&key(n), Some(&key(n - 1)));
    }
    let seen = world.assess_with(Some(&pin));
    assert_eq!(seen.verdict.status, Status::Verified);
    assert!(seen.verdict.complete);
    let reset: Vec<String> = resets(&seen).into_iter().map(|(key, _)| key).collect();
    assert_eq!(reset, [text(&key(2))]);
    assert_eq!(seen.verdict.vs_pin, VsPin::Reset);
}

#[test]
fn junk_and_far_future_statements_change_nothing() {
    let mut world = world();
    let honest = world.assess();
    let absent = Cid::of_cbor(b"no operation");
    let stranger = key(7);
    let mut junk = vec![
        world.claim(&stranger, None),
        world.claim_at(absent, &stranger, None),
        world.claim_at(absent, &stranger, Some(&key(8))),
        world.ending(&stranger),
        World::new(2).claim(&key(1), None),
    ];
    let mut future = world.clone();
    future.now = Timestamp::from_secs(32_503_680_000);
    junk.push(future.claim(&stranger, Some(&stranger)));
    // Planted before and after the honest ones.
    let mut statements = junk.clone();
    statements.append(&mut world.statements);
    statements.append(&mut junk.clone());
    world.statements = statements;
    let seen = world.assess();
    assert_eq!(seen.verdict, honest.verdict);
    assert_eq!(seen.statement(), honest.statement());
    assert_eq!(seen.ignored.len(), 2 * junk.len());
}

#[test]
fn statements_removed_before_a_migration_are_missed_and_can_be_put_back() {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    let (kept, honest) = (world.statements.clone(), world.assess());
    world.statements.clear();
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Unproven);
    assert!(!seen.verdict.complete);
    world.statements = kept;
    assert_eq!(world.assess().verdict, honest.verdict);
}

#[test]
fn more_statements_than_a_reader_takes_in_can_only_make_things_look_worse() {
    let mut world = world();
    let junk = world.claim(&key(7), None);
    let honest = world.statements.clone();
    world.statements = vec![junk; crate::limits::delegation::STATEMENTS_MAX_READ];
    world.statements.extend(honest.clone());
    let seen = world.assess();
    assert_eq!(seen.verdict.status, Status::Unproven);
    assert_eq!(fault_of(&seen, &honest[0]), Some(Fault::TooMany));
}
