//! Each kind of event: who does what, and what the log says of it in the same transaction.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::{
    service::{
        accounts::SignedUp,
        testing::{As, World},
    },
    store::{AccountId, SecurityEvent, SecurityKind},
};

/// What the database holds now, newest first: not what waits in memory.
async fn stored(world: &World, account: AccountId) -> Vec<SecurityEvent> {
    world.server.store.security_events(account, None, 100).await.unwrap()
}

/// The kinds and details that came since there were `before` events, oldest first.
async fn since(world: &World, account: AccountId, before: usize) -> Vec<(String, Option<String>)> {
    let mut events = stored(world, account).await;
    events.truncate(events.len() - before);
    events.into_iter().rev().map(|event| (event.kind, event.detail)).collect()
}

struct Alice {
    world: World,
    made: SignedUp,
}

impl Alice {
    async fn new() -> Self {
        let world = World::new().await;
        let made = world.signed_up("alice").await;
        Self { world, made }
    }

    async fn post(&self, nsid: &str, input: Json) -> Json {
        self.world.post(nsid, As::Bearer(&self.made.tokens.access_jwt), &input).await.ok()
    }

    /// What the log says of a call that succeeds.
    async fn notes(&self, nsid: &str, input: Json, expected: &[(&str, Option<&str>)]) -> Json {
        let before = stored(&self.world, self.made.account.id).await.len();
        let answer = self.post(nsid, input).await;
        self.noted(nsid, before, expected).await;
        answer
    }

    /// The same of one that the administrator makes.
    async fn notes_of_admin(&self, nsid: &str, input: Json, expected: &[(&str, Option<&str>)]) {
        let before = stored(&self.world, self.made.account.id).await.len();
        self.world.post(nsid, As::Admin, &input).await.ok();
        self.noted(nsid, before, expected).await;
        let events = stored(&self.world, self.made.account.id).await;
        let newest = events.first().unwrap();
        assert_eq!(
            (&newest.address, &newest.agent),
            (&None, &None),
            "{nsid}: whoever administrates is nobody's business"
        );
    }

    async fn noted(&self, nsid: &str, before: usize, expected: &[(&str, Option<&str>)]) {
        let noted = since(&self.world, self.made.account.id, before).await;
        let noted: Vec<_> = noted.iter().map(|(kind, detail)| (kind.as_str(), detail.as_deref())).collect();
        assert_eq!(noted, expected, "{nsid}");
    }
}

#[tokio::test]
async fn what_the_owner_does_is_noted_with_the_change() {
    let alice = Alice::new().await;
    alice.noted("createAccount", 0, &[("accountCreated", None), ("signedIn", None)]).await;
    let made = ("com.atproto.server.createAppPassword", json!({ "name": "phone" }));
    alice.notes(made.0, made.1, &[("appPasswordCreated", Some("phone"))]).await;
    let revoked = [("appPasswordRevoked", Some("phone"))];
    alice.notes("com.atproto.server.revokeAppPassword", json!({ "name": "phone" }), &revoked).await;
    alice.notes("com.atproto.server.revokeAppPassword", json!({ "name": "phone" }), &[]).await;
    alice.notes("com.atproto.server.requestEmailConfirmation", Json::Null, &[]).await;
    let confirm = json!({ "email": "alice@example.com", "token": alice.world.mailbox.code() });
    alice.notes("com.atproto.server.confirmEmail", confirm, &[("emailConfirmed", None)]).await;
    alice.notes("com.atproto.server.requestEmailUpdate", Json::Null, &[("emailChangeRequested", None)]).await;
    let update = json!({ "email": "new@example.com", "token": alice.world.mailbox.code() });
    alice.notes("com.atproto.server.updateEmail", update, &[("emailChanged", None)]).await;
    let changed = [("handleChanged", Some("alice2.test"))];
    alice.notes("com.atproto.identity.updateHandle", json!({ "handle": "alice2.test" }), &changed).await;
    alice.notes("com.atproto.identity.updateHandle", json!({ "handle": "alice2.test" }), &[]).await;
    let request = "com.atproto.identity.requestPlcOperationSignature";
    alice.notes(request, Json::Null, &[("plcOperationRequested", None)]).await;
    let token = json!({ "token": alice.world.mailbox.code() });
    let signed = alice.notes("com.atproto.identity.signPlcOperation", token, &[("plcOperationSigned", None)]).await;
    let submit = "com.atproto.identity.submitPlcOperation";
    alice.notes(submit, signed, &[("plcOperationSubmitted", None)]).await;
    let at = "2027-01-01T00:00:00.000Z";
    let until = [("deactivated", Some("to be deleted after 2027-01-01T00:00:00.000Z"))];
    alice.notes("com.atproto.server.deactivateAccount", json!({ "deleteAfter": at }), &until).await;
    alice.notes("com.atproto.server.activateAccount", Json::Null, &[("activated", None)]).await;
    alice.notes("com.atproto.server.requestAccountDelete", Json::Null, &[("deletionRequested", None)]).await;
}

#[tokio::test]
async fn a_reset_is_noted_when_it_is_asked_for_and_when_it_is_made() {
    let alice = Alice::new().await;
    let ask = json!({ "email": "alice@example.com" });
    alice.notes("com.atproto.server.requestPasswordReset", ask, &[("passwordResetRequested", None)]).await;
    let reset = json!({ "token": alice.world.mailbox.code(), "password": "another horse" });
    alice.notes("com.atproto.server.resetPassword", reset, &[("passwordReset", None)]).await;
}

