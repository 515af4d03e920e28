//! App passwords, and what each kind of session may do.

use super::*;
use crate::{
    clock::Clock,
    crypto::jwt::{Scope, SessionClaims},
    service::testing::Answer,
};

const CREATE: &str = "com.atproto.server.createAppPassword";
const LIST: &str = "com.atproto.server.listAppPasswords";
const REVOKE: &str = "com.atproto.server.revokeAppPassword";
const REFRESH: &str = "com.atproto.server.refreshSession";

async fn create(world: &World, me: As<'_>, name: &str, privileged: bool) -> Answer {
    world.post(CREATE, me, &json!({ "name": name, "privileged": privileged })).await
}

async fn log_in(world: &World, password: &str) -> Answer {
    world.post(CREATE_SESSION, As::Nobody, &json!({ "identifier": "alice.test", "password": password })).await
}

fn scope_of(world: &World, session: &Json) -> Scope {
    let key = &world.server.session_key;
    let token = text(session, "accessJwt");
    key.verify(SessionToken::Access, token, "did:web:pds.example.com", world.clock.now()).unwrap().scope
}

#[tokio::test]
async fn an_app_password_opens_a_session_of_its_rights_and_is_shown_once() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    for (name, privileged, scope) in [("plain", false, Scope::AppPass), ("chat", true, Scope::AppPassPrivileged)] {
        let app = create(&world, me, name, privileged).await.ok();
        assert_eq!((&app["name"], &app["privileged"]), (&json!(name), &json!(privileged)));
        let password = text(&app, "password");
        assert!(password.len() == 19 && password.split('-').count() == 4, "{password}");
        let session = log_in(&world, password).await.ok();
        assert_eq!(scope_of(&world, &session), scope);
        world.get("com.atproto.server.getSession", As::Bearer(text(&session, "accessJwt"))).await.ok();
        let next = world.post(REFRESH, As::Bearer(text(&session, "refreshJwt")), &Json::Null).await.ok();
        assert_eq!(scope_of(&world, &next), scope, "a refresh gives no other rights");
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let listed = world.get(LIST, me).await.ok();
    let names: Vec<_> = listed["passwords"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["chat", "plain"], "newest first");
    assert!(!listed.to_string().contains("\"password\""), "{listed}");
}

#[tokio::test]
async fn a_revoked_app_password_and_its_sessions_are_over_at_once_and_no_others() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    let (phone, desk) = (create(&world, me, "phone", false).await.ok(), create(&world, me, "desk", false).await.ok());
    let session = log_in(&world, text(&phone, "password")).await.ok();
    let other = log_in(&world, text(&desk, "password")).await.ok();
    world.post(REVOKE, me, &json!({ "name": "phone" })).await.ok();
    let refused = world.get("com.atproto.server.getSession", As::Bearer(text(&session, "accessJwt"))).await;
    assert_eq!((refused.error(), refused.message()), ((400, "ExpiredToken"), "Token has been revoked"));
    let refused = world.post(REFRESH, As::Bearer(text(&session, "refreshJwt")), &Json::Null).await;
    assert_eq!(refused.error(), (400, "ExpiredToken"));
    assert_eq!(log_in(&world, text(&phone, "password")).await.error(), (401, "AuthenticationRequired"));
    // Another of the same name is another.
    create(&world, me, "phone", false).await.ok();
    let refused = world.get("com.atproto.server.getSession", As::Bearer(text(&session, "accessJwt"))).await;
    assert_eq!(refused.error(), (400, "ExpiredToken"));
    for going_on in [&other, &made] {
        world.get("com.atproto.server.getSession", As::Bearer(text(going_on, "accessJwt"))).await.ok();
    }
    world.post(REVOKE, me, &json!({ "name": "unknown" })).await.ok();
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_app_passwords_and_leaves_the_app_passwords() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let app = create(&world, As::Bearer(text(&made, "accessJwt")), "phone", false).await.ok();
    let session = log_in(&world, text(&app, "password")).await.ok();
    let account = world.server.store.account_by_did(&text(&made, "did").parse().unwrap()).await.unwrap().unwrap();
    crate::service::credentials::set_password(&world.server, &account, "another".to_owned()).await.unwrap();
    let refused = world.get("com.atproto.server.getSession", As::Bearer(text(&session, "accessJwt"))).await;
    assert_eq!(refused.error(), (400, "ExpiredToken"));
    log_in(&world, text(&app, "password")).await.ok();
}

#[tokio::test]
async fn names_are_there_once_and_their_number_is_bounded() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    for name in ["", &"x".repeat(257)] {
        assert_eq!(create(&world, me, name, false).await.error(), (400, "InvalidRequest"));
    }
    for n in 0..crate::limits::accounts::APP_PASSWORDS_PER_ACCOUNT {
        create(&world, me, &format!("app {n}"), false).await.ok();
    }
    let refused = create(&world, me, "app 1", false).await;
    assert!(refused.message().contains("already an app password with this name"), "{}", refused.message());
    assert!(create(&world, me, "one more", false).await.message().contains("already 100"));
}

