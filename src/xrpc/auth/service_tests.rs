//! Tokens of a service whose DID document is on loopback, checked by a whole server.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use data_encoding::BASE64URL_NOPAD;
use http::header;
use serde_json::json;

use super::*;
use crate::{
    crypto::{Curve, SigningKey, jwt::sign_service},
    entropy::SeededEntropy,
    outbound::testing::{FakeServer, answer},
    service::{
        KnownService, preferences,
        testing::{World, policy},
    },
    xrpc::{Api, Call, Dispatch, ReplyBody, RequestBody},
};

const LXM: &str = "com.atproto.admin.getAccountInfo";

/// A did:web with an account's key and a labeler's, which a test may change.
struct Peer {
    server: FakeServer,
    did: Did,
    keys: Arc<Mutex<[SigningKey; 2]>>,
}

impl Peer {
    async fn start() -> Self {
        let key = |seed| SigningKey::generate(Curve::P256, &SeededEntropy::new(seed));
        let label_key = SigningKey::generate(Curve::K256, &SeededEntropy::new(2));
        let keys = Arc::new(Mutex::new([key(1), label_key]));
        let did = Arc::new(Mutex::new(String::new()));
        let (shown_keys, shown_did) = (Arc::clone(&keys), Arc::clone(&did));
        let server = FakeServer::start(move |_| {
            let did = shown_did.lock().unwrap().clone();
            let [account, labeler] = shown_keys.lock().unwrap().clone();
            let method = |name: &str, key: &SigningKey| {
                let multibase = key.did_key().to_string().trim_start_matches("did:key:").to_owned();
                json!({ "id": format!("{did}#{name}"), "type": "Multikey", "controller": did, "publicKeyMultibase": multibase })
            };
            let methods = [method("atproto", &account), method("atproto_label", &labeler)];
            answer("200 OK", "", json!({ "id": did, "verificationMethod": methods }).to_string())
        })
        .await;
        let name = format!("did:web:localhost%3A{}", server.address.port());
        did.lock().unwrap().clone_from(&name);
        Self { server, did: name.parse().unwrap(), keys }
    }

    fn key(&self, index: usize) -> SigningKey {
        self.keys.lock().unwrap()[index].clone()
    }

    /// A world whose moderation service this is.
    async fn moderates(&self) -> World {
        let mut policy = policy();
        policy.services.moderation = Some(KnownService { url: self.server.url("/"), did: self.did.clone() });
        World::with(policy).await
    }

    fn claims(&self, world: &World, jti: &str) -> ServiceClaims {
        let now = world.server.now().as_secs();
        ServiceClaims {
            iat: now,
            iss: self.did.to_string(),
            aud: world.server.policy.service_did.to_string(),
            exp: now + 60,
            lxm: Some(LXM.to_owned()),
            jti: Some(jti.to_owned()),
        }
    }
}

fn head(authorization: Option<String>) -> RequestHead {
    let values = authorization.into_iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
    RequestHead { nsid: LXM.to_owned(), headers: values.collect(), client_ip: Ipv4Addr::LOCALHOST.into() }
}

async fn moderator(world: &World, key: &SigningKey, claims: &ServiceClaims) -> Result<Did, String> {
    bearer(world, &sign_service(key, claims)).await
}

async fn bearer(world: &World, token: &str) -> Result<Did, String> {
    let head = head(Some(format!("Bearer {token}")));
    let mut auth =
        ModerationService::authenticate(&world.server, &head).await.map_err(|error| error.name.to_string())?;
    auth.spending().unwrap().spend();
    Ok(auth.did)
}

#[tokio::test]
async fn the_moderation_service_is_known_by_its_account_key_and_its_labelers_key() {
    let peer = Peer::start().await;
    let world = peer.moderates().await;
    assert_eq!(moderator(&world, &peer.key(0), &peer.claims(&world, "1")).await, Ok(peer.did.clone()));
    let labeler = format!("{}#atproto_labeler", peer.did);
    let claims = ServiceClaims { iss: labeler, ..peer.claims(&world, "2") };
    assert_eq!(moderator(&world, &peer.key(1), &claims).await, Ok(peer.did.clone()));
    assert_eq!(moderator(&world, &peer.key(0), &claims).await, Err("BadJwtSignature".to_owned()));
    let other = ServiceClaims { iss: format!("{}#other", peer.did), ..peer.claims(&world, "3") };
    assert_eq!(moderator(&world, &peer.key(0), &other).await, Err("UntrustedIss".to_owned()));
}

