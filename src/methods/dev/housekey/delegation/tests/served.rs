//! did:web accounts whose document this server serves: no directory, and the document and the statements change together.

use super::*;
use crate::{
    delegation::{Status, web::WebDocument},
    event::Frame,
    identity::DidDocument,
    outbound::Freshness,
    store::AccountState,
};

const SIGN_UP: &str = "com.atproto.server.createAccount";

fn input(did: &str, handle: &str) -> Json {
    json!({ "did": did, "handle": handle, "email": "carol@example.com", "password": "correct horse" })
}

/// Carol with `did:web:carol.test`.
async fn carol() -> Alice {
    let world = World::new().await;
    let made = world.post(SIGN_UP, As::Nobody, &input("did:web:carol.test", "carol.test")).await.ok();
    assert_eq!(made["didDoc"]["id"], "did:web:carol.test");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let account = world.server.store.account_by_did(&"did:web:carol.test".parse().unwrap()).await.unwrap().unwrap();
    Alice { account, jwt: text("accessJwt"), refresh: text("refreshJwt"), world, id: DelegationId::default() }
}

/// A statement that follows another one.
fn after(
    carol: &Alice,
    prev: Option<&Json>,
    key: Option<&DelegateSigningKey>,
    by: Option<&DelegateSigningKey>,
) -> Json {
    let prev = prev.map(|statement| Statement::from_json(statement).unwrap().cid());
    Draft { prev, ..carol_draft(carol, key) }.sign(key, by).unwrap().to_json()
}

fn carol_draft(carol: &Alice, key: Option<&DelegateSigningKey>) -> Draft {
    Draft {
        did: carol.account.did.clone(),
        id: carol.id.clone(),
        key: key.map(DelegateSigningKey::public),
        prev: None,
        created_at: carol.world.clock.now(),
    }
}

async fn document(carol: &Alice) -> std::sync::Arc<DidDocument> {
    carol.world.server.resolver.did(&carol.account.did, Freshness::Cached).await.unwrap()
}

async fn named_in_document(carol: &Alice) -> Option<String> {
    let methods = document(carol).await.json["verificationMethod"].clone();
    let method = methods.as_array().unwrap().iter().find(|method| method["id"] == "did:web:carol.test#e2ee").cloned();
    method.map(|method| format!("did:key:{}", method["publicKeyMultibase"].as_str().unwrap()))
}

async fn assess_web(carol: &Alice) -> Assessment {
    let found = carol.get("getDelegation").await.ok();
    let statements: Vec<Statement> =
        found["statements"].as_array().unwrap().iter().map(|json| Statement::from_json(json).unwrap()).collect();
    let key = named_in_document(carol).await;
    assess(&Evidence {
        did: &carol.account.did,
        id: &carol.id,
        source: Source::Web(WebDocument { key: key.as_deref(), server_keys: &[] }),
        statements: Some(&statements),
        entries: &[],
        pin: None,
        declaration: None,
        now: carol.world.clock.now(),
    })
}

#[tokio::test]
async fn a_did_web_under_a_handle_domain_is_made_without_the_directory() {
    let carol = carol().await;
    assert_eq!(carol.world.directory.posts(), 0);
    assert_eq!(carol.account.state, AccountState::Active);
    let document = document(&carol).await;
    assert_eq!(document.handle.as_ref().unwrap().as_str(), "carol.test");
    assert_eq!(document.pds.as_ref().unwrap().as_str(), "https://pds.example.com/");
    assert_eq!(document.signing_key.as_ref().unwrap().to_string(), carol.account.signing_key);
    let status = carol.world.get("com.atproto.server.checkAccountStatus", As::Bearer(&carol.jwt)).await.ok();
    assert_eq!((&status["activated"], &status["validDid"]), (&json!(true), &json!(true)));
    let events = carol.world.events().await;
    assert!(matches!(events.as_slice(), [Frame::Identity(_), Frame::Account(_), Frame::Commit(_), Frame::Sync(_)]));
    // A new handle is in the document at once.
    carol.post("com.atproto.identity.updateHandle", &json!({ "handle": "caroline.test" })).await.ok_empty();
    assert_eq!(self::document(&carol).await.handle.as_ref().unwrap().as_str(), "caroline.test");
}

