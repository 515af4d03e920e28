//! The administrator's methods.

use serde_json::json;

use crate::service::testing::{As, World};

#[tokio::test]
async fn the_administrator_finds_accounts_page_by_page() {
    let world = World::new().await;
    let mut dids = Vec::new();
    for name in ["alice", "carol", "dave"] {
        dids.push(world.account(name).await.did.to_string());
    }
    let mut seen = Vec::new();
    let mut target = "com.atproto.admin.searchAccounts?limit=2".to_owned();
    loop {
        let page = world.get(&target, As::Admin).await.ok();
        seen.extend(page["accounts"].as_array().unwrap().iter().map(|view| view["did"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["cursor"].as_str() else { break };
        target = format!("com.atproto.admin.searchAccounts?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, dids);
    let found = world.get("com.atproto.admin.searchAccounts?email=carol@", As::Admin).await.ok();
    assert_eq!(found["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(found["accounts"][0]["handle"], "carol.test");
    let infos =
        format!("com.atproto.admin.getAccountInfos?dids={}&dids={}&dids=did:web:nobody.example.com", dids[0], dids[2]);
    let infos = world.get(&infos, As::Admin).await.ok();
    assert_eq!(infos["infos"].as_array().unwrap().len(), 2);
    let info = world.get(&format!("com.atproto.admin.getAccountInfo?did={}", dids[1]), As::Admin).await.ok();
    let created = world.server.now().to_rfc3339_millis();
    assert_eq!(
        info,
        json!({ "did": dids[1], "handle": "carol.test", "email": "carol@example.com", "indexedAt": created,
            "invitesDisabled": false, "active": true,
            "housekeyUsage": { "records": { "used": 0 }, "recordBytes": { "used": 0 }, "blobs": { "used": 0 },
                "blobBytes": { "used": 0 } } })
    );
}

#[tokio::test]
async fn nobody_else_may_look_and_wrong_questions_are_named() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    for target in [
        "com.atproto.admin.searchAccounts".to_owned(),
        format!("com.atproto.admin.getAccountInfo?did={}", alice.account.did),
        format!("com.atproto.admin.getAccountInfos?dids={}", alice.account.did),
    ] {
        for who in [As::Nobody, As::Bearer(&alice.tokens.access_jwt)] {
            assert_eq!(world.get(&target, who).await.status, 401, "{target}");
        }
    }
    for (target, name) in [
        ("com.atproto.admin.getAccountInfo?did=did:web:nobody.example.com", "NotFound"),
        ("com.atproto.admin.getAccountInfo?did=nobody", "InvalidRequest"),
        ("com.atproto.admin.getAccountInfos", "InvalidRequest"),
        ("com.atproto.admin.searchAccounts?limit=0", "InvalidRequest"),
        ("com.atproto.admin.searchAccounts?limit=101", "InvalidRequest"),
        ("com.atproto.admin.searchAccounts?cursor=x", "InvalidRequest"),
    ] {
        assert_eq!(world.get(target, As::Admin).await.error(), (400, name), "{target}");
    }
    let many = vec!["dids=did:web:nobody.example.com"; 101].join("&");
    let refused = world.get(&format!("com.atproto.admin.getAccountInfos?{many}"), As::Admin).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"));
}
