//! did:web accounts whose document somebody else serves: the owner changes it, and this server adds the statement.

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    crypto::jwt::{ServiceClaims, sign_service},
    outbound::testing::{FakeServer, answer},
};

const SIGN_UP: &str = "com.atproto.server.createAccount";
const ACTIVATE: &str = "com.atproto.server.activateAccount";
const STATUS: &str = "com.atproto.server.checkAccountStatus";

/// A host of Carol's own, where her document is.
struct Host {
    _server: FakeServer,
    document: Arc<Mutex<Json>>,
    did: String,
}

impl Host {
    async fn start() -> Self {
        let document = Arc::new(Mutex::new(Json::Null));
        let shown = Arc::clone(&document);
        let server = FakeServer::start(move |_| answer("200 OK", "", shown.lock().unwrap().to_string())).await;
        let did = format!("did:web:localhost%3A{}", server.address.port());
        Self { _server: server, document, did }
    }

    /// The document with these verification methods.
    fn names(&self, keys: &[(&str, &str)], endpoint: &str) {
        let method = |(id, key): &(&str, &str)| {
            let multibase = key.trim_start_matches("did:key:");
            json!({ "id": format!("{}#{id}", self.did), "type": "Multikey", "controller": self.did,
                    "publicKeyMultibase": multibase })
        };
        let service = json!({ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint });
        *self.document.lock().unwrap() = json!({
            "id": self.did, "alsoKnownAs": ["at://carol.test"], "service": [service],
            "verificationMethod": keys.iter().map(method).collect::<Vec<_>>(),
        });
    }
}

fn token(world: &World, key: &SigningKey, did: &str) -> String {
    let now = world.clock.now().as_secs();
    let aud = "did:web:pds.example.com".to_owned();
    let jti = Some("1".to_owned());
    sign_service(
        key,
        &ServiceClaims { iat: now, iss: did.to_owned(), aud, exp: now + 60, lxm: Some(SIGN_UP.to_owned()), jti },
    )
}

/// Carol, moved in and active, and the key that the document has to name for that.
async fn carol() -> (Host, Alice) {
    let (host, world) = (Host::start().await, World::new().await);
    let old = SigningKey::generate(Curve::K256, &SeededEntropy::new(601));
    let old_key = old.did_key().to_string();
    host.names(&[("atproto", &old_key)], "https://old.example.com");
    let input =
        json!({ "did": host.did, "handle": "carol.test", "email": "carol@example.com", "password": "correct horse" });
    let jwt = token(&world, &old, &host.did);
    let made = world.post(SIGN_UP, As::Bearer(&jwt), &input).await.ok();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let account = world.server.store.account_by_did(&host.did.parse().unwrap()).await.unwrap().unwrap();
    let carol =
        Alice { account, jwt: text("accessJwt"), refresh: text("refreshJwt"), world, id: DelegationId::default() };
    let me = As::Bearer(&carol.jwt);
    let new_key = carol.account.signing_key.clone();
    for (key, endpoint, complaint) in [
        (&old_key, "https://old.example.com", "pds service endpoint is https://old.example.com"),
        (&old_key, "https://pds.example.com", "verification method is did:key:"),
        (&new_key, "https://pds.example.com:8443", "pds service endpoint is https://pds.example.com:8443"),
    ] {
        host.names(&[("atproto", key)], endpoint);
        let refused = carol.world.post(ACTIVATE, me, &Json::Null).await;
        assert_eq!(refused.error(), (400, "InvalidRequest"));
        assert!(refused.message().contains(complaint), "{}", refused.message());
        assert_eq!(carol.world.get(STATUS, me).await.ok()["validDid"], false);
    }
    *host.document.lock().unwrap() = json!({ "id": "did:web:localhost%3A1" });
    assert_eq!(carol.world.post(ACTIVATE, me, &Json::Null).await.error().0, 400, "it is somebody else's document");
    assert!(carol.world.events().await.is_empty());
    host.names(&[("atproto", &new_key)], "https://pds.example.com");
    carol.world.post(ACTIVATE, me, &Json::Null).await.ok_empty();
    assert_eq!(carol.world.get(STATUS, me).await.ok()["validDid"], true);
    let account = carol.world.reread(&carol.account).await;
    (host, Alice { account, ..carol })
}

fn draft(carol: &Alice, prev: Option<&Json>, key: Option<&DelegateSigningKey>) -> Draft {
    let prev = prev.map(|statement| Statement::from_json(statement).unwrap().cid());
    Draft {
        did: carol.account.did.clone(),
        id: carol.id.clone(),
        key: key.map(DelegateSigningKey::public),
        prev,
        created_at: carol.world.clock.now(),
    }
}

