//! Sign-ups: every way to be refused, and what happens at once.

use super::*;
use crate::{
    crypto::{jwt::Scope, seal::MasterKey},
    entropy::SeededEntropy,
    repo::Commit,
    service::{
        invites::create_invites,
        testing::{PASSWORD, World, policy},
    },
    store::NewInvite,
};

async fn refused(world: &World, change: impl FnOnce(&mut SignUp)) -> SignUpError {
    let mut sign_up = World::sign_up("alice");
    change(&mut sign_up);
    let error = create_account(&world.server, sign_up).await.unwrap_err();
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 0, "{error}");
    assert_eq!(world.directory.posts(), 0, "{error}");
    error
}

#[tokio::test]
async fn a_sign_up_gives_an_account_with_key_repository_document_and_session() {
    let world = World::new().await;
    let made = world.signed_up("alice").await;
    let account = made.account;
    assert_eq!(account.email.as_deref(), Some("alice@example.com"));
    let document = made.document.unwrap();
    assert_eq!(document["id"], account.did.as_str());
    assert_eq!(document["alsoKnownAs"][0], "at://alice.test");
    let key = world.server.signing_key(&account).unwrap();
    assert_eq!(key.did_key().to_string(), account.signing_key);
    let (head, block) = world.server.store.commit_block(account.id).await.unwrap().unwrap();
    assert_eq!(Some(head), account.head);
    let commit = Commit::decode(&block).unwrap();
    assert!(commit.verify(&key.did_key()).is_ok());
    let claims = world.server.session_key.verify(
        crate::crypto::jwt::SessionToken::Access,
        &made.tokens.access_jwt,
        "did:web:pds.example.com",
        world.server.now(),
    );
    assert_eq!(claims.unwrap().scope, Scope::Access);
    let status = check_status(&world.server, &account).await.unwrap();
    assert!(status.activated && status.valid_did);
}

#[tokio::test]
async fn the_stored_key_opens_with_no_other_master_key() {
    let world = World::new().await;
    let account = world.account("alice").await;
    let other = MasterKey::generate(&SeededEntropy::new(5));
    assert!(other.open(&Server::repo_key_purpose(&account.did), &account.sealed_signing_key).is_err());
    assert!(!account.password_hash.contains(PASSWORD));
}

#[tokio::test]
async fn rotation_keys_are_the_owners_then_the_recovery_key_then_the_servers() {
    let keys: Vec<String> =
        [1, 2].map(|seed| SigningKey::generate(Curve::P256, &SeededEntropy::new(seed)).did_key().to_string()).into();
    let mut policy = policy();
    policy.recovery_did_key = Some(keys[1].clone());
    let world = World::with(policy).await;
    let mut sign_up = World::sign_up("alice");
    sign_up.recovery_key = Some(keys[0].clone());
    let made = create_account(&world.server, sign_up).await.unwrap();
    let state = world.directory.current(&made.account.did);
    let server_key = world.server.rotation_key.did_key().to_string();
    assert_eq!(state.rotation_keys, [keys[0].clone(), keys[1].clone(), server_key]);
}

