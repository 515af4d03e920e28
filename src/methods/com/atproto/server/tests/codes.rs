//! Codes as a client sees them: whose they are, what for, how often and how long.

use std::time::Duration;

use super::*;
use crate::service::testing::Answer;

pub(super) const CONFIRM: &str = "com.atproto.server.confirmEmail";
pub(super) const REQUEST_CONFIRM: &str = "com.atproto.server.requestEmailConfirmation";
pub(super) const REQUEST_RESET: &str = "com.atproto.server.requestPasswordReset";
pub(super) const REQUEST_UPDATE: &str = "com.atproto.server.requestEmailUpdate";
pub(super) const RESET: &str = "com.atproto.server.resetPassword";
pub(super) const UPDATE: &str = "com.atproto.server.updateEmail";

const ALICE: &str = "alice@example.com";
const NEW_PASSWORD: &str = "another horse";

async fn get_session(world: &World, token: &str) -> Answer {
    world.get("com.atproto.server.getSession", As::Bearer(token)).await
}

async fn log_in(world: &World, password: &str) -> Answer {
    world.post(CREATE_SESSION, As::Nobody, &json!({ "identifier": "alice.test", "password": password })).await
}

async fn confirm(world: &World, me: As<'_>, email: &str, code: &str) -> Answer {
    world.post(CONFIRM, me, &json!({ "email": email, "token": code })).await
}

async fn reset(world: &World, code: &str, password: &str) -> Answer {
    world.post(RESET, As::Nobody, &json!({ "token": code, "password": password })).await
}

async fn reset_code(world: &World) -> String {
    world.post(REQUEST_RESET, As::Nobody, &json!({ "email": ALICE })).await.ok();
    world.mailbox.code()
}

#[tokio::test]
async fn an_address_is_confirmed_with_the_code_that_was_mailed_there() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    let mail = world.mailbox.last();
    assert!(mail.contains("To: alice@example.com") && mail.contains("alice.test"), "{mail}");
    let code = world.mailbox.code();
    assert_eq!(confirm(&world, me, "other@example.com", &code).await.error(), (400, "InvalidEmail"));
    confirm(&world, me, "Alice@Example.com", &code.to_lowercase()).await.ok();
    assert_eq!(get_session(&world, text(&made, "accessJwt")).await.ok()["emailConfirmed"], true);
    assert_eq!(confirm(&world, me, ALICE, &code).await.error(), (400, "InvalidToken"), "a code is good once");
}

#[tokio::test]
async fn a_code_is_over_at_the_instant_at_which_its_fifteen_minutes_are() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    let code = world.mailbox.code();
    world.clock.advance(Duration::from_mins(15));
    let refused = confirm(&world, me, ALICE, &code).await;
    assert_eq!((refused.error(), refused.message()), ((400, "ExpiredToken"), "Token is expired"));
    let code = reset_code(&world).await;
    world.clock.advance(Duration::from_mins(15) - Duration::from_micros(1));
    reset(&world, &code, NEW_PASSWORD).await.ok();
    let code = reset_code(&world).await;
    world.clock.advance(Duration::from_mins(15));
    assert_eq!(reset(&world, &code, PASSWORD).await.error(), (400, "ExpiredToken"));
    log_in(&world, NEW_PASSWORD).await.ok();
}

#[tokio::test]
async fn a_code_of_another_account_or_purpose_opens_nothing() {
    let world = World::new().await;
    let (alice, bobby) = (signed_up(&world, "alice").await, signed_up(&world, "bobby").await);
    let (me, other) = (As::Bearer(text(&alice, "accessJwt")), As::Bearer(text(&bobby, "accessJwt")));
    world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    let code = world.mailbox.code();
    assert_eq!(confirm(&world, other, "bobby@example.com", &code).await.error(), (400, "InvalidToken"));
    assert_eq!(reset(&world, &code, NEW_PASSWORD).await.error(), (400, "InvalidToken"));
    let update = json!({ "email": "new@example.com", "token": code });
    assert_eq!(world.post(UPDATE, me, &update).await.error(), (400, "InvalidToken"));
    let sign = json!({ "token": code });
    let refused = world.post("com.atproto.identity.signPlcOperation", me, &sign).await;
    assert_eq!(refused.error(), (400, "InvalidToken"));
    confirm(&world, me, ALICE, &code).await.ok();
}

