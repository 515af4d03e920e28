//! Who consents: the key before, a fresh session, a mailed code.

use super::*;

#[tokio::test]
async fn a_fresh_session_suffices_for_the_first_key_alone() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    let refused = alice.post(UPDATE, &json!({ "statement": alice.claim(&second, None) })).await;
    assert_eq!(refused.error(), (400, "TokenRequired"), "the session is still fresh");
    assert_eq!(alice.named(), Some(did_key(&first)));
}

#[tokio::test]
async fn a_session_is_fresh_for_ten_minutes_and_a_refresh_does_not_renew_it() {
    let first = key(KeyType::Ed25519, 1);
    let mut alice = Alice::new().await;
    alice.world.clock.advance(Duration::from_secs(599));
    let refreshed = alice.world.post("com.atproto.server.refreshSession", As::Bearer(&alice.refresh), &Json::Null);
    alice.jwt = refreshed.await.ok()["accessJwt"].as_str().unwrap().to_owned();
    alice.world.clock.advance(Duration::from_secs(1));
    let refused = alice.post(CREATE, &json!({ "statement": alice.claim(&first, None) })).await;
    assert_eq!(refused.error(), (400, "TokenRequired"));
    let login = json!({ "identifier": "alice.test", "password": crate::service::testing::PASSWORD });
    let opened = alice.world.post("com.atproto.server.createSession", As::Nobody, &login).await.ok();
    alice.jwt = opened["accessJwt"].as_str().unwrap().to_owned();
    alice.post(CREATE, &json!({ "statement": alice.claim(&first, None) })).await.ok();
}

#[tokio::test]
async fn the_key_before_needs_no_code_however_old_the_session() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::K256, 2));
    let alice = Alice::with(&first).await;
    alice.wait();
    alice.post(UPDATE, &json!({ "statement": alice.claim(&second, Some(&first)) })).await.ok();
    alice.post(DELETE, &json!({ "statement": alice.ending(&second) })).await.ok();
    assert_eq!(alice.named(), None);
}

#[tokio::test]
async fn a_code_is_good_once_and_for_its_statement_alone() {
    let (first, second, third) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2), key(KeyType::Ed25519, 3));
    let alice = Alice::with(&first).await;
    let (wanted, foreign) = (alice.claim(&second, None), alice.claim(&third, None));
    let code = alice.code(&json!({ "statement": wanted })).await;
    let mail = alice.world.mailbox.last();
    for key in [&first, &second] {
        let fingerprint = crate::delegation::safety_number::fingerprint(&key.public());
        assert!(mail.contains(&fingerprint), "{mail}");
    }
    assert!(mail.contains(alice.account.did.as_str()) && mail.contains("e2ee"));
    let refused = alice.post(UPDATE, &json!({ "statement": foreign, "token": code })).await;
    assert_eq!(refused.error(), (400, "InvalidToken"), "a code for another statement");
    let refused = alice.post(UPDATE, &json!({ "statement": wanted, "token": "AAAAA-AAAAA" })).await;
    assert_eq!(refused.error(), (400, "InvalidToken"));
    let input = json!({ "statement": wanted, "token": code.to_lowercase() });
    assert_eq!(alice.post(UPDATE, &input).await.ok()["state"], "active");
    let again = json!({ "statement": alice.claim(&third, None), "token": code });
    assert_eq!(alice.post(UPDATE, &again).await.error(), (400, "InvalidToken"));
    let verdict = alice.assess().await;
    assert_eq!(verdict.verdict.resets.len(), 1, "peers are warned of the change that nobody endorsed");
}

#[tokio::test]
async fn a_code_ends_after_a_quarter_of_an_hour() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    let statement = alice.claim(&second, None);
    let code = alice.code(&json!({ "statement": statement })).await;
    alice.world.clock.advance(Duration::from_mins(15));
    let refused = alice.post(UPDATE, &json!({ "statement": statement, "token": code })).await;
    assert_eq!(refused.error(), (400, "ExpiredToken"));
}

