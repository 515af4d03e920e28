//! The methods of accounts and sessions as a client sees them.

mod app_passwords;
mod codes;
mod moving;

use serde_json::{Value as Json, json};

use crate::{
    crypto::{
        DidKey,
        jwt::{SessionToken, UnverifiedServiceToken},
    },
    event,
    service::testing::{As, PASSWORD, World, policy},
    store::AccountState,
};

const CREATE_ACCOUNT: &str = "com.atproto.server.createAccount";
const CREATE_SESSION: &str = "com.atproto.server.createSession";

fn sign_up(name: &str) -> Json {
    json!({ "handle": format!("{name}.test"), "email": format!("{name}@example.com"), "password": PASSWORD })
}

fn text<'a>(json: &'a Json, field: &str) -> &'a str {
    json[field].as_str().unwrap()
}

async fn signed_up(world: &World, name: &str) -> Json {
    world.post(CREATE_ACCOUNT, As::Nobody, &sign_up(name)).await.ok()
}

#[tokio::test]
async fn the_whole_life_of_a_session() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    assert_eq!(text(&made, "handle"), "alice.test");
    assert_eq!(made["didDoc"]["service"][0]["serviceEndpoint"], "https://pds.example.com");
    let access = text(&made, "accessJwt");
    let got = world.get("com.atproto.server.getSession", As::Bearer(access)).await.ok();
    assert_eq!(
        got,
        json!({ "handle": "alice.test", "did": made["did"], "didDoc": got["didDoc"], "email": "alice@example.com",
            "emailConfirmed": false, "emailAuthFactor": false, "active": true })
    );
    assert_eq!(got["didDoc"]["id"], made["did"]);

    let login = json!({ "identifier": "alice.test", "password": PASSWORD, "authFactorToken": "ignored" });
    let opened = world.post(CREATE_SESSION, As::Nobody, &login).await.ok();
    for field in ["accessJwt", "refreshJwt", "handle", "did", "didDoc", "email"] {
        assert!(!opened[field].is_null(), "{field}");
    }
    let refresh = text(&opened, "refreshJwt");
    let refreshed = world.post("com.atproto.server.refreshSession", As::Bearer(refresh), &Json::Null).await.ok();
    assert_ne!(refreshed["refreshJwt"], opened["refreshJwt"]);
    assert_eq!(refreshed["active"], true);
    let next = text(&refreshed, "refreshJwt");
    world.post("com.atproto.server.deleteSession", As::Bearer(next), &Json::Null).await.ok();
    let refused = world.post("com.atproto.server.refreshSession", As::Bearer(next), &Json::Null).await;
    assert_eq!((refused.error(), refused.message()), ((400, "ExpiredToken"), "Token has been revoked"));
}

#[tokio::test]
async fn an_access_token_refreshes_nothing_and_a_refresh_token_opens_nothing() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let (access, refresh) = (text(&made, "accessJwt"), text(&made, "refreshJwt"));
    let refused = world.post("com.atproto.server.refreshSession", As::Bearer(access), &Json::Null).await;
    assert_eq!(refused.error(), (400, "InvalidToken"));
    let refused = world.get("com.atproto.server.getSession", As::Bearer(refresh)).await;
    assert_eq!(refused.error(), (400, "InvalidToken"));
    let refused = world.get("com.atproto.server.getSession", As::Nobody).await;
    assert_eq!(refused.error(), (401, "AuthMissing"));
}

#[tokio::test]
async fn an_expired_refresh_token_still_ends_its_session() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    world.clock.advance(std::time::Duration::from_hours(91 * 24));
    let refresh = text(&made, "refreshJwt");
    let refused = world.post("com.atproto.server.refreshSession", As::Bearer(refresh), &Json::Null).await;
    assert_eq!(refused.error(), (400, "ExpiredToken"));
    world.post("com.atproto.server.deleteSession", As::Bearer(refresh), &Json::Null).await.ok();
}

#[tokio::test]
async fn a_stranger_learns_the_same_of_an_unknown_name_and_a_wrong_password() {
    let world = World::new().await;
    signed_up(&world, "alice").await;
    let try_it = async |identifier: &str| {
        world.post(CREATE_SESSION, As::Nobody, &json!({ "identifier": identifier, "password": "wrong" })).await
    };
    let wrong = try_it("alice.test").await;
    assert_eq!(wrong.error(), (401, "AuthenticationRequired"));
    assert_eq!(wrong.message(), "Invalid identifier or password");
    assert_eq!(try_it("nobody.test").await, wrong);
    assert_eq!(try_it("nobody@example.com").await, wrong);
}

