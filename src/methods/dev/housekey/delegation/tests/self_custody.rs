//! An owner who keeps the rotation keys to herself: the DID's state no longer lists the server's.

use super::*;

const HANDLE: &str = "com.atproto.identity.updateHandle";
const SIGN: &str = "com.atproto.identity.signPlcOperation";
const SUBMIT: &str = "com.atproto.identity.submitPlcOperation";

/// Alice with a delegation, whose DID has this rotation key alone.
async fn alone(first: &DelegateSigningKey, owner: &SigningKey) -> Alice {
    let alice = Alice::with(first).await;
    let next = owned(&alice, |next| next.rotation_keys = vec![owner.did_key().to_string()]);
    alice.world.directory.accept(&alice.account.did, &next.sign(&alice.world.server.rotation_key));
    alice
}

fn owned(alice: &Alice, change: impl FnOnce(&mut UnsignedOperation)) -> UnsignedOperation {
    let mut next = UnsignedOperation { prev: Some(alice.head()), ..alice.world.directory.current(&alice.account.did) };
    change(&mut next);
    next
}

#[tokio::test]
async fn without_the_servers_rotation_key_everything_works_but_what_it_would_sign() {
    let (first, owner) = (key(KeyType::Ed25519, 1), rotation_key());
    let alice = alone(&first, &owner).await;
    let (world, me) = (&alice.world, As::Bearer(&alice.jwt));
    let post =
        json!({ "repo": alice.account.did, "collection": "com.example.note", "record": { "text": "still here" } });
    alice.post("com.atproto.repo.createRecord", &post).await.ok();
    world.post_bytes("com.atproto.repo.uploadBlob", me, "text/plain", b"blob".to_vec()).await.ok();
    alice.post("com.atproto.server.createAppPassword", &json!({ "name": "phone" })).await.ok();
    world.get("com.atproto.server.getServiceAuth?aud=did:web:api.example.com", me).await.ok();
    world.get("com.atproto.identity.getRecommendedDidCredentials", me).await.ok();
    let session = json!({ "identifier": "alice.test", "password": crate::service::testing::PASSWORD });
    world.post("com.atproto.server.createSession", As::Nobody, &session).await.ok();
    alice.post(PUT, &json!({ "entry": alice.entry("com.example.chat", Some(json!({})), &first, 1) })).await.ok();
    assert_eq!(alice.get("getDelegation").await.ok()["state"], "active");
    assert_eq!(world.get("com.atproto.server.checkAccountStatus", me).await.ok()["validDid"], true);
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.ok_empty();
    alice.post("com.atproto.server.activateAccount", &Json::Null).await.ok_empty();

    let log = world.directory.log(&alice.account.did).len();
    alice.post("com.atproto.identity.requestPlcOperationSignature", &Json::Null).await.ok_empty();
    let code = world.mailbox.code();
    for (method, input) in [(HANDLE, json!({ "handle": "alicia.test" })), (SIGN, json!({ "token": code }))] {
        let refused = alice.post(method, &input).await;
        assert_eq!(refused.error(), (400, "InvalidRequest"), "{method}");
        assert!(refused.message().contains("not among the rotation keys of the DID"), "{}", refused.message());
    }
    assert_eq!(world.directory.log(&alice.account.did).len(), log);
    // The owner's own operation goes through the server as before, and need not take the server's key in again.
    let further = SigningKey::generate(Curve::K256, &SeededEntropy::new(4712)).did_key().to_string();
    let operation = owned(&alice, |next| next.rotation_keys.push(further)).sign(&owner);
    alice.post(SUBMIT, &json!({ "operation": operation })).await.ok_empty();
    assert_eq!(world.directory.log(&alice.account.did).len(), log + 1);

    alice.post("com.atproto.server.requestAccountDelete", &Json::Null).await.ok_empty();
    let password = crate::service::testing::PASSWORD;
    let input = json!({ "did": alice.account.did, "password": password, "token": world.mailbox.code() });
    world.post("com.atproto.server.deleteAccount", As::Nobody, &input).await.ok_empty();
}

#[tokio::test]
async fn a_delegation_changes_by_an_operation_that_the_owner_signed_and_not_without() {
    let (first, second, owner) = (key(KeyType::Ed25519, 1), key(KeyType::P256, 2), rotation_key());
    let alice = alone(&first, &owner).await;
    let posts = alice.world.directory.posts();
    let rotated = alice.claim(&second, Some(&first));
    for (method, input) in [
        (UPDATE, json!({ "statement": rotated })),
        (DELETE, json!({ "statement": alice.ending(&first) })),
        (DELETE, json!({ "id": "e2ee", "token": alice.code(&json!({ "id": "e2ee" })).await })),
    ] {
        let refused = alice.post(method, &input).await;
        assert_eq!(refused.error(), (400, "InvalidOperation"), "{method}");
        assert!(refused.message().contains("a rotation key of your own signed"), "{}", refused.message());
    }
    assert_eq!((alice.world.directory.posts(), alice.named()), (posts, Some(did_key(&first))));
    let operation = naming(&alice, Some(&second), &owner);
    alice.post(UPDATE, &json!({ "statement": rotated, "operation": operation })).await.ok();
    assert_eq!(alice.named(), Some(did_key(&second)));
    let operation = naming(&alice, None, &owner);
    alice.post(DELETE, &json!({ "statement": alice.ending(&second), "operation": operation })).await.ok();
    assert_eq!((alice.named(), alice.assess().await.verdict.resets.len()), (None, 0));
}