#[tokio::test]
async fn after_five_wrong_guesses_the_right_code_is_refused() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    let code = world.mailbox.code();
    for n in 0..5 {
        assert_eq!(confirm(&world, me, ALICE, &format!("AAAA{n}-AAAAA")).await.error(), (400, "InvalidToken"));
    }
    assert_eq!(confirm(&world, me, ALICE, &code).await.error(), (400, "InvalidToken"));
    world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    confirm(&world, me, ALICE, &world.mailbox.code()).await.ok();
}

#[tokio::test]
async fn what_is_no_code_at_all_is_refused_without_counting_as_a_try() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    let long = "A".repeat(100_000);
    for nonsense in ["", " ", "AAAAA", "AAAAA-AAAA\0", "' OR 1=1 --", "ÄÄÄÄÄ-ÄÄÄÄÄ", &long] {
        assert_eq!(confirm(&world, me, ALICE, nonsense).await.error(), (400, "InvalidToken"));
        assert_eq!(reset(&world, nonsense, NEW_PASSWORD).await.error(), (400, "InvalidToken"));
    }
    confirm(&world, me, ALICE, &world.mailbox.code()).await.ok();
}

#[tokio::test]
async fn a_confirmed_address_is_changed_with_a_code_that_went_to_it_and_any_other_without() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    signed_up(&world, "bobby").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    assert_eq!(world.post(REQUEST_UPDATE, me, &Json::Null).await.ok(), json!({ "tokenRequired": false }));
    assert_eq!(world.mailbox.len(), 0);
    world.post(UPDATE, me, &json!({ "email": "Typo@Example.com" })).await.ok();
    assert_eq!(get_session(&world, text(&made, "accessJwt")).await.ok()["email"], "typo@example.com");
    world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    confirm(&world, me, "typo@example.com", &world.mailbox.code()).await.ok();

    let without = world.post(UPDATE, me, &json!({ "email": ALICE })).await;
    assert_eq!((without.error(), without.message()), ((400, "TokenRequired"), "confirmation token required"));
    assert_eq!(world.post(REQUEST_UPDATE, me, &Json::Null).await.ok(), json!({ "tokenRequired": true }));
    assert!(world.mailbox.last().contains("To: typo@example.com"));
    let code = world.mailbox.code();
    for (email, code, name) in [
        ("bobby@example.com", code.as_str(), "InvalidRequest"),
        ("x@mailinator.com", &code, "InvalidRequest"),
        ("nonsense", &code, "InvalidRequest"),
        (ALICE, "AAAAA-AAAAA", "InvalidToken"),
    ] {
        let refused = world.post(UPDATE, me, &json!({ "email": email, "token": code })).await;
        assert_eq!(refused.error(), (400, name), "{email}");
    }
    world.post(UPDATE, me, &json!({ "email": ALICE, "token": code })).await.ok();
    let session = get_session(&world, text(&made, "accessJwt")).await.ok();
    assert_eq!((&session["email"], &session["emailConfirmed"]), (&json!(ALICE), &json!(false)));
    let told = world.mailbox.last();
    assert!(told.contains("To: typo@example.com") && told.contains("was changed"), "{told}");
}

#[tokio::test]
async fn a_new_address_ends_the_codes_that_went_to_the_old_one() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    let code = reset_code(&world).await;
    world.post(UPDATE, me, &json!({ "email": "new@example.com" })).await.ok();
    assert_eq!(reset(&world, &code, NEW_PASSWORD).await.error(), (400, "InvalidToken"));
}