#[tokio::test]
async fn each_refused_sign_up_has_the_name_that_clients_know() {
    let world = World::new().await;
    signed_up(&world, "bobby").await;
    let long = "x".repeat(257);
    let cases: [(&str, Json, &str, &str); 11] = [
        ("handle", json!("bobby.test"), "HandleNotAvailable", "Handle already taken: bobby.test"),
        ("handle", json!("admin.test"), "HandleNotAvailable", "Reserved handle"),
        ("handle", json!("alice.example.com"), "UnsupportedDomain", "Not a supported handle domain"),
        ("handle", json!("al.test"), "InvalidHandle", "Handle too short"),
        ("handle", json!("a b"), "InvalidRequest", "Input/handle must be a valid handle"),
        ("handle", Json::Null, "InvalidRequest", ""),
        ("email", Json::Null, "InvalidRequest", "Input/email must be a string"),
        ("email", json!("nonsense"), "InvalidEmail", ""),
        ("email", json!("bobby@example.com"), "InvalidRequest", "Email already taken: bobby@example.com"),
        ("password", json!(long), "InvalidPassword", "Password too long. Maximum length is 256 characters."),
        ("inviteCode", json!("nope"), "InvalidInviteCode", "Provided invite code not available"),
    ];
    for (field, value, name, message) in cases {
        let mut input = sign_up("alice");
        input[field] = value;
        let refused = world.post(CREATE_ACCOUNT, As::Nobody, &input).await;
        assert_eq!(refused.error(), (400, name), "{field} {}", refused.json);
        assert!(message.is_empty() || refused.message() == message, "{}", refused.json);
    }
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 1);
}

#[tokio::test]
async fn a_directory_that_is_down_is_a_bad_gateway() {
    let world = World::new().await;
    world.directory.set_down(true);
    let refused = world.post(CREATE_ACCOUNT, As::Nobody, &sign_up("alice")).await;
    assert_eq!(refused.error(), (502, "PlcUnavailable"));
    assert!(refused.message().contains("nothing was changed"), "{}", refused.message());
    world.directory.set_down(false);
    signed_up(&world, "alice").await;
}

#[tokio::test]
async fn a_taken_down_account_sees_only_the_way_out() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let did = text(&made, "did").parse().unwrap();
    let account = world.server.store.account_by_did(&did).await.unwrap().unwrap();
    let state = AccountState::Takendown { reference: "case 1".to_owned() };
    let events = vec![event::account(&did, Some(event::AccountStatus::Takendown), world.server.now())];
    world.server.store.set_account_state(account.id, state, events).await.unwrap();

    let login = json!({ "identifier": "alice.test", "password": PASSWORD });
    let refused = world.post(CREATE_SESSION, As::Nobody, &login).await;
    assert_eq!(refused.error(), (401, "AccountTakedown"));
    let login = json!({ "identifier": "alice.test", "password": PASSWORD, "allowTakendown": true });
    let opened = world.post(CREATE_SESSION, As::Nobody, &login).await.ok();
    assert_eq!((&opened["active"], &opened["status"]), (&json!(false), &json!("takendown")));
    let token = As::Bearer(text(&opened, "accessJwt"));
    let service = "com.atproto.server.getServiceAuth?aud=did:web:api.example.com";
    world.get(&format!("{service}&lxm=com.atproto.server.createAccount"), token).await.ok();
    let refused = world.get(&format!("{service}&lxm=com.atproto.repo.createRecord"), token).await;
    assert_eq!(refused.error(), (400, "InvalidToken"));
    let refused =
        world.post("com.atproto.server.refreshSession", As::Bearer(text(&opened, "refreshJwt")), &Json::Null).await;
    assert_ne!(refused.status, 200);
}

#[tokio::test]
async fn a_service_token_is_signed_by_the_accounts_key_for_one_service_and_method() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    let base = "com.atproto.server.getServiceAuth?aud=did:web:api.example.com%23bsky_appview";
    let got = world.get(&format!("{base}&lxm=app.bsky.feed.getTimeline"), me).await.ok();
    let token = UnverifiedServiceToken::parse(text(&got, "token")).unwrap();
    let account = world.server.store.account_by_did(&text(&made, "did").parse().unwrap()).await.unwrap().unwrap();
    let key: DidKey = account.signing_key.parse().unwrap();
    assert!(token.verify(&key, world.server.now()).is_ok());
    assert_eq!(token.claims.iss, text(&made, "did"));
    assert_eq!(token.claims.aud, "did:web:api.example.com#bsky_appview");
    assert_eq!(token.claims.lxm.as_deref(), Some("app.bsky.feed.getTimeline"));
    assert_eq!(token.claims.exp - token.claims.iat, 60);
    let now = world.server.now().as_secs();
    for (query, name) in [
        (format!("&exp={}", now - 1), "BadExpiration"),
        (format!("&exp={}", now + 61), "BadExpiration"),
        (format!("&lxm=app.bsky.feed.getTimeline&exp={}", now + 3601), "BadExpiration"),
        ("&lxm=com.atproto.identity.signPlcOperation".to_owned(), "InvalidRequest"),
        ("&lxm=COM.atproto.server.updateEmail".to_owned(), "InvalidRequest"),
        ("&lxm=nonsense".to_owned(), "InvalidRequest"),
        ("&exp=soon".to_owned(), "InvalidRequest"),
    ] {
        assert_eq!(world.get(&format!("{base}{query}"), me).await.error(), (400, name), "{query}");
    }
    let refused = world.get("com.atproto.server.getServiceAuth?aud=nobody", me).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"));
}