#[tokio::test]
async fn attempts_are_limited_and_a_wrong_operation_does_not_use_the_code_up() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    let statement = alice.claim(&second, None);
    let code = alice.code(&json!({ "statement": statement })).await;
    let with_operation = json!({ "statement": statement, "token": code, "operation": { "type": "x" } });
    assert_eq!(alice.post(UPDATE, &with_operation).await.error(), (400, "InvalidOperation"));
    for _ in 0..crate::limits::store::CODE_ATTEMPTS {
        let refused = alice.post(UPDATE, &json!({ "statement": statement, "token": "AAAAA-AAAAA" })).await;
        assert_eq!(refused.error(), (400, "InvalidToken"));
    }
    let refused = alice.post(UPDATE, &json!({ "statement": statement, "token": code })).await;
    assert_eq!(refused.error(), (400, "InvalidToken"), "too many attempts");
    let code = alice.code(&json!({ "statement": statement })).await;
    alice.post(UPDATE, &json!({ "statement": statement, "token": code })).await.ok();
}

#[tokio::test]
async fn a_delegation_whose_key_is_lost_is_ended_by_a_code() {
    let first = key(KeyType::P256, 1);
    let alice = Alice::with(&first).await;
    let refused = alice.post(DELETE, &json!({ "id": "e2ee" })).await;
    assert_eq!(refused.error(), (400, "TokenRequired"));
    let code = alice.code(&json!({ "id": "e2ee" })).await;
    let next = alice.claim(&key(KeyType::P256, 2), None);
    let foreign = alice.post(UPDATE, &json!({ "statement": next, "token": code })).await;
    assert_eq!(foreign.error(), (400, "InvalidToken"), "the code is for the end");
    let made = alice.post(DELETE, &json!({ "id": "e2ee", "token": code })).await.ok();
    assert_eq!((&made["state"], made.get("statement")), (&json!("ended"), None));
    assert_eq!(alice.get("getDelegation").await.ok()["state"], "ended");
    let again = alice.post(DELETE, &json!({ "id": "e2ee", "token": code })).await;
    assert_eq!(again.error(), (404, "DelegationNotFound"));
    for input in [json!({}), json!({ "id": "e2ee", "statement": next })] {
        assert_eq!(alice.post(DELETE, &input).await.error(), (400, "InvalidRequest"));
    }
}

#[tokio::test]
async fn app_passwords_and_strangers_are_not_the_owner() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::new().await;
    let input = json!({ "statement": alice.claim(&first, None) });
    let app = crate::store::AppPassword { id: 1, name: "app".to_owned(), privileged: true };
    let app = crate::service::sessions::open(&alice.world.server, &alice.account, Some(app)).await.unwrap();
    let bob = alice.world.signed_up("bob").await;
    for method in [CREATE, UPDATE, DELETE, TOKEN] {
        let refused = alice.world.post(method, As::Bearer(&app.access_jwt), &input).await;
        assert_eq!(refused.error(), (400, "InvalidToken"), "{method}");
        let refused = alice.world.post(method, As::Bearer(&bob.tokens.access_jwt), &input).await;
        assert_eq!(refused.error(), (400, "InvalidStatement"), "{method}: another's DID");
        assert_eq!(alice.world.post(method, As::Nobody, &input).await.error(), (401, "AuthMissing"));
    }
    let refused = alice.world.post(PUT, As::Bearer(&app.access_jwt), &json!({ "entry": {} })).await;
    assert_eq!(refused.error(), (400, "InvalidToken"));
    assert_eq!(alice.named(), None);
}

#[tokio::test]
async fn without_mail_a_code_is_refused_in_words() {
    let alice = Alice::on(World::without_mail().await).await;
    let first = key(KeyType::Ed25519, 1);
    let refused = alice.post(TOKEN, &json!({ "statement": alice.claim(&first, None) })).await;
    assert!(refused.message().contains("smtp_url"), "{}", refused.message());
    alice.post(CREATE, &json!({ "statement": alice.claim(&first, None) })).await.ok();
}