#[tokio::test]
async fn a_new_password_ends_every_session_at_once() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let phone = log_in(&world, PASSWORD).await.ok();
    let code = reset_code(&world).await;
    assert!(world.mailbox.last().contains("account alice.test"), "the handle is named");
    for bad in ["", &"x".repeat(257)] {
        assert_eq!(reset(&world, &code, bad).await.error(), (400, "InvalidRequest"));
    }
    reset(&world, &code, NEW_PASSWORD).await.ok();
    assert!(world.mailbox.last().contains("was changed"), "the owner is told");
    for session in [&made, &phone] {
        let refused = get_session(&world, text(session, "accessJwt")).await;
        assert_eq!((refused.error(), refused.message()), ((400, "ExpiredToken"), "Token has been revoked"));
        let refresh = As::Bearer(text(session, "refreshJwt"));
        let refused = world.post("com.atproto.server.refreshSession", refresh, &Json::Null).await;
        assert_eq!(refused.error(), (400, "ExpiredToken"));
    }
    assert_eq!(log_in(&world, PASSWORD).await.error(), (401, "AuthenticationRequired"));
    let opened = log_in(&world, NEW_PASSWORD).await.ok();
    get_session(&world, text(&opened, "accessJwt")).await.ok();
    assert_eq!(reset(&world, &code, PASSWORD).await.error(), (400, "InvalidToken"), "a code is good once");
}

#[tokio::test]
async fn of_two_resets_at_once_exactly_one_wins() {
    let world = World::new().await;
    signed_up(&world, "alice").await;
    let code = reset_code(&world).await;
    let (one, two) = tokio::join!(reset(&world, &code, "the first"), reset(&world, &code, "the second"));
    let (won, lost) = if one.status == 200 { ("the first", two) } else { ("the second", one) };
    assert_eq!(lost.error(), (400, "InvalidToken"));
    log_in(&world, won).await.ok();
    let other = if won == "the first" { "the second" } else { "the first" };
    assert_eq!(log_in(&world, other).await.status, 401);
}

#[tokio::test]
async fn nobody_learns_from_a_request_for_a_new_password_whether_an_address_is_known() {
    let world = World::new().await;
    signed_up(&world, "alice").await;
    let ask = async |email: &str| world.post(REQUEST_RESET, As::Nobody, &json!({ "email": email })).await;
    let known = ask("Alice@Example.com").await;
    assert_eq!(world.mailbox.len(), 1);
    let long = "x".repeat(10_000);
    for email in ["nobody@example.com", "nonsense", "", "a@b\r\nBcc: c@example.com", &long] {
        assert_eq!(ask(email).await, known, "{email}");
    }
    assert_eq!(world.mailbox.len(), 1);
    // Even when there were too many: the account's budget is not told to strangers.
    for _ in 0..9 {
        assert_eq!(ask(ALICE).await, known);
    }
    assert_eq!(world.mailbox.len(), 5);
}

#[tokio::test]
async fn an_account_is_sent_five_codes_an_hour_and_told_when_there_are_more() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    for _ in 0..5 {
        world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    }
    let code = world.mailbox.code();
    let refused = world.post(REQUEST_CONFIRM, me, &Json::Null).await;
    assert_eq!(refused.error(), (429, "RateLimitExceeded"));
    assert!(refused.message().contains("60 minutes"), "{}", refused.message());
    confirm(&world, me, ALICE, &code).await.ok();
    world.clock.advance(Duration::from_hours(1));
    world.post(REQUEST_CONFIRM, me, &Json::Null).await.ok();
    assert_eq!(world.mailbox.len(), 6);
}

#[tokio::test]
async fn without_a_mail_server_the_error_says_who_can_help() {
    let world = World::without_mail().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    let unknown = json!({ "email": "nobody@example.com" });
    for (method, who, input) in [
        (REQUEST_CONFIRM, me, Json::Null),
        ("com.atproto.server.requestAccountDelete", me, Json::Null),
        ("com.atproto.identity.requestPlcOperationSignature", me, Json::Null),
        (REQUEST_RESET, As::Nobody, json!({ "email": ALICE })),
        (REQUEST_RESET, As::Nobody, unknown),
    ] {
        let refused = world.post(method, who, &input).await;
        assert_eq!(refused.error(), (400, "InvalidRequest"), "{method}");
        assert!(refused.message().contains("ask its administrator for a code"), "{}", refused.message());
    }
}

#[tokio::test]
async fn nobody_waits_in_a_queue_of_sign_ups() {
    let world = World::new().await;
    let made = signed_up(&world, "alice").await;
    let me = As::Bearer(text(&made, "accessJwt"));
    let said = world.get("com.atproto.temp.checkSignupQueue", me).await.ok();
    assert_eq!(said, json!({ "activated": true }));
}
