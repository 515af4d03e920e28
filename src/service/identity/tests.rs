//! Handles and PLC operations of this server's accounts, against a real store and a directory on loopback.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::*;
use crate::{
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    event::Frame,
    outbound::Freshness,
    plc::{Operation, Service},
    service::{
        codes::{self, CodeError},
        handles::HandleError,
        journal::JournalError,
        mails::MailFailure,
        testing::{Fault, World},
    },
    store::{Account, CodePurpose},
    syntax::{AtIdentifier, Handle},
};

fn handle(text: &str) -> Handle {
    text.parse().unwrap()
}

async fn identity_events(world: &World) -> Vec<Option<String>> {
    let events = world.events().await;
    events
        .into_iter()
        .filter_map(|event| match event {
            Frame::Identity(frame) => Some(frame.handle.map(|handle| handle.to_string())),
            Frame::Commit(_) | Frame::Sync(_) | Frame::Account(_) | Frame::Info(_) | Frame::Error(_) => None,
        })
        .collect()
}

#[tokio::test]
async fn a_new_handle_is_in_the_directory_and_here_and_announced() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    update_handle(&world.server, &alice, "Carol.test").await.unwrap();
    assert_eq!(world.reread(&alice).await.handle, handle("carol.test"));
    assert_eq!(world.directory.current(&alice.did).handle(), Some("carol.test"));
    let announced = identity_events(&world).await;
    assert_eq!(announced, [Some("alice.test".to_owned()), Some("carol.test".to_owned())]);
    let document = resolve_did(&world.server, &alice.did, Freshness::Cached).await.unwrap();
    assert_eq!(document.handle, Some(handle("carol.test")), "the cache was told to forget");
}

#[tokio::test]
async fn the_same_handle_again_is_announced_and_posts_nothing() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    update_handle(&world.server, &alice, "alice.test").await.unwrap();
    assert_eq!(world.directory.log(&alice.did).len(), 1);
    assert_eq!(identity_events(&world).await.len(), 2);
}

#[tokio::test]
async fn a_handle_that_somebody_has_or_nobody_may_have_is_refused_and_nothing_changes() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.account("carol").await;
    let refused = async |text: &str| match update_handle(&world.server, &alice, text).await {
        Err(UpdateHandleError::Handle(cause)) => cause,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(refused("carol.test").await, HandleError::Taken(handle("carol.test")));
    assert_eq!(refused("admin.test").await, HandleError::Reserved);
    assert!(matches!(refused("al.test").await, HandleError::Invalid(_)));
    assert!(matches!(refused("a.b.test").await, HandleError::Invalid(_)));
    assert!(matches!(refused("no handle").await, HandleError::Invalid(_)));
    assert!(matches!(refused("alice.local").await, HandleError::Invalid(_)));
    assert_eq!(world.directory.log(&alice.did).len(), 1);
    assert_eq!(world.reread(&alice).await.handle, handle("alice.test"));
}

#[tokio::test]
async fn a_domain_of_the_owners_must_point_to_the_account() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.names.set("alice.example.com", "did=did:plc:ewvi7nxzyoun6zhxrhs64oiz".to_owned());
    let refused = update_handle(&world.server, &alice, "alice.example.com").await;
    assert!(matches!(&refused, Err(UpdateHandleError::Handle(HandleError::DoesNotPointHere { .. }))), "{refused:?}");
    world.names.set("alice.example.com", format!("did={}", alice.did));
    update_handle(&world.server, &alice, "alice.example.com").await.unwrap();
    assert_eq!(world.directory.current(&alice.did).handle(), Some("alice.example.com"));
    assert_eq!(resolve_handle(&world.server, &handle("alice.example.com")).await, Ok(alice.did));
}