#[tokio::test]
async fn each_wrong_input_has_its_error_and_leaves_nothing() {
    let world = World::new().await;
    let w = &world;
    assert_eq!(refused(w, |s| s.has_plc_op = true).await, SignUpError::PlcOp);
    let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
    assert_eq!(refused(w, |s| s.did = Some(did.clone())).await, SignUpError::MissingAuth(did));
    assert!(matches!(refused(w, |s| s.password = None).await, SignUpError::Password(_)));
    assert!(matches!(refused(w, |s| s.password = Some(String::new())).await, SignUpError::Password(_)));
    assert!(matches!(refused(w, |s| s.password = Some("x".repeat(257))).await, SignUpError::Password(_)));
    assert_eq!(refused(w, |s| s.email = None).await, SignUpError::Email(EmailError::Missing));
    assert_eq!(refused(w, |s| s.email = Some("x".to_owned())).await, SignUpError::Email(EmailError::Unsupported));
    let handle = async |text: &str| refused(w, |s| s.handle = text.to_owned()).await;
    assert_eq!(handle("alice.example.com").await, SignUpError::Handle(HandleError::UnsupportedDomain));
    assert_eq!(handle("admin.test").await, SignUpError::Handle(HandleError::Reserved));
    assert!(matches!(handle("a b").await, SignUpError::Handle(HandleError::Invalid(_))));
    assert!(matches!(handle("alice.local").await, SignUpError::Handle(HandleError::Invalid(_))));
    let wrong_key = refused(w, |s| s.recovery_key = Some("did:key:zNonsense".to_owned())).await;
    assert!(matches!(wrong_key, SignUpError::Operation(_)));
    assert_eq!(refused(w, |s| s.invite_code = Some("nope".to_owned())).await, SignUpError::InviteUnavailable);
}

#[tokio::test]
async fn a_password_of_256_characters_is_taken() {
    let world = World::new().await;
    let mut sign_up = World::sign_up("alice");
    sign_up.password = Some("ü".repeat(256));
    create_account(&world.server, sign_up).await.unwrap();
}

#[tokio::test]
async fn a_handle_or_address_that_is_in_use_is_refused_whatever_its_case() {
    let world = World::new().await;
    world.account("alice").await;
    let mut same_handle = World::sign_up("carol");
    same_handle.handle = "ALICE.test".to_owned();
    let error = create_account(&world.server, same_handle).await.unwrap_err();
    assert_eq!(error.to_string(), "Handle already taken: alice.test");
    let mut same_email = World::sign_up("carol");
    same_email.email = Some("ALICE@example.com".to_owned());
    let error = create_account(&world.server, same_email).await.unwrap_err();
    assert_eq!(error, SignUpError::EmailTaken("alice@example.com".to_owned()));
    assert_eq!(world.directory.dids(), 1);
}

#[tokio::test]
async fn of_two_sign_ups_for_one_handle_at_once_one_wins() {
    let world = World::new().await;
    let mut second = World::sign_up("alice");
    second.email = Some("second@example.com".to_owned());
    let (one, two) =
        tokio::join!(create_account(&world.server, World::sign_up("alice")), create_account(&world.server, second));
    assert_ne!(one.is_ok(), two.is_ok());
    let error = one.err().or_else(|| two.err()).unwrap();
    assert_eq!(error.to_string(), "Handle already taken: alice.test");
    assert_eq!(world.directory.dids(), 1);
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 1);
}

#[tokio::test]
async fn of_two_sign_ups_with_one_address_at_once_one_wins() {
    let world = World::new().await;
    let mut second = World::sign_up("carol");
    second.email = Some("alice@example.com".to_owned());
    let (one, two) =
        tokio::join!(create_account(&world.server, World::sign_up("alice")), create_account(&world.server, second));
    assert_ne!(one.is_ok(), two.is_ok());
    assert_eq!(one.err().or_else(|| two.err()).unwrap(), SignUpError::EmailTaken("alice@example.com".to_owned()));
}

async fn inviting() -> World {
    let mut policy = policy();
    policy.invite_required = true;
    World::with(policy).await
}

#[tokio::test]
async fn an_invite_code_is_needed_where_the_operator_says_so() {
    let world = inviting().await;
    assert_eq!(refused(&world, |_| {}).await, SignUpError::NoInvite);
    assert_eq!(refused(&world, |s| s.invite_code = Some(String::new())).await, SignUpError::NoInvite);
    assert_eq!(refused(&world, |s| s.invite_code = Some("nope".to_owned())).await, SignUpError::InviteUnavailable);
    let codes = create_invites(&world.server, vec!["admin".to_owned()], 1, 1).await.unwrap();
    let code = codes[0].codes[0].clone();
    assert!(code.starts_with("pds-example-com-"), "{code}");
    let mut sign_up = World::sign_up("alice");
    sign_up.invite_code = Some(code);
    create_account(&world.server, sign_up).await.unwrap();
}

