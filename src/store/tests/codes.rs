use std::time::Duration;

use super::*;
use crate::limits::store::CODE_ATTEMPTS;

const HOUR: Duration = Duration::from_hours(1);

fn code(purpose: CodePurpose, expires_at: Timestamp) -> NewCode {
    NewCode { account: AccountId(1), purpose, hash: [1; 32], expires_at }
}

#[tokio::test]
async fn a_code_is_accepted_once_and_only_for_its_purpose() {
    let world = World::new();
    let account = AccountId(1);
    world.store.put_code(code(CodePurpose::ConfirmEmail, NOW.plus(HOUR)), None).await.unwrap();
    let take = |purpose| world.store.take_code(account, purpose, [1; 32], NOW, None);
    assert_eq!(take(CodePurpose::ResetPassword).await, Ok(TakeCode::Invalid));
    assert_eq!(take(CodePurpose::ConfirmEmail).await, Ok(TakeCode::Accepted));
    assert_eq!(take(CodePurpose::ConfirmEmail).await, Ok(TakeCode::Invalid));
}

#[tokio::test]
async fn a_right_code_is_expired_at_the_instant_it_ends() {
    let world = World::new();
    let account = AccountId(1);
    world.store.put_code(code(CodePurpose::ConfirmEmail, NOW), None).await.unwrap();
    let taken = world.store.take_code(account, CodePurpose::ConfirmEmail, [1; 32], NOW, None).await;
    assert_eq!(taken, Ok(TakeCode::Expired));
}

#[tokio::test]
async fn wrong_tries_are_bounded_until_a_new_code_is_set() {
    let world = World::new();
    let account = AccountId(1);
    let put = || world.store.put_code(code(CodePurpose::ResetPassword, NOW.plus(HOUR)), None);
    let take = |hash| world.store.take_code(account, CodePurpose::ResetPassword, hash, NOW, None);
    put().await.unwrap();
    for _ in 0..CODE_ATTEMPTS {
        assert_eq!(take([9; 32]).await, Ok(TakeCode::Invalid));
    }
    assert_eq!(take([1; 32]).await, Ok(TakeCode::Invalid));
    put().await.unwrap();
    assert_eq!(take([9; 32]).await, Ok(TakeCode::Invalid));
    assert_eq!(take([1; 32]).await, Ok(TakeCode::Accepted));
}

fn session(id: &str) -> NewSession {
    NewSession {
        id: id.to_owned(),
        account: AccountId(1),
        expires_at: NOW.plus(90 * 24 * HOUR),
        app_password: Some(AppPassword { id: 1, name: "phone".to_owned(), privileged: true }),
        opened_at: NOW,
        epoch: 0,
    }
}

/// An account with the app password of [`session`].
async fn with_phone() -> World {
    let world = World::new();
    world.account(1, "alice").await;
    let phone = NewAppPassword {
        account: AccountId(1),
        name: "phone".to_owned(),
        hash: "x".to_owned(),
        privileged: true,
        created_at: NOW,
    };
    assert_eq!(world.store.put_app_password(phone, 1, None).await, Ok(PutAppPassword::Stored));
    world
}

/// Rotates `id` into `next`, `hours` after the start, with two hours of grace.
async fn rotate(world: &World, id: &str, next: &str, hours: u32) -> Option<String> {
    let now = NOW.plus(hours * HOUR);
    let (ends, grace) = (now.plus(90 * 24 * HOUR), now.plus(2 * HOUR));
    match world.store.rotate_session(AccountId(1), id, next, ends, grace, now).await.unwrap() {
        Rotation::Next { id, opened_at, app_password } => {
            assert_eq!((opened_at, app_password), (NOW, session("x").app_password));
            Some(id)
        }
        Rotation::Revoked => None,
    }
}

#[tokio::test]
async fn a_token_rotates_to_the_same_next_one_within_its_grace_and_not_after_it() {
    let world = with_phone().await;
    world.store.open_session(session("a")).await.unwrap();
    assert_eq!(rotate(&world, "a", "b", 1).await.as_deref(), Some("b"));
    assert_eq!(rotate(&world, "a", "other", 2).await.as_deref(), Some("b"));
    assert_eq!(rotate(&world, "b", "c", 2).await.as_deref(), Some("c"));
    assert_eq!(rotate(&world, "a", "other", 3).await, None);
    assert_eq!(rotate(&world, "unknown", "other", 3).await, None);
    assert_eq!(rotate(&world, "c", "d", 3).await.as_deref(), Some("d"));
}