/// The other signature with the same r, which the mathematics takes as well.
fn with_other_s(curve: Curve, token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let other: [u8; 64] = if curve == Curve::P256 {
        let (r, s) = p256::ecdsa::Signature::from_slice(&signature).unwrap().split_scalars();
        p256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().into()
    } else {
        let (r, s) = k256::ecdsa::Signature::from_slice(&signature).unwrap().split_scalars();
        k256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().into()
    };
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&other))
}

#[tokio::test]
async fn a_token_of_either_curve_needs_its_algorithm_its_key_and_its_signature() {
    let peer = Peer::start().await;
    let world = peer.moderates().await;
    let labeler = format!("{}#atproto_labeler", peer.did);
    for (index, iss, own, other) in [(0, peer.did.to_string(), "ES256", "ES256K"), (1, labeler, "ES256K", "ES256")] {
        let key = peer.key(index);
        let claims = ServiceClaims { iss, ..peer.claims(&world, own) };
        let claims = BASE64URL_NOPAD.encode(&serde_json::to_vec(&claims).unwrap());
        let token = |alg: &str, key: &SigningKey| {
            let header = BASE64URL_NOPAD.encode(json!({ "typ": "JWT", "alg": alg }).to_string().as_bytes());
            let signed = format!("{header}.{claims}");
            let signature = key.sign(signed.as_bytes()).0;
            format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
        };
        let forger = SigningKey::generate(key.curve(), &SeededEntropy::new(99));
        let good = token(own, &key);
        let (signed, _) = good.rsplit_once('.').unwrap();
        let for_another_text = token(other, &key);
        let (_, signature) = for_another_text.rsplit_once('.').unwrap();
        for (what, bad) in [
            ("the other curve's algorithm", token(other, &key)),
            ("the other curve's key", token(own, &peer.key(1 - index))),
            ("another key of the curve", token(own, &forger)),
            ("a signature of another text", format!("{signed}.{signature}")),
        ] {
            assert_eq!(bearer(&world, &bad).await, Err("BadJwtSignature".to_owned()), "{own}: {what}");
        }
        assert_eq!(bearer(&world, &good).await, Ok(peer.did.clone()), "{own}");
        // JWS allows either S, unlike repositories: it must not make two tokens of one.
        assert_eq!(bearer(&world, &with_other_s(key.curve(), &good)).await, Err("BadJwtReplay".to_owned()), "{own}");
    }
}

#[tokio::test]
async fn nobody_else_moderates() {
    let peer = Peer::start().await;
    let world = peer.moderates().await;
    let alice = world.account("alice").await;
    let claims = ServiceClaims { iss: alice.did.to_string(), ..peer.claims(&world, "1") };
    let key = world.server.signing_key(&alice).unwrap();
    assert_eq!(moderator(&world, &key, &claims).await, Err("UntrustedIss".to_owned()));
    let unset = World::new().await;
    assert_eq!(moderator(&unset, &peer.key(0), &peer.claims(&unset, "1")).await, Err("UntrustedIss".to_owned()));
    let missing = ModerationService::authenticate(&world.server, &head(None)).await.unwrap_err();
    assert_eq!((missing.status.as_u16(), missing.name.as_ref()), (401, "MissingJwt"));
}

#[tokio::test]
async fn a_token_is_refused_when_it_comes_again() {
    let peer = Peer::start().await;
    let world = peer.moderates().await;
    let claims = peer.claims(&world, "once");
    assert!(moderator(&world, &peer.key(0), &claims).await.is_ok());
    assert_eq!(moderator(&world, &peer.key(0), &claims).await, Err("BadJwtReplay".to_owned()));
    let nameless = ServiceClaims { jti: None, ..claims };
    assert!(moderator(&world, &peer.key(0), &nameless).await.is_ok());
    assert_eq!(moderator(&world, &peer.key(0), &nameless).await, Err("BadJwtReplay".to_owned()));
}

#[tokio::test]
async fn a_changed_key_is_found_by_asking_once_more_and_a_wrong_one_is_not_asked_for_again() {
    let peer = Peer::start().await;
    let world = peer.moderates().await;
    assert!(moderator(&world, &peer.key(0), &peer.claims(&world, "1")).await.is_ok());
    let next = SigningKey::generate(Curve::K256, &SeededEntropy::new(9));
    peer.keys.lock().unwrap()[0] = next.clone();
    let hits = peer.server.hits();
    assert!(moderator(&world, &next, &peer.claims(&world, "2")).await.is_ok());
    assert_eq!(peer.server.hits(), hits + 1);
    let forger = SigningKey::generate(Curve::K256, &SeededEntropy::new(10));
    assert_eq!(moderator(&world, &forger, &peer.claims(&world, "3")).await, Err("BadJwtSignature".to_owned()));
    assert_eq!(peer.server.hits(), hits + 2);
}

