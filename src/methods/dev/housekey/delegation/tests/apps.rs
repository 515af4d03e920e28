//! A malicious app with an app password: it reads and writes for its owner, and nothing of the identity moves.

use super::*;

const WRITE: &str = "com.atproto.repo.applyWrites";

/// What the identity of an account is: nothing of it may move.
#[derive(Debug, PartialEq)]
struct Identity {
    log: Vec<Cid>,
    handle: String,
    email: Option<String>,
    password_hash: String,
    signing_key: String,
    delegations: Vec<crate::store::DelegationRow>,
    statements: Vec<String>,
    state: crate::store::AccountState,
    app_passwords: Json,
    mails: usize,
}

impl Alice {
    async fn identity(&self) -> Identity {
        let account = self.world.reread(&self.account).await;
        let listed = self.world.get("com.atproto.server.listAppPasswords", As::Bearer(&self.jwt)).await.ok();
        Identity {
            log: self.world.directory.log(&account.did).iter().map(|entry| entry.cid).collect(),
            handle: account.handle.to_string(),
            email: account.email,
            password_hash: account.password_hash,
            signing_key: account.signing_key,
            delegations: self.world.server.store.delegations(account.id).await.unwrap(),
            statements: self.records().await,
            state: account.state,
            app_passwords: listed,
            mails: self.world.mailbox.len(),
        }
    }

    /// An app password, and the session that it opens.
    async fn app(&self, privileged: bool) -> (String, String) {
        let input = json!({ "name": format!("app {privileged}"), "privileged": privileged });
        let made = self.post("com.atproto.server.createAppPassword", &input).await.ok();
        let password = made["password"].as_str().unwrap().to_owned();
        let login = json!({ "identifier": "alice.test", "password": password });
        let session = self.world.post("com.atproto.server.createSession", As::Nobody, &login).await.ok();
        (password, session["accessJwt"].as_str().unwrap().to_owned())
    }
}

/// Somebody for whom everything else is at hand: the delegate key, the codes out of the mailbox, an operation that is signed.
#[tokio::test]
async fn an_app_with_an_app_password_moves_nothing_of_the_identity() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::P256, 2));
    let alice = Alice::with(&first).await;
    let did = alice.account.did.clone();
    let wanted = alice.claim(&second, Some(&first));
    let code = alice.code(&json!({ "id": "e2ee" })).await;
    alice.post("com.atproto.identity.requestPlcOperationSignature", &Json::Null).await.ok_empty();
    let plc_code = alice.world.mailbox.code();
    alice.post("com.atproto.server.requestAccountDelete", &Json::Null).await.ok_empty();
    let delete_code = alice.world.mailbox.code();
    let operation = naming(&alice, Some(&second), &alice.world.server.rotation_key);
    for privileged in [false, true] {
        let (password, token) = alice.app(privileged).await;
        let app = As::Bearer(&token);
        let before = alice.identity().await;
        let delete = json!({ "did": did, "password": password, "token": delete_code });
        for (method, input, error) in [
            (CREATE, json!({ "statement": alice.claim(&second, None) }), (400, "InvalidToken")),
            (UPDATE, json!({ "statement": wanted }), (400, "InvalidToken")),
            (UPDATE, json!({ "statement": wanted, "operation": operation }), (400, "InvalidToken")),
            (DELETE, json!({ "statement": alice.ending(&first) }), (400, "InvalidToken")),
            (DELETE, json!({ "id": "e2ee", "token": code }), (400, "InvalidToken")),
            (TOKEN, json!({ "id": "e2ee" }), (400, "InvalidToken")),
            (
                PUT,
                json!({ "entry": alice.entry("com.example.chat", Some(json!({})), &first, 1) }),
                (400, "InvalidToken"),
            ),
            ("com.atproto.identity.requestPlcOperationSignature", Json::Null, (400, "InvalidToken")),
            ("com.atproto.identity.signPlcOperation", json!({ "token": plc_code }), (400, "InvalidToken")),
            ("com.atproto.identity.submitPlcOperation", json!({ "operation": operation }), (400, "InvalidToken")),
            ("com.atproto.identity.updateHandle", json!({ "handle": "mallory.test" }), (400, "InvalidToken")),
            ("com.atproto.server.requestEmailUpdate", Json::Null, (400, "InvalidToken")),
            ("com.atproto.server.updateEmail", json!({ "email": "mallory@example.com" }), (400, "InvalidToken")),
            (
                "com.atproto.server.createAppPassword",
                json!({ "name": "more", "privileged": true }),
                (400, "InvalidToken"),
            ),
            ("com.atproto.server.requestAccountDelete", Json::Null, (400, "InvalidToken")),
            ("com.atproto.server.deleteAccount", delete, (401, "AuthenticationRequired")),
            ("com.atproto.server.deactivateAccount", json!({}), (400, "InvalidToken")),
            ("com.atproto.server.activateAccount", Json::Null, (400, "InvalidToken")),
        ] {
            assert_eq!(alice.world.post(method, app, &input).await.error(), error, "{method} {privileged}");
        }
        // The old password is not asked for by this one, but the code that is mailed to the owner is.
        let reset = json!({ "token": delete_code, "password": "mallory's horse" });
        let refused = alice.world.post("com.atproto.server.resetPassword", app, &reset).await;
        assert_eq!(refused.error(), (400, "InvalidToken"), "a code for something else");
        let imported =
            alice.world.post_bytes("com.atproto.repo.importRepo", app, "application/vnd.ipld.car", vec![0]).await;
        assert_eq!(imported.error(), (400, "InvalidToken"));
        into_the_collections(&alice, app, &wanted).await;
        as_a_service(&alice, app, privileged).await;
        assert_eq!(alice.identity().await, before);
        let post = json!({ "repo": did, "collection": "com.example.note", "record": { "text": "what apps are for" } });
        alice.world.post("com.atproto.repo.createRecord", app, &post).await.ok();
    }
    alice.post(UPDATE, &json!({ "statement": wanted })).await.ok();
    assert_eq!(alice.assess().await.verdict.resets.len(), 0);
}

