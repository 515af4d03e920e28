//! Codes and the list of mails, as the administrator sees them.

use serde_json::{Value as Json, json};

use crate::service::testing::{Answer, As, MailFault, PASSWORD, World};

const CREATE_CODE: &str = "dev.housekey.admin.createCode";
const LIST_MAILS: &str = "dev.housekey.admin.listMails";
const RETRY: &str = "dev.housekey.admin.retryMails";

async fn code(world: &World, did: &str, purpose: &str) -> String {
    let input = json!({ "did": did, "purpose": purpose });
    let made = world.post(CREATE_CODE, As::Admin, &input).await.ok();
    assert!(made["expiresAt"].as_str().unwrap().ends_with('Z'));
    made["code"].as_str().unwrap().to_owned()
}

async fn post(world: &World, nsid: &str, who: As<'_>, input: Json) -> Answer {
    world.post(nsid, who, &input).await
}

#[tokio::test]
async fn without_mail_every_code_can_be_had_from_the_administrator() {
    let world = World::without_mail().await;
    let made = world.signed_up("alice").await;
    let (did, me) = (made.account.did.as_str(), As::Bearer(&made.tokens.access_jwt));
    let token = code(&world, did, "confirmEmail").await;
    let input = json!({ "email": "alice@example.com", "token": token });
    post(&world, "com.atproto.server.confirmEmail", me, input).await.ok();
    let token = code(&world, did, "updateEmail").await;
    let input = json!({ "email": "new@example.com", "token": token });
    post(&world, "com.atproto.server.updateEmail", me, input).await.ok();
    let token = code(&world, did, "plcOperation").await;
    post(&world, "com.atproto.identity.signPlcOperation", me, json!({ "token": token })).await.ok();
    let token = code(&world, did, "resetPassword").await;
    let input = json!({ "token": token, "password": "another horse" });
    post(&world, "com.atproto.server.resetPassword", As::Nobody, input).await.ok();
    let token = code(&world, did, "deleteAccount").await;
    let input = |password: &str| json!({ "did": did, "password": password, "token": token });
    let delete = "com.atproto.server.deleteAccount";
    assert_eq!(post(&world, delete, As::Nobody, input(PASSWORD)).await.status, 401);
    post(&world, delete, As::Nobody, input("another horse")).await.ok();
}

#[tokio::test]
async fn a_code_needs_an_account_a_purpose_and_the_administrator() {
    let world = World::new().await;
    let made = world.signed_up("alice").await;
    let did = made.account.did.as_str();
    for (input, name) in [
        (json!({ "did": "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "purpose": "resetPassword" }), "AccountNotFound"),
        (json!({ "did": did, "purpose": "anything" }), "InvalidRequest"),
        (json!({ "did": did, "purpose": "delegation" }), "InvalidRequest"),
        (json!({ "did": did, "purpose": "resetPassword", "id": "e2ee" }), "InvalidRequest"),
        (json!({ "did": did, "purpose": "delegation", "id": "e2ee", "statement": {} }), "InvalidRequest"),
        (json!({ "did": did, "purpose": "delegation", "id": "e2ee" }), "DelegationNotFound"),
        (json!({ "did": did, "purpose": "delegation", "statement": {} }), "InvalidStatement"),
    ] {
        let refused = world.post(CREATE_CODE, As::Admin, &input).await;
        assert_eq!(refused.error().1, name, "{input}");
    }
    let input = json!({ "did": did, "purpose": "resetPassword" });
    for who in [As::Nobody, As::Bearer(&made.tokens.access_jwt)] {
        assert_eq!(world.post(CREATE_CODE, who, &input).await.status, 401);
        assert_eq!(world.get(LIST_MAILS, who).await.status, 401);
    }
}

#[tokio::test]
async fn the_administrator_sees_which_mails_failed_and_why_and_not_what_they_say() {
    let world = World::new().await;
    let (alice, bobby) = (world.signed_up("alice").await, world.signed_up("bobby").await);
    let request = "com.atproto.server.requestEmailConfirmation";
    world.mailbox.fail_next(MailFault::Refuse("550 no such user here\r\n"));
    world.post(request, As::Bearer(&alice.tokens.access_jwt), &Json::Null).await.ok();
    world.post(request, As::Bearer(&bobby.tokens.access_jwt), &Json::Null).await.ok();
    let code = world.mailbox.code();
    let failed = world.get(&format!("{LIST_MAILS}?state=failed"), As::Admin).await.ok();
    assert_eq!(failed["mails"].as_array().unwrap().len(), 1);
    let mail = &failed["mails"][0];
    assert_eq!((&mail["did"], &mail["state"]), (&json!(alice.account.did.as_str()), &json!("failed")));
    assert_eq!((&mail["kind"], &mail["recipient"]), (&json!("confirm_email"), &json!("alice@example.com")));
    assert!(mail["error"].as_str().unwrap().contains("no such user here"), "{mail}");
    let first = world.get(&format!("{LIST_MAILS}?limit=1"), As::Admin).await.ok();
    assert_eq!(first["mails"][0]["state"], "sent");
    assert!(!first.to_string().contains(&code));
    let cursor = first["cursor"].as_str().unwrap();
    let second = world.get(&format!("{LIST_MAILS}?limit=1&cursor={cursor}"), As::Admin).await.ok();
    assert_eq!(second["mails"][0]["state"], "failed");
    for bad in ["limit=0", "limit=101", "limit=x", "cursor=x", "state=lost"] {
        let refused = world.get(&format!("{LIST_MAILS}?{bad}"), As::Admin).await;
        assert_eq!(refused.error(), (400, "InvalidRequest"), "{bad}");
    }
}

#[tokio::test]
async fn a_mail_that_was_given_up_is_tried_again_unless_it_told_a_code() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let me = As::Bearer(&alice.tokens.access_jwt);
    world.mailbox.fail_next(MailFault::Refuse("550 no such user here\r\n"));
    post(&world, "com.atproto.server.requestEmailConfirmation", me, Json::Null).await.ok();
    world.mailbox.fail_next(MailFault::Refuse("550 no such user here\r\n"));
    let letter = json!({ "recipientDid": alice.account.did, "senderDid": alice.account.did, "content": "Hello." });
    post(&world, "com.atproto.admin.sendEmail", As::Admin, letter).await.ok();
    let failed = world.get(&format!("{LIST_MAILS}?state=failed"), As::Admin).await.ok();
    let failed: Vec<_> = failed["mails"].as_array().unwrap().iter().map(|mail| &mail["canBeRetried"]).collect();
    assert_eq!(failed, [&json!(true), &Json::Null], "the code is over");
    let count = world.mailbox.len();
    let (nobody, all) = (json!({ "ids": [4711] }), json!({}));
    assert_eq!(post(&world, RETRY, As::Admin, nobody).await.ok()["ids"], json!([]));
    assert_eq!(post(&world, RETRY, As::Admin, all.clone()).await.ok()["ids"].as_array().unwrap().len(), 1);
    assert_eq!(world.mailbox.len(), count + 1);
    assert!(world.mailbox.last().contains("Hello."));
    assert_eq!(post(&world, RETRY, As::Admin, all.clone()).await.ok()["ids"], json!([]), "it was sent");
    for who in [As::Nobody, me] {
        assert_eq!(post(&world, RETRY, who, all.clone()).await.status, 401);
    }
    for bad in [json!({ "ids": "x" }), json!({ "ids": [1.5] }), json!({ "ids": vec![1; 101] })] {
        assert_eq!(post(&world, RETRY, As::Admin, bad).await.error(), (400, "InvalidRequest"));
    }
}