#[tokio::test]
async fn admin_methods_take_the_password_or_the_moderation_services_token() {
    let peer = Peer::start().await;
    let world = peer.moderates().await;
    let password = format!("Basic {}", data_encoding::BASE64.encode(b"admin:admin-pass"));
    let admin = AdminOrModerator::authenticate(&world.server, &head(Some(password))).await.unwrap();
    assert!(matches!(admin, AdminOrModerator::Admin));
    let token = format!("Bearer {}", sign_service(&peer.key(0), &peer.claims(&world, "1")));
    let moderator = AdminOrModerator::authenticate(&world.server, &head(Some(token))).await.unwrap();
    assert!(matches!(moderator, AdminOrModerator::Moderator(service) if service.did == peer.did));
    for nobody in [None, Some("Basic YTpi".to_owned()), Some("Bearer".to_owned())] {
        let refused = AdminOrModerator::authenticate(&world.server, &head(nobody)).await.unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.name.as_ref()), (401, "AuthenticationRequired"));
    }
    let session = world.signed_up("alice").await.tokens.access_jwt;
    let refused = AdminOrModerator::authenticate(&world.server, &head(Some(format!("Bearer {session}")))).await;
    assert_eq!(refused.unwrap_err().name, "BadJwtType");
}

async fn call(world: &World, verb: &str, target: &str, authorization: &str, body: RequestBody) -> (u16, String) {
    let mut head = head(Some(authorization.to_owned()));
    head.nsid = target.split('?').next().unwrap().to_owned();
    if let Some(kind) = &body.content_type {
        head.headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
    }
    let call = Call {
        method: verb.parse().unwrap(),
        uri: format!("/xrpc/{target}").parse().unwrap(),
        head,
        request_id: 1.into(),
    };
    let api = Api { server: Arc::clone(&world.server), methods: crate::methods::methods() };
    let reply = api.call(call, body).await;
    let status = reply.status.as_u16();
    let ReplyBody::Full(text) = reply.body else { panic!("a stream") };
    (status, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn a_token_that_failed_to_upload_uploads_once_and_then_no_more() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let now = world.server.now().as_secs();
    let claims = ServiceClaims {
        iat: now,
        iss: alice.did.to_string(),
        aud: world.server.policy.service_did.to_string(),
        exp: now + 1_800,
        lxm: Some("com.atproto.repo.uploadBlob".to_owned()),
        jti: Some("upload".to_owned()),
    };
    let token = format!("Bearer {}", sign_service(&world.server.signing_key(&alice).unwrap(), &claims));
    let upload = async |bytes: Vec<u8>| {
        let body = RequestBody::full("video/mp4", bytes);
        call(&world, "POST", "com.atproto.repo.uploadBlob", &token, body).await
    };
    let most = usize::try_from(world.server.policy.blob_bytes).unwrap();
    assert_ne!(upload(vec![0; most + 1]).await.0, 200);
    let (status, answer) = upload(vec![1; 10]).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = upload(vec![1; 10]).await;
    assert!(status == 401 && answer.contains("BadJwtReplay"), "{answer}");
}

#[tokio::test]
async fn the_moderation_service_reads_the_preferences_of_an_account_that_it_names() {
    let peer = Peer::start().await;
    let world = peer.moderates().await;
    let alice = world.account("alice").await;
    let preference = serde_json::from_str(r#"{"$type":"app.bsky.actor.defs#personalDetailsPref","x":1}"#).unwrap();
    preferences::put(&world.server, &alice, preferences::Reach::Full, vec![preference]).await.unwrap();
    let nsid = "app.bsky.actor.getPreferences";
    let read = async |query: &str, jti: &str| {
        let claims = ServiceClaims { lxm: Some(nsid.to_owned()), ..peer.claims(&world, jti) };
        let token = format!("Bearer {}", sign_service(&peer.key(0), &claims));
        call(&world, "GET", &format!("{nsid}{query}"), &token, RequestBody::empty()).await
    };
    let (status, answer) = read(&format!("?did={}", alice.did), "1").await;
    assert!(status == 200 && answer.contains("personalDetailsPref"), "{answer}");
    let (status, answer) = read(&format!("?did={}", alice.did), "1").await;
    assert!(status == 401 && answer.contains("BadJwtReplay"), "{answer}");
    for query in ["", "?did=x", "?did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(read(query, query).await.0, 400, "{query}");
    }
}
