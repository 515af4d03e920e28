//! Moving in, as a client does it: an existing DID, a repository, blobs, a PLC operation of the owner's, activation.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::{
    clock::Clock,
    crypto::{
        Curve, SigningKey,
        jwt::{ServiceClaims, sign_service},
    },
    entropy::SeededEntropy,
    event::Frame,
    ipld::{Cid, car, cbor, json::from_json},
    limits::accounts::MOVED_IN_GRACE,
    plc::{Operation, UnsignedOperation, log::standing},
    repo::{UnsignedCommit, mst},
    service::{
        maintain, security_log,
        testing::{As, World, policy},
    },
    store::{AccountState, OwnState, SecurityKind},
    syntax::{Did, Tid},
};

const CREATE: &str = "com.atproto.server.createAccount";
const STATUS: &str = "com.atproto.server.checkAccountStatus";

/// Somebody whose account is on another server, which this world's directory names; she alone has the rotation key.
struct Mover {
    world: World,
    did: Did,
    /// The repository key at the other server.
    key: SigningKey,
    rotation: SigningKey,
}

impl Mover {
    async fn new() -> Self {
        Self::to(World::new().await)
    }

    fn to(world: World) -> Self {
        let key = SigningKey::generate(Curve::P256, &SeededEntropy::new(501));
        let rotation = SigningKey::generate(Curve::K256, &SeededEntropy::new(502));
        let rotation_keys = vec![rotation.did_key().to_string()];
        let handle = "alice.test".parse().unwrap();
        let genesis = UnsignedOperation::genesis(&key.did_key(), &handle, "https://old.example.com", rotation_keys);
        let operation = genesis.sign(&rotation);
        let did = operation.did_for_genesis();
        world.directory.accept(&did, &operation);
        Self { world, did, key, rotation }
    }

    /// A token for creating the account here; each is good once.
    fn token(&self, key: &SigningKey, number: u32) -> String {
        sign_service(key, &self.claims(number))
    }

    fn claims(&self, number: u32) -> ServiceClaims {
        let now = self.world.clock.now().as_secs();
        ServiceClaims {
            iat: now,
            iss: self.did.to_string(),
            aud: "did:web:pds.example.com".to_owned(),
            exp: now + 60,
            lxm: Some(CREATE.to_owned()),
            jti: Some(number.to_string()),
        }
    }

    fn input(&self) -> Json {
        json!({ "did": self.did, "handle": "alice.test", "email": "alice@example.com", "password": "correct horse" })
    }

    async fn create(&self, number: u32) -> String {
        let token = self.token(&self.key, number);
        let made = self.world.post(CREATE, As::Bearer(&token), &self.input()).await.ok();
        assert_eq!((&made["did"], &made["handle"]), (&json!(self.did), &json!("alice.test")));
        assert_eq!(made.get("didDoc"), None, "a client would follow it to the old server with the new server's token");
        made["accessJwt"].as_str().unwrap().to_owned()
    }

    /// The repository at the other server: posts, and a profile with a blob.
    fn car(&self, blob: &Cid) -> Vec<u8> {
        let record = |json: Json| cbor::encode(&from_json(&json).unwrap());
        let avatar = json!({ "$type": "blob", "ref": { "$link": blob }, "mimeType": "text/plain", "size": 6 });
        let profile = json!({ "$type": "app.bsky.actor.profile", "avatar": avatar });
        let mut records = vec![("app.bsky.actor.profile/self".to_owned(), record(profile))];
        records.extend((0..30).map(|n| {
            let post =
                json!({ "$type": "app.bsky.feed.post", "text": n.to_string(), "createdAt": "2026-01-01T00:00:00Z" });
            (format!("app.bsky.feed.post/3k{n:011}"), record(post))
        }));
        let mut blocks = Vec::new();
        let entries = records.iter().map(|(path, bytes)| (path.as_str(), Cid::of_cbor(bytes)));
        let data = mst::build(entries, &mut |built| blocks.push((built.cid, built.block))).unwrap();
        let rev = Tid::new(self.world.clock.now(), 9);
        let commit = UnsignedCommit { did: self.did.clone(), data, rev }.sign(&self.key).encode();
        let root = Cid::of_cbor(&commit);
        let mut out = car::header(&[root]);
        car::write_block(&mut out, &root, &commit);
        for (cid, block) in &blocks {
            car::write_block(&mut out, cid, block);
        }
        for (_, bytes) in &records {
            car::write_block(&mut out, &Cid::of_cbor(bytes), bytes);
        }
        out
    }