#[tokio::test]
async fn a_token_is_of_no_use_to_another_account() {
    let world = with_phone().await;
    world.store.open_session(session("a")).await.unwrap();
    let stolen = world.store.rotate_session(AccountId(2), "a", "b", NOW.plus(HOUR), NOW.plus(HOUR), NOW).await;
    assert_eq!(stolen, Ok(Rotation::Revoked));
    assert_eq!(rotate(&world, "a", "b", 1).await.as_deref(), Some("b"));
}

#[tokio::test]
async fn closing_a_session_ends_its_successors_and_no_other() {
    let world = with_phone().await;
    for id in ["a", "x"] {
        world.store.open_session(session(id)).await.unwrap();
    }
    rotate(&world, "a", "b", 1).await.unwrap();
    rotate(&world, "b", "c", 1).await.unwrap();
    world.store.close_session("b").await.unwrap();
    assert_eq!(rotate(&world, "c", "d", 1).await, None);
    assert_eq!(rotate(&world, "a", "d", 1).await, None);
    assert_eq!(rotate(&world, "x", "y", 1).await.as_deref(), Some("y"));
    world.store.close_all_sessions(AccountId(1)).await.unwrap();
    assert_eq!(rotate(&world, "y", "z", 1).await, None);
}

#[tokio::test]
async fn a_session_ends_with_what_opened_it_even_if_it_is_stored_afterwards() {
    let world = with_phone().await;
    world.store.open_session(session("a")).await.unwrap();
    world.store.revoke_app_password(AccountId(1), "phone", noted(SecurityKind::AppPasswordRevoked)).await.unwrap();
    assert_eq!(rotate(&world, "a", "b", 0).await, None);
    world.store.open_session(session("late")).await.unwrap();
    assert_eq!(rotate(&world, "late", "b", 0).await, None);
    let full = |id: &str, epoch| NewSession { app_password: None, epoch, ..session(id) };
    world.store.open_session(full("f", 0)).await.unwrap();
    world.store.set_password(AccountId(1), "new".to_owned(), noted(SecurityKind::PasswordChanged)).await.unwrap();
    world.store.open_session(full("g", 0)).await.unwrap();
    world.store.open_session(full("h", 1)).await.unwrap();
    let lives = async |id: &str| {
        let rotated = world.store.rotate_session(AccountId(1), id, "n", NOW.plus(HOUR), NOW.plus(HOUR), NOW).await;
        rotated.unwrap() != Rotation::Revoked
    };
    assert_eq!((lives("f").await, lives("g").await, lives("h").await), (false, false, true));
}

fn invite(code: &str, uses: u32, age: u32) -> NewInvite {
    NewInvite {
        code: code.to_owned(),
        uses,
        for_account: "admin".to_owned(),
        created_by: "admin".to_owned(),
        created_at: NOW.minus(age * HOUR),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_invite_opens_exactly_as_many_accounts_as_it_has_uses() {
    let world = World::new();
    world.store.put_invites(vec![invite("three", 3, 1), invite("new", 1, 0)]).await.unwrap();
    let tasks = Tasks::new();
    let opened = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for n in 0..10 {
        let (store, opened) = (world.store.clone(), Arc::clone(&opened));
        let account = NewAccount { invite_code: Some("three".to_owned()), ..new_account(n, &format!("user{n}")) };
        tasks.spawn(async move {
            let row = journal_row(&account.did, JournalKind::CreateAccount);
            match store.begin_account(account, row).await {
                Ok(_) => {
                    opened.fetch_add(1, Ordering::SeqCst);
                }
                Err(refused) => assert_eq!(refused, CreateConflict::InviteUnavailable),
            }
        });
    }
    tasks.finished().await;
    assert_eq!(opened.load(Ordering::SeqCst), 3);
    assert!(!world.store.invite_is_available("three").await.unwrap());
    assert!(world.store.invite_is_available("new").await.unwrap());
    assert!(!world.store.invite_is_available("unknown").await.unwrap());
    let listed = world.store.list_invites(10).await.unwrap();
    assert_eq!(listed.iter().map(|code| code.invite.code.as_str()).collect::<Vec<_>>(), ["new", "three"]);
    assert_eq!(listed[1].used_by.len(), 3);
    // A creation that fails gives its use back.
    let row = world.store.journal_open_rows(1).await.unwrap().remove(0);
    world.store.journal_fail(row.id, "refused", NOW).await.unwrap();
    assert!(world.store.invite_is_available("three").await.unwrap());
}
