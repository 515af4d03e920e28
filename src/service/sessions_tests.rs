//! Sessions: equal answers to strangers, rotation and its grace, taken-down accounts.

use std::time::Duration;

use super::*;
use crate::{
    event,
    service::testing::{PASSWORD, World},
};

fn jti(world: &World, token: &str) -> String {
    let key = &world.server.session_key;
    let claims = key.verify_ignoring_expiry(SessionToken::Refresh, token, "did:web:pds.example.com").unwrap();
    claims.jti.unwrap()
}

async fn take_down(world: &World, account: &Account) -> Account {
    let state = AccountState::Takendown { reference: "case 1".to_owned() };
    let events = vec![event::account(&account.did, Some(event::AccountStatus::Takendown), world.server.now())];
    world.server.store.set_account_state(account.id, state, events).await.unwrap();
    world.reread(account).await
}

#[tokio::test]
async fn handle_did_and_address_all_open_a_session() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    for identifier in ["alice.test", "ALICE.test", alice.did.as_str(), "alice@example.com", "Alice@Example.com"] {
        let opened = log_in(&world.server, identifier, PASSWORD.to_owned(), false).await;
        assert_eq!(opened.unwrap().0.did, alice.did, "{identifier}");
    }
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_are_the_same_error() {
    let world = World::new().await;
    world.account("alice").await;
    for identifier in ["alice.test", "nobody.test", "nobody@example.com", "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "", "a b"]
    {
        let refused = log_in(&world.server, identifier, "wrong".to_owned(), false).await.unwrap_err();
        assert_eq!(refused, LoginError::Wrong, "{identifier}");
    }
    let long = log_in(&world.server, &"x".repeat(100_000), PASSWORD.to_owned(), false).await.unwrap_err();
    assert_eq!(long, LoginError::Wrong);
    let long = log_in(&world.server, "alice.test", "x".repeat(513), false).await.unwrap_err();
    assert_eq!(long, LoginError::PasswordTooLong);
}

#[tokio::test]
async fn an_unknown_user_costs_as_much_work_as_a_wrong_password() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    // The parameters of a hash decide the work: both are checked against the same ones.
    let parameters = |hash: &str| hash.split('$').nth(3).unwrap().to_owned();
    let decoy = password::decoy(world.server.policy.password_cost);
    assert_eq!(parameters(&alice.password_hash), parameters(decoy));
}

#[tokio::test]
async fn a_taken_down_account_gets_a_narrow_session_only_when_asked() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    take_down(&world, &alice).await;
    let log_in = async |allow| log_in(&world.server, "alice.test", PASSWORD.to_owned(), allow).await;
    assert_eq!(log_in(false).await.unwrap_err(), LoginError::Takendown);
    let (account, tokens) = log_in(true).await.unwrap();
    let key = &world.server.session_key;
    let claims =
        key.verify(SessionToken::Access, &tokens.access_jwt, "did:web:pds.example.com", world.server.now()).unwrap();
    assert_eq!(claims.scope, Scope::Takendown);
    let id = jti(&world, &tokens.refresh_jwt);
    assert_eq!(refresh(&world.server, &account, &id).await, Err(RefreshError::Takendown));
    assert_eq!(refresh(&world.server, &alice, &id).await, Err(RefreshError::Revoked), "nothing was stored");
}

#[tokio::test]
async fn a_refreshed_session_goes_on_and_the_old_token_gives_the_same_one_for_two_hours() {
    let world = World::new().await;
    let made = world.signed_up("alice").await;
    let (server, alice) = (&world.server, &made.account);
    let first = jti(&world, &made.tokens.refresh_jwt);
    let next = jti(&world, &refresh(server, alice, &first).await.unwrap().refresh_jwt);
    assert_ne!(first, next);
    world.clock.advance(Duration::from_mins(119));
    let again = jti(&world, &refresh(server, alice, &first).await.unwrap().refresh_jwt);
    assert_eq!(again, next);
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(refresh(server, alice, &first).await, Err(RefreshError::Revoked));
    assert!(refresh(server, alice, &next).await.is_ok());
}

#[tokio::test]
async fn concurrent_refreshes_agree_on_the_next_token() {
    let world = World::new().await;
    let made = world.signed_up("alice").await;
    let first = jti(&world, &made.tokens.refresh_jwt);
    let refreshes = (0..8).map(|_| refresh(&world.server, &made.account, &first));
    let mut next = Vec::new();
    for refreshed in futures_util::future::join_all(refreshes).await {
        next.push(jti(&world, &refreshed.unwrap().refresh_jwt));
    }
    assert!(next.windows(2).all(|pair| pair[0] == pair[1]), "{next:?}");
}

#[tokio::test]
async fn a_session_ends_after_ninety_days() {
    let world = World::new().await;
    let made = world.signed_up("alice").await;
    let first = jti(&world, &made.tokens.refresh_jwt);
    world.clock.advance(limits::REFRESH_TOKEN_LIFETIME + Duration::from_secs(1));
    assert_eq!(refresh(&world.server, &made.account, &first).await, Err(RefreshError::Revoked));
}

#[tokio::test]
async fn a_closed_session_is_not_refreshed_and_others_are() {
    let world = World::new().await;
    let made = world.signed_up("alice").await;
    let (_, other) = log_in(&world.server, "alice.test", PASSWORD.to_owned(), false).await.unwrap();
    let first = jti(&world, &made.tokens.refresh_jwt);
    let next = jti(&world, &refresh(&world.server, &made.account, &first).await.unwrap().refresh_jwt);
    close(&world.server, &first).await.unwrap();
    assert_eq!(refresh(&world.server, &made.account, &first).await, Err(RefreshError::Revoked));
    assert_eq!(refresh(&world.server, &made.account, &next).await, Err(RefreshError::Revoked));
    let other = jti(&world, &other.refresh_jwt);
    assert!(refresh(&world.server, &made.account, &other).await.is_ok());
}

#[tokio::test]
async fn the_token_of_one_account_refreshes_no_other() {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let carol = world.account("carol").await;
    let id = jti(&world, &alice.tokens.refresh_jwt);
    assert_eq!(refresh(&world.server, &carol, &id).await, Err(RefreshError::Revoked));
    assert!(refresh(&world.server, &alice.account, &id).await.is_ok());
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let world = World::new().await;
    let made = world.signed_up("alice").await;
    let id = jti(&world, &made.tokens.refresh_jwt);
    let world = world.restart().await;
    assert!(refresh(&world.server, &made.account, &id).await.is_ok());
}

#[tokio::test]
async fn a_document_that_cannot_be_had_is_left_out() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    assert_eq!(document(&world.server, &alice.did).await.unwrap()["id"], alice.did.as_str());
    let unknown = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
    assert_eq!(document(&world.server, &unknown).await, None);
}