#[tokio::test]
async fn the_server_describes_itself_and_an_account_its_state() {
    let mut invited = policy();
    invited.invite_required = true;
    invited.links.privacy = Some("https://pds.example.com/privacy".to_owned());
    let world = World::with(invited).await;
    let said = world.get("com.atproto.server.describeServer", As::Nobody).await.ok();
    assert_eq!(
        said,
        json!({ "did": "did:web:pds.example.com", "availableUserDomains": [".test"], "inviteCodeRequired": true,
            "blobUploadLimit": 5_000_000, "links": { "privacyPolicy": "https://pds.example.com/privacy" }, "contact": {} })
    );
    let refused = world.post(CREATE_ACCOUNT, As::Nobody, &sign_up("alice")).await;
    assert_eq!(refused.error(), (400, "InvalidInviteCode"));
    let code = world.post("com.atproto.server.createInviteCode", As::Admin, &json!({ "useCount": 1 })).await.ok();
    let mut input = sign_up("alice");
    input["inviteCode"] = code["code"].clone();
    let made = world.post(CREATE_ACCOUNT, As::Nobody, &input).await.ok();
    let me = As::Bearer(text(&made, "accessJwt"));
    let status = world.get("com.atproto.server.checkAccountStatus", me).await.ok();
    assert_eq!((&status["activated"], &status["validDid"]), (&json!(true), &json!(true)));
    assert_eq!((&status["indexedRecords"], &status["repoBlocks"]), (&json!(0), &json!(2)));
    assert!(text(&status, "repoCommit").starts_with("bafyrei"));
}

#[tokio::test]
async fn invite_codes_are_the_administrators() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let input = json!({ "codeCount": 2, "useCount": 3, "forAccounts": [made["did"], "did:web:x.example.com"] });
    let made_codes = world.post("com.atproto.server.createInviteCodes", As::Admin, &input).await.ok();
    assert_eq!(made_codes["codes"].as_array().unwrap().len(), 2);
    assert_eq!(made_codes["codes"][0]["account"], made["did"]);
    assert_eq!(made_codes["codes"][1]["codes"].as_array().unwrap().len(), 2);
    for who in [As::Nobody, As::Bearer(text(&made, "accessJwt"))] {
        let refused = world.post("com.atproto.server.createInviteCodes", who, &input).await;
        assert_eq!(refused.status, 401);
        assert_eq!(world.post("com.atproto.server.createInviteCode", who, &json!({ "useCount": 1 })).await.status, 401);
    }
    let refused = world.post("com.atproto.server.createInviteCodes", As::Admin, &json!({ "useCount": 0 })).await;
    assert_eq!(refused.error(), (400, "InvalidRequest"));
}

#[tokio::test]
async fn a_key_is_reserved_without_an_account() {
    let world = World::new().await;
    let input = json!({ "did": "did:plc:ewvi7nxzyoun6zhxrhs64oiz" });
    let one = world.post("com.atproto.server.reserveSigningKey", As::Nobody, &input).await.ok();
    assert!(text(&one, "signingKey").parse::<DidKey>().is_ok());
    let two = world.post("com.atproto.server.reserveSigningKey", As::Nobody, &input).await.ok();
    assert_eq!(one, two);
    let wrong = world.post("com.atproto.server.reserveSigningKey", As::Nobody, &json!({ "did": "x" })).await;
    assert_eq!(wrong.error(), (400, "InvalidRequest"));
}

#[tokio::test]
async fn a_token_of_another_server_is_nothing_here() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let key = &world.server.session_key;
    let mut claims = key
        .verify(SessionToken::Access, text(&made, "accessJwt"), "did:web:pds.example.com", world.server.now())
        .unwrap();
    claims.aud = "did:web:other.example.com".to_owned();
    let foreign = key.sign(SessionToken::Access, &claims);
    let refused = world.get("com.atproto.server.getSession", As::Bearer(&foreign)).await;
    assert_eq!(refused.error(), (400, "InvalidToken"));
}