#[tokio::test]
async fn the_owner_is_shown_what_to_add_and_then_the_same_call_succeeds() {
    let (host, carol) = carol().await;
    let signing = carol.account.signing_key.clone();
    let names = |key: Option<&DelegateSigningKey>| {
        let key = key.map(did_key);
        let mut keys = vec![("atproto", signing.as_str())];
        keys.extend(key.as_deref().map(|key| ("e2ee", key)));
        host.names(&keys, "https://pds.example.com");
    };
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::P256, 2));
    let created = draft(&carol, None, Some(&first)).sign(Some(&first), None).unwrap().to_json();
    let events = carol.world.events().await.len();
    let refused = carol.post(CREATE, &json!({ "statement": created })).await;
    assert_eq!(refused.error(), (400, "DidNotManaged"));
    let entry = json!({ "id": format!("{}#e2ee", host.did), "type": "Multikey", "controller": host.did,
                        "publicKeyMultibase": did_key(&first).trim_start_matches("did:key:") });
    assert!(refused.message().contains(&entry.to_string()), "{}", refused.message());
    assert_eq!((carol.records().await.len(), carol.world.events().await.len()), (0, events), "nothing was changed");
    // Another key there does not do.
    names(Some(&second));
    assert_eq!(carol.post(CREATE, &json!({ "statement": created })).await.error().0, 400);
    names(Some(&first));
    let made = carol.post(CREATE, &json!({ "statement": created })).await.ok();
    assert_eq!((&made["state"], &made["key"]), (&json!("active"), &json!(did_key(&first))));
    assert_eq!(carol.get("getDelegation").await.ok()["state"], "active");

    let rotated = draft(&carol, Some(&created), Some(&second)).sign(Some(&second), Some(&first)).unwrap().to_json();
    assert_eq!(carol.post(UPDATE, &json!({ "statement": rotated })).await.error(), (400, "DidNotManaged"));
    names(Some(&second));
    carol.post(UPDATE, &json!({ "statement": rotated })).await.ok();
    let ended = draft(&carol, Some(&rotated), None).sign(None, Some(&second)).unwrap().to_json();
    let refused = carol.post(DELETE, &json!({ "statement": ended })).await;
    assert_eq!(refused.error(), (400, "DidNotManaged"));
    assert!(refused.message().contains("remove its verificationMethod entry #e2ee"), "{}", refused.message());
    names(None);
    carol.post(DELETE, &json!({ "statement": ended })).await.ok();
    assert_eq!(carol.get("getDelegation").await.ok()["state"], "ended");
    assert_eq!((carol.records().await.len(), carol.world.directory.posts()), (3, 0));
}

#[tokio::test]
async fn a_key_that_the_document_swaps_shows_as_unproven_and_the_owner_is_mailed() {
    let (host, carol) = carol().await;
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::K256, 2));
    let names = |key: &DelegateSigningKey| {
        let keys = [("atproto", carol.account.signing_key.as_str()), ("e2ee", &did_key(key))];
        host.names(&keys, "https://pds.example.com");
    };
    names(&first);
    let created = draft(&carol, None, Some(&first)).sign(Some(&first), None).unwrap().to_json();
    carol.post(CREATE, &json!({ "statement": created })).await.ok();
    let mails = carol.world.mailbox.len();
    names(&second);
    carol.world.clock.advance(Duration::from_hours(25));
    let found = carol.get("getDelegation").await.ok();
    assert_eq!((&found["state"], &found["key"]), (&json!("unproven"), &json!(did_key(&second))));
    assert_eq!(carol.world.mailbox.len(), mails + 1);
    names(&first);
    carol.world.clock.advance(Duration::from_hours(25));
    assert_eq!(carol.get("getDelegation").await.ok()["state"], "active", "the statement bears it out again");
}

#[tokio::test]
async fn a_document_without_the_key_that_signed_lets_nobody_in() {
    let (host, world) = (Host::start().await, World::new().await);
    let (own, other) = (SeededEntropy::new(601), SeededEntropy::new(602));
    let (own, other) = (SigningKey::generate(Curve::K256, &own), SigningKey::generate(Curve::K256, &other));
    let input =
        json!({ "did": host.did, "handle": "carol.test", "email": "carol@example.com", "password": "correct horse" });
    let jwt = token(&world, &own, &host.did);
    host.names(&[("atproto", &other.did_key().to_string())], "https://old.example.com");
    assert_eq!(world.post(SIGN_UP, As::Bearer(&jwt), &input).await.error(), (401, "BadJwtSignature"));
    // A delegate key is no account key.
    host.names(&[("e2ee", &own.did_key().to_string())], "https://old.example.com");
    assert_eq!(world.post(SIGN_UP, As::Bearer(&jwt), &input).await.error().0, 401);
    *host.document.lock().unwrap() = json!({ "id": "did:web:localhost%3A1" });
    assert_eq!(world.post(SIGN_UP, As::Bearer(&jwt), &input).await.error().0, 401);
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 0);
}