#[tokio::test]
async fn one_invite_opens_one_account_even_when_used_twice_at_once() {
    let world = inviting().await;
    let code = create_invites(&world.server, vec!["admin".to_owned()], 1, 1).await.unwrap()[0].codes[0].clone();
    let with_code = |name| SignUp { invite_code: Some(code.clone()), ..World::sign_up(name) };
    let (one, two) = tokio::join!(
        create_account(&world.server, with_code("alice")),
        create_account(&world.server, with_code("carol"))
    );
    assert_ne!(one.is_ok(), two.is_ok());
    assert_eq!(one.err().or_else(|| two.err()).unwrap(), SignUpError::InviteUnavailable);
    assert_eq!(world.directory.dids(), 1);
}

#[tokio::test]
async fn a_sign_up_that_the_directory_refuses_gives_its_invite_back() {
    let world = inviting().await;
    let code = create_invites(&world.server, vec!["admin".to_owned()], 1, 1).await.unwrap()[0].codes[0].clone();
    let with_code = || SignUp { invite_code: Some(code.clone()), ..World::sign_up("alice") };
    world.directory.fail_next(crate::service::testing::Fault::Refuse);
    assert!(create_account(&world.server, with_code()).await.is_err());
    create_account(&world.server, with_code()).await.unwrap();
}

#[tokio::test]
async fn the_first_key_reserved_for_a_did_stays() {
    let world = World::new().await;
    let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
    let first = reserve_signing_key(&world.server, Some(&did)).await.unwrap();
    assert_eq!(reserve_signing_key(&world.server, Some(&did)).await.unwrap(), first);
    let nameless = reserve_signing_key(&world.server, None).await.unwrap();
    assert_ne!(nameless, first);
    let sealed = world.server.store.reserved_signing_key(&first).await.unwrap().unwrap();
    let plain = world.server.master_key.open(&reserved_key_purpose(&first), &sealed).unwrap();
    assert_eq!(SigningKey::from_bytes(Curve::K256, &plain).unwrap().did_key().to_string(), first);
}

#[tokio::test]
async fn a_did_that_names_another_server_is_not_valid_here() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let mut state = world.directory.current(&alice.did);
    state.prev = Some(world.directory.log(&alice.did)[0].cid);
    state.set_pds("https://elsewhere.example.com");
    world.directory.accept(&alice.did, &state.sign(&world.server.rotation_key));
    assert!(!check_status(&world.server, &alice).await.unwrap().valid_did);
    world.directory.set_down(true);
    assert!(!check_status(&world.server, &alice).await.unwrap().valid_did, "a directory that is down proves nothing");
}

#[tokio::test]
async fn codes_are_made_within_bounds_only() {
    let world = World::new().await;
    let admin = || vec!["admin".to_owned()];
    use crate::service::invites::InviteError;
    assert_eq!(create_invites(&world.server, admin(), 1, 0).await, Err(InviteError::Uses));
    assert_eq!(create_invites(&world.server, admin(), 1, -1).await, Err(InviteError::Uses));
    assert_eq!(create_invites(&world.server, admin(), 1, i64::MAX).await, Err(InviteError::Uses));
    assert_eq!(create_invites(&world.server, admin(), u64::MAX, 1).await, Err(InviteError::TooMany));
    let taken: NewInvite = NewInvite {
        code: "x".to_owned(),
        uses: 1,
        for_account: "admin".to_owned(),
        created_by: "admin".to_owned(),
        created_at: world.server.now(),
    };
    world.server.store.put_invites(vec![taken]).await.unwrap();
    assert!(world.server.store.invite_is_available("x").await.unwrap());
}