    fn submit(&self, change: impl FnOnce(&mut UnsignedOperation)) {
        let mut next = self.world.directory.current(&self.did);
        next.prev = standing(&self.world.directory.log(&self.did)).next_back().map(|entry| entry.cid);
        change(&mut next);
        let operation: Operation = next.sign(&self.rotation);
        self.world.directory.accept(&self.did, &operation);
    }
}

#[tokio::test]
async fn where_invites_are_needed_the_administrators_code_lets_an_account_move_in() {
    let mut inviting = policy();
    inviting.invite_required = true;
    let mover = Mover::to(World::with(inviting).await);
    let world = &mover.world;
    let create = async |number, code: Option<&Json>| {
        let mut input = mover.input();
        input.as_object_mut().unwrap().extend(code.map(|code| ("inviteCode".to_owned(), code.clone())));
        world.post(CREATE, As::Bearer(&mover.token(&mover.key, number)), &input).await
    };
    assert_eq!(create(1, None).await.error(), (400, "InvalidInviteCode"));
    assert_eq!(create(2, Some(&json!("pds-example-com-aaaaa-aaaaa"))).await.error(), (400, "InvalidInviteCode"));
    let made = world.post("com.atproto.server.createInviteCode", As::Admin, &json!({ "useCount": 1 })).await.ok();
    let created = create(3, Some(&made["code"])).await.ok();
    assert_eq!(created["did"], json!(mover.did));
    let me = As::Bearer(created["accessJwt"].as_str().unwrap());
    assert_eq!(world.get(STATUS, me).await.ok()["activated"], false);
}

#[tokio::test]
async fn a_closed_server_lets_an_account_move_in_with_the_administrators_code_and_nobody_else() {
    let mut closed = policy();
    closed.sign_up.is_closed = true;
    let mover = Mover::to(World::with(closed).await);
    let world = &mover.world;
    let made = async |owner: Option<&str>| {
        let mut input = json!({ "useCount": 1 });
        input.as_object_mut().unwrap().extend(owner.map(|owner| ("forAccount".to_owned(), json!(owner))));
        world.post("com.atproto.server.createInviteCode", As::Admin, &input).await.ok()["code"].clone()
    };
    let (own, given_away) = (made(None).await, made(Some("did:plc:ewvi7nxzyoun6zhxrhs64oiz")).await);
    let create = async |number, code: Option<&Json>| {
        let mut input = mover.input();
        input.as_object_mut().unwrap().extend(code.map(|code| ("inviteCode".to_owned(), code.clone())));
        world.post(CREATE, As::Bearer(&mover.token(&mover.key, number)), &input).await
    };
    let unknown = json!("pds-example-com-aaaaa-aaaaa");
    for (number, code) in [(1, None), (2, Some(&given_away)), (3, Some(&unknown))] {
        let refused = create(number, code).await;
        assert_eq!(refused.error(), (400, "InvalidRequest"), "{code:?}");
        assert!(refused.message().contains("housekey invite create"), "{}", refused.message());
    }
    // It is for an account that moves in: a new one stays the administrator's to make.
    let stranger =
        json!({ "handle": "bob.test", "email": "bob@example.com", "password": "correct horse", "inviteCode": own });
    let refused = world.post(CREATE, As::Nobody, &stranger).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"));
    assert!(!refused.message().contains("invite"), "{}", refused.message());
    let refused = world.post(CREATE, As::Bearer(&mover.token(&mover.key, 4)), &stranger).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"), "a token without its DID");
    assert!(world.server.store.account_by_did(&mover.did).await.unwrap().is_none());

    let created = create(5, Some(&own)).await.ok();
    let me = As::Bearer(created["accessJwt"].as_str().unwrap());
    assert_eq!(world.get(STATUS, me).await.ok()["activated"], false);
    assert!(!world.server.store.invite_is_available(own.as_str().unwrap()).await.unwrap(), "it is used up");
    assert_eq!(create(6, Some(&own)).await.ok()["did"], json!(mover.did), "and the same call answers once more");
}

