//! The provisional methods.

use serde_json::json;

use crate::service::testing::{As, PASSWORD, World};

const CHECK: &str = "com.atproto.temp.checkHandleAvailability";

#[tokio::test]
async fn a_handle_that_is_taken_or_reserved_is_not_available_and_others_are_suggested() {
    let world = World::new().await;
    world.account("alice").await;
    let found = world.get(&format!("{CHECK}?handle=carol.test"), As::Nobody).await.ok();
    let available = json!({ "$type": "com.atproto.temp.checkHandleAvailability#resultAvailable" });
    assert_eq!(found, json!({ "handle": "carol.test", "result": available }));
    for taken in ["alice.test", "admin.test"] {
        let found = world.get(&format!("{CHECK}?handle={taken}"), As::Nobody).await.ok();
        assert_eq!(found["result"]["$type"], "com.atproto.temp.checkHandleAvailability#resultUnavailable");
        let first = taken.replace(".test", "1.test");
        assert_eq!(found["result"]["suggestions"][0], json!({ "handle": first, "method": "number" }));
    }
    for (query, name) in [
        ("?handle=a%20b", "InvalidRequest"),
        ("", "InvalidRequest"),
        ("?handle=carol.test&email=nonsense", "InvalidEmail"),
        ("?handle=carol.test&birthDate=x", "InvalidRequest"),
    ] {
        assert_eq!(world.get(&format!("{CHECK}{query}"), As::Nobody).await.error(), (400, name), "{query}");
    }
}

#[tokio::test]
async fn what_the_administrator_reserved_only_the_administrator_gives() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let reserve = "com.atproto.temp.addReservedHandle";
    let input = json!({ "handle": "Special.test" });
    assert_eq!(world.post(reserve, As::Bearer(&alice.tokens.access_jwt), &input).await.status, 401);
    world.post(reserve, As::Admin, &input).await.ok();
    world.post(reserve, As::Admin, &input).await.ok();
    assert_eq!(world.post(reserve, As::Admin, &json!({ "handle": "a b" })).await.error(), (400, "InvalidHandle"));
    let sign_up = json!({ "handle": "special.test", "email": "s@example.com", "password": PASSWORD });
    let create = "com.atproto.server.createAccount";
    assert_eq!(world.post(create, As::Nobody, &sign_up).await.error(), (400, "HandleNotAvailable"));
    let update = json!({ "handle": "special.test" });
    let me = As::Bearer(&alice.tokens.access_jwt);
    let refused = world.post("com.atproto.identity.updateHandle", me, &update).await;
    assert_eq!(refused.error(), (400, "HandleNotAvailable"));
    let update = json!({ "did": alice.account.did, "handle": "special.test" });
    world.post("com.atproto.admin.updateAccountHandle", As::Admin, &update).await.ok();
    assert_eq!(world.reread(&alice.account).await.handle.as_str(), "special.test");
    let mut admins = json!({ "handle": "postmaster.test", "email": "p@example.com", "password": PASSWORD });
    assert_eq!(world.post(create, As::Admin, &admins).await.error(), (400, "HandleNotAvailable"));
    admins["allowReserved"] = json!(true);
    assert_eq!(world.post(create, As::Nobody, &admins).await.error(), (401, "AuthenticationRequired"));
    world.post(create, As::Admin, &admins).await.ok();
}

#[tokio::test]
async fn the_servers_own_names_are_handles_when_the_administrator_says_so() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let own = json!({ "handle": "pds.example.com" });
    let refused = world.post("com.atproto.identity.updateHandle", me, &own).await;
    assert_eq!(refused.error(), (400, "HandleNotAvailable"));
    let update = json!({ "did": alice.account.did, "handle": "pds.example.com" });
    world.post("com.atproto.admin.updateAccountHandle", As::Admin, &update).await.ok();
    let resolved = world.get("com.atproto.identity.resolveHandle?handle=pds.example.com", As::Nobody).await.ok();
    assert_eq!(resolved["did"], alice.account.did.as_str());
}

#[tokio::test]
async fn revoked_credentials_open_nothing_any_more() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let revoke = "com.atproto.temp.revokeAccountCredentials";
    assert_eq!(world.post(revoke, As::Nobody, &json!({ "account": "alice.test" })).await.status, 401);
    assert_eq!(world.post(revoke, As::Admin, &json!({ "account": "nobody.test" })).await.error(), (400, "NotFound"));
    world.post(revoke, As::Admin, &json!({ "account": "alice.test" })).await.ok();
    let login = json!({ "identifier": "alice.test", "password": PASSWORD });
    assert_eq!(world.post("com.atproto.server.createSession", As::Nobody, &login).await.status, 401);
    let empty = json!({ "identifier": "alice.test", "password": "" });
    assert_eq!(world.post("com.atproto.server.createSession", As::Nobody, &empty).await.status, 401);
    let refresh = As::Bearer(&alice.tokens.refresh_jwt);
    let refused = world.post("com.atproto.server.refreshSession", refresh, &serde_json::Value::Null).await;
    assert_eq!(refused.error(), (400, "ExpiredToken"));
}

#[tokio::test]
async fn no_scope_reference_is_known_here() {
    let world = World::new().await;
    for scope in ["ref:abc", "atproto"] {
        let refused = world.get(&format!("com.atproto.temp.dereferenceScope?scope={scope}"), As::Nobody).await;
        assert_eq!(refused.error(), (400, "InvalidScopeReference"));
    }
    for nsid in ["com.atproto.temp.requestPhoneVerification", "com.atproto.temp.fetchLabels"] {
        assert_eq!(world.get(nsid, As::Nobody).await.error(), (501, "MethodNotImplemented"));
    }
}