/// Every way of writing records, into both collections.
async fn into_the_collections(alice: &Alice, app: As<'_>, statement: &Json) {
    let did = &alice.account.did;
    let there = alice.records().await[0].rsplit_once('/').unwrap().1.to_owned();
    for name in ["statement", "data"] {
        let collection = format!("dev.housekey.delegation.{name}");
        for rkey in [&there, "e2ee:x"] {
            let record = json!({ "$type": collection, "statement": statement });
            let one = json!({ "repo": did, "collection": collection, "rkey": rkey, "record": record });
            let write = |action: &str| {
                let kind = format!("com.atproto.repo.applyWrites#{action}");
                let mut write = json!({ "$type": kind, "collection": collection, "rkey": rkey });
                if action != "delete" {
                    write["value"] = record.clone();
                }
                (WRITE, json!({ "repo": did, "writes": [write] }))
            };
            let single = ["createRecord", "putRecord", "deleteRecord"].map(|method| (method, one.clone()));
            for (method, input) in single.into_iter().chain(["create", "update", "delete"].map(write)) {
                let nsid = if method == WRITE { WRITE.to_owned() } else { format!("com.atproto.repo.{method}") };
                let refused = alice.world.post(&nsid, app, &input).await;
                assert_eq!(refused.error(), (400, "ReservedCollection"), "{nsid} {collection} {rkey}");
            }
        }
    }
}

/// Tokens by which the account speaks to services: none opens a method of the identity here, and those of the identity's own
/// methods are not given out.
async fn as_a_service(alice: &Alice, app: As<'_>, privileged: bool) {
    let ask = async |lxm: &str| {
        let target = format!("com.atproto.server.getServiceAuth?aud=did:web:pds.example.com&lxm={lxm}");
        alice.world.get(&target, app).await
    };
    for lxm in
        ["com.atproto.identity.signPlcOperation", "com.atproto.identity.updateHandle", "com.atproto.server.updateEmail"]
    {
        assert_eq!(ask(lxm).await.status, 400, "{lxm}");
    }
    let may_move = ask("com.atproto.server.createAccount").await.status == 200;
    assert_eq!(may_move, privileged);
    for method in [CREATE, UPDATE, DELETE, TOKEN, PUT, "com.atproto.identity.submitPlcOperation"] {
        let Json::String(token) = ask(method).await.json["token"].clone() else { continue };
        let refused = alice.world.post(method, As::Bearer(&token), &json!({ "id": "e2ee" })).await;
        assert!(
            matches!(refused.error(), (400 | 401, name) if name.contains("Token") || name.contains("Jwt") || name.contains("Auth")),
            "{method} {}",
            refused.json
        );
    }
}