#[tokio::test]
async fn only_the_did_of_the_handle_is_made_and_never_twice() {
    let world = World::new().await;
    for (did, handle, status) in [
        ("did:web:carol.test", "dave.test", 400),
        ("did:web:carol.example.com", "carol.test", 401),
        ("did:web:test", "carol.test", 401),
        ("did:web:a.b.test", "a.b.test", 400),
    ] {
        assert_eq!(world.post(SIGN_UP, As::Nobody, &input(did, handle)).await.error().0, status, "{did} {handle}");
    }
    let good = input("did:web:carol.test", "carol.test");
    world.post(SIGN_UP, As::Nobody, &good).await.ok();
    assert_eq!(world.post(SIGN_UP, As::Nobody, &good).await.error(), (400, "InvalidRequest"));
    let mut policy = crate::service::testing::policy();
    policy.did_web = false;
    let refused = World::with(policy).await.post(SIGN_UP, As::Nobody, &good).await;
    assert!(refused.message().contains("makes no did:web"), "{}", refused.message());
}

#[tokio::test]
async fn the_document_and_the_statement_change_together_and_without_plc() {
    let carol = carol().await;
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::P256, 2));
    let events = carol.world.events().await.len();
    let created = after(&carol, None, Some(&first), None);
    let made = carol.post(CREATE, &json!({ "statement": created })).await.ok();
    assert_eq!(
        (&made["state"], &made["key"], made.get("operation")),
        (&json!("active"), &json!(did_key(&first)), None)
    );
    assert_eq!(named_in_document(&carol).await, Some(did_key(&first)));
    let told = carol.world.events().await.split_off(events);
    assert!(matches!(told.as_slice(), [Frame::Commit(_), Frame::Identity(_)]), "{told:?}");
    assert_eq!(carol.post(CREATE, &json!({ "statement": created })).await.ok(), made, "the same again");

    let stale = after(&carol, None, Some(&second), Some(&first));
    assert_eq!(carol.post(UPDATE, &json!({ "statement": stale })).await.error(), (400, "StaleStatement"));
    let rotated = after(&carol, Some(&created), Some(&second), Some(&first));
    carol.post(UPDATE, &json!({ "statement": rotated })).await.ok();
    assert_eq!(named_in_document(&carol).await, Some(did_key(&second)));
    let verdict = assess_web(&carol).await.verdict;
    assert_eq!((verdict.status, verdict.complete, verdict.resets.len()), (Status::Verified, true, 0));
    assert_eq!(serde_json::to_value(&verdict).unwrap()["log"], "none");

    let ended = after(&carol, Some(&rotated), None, Some(&second));
    carol.post(DELETE, &json!({ "statement": ended })).await.ok();
    assert_eq!(named_in_document(&carol).await, None);
    assert_eq!(carol.get("getDelegation").await.ok()["state"], "ended");
    assert_eq!(assess_web(&carol).await.verdict.status, Status::Ended);
    assert_eq!(carol.world.directory.posts(), 0);
}

#[tokio::test]
async fn a_lost_key_is_ended_by_the_mailed_code_and_the_document_follows() {
    let carol = carol().await;
    let first = key(KeyType::K256, 1);
    carol.post(CREATE, &json!({ "statement": after(&carol, None, Some(&first), None) })).await.ok();
    let events = carol.world.events().await.len();
    let code = carol.code(&json!({ "id": "e2ee" })).await;
    carol.post(DELETE, &json!({ "id": "e2ee", "token": code })).await.ok();
    assert_eq!(named_in_document(&carol).await, None);
    let told = carol.world.events().await.split_off(events);
    assert!(matches!(told.as_slice(), [Frame::Identity(_)]), "{told:?}");
}