#[tokio::test]
async fn a_directory_that_is_down_or_refuses_leaves_the_handle() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.directory.set_down(true);
    let down = update_handle(&world.server, &alice, "carol.test").await;
    assert!(matches!(down, Err(UpdateHandleError::State(StateError::Unavailable(_)))), "{down:?}");
    world.directory.set_down(false);
    world.directory.fail_next(Fault::Refuse);
    let refused = update_handle(&world.server, &alice, "carol.test").await;
    assert_eq!(refused, Err(UpdateHandleError::Journal(JournalError::Rejected("the test refuses".to_owned()))));
    assert_eq!(world.reread(&alice).await.handle, handle("alice.test"));
    update_handle(&world.server, &alice, "carol.test").await.unwrap();
}

#[tokio::test]
async fn a_did_that_the_server_cannot_sign_for_or_that_has_ended_says_so() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let own = SigningKey::generate(Curve::K256, &SeededEntropy::new(9));
    let mut state = world.directory.current(&alice.did);
    state.prev = Some(world.directory.log(&alice.did)[0].cid);
    state.rotation_keys = vec![own.did_key().to_string()];
    world.directory.accept(&alice.did, &state.sign(&world.server.rotation_key));
    let refused = update_handle(&world.server, &alice, "carol.test").await;
    assert_eq!(refused, Err(UpdateHandleError::State(StateError::NotOurs)));
    let head = world.directory.log(&alice.did)[1].cid;
    world.directory.accept(&alice.did, &Operation::tombstone(head, &own));
    let refused = update_handle(&world.server, &alice, "carol.test").await;
    assert_eq!(refused, Err(UpdateHandleError::State(StateError::Tombstoned)));
}

#[tokio::test]
async fn names_resolve_here_first_and_unknown_ones_under_a_service_domain_nowhere() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let server = &world.server;
    assert_eq!(resolve_handle(server, &handle("alice.test")).await, Ok(alice.did.clone()));
    let missing = Err(ResolveIdentityError::HandleNotFound);
    world.names.set("nobody.test", format!("did={}", alice.did));
    assert_eq!(resolve_handle(server, &handle("nobody.test")).await, missing);
    world.names.set("foreign.example.com", format!("did={}", alice.did));
    assert_eq!(resolve_handle(server, &handle("foreign.example.com")).await, Ok(alice.did.clone()));
    for identifier in [AtIdentifier::Handle(handle("alice.test")), AtIdentifier::Did(alice.did.clone())] {
        let found = resolve_identity(server, &identifier, Freshness::Now).await.unwrap();
        assert_eq!((found.did, found.handle), (alice.did.clone(), Some(handle("alice.test"))));
    }
    let foreign = AtIdentifier::Handle(handle("foreign.example.com"));
    let found = resolve_identity(server, &foreign, Freshness::Now).await.unwrap();
    assert_eq!(found.handle, Some(handle("alice.test")), "the document names another handle, which points back");
    let unknown = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
    let missing = resolve_did(server, &unknown, Freshness::Now).await.map(|_| ());
    assert_eq!(missing, Err(ResolveIdentityError::DidNotFound(unknown.to_string())));
}

async fn mail_code(world: &World, account: &Account) {
    codes::mail_code(&world.server, account, CodePurpose::PlcOperation).await.unwrap();
    world.deliver().await;
}

fn request(code: &str) -> SignRequest {
    SignRequest { token: Some(code.to_owned()), ..SignRequest::default() }
}

async fn signed(world: &World, alice: &Account, request: SignRequest) -> Result<Operation, PlcOperationError> {
    sign_plc_operation(&world.server, alice, request).await
}

#[tokio::test]
async fn a_signed_operation_keeps_what_is_not_named_and_can_be_submitted() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    mail_code(&world, &alice).await;
    assert!(world.mailbox.last().contains("alice@example.com"));
    let device = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK".to_owned();
    let mut methods = world.directory.current(&alice.did).verification_methods;
    methods.insert("e2ee".to_owned(), device.clone());
    let wanted = SignRequest { verification_methods: Some(methods), ..request(&world.mailbox.code().to_lowercase()) };
    let operation = signed(&world, &alice, wanted).await.unwrap();
    let before = world.directory.current(&alice.did);
    assert!(!before.verification_methods.contains_key("e2ee"), "signing submits nothing");
    submit_plc_operation(&world.server, &alice, serde_json::to_value(&operation).unwrap()).await.unwrap();
    let after = world.directory.current(&alice.did);
    assert_eq!(after.verification_methods.get("e2ee"), Some(&device));
    assert_eq!((after.rotation_keys, after.services), (before.rotation_keys, before.services));
    assert_eq!(identity_events(&world).await.len(), 2);
    update_handle(&world.server, &alice, "carol.test").await.unwrap();
    let after = world.directory.current(&alice.did);
    assert_eq!(after.verification_methods.get("e2ee"), Some(&device), "a new handle keeps other keys");
}