#[tokio::test]
async fn what_is_refused_changes_nothing_and_is_not_noted_as_if_it_had() {
    let alice = Alice::new().await;
    alice.world.signed_up("bobby").await;
    alice.post("com.atproto.server.createAppPassword", json!({ "name": "phone" })).await;
    let before = stored(&alice.world, alice.made.account.id).await.len();
    let wrong = "AAAAA-AAAAA";
    for (nsid, input) in [
        ("com.atproto.server.createAppPassword", json!({ "name": "phone" })),
        ("com.atproto.server.confirmEmail", json!({ "email": "alice@example.com", "token": wrong })),
        ("com.atproto.server.updateEmail", json!({ "email": "bobby@example.com" })),
        ("com.atproto.server.resetPassword", json!({ "token": wrong, "password": "another horse" })),
        ("com.atproto.identity.updateHandle", json!({ "handle": "bobby.test" })),
        ("com.atproto.identity.signPlcOperation", json!({ "token": wrong })),
        ("com.atproto.identity.submitPlcOperation", json!({ "operation": {} })),
        ("com.atproto.server.deactivateAccount", json!({ "deleteAfter": "2020-01-01T00:00:00Z" })),
    ] {
        let refused = alice.world.post(nsid, As::Bearer(&alice.made.tokens.access_jwt), &input).await;
        assert_eq!(refused.status, 400, "{nsid}: {}", refused.json);
    }
    alice.noted("what was refused", before, &[]).await;
}

#[tokio::test]
async fn what_the_administrator_does_is_noted_as_such() {
    let alice = Alice::new().await;
    let did = alice.made.account.did.to_string();
    let (by, subject) = ("by the administrator", json!({ "$type": "com.atproto.admin.defs#repoRef", "did": did }));
    let email = json!({ "account": did, "email": "new@example.com" });
    alice.notes_of_admin("com.atproto.admin.updateAccountEmail", email, &[("emailChanged", Some(by))]).await;
    let password = json!({ "did": did, "password": "another horse" });
    alice.notes_of_admin("com.atproto.admin.updateAccountPassword", password, &[("passwordChanged", Some(by))]).await;
    let handle = json!({ "did": did, "handle": "alice2.test" });
    let changed = [("handleChanged", Some("by the administrator: alice2.test"))];
    alice.notes_of_admin("com.atproto.admin.updateAccountHandle", handle, &changed).await;
    let code = json!({ "did": did, "purpose": "resetPassword" });
    let made = [("adminAction", Some("by the administrator: a code to reset the password was made"))];
    alice.notes_of_admin("dev.housekey.admin.createCode", code, &made).await;
    let status = "com.atproto.admin.updateSubjectStatus";
    for (what, applied, words) in [
        ("takedown", true, "the account was taken down"),
        ("takedown", false, "the account was restored"),
        ("suspended", true, "the account was suspended"),
        ("suspended", false, "the account was restored"),
    ] {
        let words = format!("{by}: {words}");
        let input = json!({ "subject": subject, what: { "applied": applied, "ref": "case 17" } });
        alice.notes_of_admin(status, input, &[("adminAction", Some(&words))]).await;
    }
    for (applied, kind) in [(true, "deactivated"), (false, "activated")] {
        let input = json!({ "subject": subject, "deactivated": { "applied": applied } });
        alice.notes_of_admin(status, input, &[(kind, Some(by))]).await;
    }
    let record = format!("at://{did}/com.example.note/a");
    let cid = "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a";
    let subject = json!({ "$type": "com.atproto.repo.strongRef", "uri": record, "cid": cid });
    let words = format!("{by}: the record com.example.note/a was taken down");
    let input = json!({ "subject": subject, "takedown": { "applied": true } });
    alice.notes_of_admin(status, input.clone(), &[("adminAction", Some(&words))]).await;
    let key = alice.world.post("com.atproto.server.reserveSigningKey", As::Nobody, &json!({})).await.ok();
    let input = json!({ "did": did, "signingKey": key["signingKey"] });
    let replaced = [("adminAction", Some("by the administrator: the signing key was replaced"))];
    alice.notes_of_admin("com.atproto.admin.updateAccountSigningKey", input, &replaced).await;
    let revoked =
        [("adminAction", Some("by the administrator: the password, app passwords and sessions were revoked"))];
    let input = json!({ "account": did });
    alice.notes_of_admin("com.atproto.temp.revokeAccountCredentials", input, &revoked).await;
    let disabled = [("adminAction", Some("by the administrator: it earns no invite codes any more"))];
    let input = json!({ "account": did });
    alice.notes_of_admin("com.atproto.admin.disableAccountInvites", input, &disabled).await;
}

#[tokio::test]
async fn the_log_survives_a_restart_without_having_been_flushed() {
    let alice = Alice::new().await;
    alice.post("com.atproto.server.createAppPassword", json!({ "name": "phone" })).await;
    let (world, id) = (alice.world.restart().await, alice.made.account.id);
    assert_eq!(stored(&world, id).await.first().unwrap().kind, "appPasswordCreated");
}

/// Every kind is emitted somewhere, and a test of it stands here, beside the delegation methods, or with imports.
#[test]
fn every_kind_is_tested() {
    let here = include_str!("kinds.rs");
    let elsewhere = [
        include_str!("tests.rs"),
        include_str!("../delegation/tests/changes.rs"),
        include_str!("../../../../service/import/tests.rs"),
    ];
    let missing: BTreeSet<&str> = SecurityKind::ALL
        .iter()
        .map(|kind| kind.word())
        .filter(|word| {
            let quoted = format!("\"{word}\"");
            !here.contains(&quoted) && !elsewhere.iter().any(|text| text.contains(&quoted))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
