//! The methods of identities as a client sees them.

use serde_json::{Value as Json, json};

use crate::service::testing::{As, Fault, World};

const UPDATE_HANDLE: &str = "com.atproto.identity.updateHandle";

#[tokio::test]
async fn identities_are_resolved_by_handle_and_by_did() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let found = world.get("com.atproto.identity.resolveHandle?handle=Alice.test", As::Nobody).await.ok();
    assert_eq!(found, json!({ "did": alice.did }));
    let found = world.get(&format!("com.atproto.identity.resolveDid?did={}", alice.did), As::Nobody).await.ok();
    assert_eq!(found["didDoc"]["alsoKnownAs"][0], "at://alice.test");
    for identifier in ["alice.test", alice.did.as_str()] {
        let target = format!("com.atproto.identity.resolveIdentity?identifier={identifier}");
        let found = world.get(&target, As::Nobody).await.ok();
        assert_eq!((&found["did"], &found["handle"]), (&json!(alice.did), &json!("alice.test")));
        let input = json!({ "identifier": identifier });
        let fresh = world.post("com.atproto.identity.refreshIdentity", As::Nobody, &input).await.ok();
        assert_eq!(fresh, found);
    }
}

#[tokio::test]
async fn what_does_not_exist_has_the_lexicons_error() {
    let world = World::new().await;
    let get = async |target: &str| world.get(target, As::Nobody).await;
    let refused = get("com.atproto.identity.resolveHandle?handle=nobody.test").await;
    assert_eq!((refused.error(), refused.message()), ((400, "HandleNotFound"), "Unable to resolve handle"));
    let refused = get("com.atproto.identity.resolveHandle?handle=no_handle").await;
    assert_eq!((refused.error(), refused.message()), ((400, "InvalidRequest"), "Error: handle must be a valid handle"));
    assert_eq!(get("com.atproto.identity.resolveHandle").await.error(), (400, "InvalidRequest"));
    let unknown = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    for target in [
        format!("com.atproto.identity.resolveDid?did={unknown}"),
        format!("com.atproto.identity.resolveIdentity?identifier={unknown}"),
    ] {
        assert_eq!(get(&target).await.error(), (400, "DidNotFound"));
    }
    let input = json!({ "identifier": "nobody.test" });
    let refused = world.post("com.atproto.identity.refreshIdentity", As::Nobody, &input).await;
    assert_eq!(refused.error(), (400, "HandleNotFound"));
}

#[tokio::test]
async fn an_ended_did_is_deactivated() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let head = world.directory.log(&alice.did)[0].cid;
    let end = crate::plc::Operation::tombstone(head, &world.server.rotation_key);
    world.directory.accept(&alice.did, &end);
    let input = json!({ "identifier": alice.did });
    let refused = world.post("com.atproto.identity.refreshIdentity", As::Nobody, &input).await;
    assert_eq!(refused.error(), (400, "DidDeactivated"));
}

#[tokio::test]
async fn a_handle_is_changed_by_its_owner_only() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    world.account("carol").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let wanted = |handle: &str| json!({ "handle": handle });
    world.post(UPDATE_HANDLE, me, &wanted("alice-two.test")).await.ok();
    let found = world.get("com.atproto.identity.resolveHandle?handle=alice-two.test", As::Nobody).await.ok();
    assert_eq!(found, json!({ "did": alice.account.did }));
    assert_eq!(world.post(UPDATE_HANDLE, As::Nobody, &wanted("dave.test")).await.error(), (401, "AuthMissing"));
    let refused = world.post(UPDATE_HANDLE, me, &wanted("carol.test")).await;
    assert_eq!((refused.error(), refused.message()), ((400, "HandleNotAvailable"), "Handle already taken: carol.test"));
    assert_eq!(world.post(UPDATE_HANDLE, me, &wanted("x")).await.error(), (400, "InvalidRequest"));
    assert_eq!(world.post(UPDATE_HANDLE, me, &json!({})).await.error(), (400, "InvalidRequest"));
    assert_eq!(world.post(UPDATE_HANDLE, me, &json!({ "handle": 7 })).await.error(), (400, "InvalidRequest"));
}

#[tokio::test]
async fn a_change_without_a_clear_answer_is_a_bad_gateway_and_the_next_a_conflict() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    world.directory.fail_next(Fault::HangUp);
    let pending = world.post(UPDATE_HANDLE, me, &json!({ "handle": "dave.test" })).await;
    assert_eq!(pending.error(), (502, "UpstreamFailure"));
    let conflict = world.post(UPDATE_HANDLE, me, &json!({ "handle": "erin.test" })).await;
    assert_eq!(conflict.error(), (409, "PlcConflict"));
    let carol = world.signed_up("carol").await;
    world.directory.fail_next(Fault::Refuse);
    let wanted = json!({ "handle": "frank.test" });
    let refused = world.post(UPDATE_HANDLE, As::Bearer(&carol.tokens.access_jwt), &wanted).await;
    assert_eq!(refused.error(), (400, "PlcRejected"));
}

#[tokio::test]
async fn an_operation_is_asked_for_signed_and_submitted() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let said = world.get("com.atproto.identity.getRecommendedDidCredentials", me).await.ok();
    assert_eq!(said["alsoKnownAs"], json!(["at://alice.test"]));
    assert_eq!(said["services"]["atproto_pds"]["endpoint"], "https://pds.example.com");
    let sign = "com.atproto.identity.signPlcOperation";
    let refused = world.post(sign, me, &json!({})).await;
    assert_eq!(refused.message(), "email confirmation token required to sign PLC operations");
    let refused = world.post(sign, me, &json!({ "token": "AAAAA-AAAAA" })).await;
    assert_eq!(refused.error(), (400, "InvalidToken"));
    world.post("com.atproto.identity.requestPlcOperationSignature", me, &Json::Null).await.ok();
    assert_eq!(world.mailbox.len(), 1);
    let names = json!(["at://alice.test", "https://alice.example.com"]);
    let input = json!({ "token": world.mailbox.code(), "alsoKnownAs": names });
    let signed = world.post(sign, me, &input).await.ok();
    assert_eq!(signed["operation"]["type"], "plc_operation");
    world.post("com.atproto.identity.submitPlcOperation", me, &signed).await.ok();
    assert_eq!(json!(world.directory.current(&alice.account.did).also_known_as), names);
    let again = world.post("com.atproto.identity.submitPlcOperation", me, &signed).await;
    assert_eq!(again.status, 200, "what the directory has is true: {}", again.json);
    let refused = world.post("com.atproto.identity.submitPlcOperation", me, &json!({ "operation": 1 })).await;
    assert_eq!((refused.error(), refused.message()), ((400, "InvalidRequest"), "Input/operation must be an object"));
    for nsid in [sign, "com.atproto.identity.submitPlcOperation"] {
        assert_eq!(world.post(nsid, As::Nobody, &signed).await.error(), (401, "AuthMissing"));
    }
}