#[tokio::test]
async fn a_code_is_needed_and_good_once_and_for_fifteen_minutes() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    assert_eq!(signed(&world, &alice, SignRequest::default()).await, Err(PlcOperationError::TokenRequired));
    assert_eq!(signed(&world, &alice, request("AAAAA-AAAAA")).await, Err(CodeError::Invalid.into()));
    assert_eq!(signed(&world, &alice, request(&"A".repeat(5000))).await, Err(CodeError::Invalid.into()));
    mail_code(&world, &alice).await;
    let code = world.mailbox.code();
    assert!(signed(&world, &alice, request(&code)).await.is_ok());
    assert_eq!(signed(&world, &alice, request(&code)).await, Err(CodeError::Invalid.into()));
    mail_code(&world, &alice).await;
    world.clock.advance(Duration::from_mins(15) + Duration::from_secs(1));
    assert_eq!(signed(&world, &alice, request(&world.mailbox.code())).await, Err(CodeError::Expired.into()));
}

#[tokio::test]
async fn a_code_of_one_account_is_nothing_for_another() {
    let world = World::new().await;
    let (alice, carol) = (world.account("alice").await, world.account("carol").await);
    mail_code(&world, &alice).await;
    assert_eq!(signed(&world, &carol, request(&world.mailbox.code())).await, Err(CodeError::Invalid.into()));
}

#[tokio::test]
async fn what_the_directory_would_refuse_is_not_signed_and_does_not_use_up_the_code() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    mail_code(&world, &alice).await;
    let code = world.mailbox.code();
    let wrong = [
        SignRequest { rotation_keys: Some(vec!["did:key:nonsense".to_owned()]), ..request(&code) },
        SignRequest { also_known_as: Some(vec!["at://a".to_owned(); 11]), ..request(&code) },
        SignRequest {
            verification_methods: Some(BTreeMap::from([("atproto".to_owned(), "not a key".to_owned())])),
            ..request(&code)
        },
        SignRequest {
            services: Some(BTreeMap::from([(
                "s".repeat(33),
                Service { kind: "T".to_owned(), endpoint: "https://x.com".to_owned() },
            )])),
            ..request(&code)
        },
    ];
    for request in wrong {
        let refused = signed(&world, &alice, request).await;
        assert!(matches!(refused, Err(PlcOperationError::Constraint(_))), "{refused:?}");
    }
    assert!(signed(&world, &alice, request(&code)).await.is_ok());
}

#[tokio::test]
async fn an_operation_that_would_cut_the_account_off_is_not_submitted() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let key = &world.server.rotation_key;
    let mut good = world.directory.current(&alice.did);
    good.prev = Some(world.directory.log(&alice.did)[0].cid);
    let changed = |change: &dyn Fn(&mut crate::plc::UnsignedOperation)| {
        let mut operation = good.clone();
        change(&mut operation);
        serde_json::to_value(operation.sign(key)).unwrap()
    };
    let other = SigningKey::generate(Curve::K256, &SeededEntropy::new(9)).did_key();
    let cases = [
        (
            changed(&|op| op.rotation_keys = vec![other.to_string()]),
            "Rotation keys do not include server's rotation key",
        ),
        (changed(&|op| drop(op.services.remove("atproto_pds"))), "Incorrect type on atproto_pds service"),
        (changed(&|op| op.set_pds("https://elsewhere.example.com")), "Incorrect endpoint on atproto_pds service"),
        (changed(&|op| op.set_signing_key(&other)), "Incorrect signing key"),
        (changed(&|op| op.set_handle(&handle("carol.test"))), "Incorrect handle in alsoKnownAs"),
        (serde_json::json!({ "type": "plc_operation" }), "Invalid operation"),
        (serde_json::to_value(Operation::tombstone(good.prev.unwrap(), key)).unwrap(), "Invalid operation"),
        (serde_json::json!(null), "Invalid operation"),
    ];
    for (operation, why) in cases {
        let refused = submit_plc_operation(&world.server, &alice, operation).await;
        assert_eq!(refused, Err(PlcOperationError::Operation(why)));
    }
    assert_eq!(world.directory.log(&alice.did).len(), 1);
    let mut stale = good.clone();
    stale.prev = Some(crate::ipld::Cid::of_cbor(b"another"));
    let stale = serde_json::to_value(stale.sign(key)).unwrap();
    let refused = submit_plc_operation(&world.server, &alice, stale).await;
    assert!(matches!(refused, Err(PlcOperationError::Journal(JournalError::Conflict(_)))), "{refused:?}");
}

