//! The administrator's methods.

use serde_json::{Value as Json, json};

use crate::{
    limits::mail::{LETTER_BYTES, LETTER_SUBJECT_CHARS},
    service::testing::{As, PASSWORD, World},
};

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

const EMAIL: &str = "com.atproto.admin.updateAccountEmail";
const PASSWORD_OF: &str = "com.atproto.admin.updateAccountPassword";
const WRITE: &str = "com.atproto.admin.sendEmail";
const NOBODY: &str = "did:web:nobody.example.com";
const CREATE_SESSION: &str = "com.atproto.server.createSession";

#[tokio::test]
async fn a_password_of_the_administrators_ends_every_session_and_the_owner_is_told() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    let input = json!({ "did": alice.account.did, "password": "another horse" });
    world.post(PASSWORD_OF, As::Admin, &input).await.ok();
    assert_eq!(world.get("com.atproto.server.getSession", me).await.status, 400, "the session is over");
    let refresh = As::Bearer(&alice.tokens.refresh_jwt);
    assert_eq!(world.post("com.atproto.server.refreshSession", refresh, &Json::Null).await.status, 400);
    let log_in = async |password: &str| {
        let input = json!({ "identifier": "alice.test", "password": password });
        world.post(CREATE_SESSION, As::Nobody, &input).await.status
    };
    assert_eq!((log_in(PASSWORD).await, log_in("another horse").await), (401, 200));
    let mail = world.mailbox.last();
    assert!(mail.contains("Your password was changed") && !mail.contains("another horse"), "{mail}");
}

#[tokio::test]
async fn an_address_of_the_administrators_is_not_confirmed_and_makes_mailed_codes_worthless() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    world.post("com.atproto.server.requestEmailConfirmation", me, &Json::Null).await.ok();
    let code = world.mailbox.code();
    for (account, email) in [("alice.test", "new@example.com"), (alice.account.did.as_str(), "Newer@example.com")] {
        world.post(EMAIL, As::Admin, &json!({ "account": account, "email": email })).await.ok();
    }
    let session = world.get("com.atproto.server.getSession", me).await.ok();
    assert_eq!((&session["email"], &session["emailConfirmed"]), (&json!("newer@example.com"), &json!(false)));
    let input = json!({ "email": "newer@example.com", "token": code });
    assert_eq!(world.post("com.atproto.server.confirmEmail", me, &input).await.error(), (400, "InvalidToken"));
}

#[tokio::test]
async fn the_administrator_writes_to_an_owner_as_text_or_as_html() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let input = |content: &str, subject: &str| {
        json!({ "recipientDid": alice.account.did, "senderDid": NOBODY, "content": content, "subject": subject,
            "comment": "never shown" })
    };
    let sent = world.post(WRITE, As::Admin, &input("The server moves tonight.", "Tonight")).await.ok();
    assert_eq!(sent, json!({ "sent": true }));
    let mail = world.mailbox.last();
    for part in ["To: alice@example.com", "Subject: Tonight", "The server moves tonight."] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    assert!(!mail.contains("never shown"));
    world.post(WRITE, As::Admin, &input("<p>Read <b>this</b>.</p>", "x\r\nBcc: eve@example.com")).await.ok();
    let mail = world.mailbox.last();
    assert!(mail.contains("Read this.") && mail.contains("<b>this</b>"), "{mail}");
    assert!(!mail.lines().any(|line| line.starts_with("Bcc")), "a header is one line: {mail}");
    let count = world.mailbox.len();
    for content in ["", " ", &"x".repeat(LETTER_BYTES + 1)] {
        assert_eq!(world.post(WRITE, As::Admin, &input(content, "x")).await.error(), (400, "InvalidRequest"));
    }
    let long = "x".repeat(LETTER_SUBJECT_CHARS + 1);
    assert_eq!(world.post(WRITE, As::Admin, &input("x", &long)).await.error(), (400, "InvalidRequest"));
    assert_eq!(world.mailbox.len(), count);
}

#[tokio::test]
async fn what_nobody_has_or_may_have_is_refused_and_nothing_changes() {
    let world = World::new().await;
    let (alice, _) = (world.signed_up("alice").await, world.signed_up("bobby").await);
    let (me, did, count) = (As::Bearer(&alice.tokens.access_jwt), alice.account.did.as_str(), world.mailbox.len());
    for (nsid, input, name) in [
        (EMAIL, json!({ "account": NOBODY, "email": "new@example.com" }), "NotFound"),
        (EMAIL, json!({ "account": did, "email": "bobby@example.com" }), "InvalidRequest"),
        (EMAIL, json!({ "account": did, "email": "nobody" }), "InvalidRequest"),
        (EMAIL, json!({ "account": did, "email": "a@mailinator.com" }), "InvalidRequest"),
        (EMAIL, json!({ "account": did, "email": "a@example.com\r\nBcc: eve@example.com" }), "InvalidRequest"),
        (PASSWORD_OF, json!({ "did": NOBODY, "password": "another horse" }), "NotFound"),
        (PASSWORD_OF, json!({ "did": did, "password": "" }), "InvalidRequest"),
        (PASSWORD_OF, json!({ "did": did, "password": "x".repeat(257) }), "InvalidRequest"),
        (WRITE, json!({ "recipientDid": NOBODY, "senderDid": NOBODY, "content": "x" }), "NotFound"),
    ] {
        assert_eq!(world.post(nsid, As::Admin, &input).await.error(), (400, name), "{nsid} {input}");
        for who in [As::Nobody, me] {
            assert_eq!(world.post(nsid, who, &input).await.status, 401, "{nsid}");
        }
    }
    assert_eq!(world.get("com.atproto.server.getSession", me).await.ok()["email"], "alice@example.com");
    assert_eq!(world.mailbox.len(), count);
    let world = World::without_mail().await;
    let alice = world.signed_up("alice").await;
    let input = json!({ "recipientDid": alice.account.did, "senderDid": NOBODY, "content": "x" });
    assert!(world.post(WRITE, As::Admin, &input).await.message().contains("cannot send mail"));
}

#[tokio::test]
async fn a_search_means_its_letters_whatever_they_mean_elsewhere() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.account("bobby").await;
    let found = async |search: &str| {
        let search: String = url::form_urlencoded::byte_serialize(search.as_bytes()).collect();
        let page = world.get(&format!("com.atproto.admin.searchAccounts?email={search}"), As::Admin).await.ok();
        page["accounts"].as_array().unwrap().len()
    };
    assert_eq!((found("ALICE@").await, found(alice.did.as_str()).await, found(".test").await), (1, 1, 2));
    let long = "x".repeat(5_000);
    for hostile in [
        "%",
        "_",
        "*",
        "?",
        "a%",
        "' OR 1=1 --",
        "\"",
        "\\",
        "%00",
        "\0",
        "\u{202e}",
        "'; DROP TABLE accounts; --",
        &long,
    ] {
        assert_eq!(found(hostile).await, 0, "{hostile}");
    }
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 2);
}