#[tokio::test]
async fn hashes_of_the_reference_open_the_account_and_are_replaced_by_ours() {
    // By Node's crypto.scrypt, as the reference calls it; "another horse".
    const FOREIGN: &str = "00112233445566778899aabbccddeeff:3e19ebeabf15ad17c24de695284e79441c0d80c6d98b95a3c052c58a0d57b09f83b0742a5805af28a0b5bbcf673af62819b91eb830a104fb0bb42def767f52aa";
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let store = &world.server.store;
    let did = text(&made, "did").parse().unwrap();
    let account = async || store.account_by_did(&did).await.unwrap().unwrap();
    let before = account().await;
    store.rehash_password(before.id, before.password_hash, FOREIGN.to_owned()).await.unwrap();
    let foreign = crate::crypto::scrypt_hash::app_password_hash(did.as_str(), "abcd-efgh-2345-wxyz").unwrap();
    let app = crate::store::NewAppPassword {
        account: before.id,
        name: "old phone".to_owned(),
        hash: foreign.clone(),
        privileged: true,
        created_at: world.clock.now(),
    };
    store.put_app_password(app, 1, None).await.unwrap();

    assert_eq!(log_in(&world, PASSWORD).await.status, 401);
    assert_eq!(account().await.password_hash, FOREIGN);
    let session = log_in(&world, "correct horse").await.ok();
    assert!(account().await.password_hash.starts_with("$argon2id$"));
    world.get("com.atproto.server.getSession", As::Bearer(text(&session, "accessJwt"))).await.ok();
    log_in(&world, "correct horse").await.ok();

    assert_eq!(log_in(&world, "abcd-efgh-2345-wxyy").await.status, 401);
    for _ in 0..2 {
        let session = log_in(&world, "abcd-efgh-2345-wxyz").await.ok();
        assert_eq!(scope_of(&world, &session), Scope::AppPassPrivileged);
        assert_eq!(store.foreign_app_password_hash(before.id).await, Ok(None));
    }
}

#[tokio::test]
async fn a_taken_down_account_has_no_app_passwords() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let app = create(&world, As::Bearer(text(&made, "accessJwt")), "phone", false).await.ok();
    let account = world.server.store.account_by_did(&text(&made, "did").parse().unwrap()).await.unwrap().unwrap();
    let state = AccountState::Takendown { reference: String::new() };
    world.server.store.set_account_state(account.id, state, Vec::new()).await.unwrap();
    let login = json!({ "identifier": "alice.test", "password": app["password"], "allowTakendown": true });
    assert_eq!(world.post(CREATE_SESSION, As::Nobody, &login).await.error(), (401, "AuthenticationRequired"));
}

/// What a method demands of a session: the reference's rights, but for the two methods that change an identity, which
/// the reference opens to app passwords and this server to the owner alone.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Right {
    /// Full sessions and app passwords.
    Any,
    /// The same, and tokens that wait for sign-up.
    AnyOrQueued,
    /// The same as `Any`, and a taken-down account's own token.
    AnyOrTakendown,
    /// Full sessions.
    Full,
    /// Full sessions, and a taken-down account's own token.
    FullOrTakendown,
    /// Nobody's session: the administrator, or a refresh token.
    None,
}

