use super::*;
use crate::{
    delegation::{
        proof::Fault,
        testing::START,
        verdict::{Assessment, LogKind},
        web::WebDocument,
    },
    ipld::Cid,
    syntax::Did,
};

fn did() -> Did {
    "did:web:alice.test".parse().unwrap()
}

/// A chain of changes: for each the key's number (none for an end) and the endorser's.
fn chain(changes: &[(Option<u64>, Option<u64>)]) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    for (index, (n, endorser)) in changes.iter().enumerate() {
        let draft = Draft {
            did: did(),
            id: DelegationId::default(),
            key: n.map(|n| key(n).public()),
            prev: statements.last().map(Statement::cid),
            created_at: START.plus(hours(u64::try_from(index).unwrap())),
        };
        statements.push(draft.sign(n.map(key).as_ref(), endorser.map(key).as_ref()).unwrap());
    }
    statements
}

fn judge(document: Option<u64>, statements: &[Statement], pin: Option<&Pin>) -> Assessment {
    let text = document.map(|n| key(n).public().to_string());
    let server_keys = [key(9).public().to_string()];
    assess(&Evidence {
        did: &did(),
        id: &DelegationId::default(),
        source: Source::Web(WebDocument { key: text.as_deref(), server_keys: &server_keys }),
        statements: Some(statements),
        entries: &[],
        pin,
        declaration: None,
        now: START.plus(hours(1000)),
    })
}

fn pin(document: u64, statements: &[Statement]) -> Pin {
    judge(Some(document), statements, None).to_pin(&did(), &DelegationId::default()).unwrap()
}

#[test]
fn the_best_is_verified_without_a_log() {
    let statements = chain(&[(Some(1), None)]);
    let seen = judge(Some(1), &statements, None);
    assert_eq!((seen.verdict.status, seen.verdict.log), (Status::Verified, LogKind::None));
    assert!(seen.verdict.complete && !seen.verdict.recent);
    assert_eq!(judge(None, &[], None).verdict.status, Status::None);
    assert_eq!(judge(Some(1), &[], None).verdict.status, Status::Unproven);
    assert_eq!(judge(Some(2), &statements, None).verdict.status, Status::Unproven);
}

#[test]
fn an_endorsed_chain_is_a_successor_and_an_unendorsed_one_a_reset() {
    let endorsed = chain(&[(Some(1), None), (Some(2), Some(1)), (Some(3), Some(2))]);
    let pin = pin(1, &endorsed[..1]);
    let seen = judge(Some(3), &endorsed, Some(&pin));
    assert_eq!((seen.verdict.status, seen.verdict.vs_pin), (Status::Verified, VsPin::Successor));
    assert!(seen.verdict.resets.is_empty());
    let broken = chain(&[(Some(1), None), (Some(2), None), (Some(3), Some(2))]);
    let seen = judge(Some(3), &broken, Some(&pin));
    assert_eq!((seen.verdict.resets.len(), seen.verdict.vs_pin), (1, VsPin::Reset));
    assert_eq!(seen.verdict.resets[0].at, None, "nobody dates it");
}

#[test]
fn a_chain_cut_at_its_beginning_is_incomplete_and_for_a_pin_a_reset() {
    let whole = chain(&[(Some(1), None), (Some(2), Some(1))]);
    let pin = pin(1, &whole[..1]);
    let seen = judge(Some(2), &whole[1..], Some(&pin));
    assert_eq!((seen.verdict.status, seen.verdict.vs_pin), (Status::Verified, VsPin::Reset));
    assert!(!seen.verdict.complete);
}

#[test]
fn an_end_and_a_return_are_an_interruption() {
    let statements = chain(&[(Some(1), None), (None, Some(1)), (Some(1), None)]);
    let pin = pin(1, &statements[..1]);
    assert_eq!(judge(None, &statements[..2], Some(&pin)).verdict.status, Status::Ended);
    let seen = judge(Some(1), &statements, Some(&pin));
    assert_eq!((seen.verdict.status, seen.verdict.vs_pin), (Status::Verified, VsPin::Interrupted));
    assert!(seen.verdict.resets.is_empty());
    // Without an ending statement the end is the host's word.
    assert_eq!(judge(None, &statements[..1], None).verdict.status, Status::Ended);
}

#[test]
fn a_document_rolled_back_while_the_later_statement_is_shown_is_a_rollback() {
    let statements = chain(&[(Some(1), None), (Some(2), Some(1))]);
    let pin = pin(2, &statements);
    let seen = judge(Some(1), &statements, Some(&pin));
    assert_eq!((seen.verdict.status, seen.verdict.vs_pin), (Status::Verified, VsPin::Rollback));
}

#[test]
fn forged_and_foreign_statements_are_ignored() {
    let mut statements = chain(&[(Some(1), None)]);
    let draft = Draft {
        did: did(),
        id: DelegationId::default(),
        key: Some(key(2).public()),
        prev: Some(statements[0].cid()),
        created_at: START,
    };
    statements.push(draft.clone().sign(Some(&key(3)), None).unwrap());
    statements.push(draft.clone().sign(Some(&key(2)), Some(&key(3))).unwrap());
    let hanging = Draft { prev: Some(Cid::of_cbor(b"x")), key: None, ..draft };
    statements.push(hanging.sign(None, Some(&key(1))).unwrap());
    let seen = judge(Some(2), &statements, None);
    assert_eq!(seen.verdict.status, Status::Unproven);
    let mut faults: Vec<Fault> = seen.ignored.iter().map(|ignored| ignored.fault).collect();
    faults.sort();
    assert_eq!(faults, [Fault::Claim, Fault::Endorsement, Fault::Endorsement]);
}

#[test]
fn the_account_s_own_key_is_a_mismatch() {
    let statements = chain(&[(Some(9), None)]);
    assert_eq!(judge(Some(9), &statements, None).verdict.status, Status::Mismatch);
}

#[test]
fn the_kind_of_source_must_fit_the_did() {
    let world = world();
    let document = WebDocument { key: None, server_keys: &[] };
    let seen = assess(&Evidence { source: Source::Web(document), ..world.evidence(None) });
    assert_eq!(seen.verdict.status, Status::Unavailable);
}