#[tokio::test]
async fn an_account_moves_in_by_the_standard_calls_and_stays_in_its_owners_hand() {
    let mover = Mover::new().await;
    let world = &mover.world;
    let reserve = json!({ "did": mover.did });
    let reserved = world.post("com.atproto.server.reserveSigningKey", As::Nobody, &reserve).await.ok();
    let jwt = mover.create(1).await;
    let me = As::Bearer(&jwt);
    let status = world.get(STATUS, me).await.ok();
    assert_eq!(
        (&status["activated"], &status["validDid"], &status["indexedRecords"]),
        (&json!(false), &json!(false), &json!(0))
    );
    assert!(world.events().await.is_empty(), "nobody hears of an account that is not here yet");

    let blob = Cid::of_raw(b"avatar");
    let imported =
        world.post_bytes("com.atproto.repo.importRepo", me, "application/vnd.ipld.car", mover.car(&blob)).await;
    assert_eq!((imported.status, imported.json), (200, Json::Null));
    let missing = world.get("com.atproto.repo.listMissingBlobs", me).await.ok();
    let uri = format!("at://{}/app.bsky.actor.profile/self", mover.did);
    assert_eq!(missing, json!({ "blobs": [{ "cid": blob, "recordUri": uri }] }));
    world.post_bytes("com.atproto.repo.uploadBlob", me, "text/plain", b"avatar".to_vec()).await.ok();
    assert_eq!(world.get("com.atproto.repo.listMissingBlobs", me).await.ok(), json!({ "blobs": [] }));
    let status = world.get(STATUS, me).await.ok();
    assert_eq!(
        (&status["indexedRecords"], &status["expectedBlobs"], &status["importedBlobs"]),
        (&json!(31), &json!(1), &json!(1))
    );
    assert!(
        status["repoBlocks"].as_u64().unwrap() > 31
            && status["repoCommit"].is_string()
            && status["repoRev"].is_string()
    );

    let adult = json!({ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": false });
    world.post("app.bsky.actor.putPreferences", me, &json!({ "preferences": [adult] })).await;
    assert_eq!(world.get(STATUS, me).await.ok()["privateStateValues"], 1);

    let activate = "com.atproto.server.activateAccount";
    assert_eq!(world.post(activate, me, &Json::Null).await.error().0, 400, "the DID still names the other server");
    let said = world.get("com.atproto.identity.getRecommendedDidCredentials", me).await.ok();
    assert_eq!(said["verificationMethods"]["atproto"], reserved["signingKey"]);
    // The owner keeps the rotation keys to herself.
    mover.submit(|next| {
        next.verification_methods
            .insert("atproto".to_owned(), said["verificationMethods"]["atproto"].as_str().unwrap().to_owned());
        next.set_pds(said["services"]["atproto_pds"]["endpoint"].as_str().unwrap());
    });
    assert_eq!(world.post(activate, me, &Json::Null).await.status, 200);
    let status = world.get(STATUS, me).await.ok();
    assert_eq!((&status["activated"], &status["validDid"]), (&json!(true), &json!(true)));
    let session = world.get("com.atproto.server.getSession", me).await.ok();
    assert_eq!(session["didDoc"]["id"], json!(mover.did));
    let events = world.events().await;
    assert!(matches!(events.as_slice(), [Frame::Account(_), Frame::Identity(_), Frame::Sync(_)]), "{events:?}");

    // All works but what needs the server's rotation key, and that says so.
    let post = json!({ "repo": mover.did, "collection": "com.example.post", "record": { "text": "hello" } });
    world.post("com.atproto.repo.createRecord", me, &post).await.ok();
    let refused = world.post("com.atproto.identity.updateHandle", me, &json!({ "handle": "alicia.test" })).await;
    assert_eq!(refused.error().0, 400);
    assert!(refused.message().contains("rotation key is not among"), "{}", refused.message());
    world.post("com.atproto.identity.requestPlcOperationSignature", me, &Json::Null).await;
    let refused =
        world.post("com.atproto.identity.signPlcOperation", me, &json!({ "token": world.mailbox.code() })).await;
    assert!(refused.message().contains("rotation key is not among"), "{}", refused.message());
    let session = json!({ "identifier": "alice.test", "password": "correct horse" });
    world.post("com.atproto.server.createSession", As::Nobody, &session).await.ok();
    assert_eq!(world.post("com.atproto.server.deactivateAccount", me, &json!({})).await.status, 200);
}

#[tokio::test]
async fn asked_again_the_same_account_answers_until_it_is_activated() {
    let mover = Mover::new().await;
    let (first, again) = (mover.create(1).await, mover.create(2).await);
    for jwt in [&first, &again] {
        assert_eq!(mover.world.get(STATUS, As::Bearer(jwt)).await.status, 200);
    }
    let store = &mover.world.server.store;
    assert_eq!(store.count_accounts().await.unwrap(), 1);
    let account = store.account_by_did(&mover.did).await.unwrap().unwrap();
    let delete_after = Some(account.created_at.plus(MOVED_IN_GRACE));
    assert_eq!(account.state, AccountState::Deactivated { delete_after });
    // The server that she leaves can sign such a token too, but does not know the password here.
    let mut input = mover.input();
    input["password"] = json!("battery staple");
    let refused = mover.world.post(CREATE, As::Bearer(&mover.token(&mover.key, 3)), &input).await;
    assert_eq!(refused.error(), (401, "AuthenticationRequired"));
    assert!(refused.message().contains("waits for its activation"), "{}", refused.message());
    // Switched off by its owner is something else: whoever has the DID's key now may not just come in.
    let own = OwnState::Deactivated { delete_after: None };
    let noted = |kind| security_log::event(&mover.world.server, account.id, kind, None);
    store.set_own_state(account.id, own, Vec::new(), noted(SecurityKind::Deactivated)).await.unwrap();
    let refused = mover.world.post(CREATE, As::Bearer(&mover.token(&mover.key, 4)), &mover.input()).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"));
    assert!(refused.message().contains("already an account"), "{}", refused.message());
    store.set_own_state(account.id, OwnState::Active, Vec::new(), noted(SecurityKind::Activated)).await.unwrap();
    let refused = mover.world.post(CREATE, As::Bearer(&mover.token(&mover.key, 5)), &mover.input()).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"));
}

#[tokio::test]
async fn an_account_that_is_not_activated_in_three_days_is_deleted_and_may_come_again() {
    let mover = Mover::new().await;
    let store = &mover.world.server.store;
    mover.create(1).await;
    let first = store.account_by_did(&mover.did).await.unwrap().unwrap();
    let second = Duration::from_secs(1);
    mover.world.clock.advance(MOVED_IN_GRACE.saturating_sub(second));
    maintain(&mover.world.server).await.unwrap();
    assert!(store.account_by_did(&mover.did).await.unwrap().is_some());
    mover.world.clock.advance(second);
    maintain(&mover.world.server).await.unwrap();
    assert!(store.account_by_did(&mover.did).await.unwrap().is_none());
    mover.create(2).await;
    assert_ne!(store.account_by_did(&mover.did).await.unwrap().unwrap().id, first.id);
}

#[tokio::test]
async fn nobody_brings_a_did_that_is_not_theirs() {
    let mover = Mover::new().await;
    let (world, input) = (&mover.world, mover.input());
    let missing = world.post(CREATE, As::Nobody, &input).await;
    assert_eq!(missing.error(), (401, "AuthenticationRequired"));
    let stranger = SigningKey::generate(Curve::K256, &SeededEntropy::new(77));
    let forged = mover.token(&stranger, 1);
    assert_eq!(world.post(CREATE, As::Bearer(&forged), &input).await.error(), (401, "BadJwtSignature"));
    let mut other = input.clone();
    other["did"] = json!("did:plc:ewvi7nxzyoun6zhxrhs64oiz");
    let token = mover.token(&mover.key, 2);
    assert_eq!(world.post(CREATE, As::Bearer(&token), &other).await.error(), (401, "AuthenticationRequired"));
    let mut elsewhere = input.clone();
    elsewhere["handle"] = json!("alice.example.org");
    let token = mover.token(&mover.key, 3);
    assert_eq!(world.post(CREATE, As::Bearer(&token), &elsewhere).await.error().0, 400, "the handle is not hers");
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 0);
    mover.create(4).await;
}

#[tokio::test]
async fn a_token_for_something_else_lets_nobody_in() {
    let mover = Mover::new().await;
    let (world, input) = (&mover.world, mover.input());
    let (key, claims) = (&mover.key, |number| mover.claims(number));
    let fragment = format!("{}#atproto_labeler", mover.did);
    for (what, claims, status) in [
        ("another audience", ServiceClaims { aud: "did:web:other.example.com".to_owned(), ..claims(1) }, 401),
        ("another method", ServiceClaims { lxm: Some(STATUS.to_owned()), ..claims(2) }, 401),
        ("no method", ServiceClaims { lxm: None, ..claims(3) }, 401),
        ("expired", ServiceClaims { iat: claims(4).iat - 120, exp: claims(4).iat - 60, ..claims(4) }, 401),
        ("another service's", ServiceClaims { iss: fragment, ..claims(5) }, 401),
    ] {
        let refused = world.post(CREATE, As::Bearer(&sign_service(key, &claims)), &input).await;
        assert_eq!(refused.status, status, "{what}: {}", refused.json);
        assert!(refused.json["error"].as_str().is_some_and(|name| !name.is_empty()), "{what}");
    }
    let token = sign_service(key, &claims(6));
    world.post(CREATE, As::Bearer(&token), &input).await.ok();
    assert_eq!(world.post(CREATE, As::Bearer(&token), &input).await.status, 401, "a token is good once");
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_taken_stays_taken_and_the_did_may_try_again() {
    let mover = Mover::new().await;
    let world = &mover.world;
    world.account("bobby").await;
    for (number, field, value, name) in [
        (1, "handle", "bobby.test", "HandleNotAvailable"),
        (2, "handle", "admin.test", "HandleNotAvailable"),
        (3, "email", "bobby@example.com", "InvalidRequest"),
        (4, "inviteCode", "nope", "InvalidInviteCode"),
    ] {
        let mut input = mover.input();
        input[field] = json!(value);
        let refused = world.post(CREATE, As::Bearer(&mover.token(&mover.key, number)), &input).await;
        assert_eq!(refused.error(), (400, name), "{field} {}", refused.json);
    }
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 1);
    mover.create(5).await;
}

#[tokio::test]
async fn a_did_that_was_ended_at_the_directory_does_not_come_in() {
    let mover = Mover::new().await;
    let prev = standing(&mover.world.directory.log(&mover.did)).next_back().map(|entry| entry.cid).unwrap();
    mover.world.directory.accept(&mover.did, &Operation::tombstone(prev, &mover.rotation));
    let refused = mover.world.post(CREATE, As::Bearer(&mover.token(&mover.key, 1)), &mover.input()).await;
    assert_eq!(refused.status, 401, "{}", refused.json);
    assert_eq!(mover.world.server.store.count_accounts().await.unwrap(), 0);
}