#[tokio::test]
async fn what_is_recommended_is_what_the_account_has() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let said = recommended_credentials(&world.server, &alice).await.unwrap();
    let state = world.directory.current(&alice.did);
    assert_eq!(said.also_known_as, state.also_known_as);
    assert_eq!(said.verification_methods, state.verification_methods);
    assert_eq!(said.rotation_keys, state.rotation_keys);
    assert_eq!(said.services, state.services);
    assert_eq!(Arc::strong_count(&world.server), 1, "nothing of a finished change stays behind");
}

/// An account with a did:web, as one that was moved in would be.
async fn did_web_account(world: &World) -> Account {
    let template = world.account("alice").await;
    let did: crate::syntax::Did = "did:web:carol.invalid".parse().unwrap();
    let key = SigningKey::generate(Curve::K256, &SeededEntropy::new(3));
    let server = &world.server;
    let sealed = server.master_key.seal(
        &crate::service::Server::repo_key_purpose(&did),
        key.to_bytes().as_slice(),
        server.entropy.as_ref(),
    );
    let account = crate::store::NewAccount {
        did: did.clone(),
        handle: handle("carol.test"),
        email: None,
        password_hash: template.password_hash,
        sealed_signing_key: sealed,
        signing_key: key.did_key().to_string(),
        invite_code: None,
        created_at: server.now(),
    };
    let row = crate::store::NewJournalRow {
        did,
        kind: crate::store::JournalKind::CreateAccount,
        operation: String::new(),
        operation_cid: crate::ipld::Cid::of_cbor(b""),
        prev: None,
        at: server.now(),
    };
    let (id, journal) = server.store.begin_account(account, row).await.unwrap();
    let pending = server.store.account_by_id(id).await.unwrap().unwrap();
    let change = crate::service::genesis::change_set(server, &pending).unwrap();
    let effect = crate::store::JournalEffect::CreateAccount(change);
    server.store.journal_apply(journal, effect, server.now(), None).await.unwrap();
    server.store.account_by_id(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_did_web_is_never_changed_by_plc_operations() {
    let world = World::new().await;
    let carol = did_web_account(&world).await;
    let posts = world.directory.posts();
    // Its document cannot be read here, so nothing proves the handle.
    let refused = update_handle(&world.server, &carol, "dave.test").await;
    assert!(matches!(refused, Err(UpdateHandleError::Document(_))), "{refused:?}");
    let not_plc = || PlcOperationError::State(StateError::NotPlc);
    assert_eq!(signed(&world, &carol, request("AAAAA-AAAAA")).await, Err(not_plc()));
    let submitted = submit_plc_operation(&world.server, &carol, serde_json::json!({})).await;
    assert_eq!(submitted, Err(not_plc()));
    let mailed = codes::mail_code(&world.server, &carol, CodePurpose::PlcOperation).await;
    assert_eq!(mailed, Err(MailFailure::NoEmail));
    assert_eq!(world.reread(&carol).await.handle, handle("carol.test"));
    assert_eq!(world.directory.posts(), posts);
}