/// Every method that looks at sessions.
const RIGHTS: &[(&str, Right)] = &[
    ("app.bsky.actor.getPreferences", Right::AnyOrTakendown),
    ("app.bsky.actor.getProfile", Right::Any),
    ("app.bsky.actor.getProfiles", Right::Any),
    ("app.bsky.actor.putPreferences", Right::Any),
    ("app.bsky.feed.getActorLikes", Right::Any),
    ("app.bsky.feed.getAuthorFeed", Right::Any),
    ("app.bsky.feed.getFeed", Right::Any),
    ("app.bsky.feed.getPostThread", Right::Any),
    ("app.bsky.feed.getTimeline", Right::Any),
    ("app.bsky.notification.registerPush", Right::Any),
    ("app.bsky.notification.unregisterPush", Right::Any),
    ("com.atproto.identity.getRecommendedDidCredentials", Right::Any),
    ("com.atproto.identity.requestPlcOperationSignature", Right::FullOrTakendown),
    ("com.atproto.identity.signPlcOperation", Right::FullOrTakendown),
    ("com.atproto.identity.submitPlcOperation", Right::Full),
    ("com.atproto.identity.updateHandle", Right::Full),
    ("com.atproto.repo.applyWrites", Right::Any),
    ("com.atproto.repo.createRecord", Right::Any),
    ("com.atproto.repo.deleteRecord", Right::Any),
    ("com.atproto.repo.importRepo", Right::Full),
    ("com.atproto.repo.listMissingBlobs", Right::Any),
    ("com.atproto.repo.putRecord", Right::Any),
    ("com.atproto.repo.uploadBlob", Right::Any),
    ("com.atproto.moderation.createReport", Right::AnyOrTakendown),
    ("com.atproto.server.activateAccount", Right::Full),
    ("com.atproto.server.checkAccountStatus", Right::Any),
    ("com.atproto.server.confirmEmail", Right::Any),
    ("com.atproto.server.createAppPassword", Right::Full),
    ("com.atproto.server.createInviteCode", Right::None),
    ("com.atproto.server.createInviteCodes", Right::None),
    ("com.atproto.server.deactivateAccount", Right::FullOrTakendown),
    ("com.atproto.server.deleteSession", Right::None),
    ("com.atproto.server.getAccountInviteCodes", Right::Full),
    ("com.atproto.server.getServiceAuth", Right::AnyOrTakendown),
    ("com.atproto.server.getSession", Right::AnyOrQueued),
    ("com.atproto.server.listAppPasswords", Right::Any),
    ("com.atproto.server.refreshSession", Right::None),
    ("com.atproto.server.requestAccountDelete", Right::Full),
    ("com.atproto.server.requestEmailConfirmation", Right::Any),
    ("com.atproto.server.requestEmailUpdate", Right::Full),
    ("com.atproto.server.revokeAppPassword", Right::Any),
    ("com.atproto.server.updateEmail", Right::Full),
    ("com.atproto.temp.checkSignupQueue", Right::AnyOrQueued),
    ("dev.housekey.account.listSecurityEvents", Right::Full),
    ("dev.housekey.delegation.createDelegation", Right::Full),
    ("dev.housekey.delegation.deleteDelegation", Right::Full),
    ("dev.housekey.delegation.putAssociatedData", Right::Full),
    ("dev.housekey.delegation.requestDelegationToken", Right::Full),
    ("dev.housekey.delegation.updateDelegation", Right::Full),
];

impl Right {
    fn admits(self, scope: Scope) -> bool {
        match scope {
            Scope::Access => self != Self::None,
            Scope::AppPass | Scope::AppPassPrivileged => {
                matches!(self, Self::Any | Self::AnyOrQueued | Self::AnyOrTakendown)
            }
            Scope::Takendown => matches!(self, Self::AnyOrTakendown | Self::FullOrTakendown),
            Scope::SignupQueued => self == Self::AnyOrQueued,
            Scope::Refresh => false,
        }
    }
}

#[tokio::test]
async fn each_kind_of_session_may_call_what_its_table_says_and_nothing_else() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    create(&world, As::Bearer(text(&made, "accessJwt")), "phone", false).await.ok();
    let token = |scope: Scope| {
        let now = world.clock.now().as_secs();
        let claims = SessionClaims {
            scope,
            aud: "did:web:pds.example.com".to_owned(),
            sub: text(&made, "did").to_owned(),
            iat: now,
            exp: now + 60,
            auth_time: None,
            jti: None,
            epoch: 0,
            app_password: matches!(scope, Scope::AppPass | Scope::AppPassPrivileged).then_some(1),
        };
        world.server.session_key.sign(SessionToken::Access, &claims)
    };
    let scopes = [Scope::Access, Scope::AppPass, Scope::AppPassPrivileged, Scope::Takendown, Scope::SignupQueued];
    let mut wrong = Vec::new();
    for (nsid, right) in RIGHTS {
        for scope in scopes {
            let token = token(scope);
            // An input that no method takes: whoever may call is told so, whoever may not is told that.
            let answer = match world.post(nsid, As::Bearer(&token), &json!([])).await {
                wrong_verb if wrong_verb.message().contains("expected GET") => {
                    // Parameters are looked at before the caller is.
                    let params = "aud=did:web:example.com&lxm=com.atproto.server.createAccount";
                    world.get(&format!("{nsid}?{params}"), As::Bearer(&token)).await
                }
                answer => answer,
            };
            let is_refused = matches!(answer.error(), (400, "InvalidToken") | (401 | 403, _));
            if is_refused == right.admits(scope) {
                wrong.push(format!("{nsid} {scope:?} {}", answer.json));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn the_table_of_rights_leaves_out_no_method_that_looks_at_sessions() {
    let world = World::new().await;
    let named: std::collections::BTreeSet<_> = RIGHTS.iter().map(|(nsid, _)| *nsid).collect();
    for nsid in crate::methods::methods().names().filter(|nsid| !named.contains(nsid)) {
        let without = match world.post(nsid, As::Nobody, &json!([])).await {
            wrong_verb if wrong_verb.message().contains("expected GET") => world.get(nsid, As::Nobody).await,
            answer => answer,
        };
        let is_administrators = without.error() == (401, "AuthenticationRequired");
        assert!(without.status != 401 || is_administrators, "{nsid} looks at sessions: say what each may do");
    }
}
