//! Codes of accounts: what they earn, who ends it, and that a code is used as often as it says and no more.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::*;
use crate::service::{
    SignUpRules,
    accounts::{SignUp, SignUpError, SignedUp, create_account},
    invites::create_invites,
    testing::{As, World, policy},
};

const OWN: &str = "com.atproto.server.getAccountInviteCodes";
const DAY: Duration = Duration::from_hours(24);

async fn world_of_days() -> World {
    let mut policy = policy();
    policy.invite_required = true;
    policy.sign_up = SignUpRules { invite_interval: Some(DAY), ..SignUpRules::default() };
    World::with(policy).await
}

async fn member(world: &World, name: &str) -> SignedUp {
    let made = create_invites(&world.server, vec![ADMIN.to_owned()], 1, 1).await.unwrap();
    create_account(&world.server, with_code(name, &made[0].codes[0])).await.unwrap()
}

fn with_code(name: &str, code: &str) -> SignUp {
    SignUp { invite_code: Some(code.to_owned()), ..World::sign_up(name) }
}

async fn own(world: &World, account: &Account) -> Vec<InviteCode> {
    own_codes(&world.server, account, Used::Included, Available::Created).await.unwrap()
}

#[tokio::test]
async fn an_account_earns_a_code_for_each_interval_and_has_five_open_ones_at_most() {
    let world = world_of_days().await;
    let alice = member(&world, "alice").await.account;
    assert_eq!(own(&world, &alice).await.len(), 0);
    world.clock.advance(DAY);
    assert_eq!(own(&world, &alice).await.len(), 1);
    assert_eq!(own(&world, &alice).await.len(), 1, "asking again earns nothing");
    world.clock.advance(DAY * 9);
    let codes = own(&world, &alice).await;
    assert_eq!(codes.len(), 5);
    create_account(&world.server, with_code("carol", &codes[0].invite.code)).await.unwrap();
    let codes = own(&world, &alice).await;
    assert_eq!(codes.len(), 6, "a used one makes room");
    let good = own_codes(&world.server, &alice, Used::LeftOut, Available::Left).await.unwrap();
    assert_eq!(good.len(), 5);
}

#[tokio::test]
async fn time_before_the_epoch_earns_nothing() {
    let mut policy = policy();
    policy.invite_required = true;
    let epoch = crate::service::testing::START.plus(DAY * 3);
    policy.sign_up = SignUpRules { invite_interval: Some(DAY), invite_epoch: epoch, ..SignUpRules::default() };
    let world = World::with(policy).await;
    let alice = member(&world, "alice").await.account;
    world.clock.advance(DAY * 3);
    assert_eq!(own(&world, &alice).await.len(), 0);
    world.clock.advance(DAY);
    assert_eq!(own(&world, &alice).await.len(), 1);
}

#[tokio::test]
async fn two_requests_at_once_make_what_the_allowance_is_good_for_once() {
    let world = world_of_days().await;
    let alice = member(&world, "alice").await.account;
    world.clock.advance(DAY * 2);
    let (one, two) = tokio::join!(own(&world, &alice), own(&world, &alice));
    assert_eq!((one.len(), two.len()), (2, 2));
}

#[tokio::test]
async fn of_two_uses_of_the_last_use_exactly_one_wins() {
    let world = world_of_days().await;
    let made = create_invites(&world.server, vec![ADMIN.to_owned()], 1, 2).await.unwrap();
    let code = &made[0].codes[0];
    create_account(&world.server, with_code("alice", code)).await.unwrap();
    let tries = ["carol", "dave", "erin", "frank"].map(|name| create_account(&world.server, with_code(name, code)));
    let outcomes = futures_util::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let lost = |outcome: &Result<SignedUp, SignUpError>| matches!(outcome, Err(SignUpError::InviteUnavailable));
    assert_eq!(outcomes.iter().filter(|outcome| lost(outcome)).count(), 3);
    assert_eq!(world.server.store.count_accounts().await.unwrap(), 2);
}

#[tokio::test]
async fn the_administrator_ends_codes_and_allowances() {
    let world = world_of_days().await;
    let alice = member(&world, "alice").await;
    let did = &alice.account.did;
    let me = As::Bearer(&alice.tokens.access_jwt);
    world.clock.advance(DAY * 2);
    let alice_again = crate::service::sessions::open(&world.server, &alice.account, None).await.unwrap();
    let me_again = As::Bearer(&alice_again.access_jwt);
    assert_eq!(world.get(OWN, me).await.error(), (400, "ExpiredToken"));
    let codes = world.get(OWN, me_again).await.ok()["codes"].clone();
    let code = codes[0]["code"].as_str().unwrap().to_owned();
    assert_eq!(
        (&codes[0]["available"], &codes[0]["forAccount"], &codes[0]["uses"]),
        (&json!(1), &json!(did), &json!([]))
    );
    for who in [As::Nobody, me_again] {
        let refused = world.post("com.atproto.admin.disableInviteCodes", who, &json!({ "codes": [code] })).await;
        assert_eq!(refused.status, 401);
    }
    let disable = async |input: Json| world.post("com.atproto.admin.disableInviteCodes", As::Admin, &input).await;
    assert_eq!(disable(json!({ "accounts": ["admin"] })).await.error(), (400, "InvalidRequest"));
    assert_eq!(disable(json!({ "codes": vec!["x"; 1_001] })).await.error(), (400, "InvalidRequest"));
    disable(json!({ "codes": [code, "nonsense"] })).await.ok();
    let refused = create_account(&world.server, with_code("carol", &code)).await.unwrap_err();
    assert_eq!(refused, SignUpError::InviteUnavailable);
    disable(json!({ "accounts": [did] })).await.ok();
    let left = world.get(&format!("{OWN}?createAvailable=false"), me_again).await.ok();
    assert_eq!(left["codes"], json!([]));

    let note = json!({ "account": did, "note": "too many strangers" });
    world.post("com.atproto.admin.disableAccountInvites", As::Admin, &note).await.ok();
    world.clock.advance(Duration::from_hours(1));
    let info = world.get(&format!("com.atproto.admin.getAccountInfo?did={did}"), As::Admin).await.ok();
    assert_eq!((&info["invitesDisabled"], &info["inviteNote"]), (&json!(true), &json!("too many strangers")));
    assert_eq!(info["invites"].as_array().unwrap().len(), 2);
    assert_eq!(info["invitedBy"]["uses"][0]["usedBy"], json!(did));
    world.clock.advance(DAY * 3);
    assert_eq!(own(&world, &alice.account).await.len(), 0);
    world.post("com.atproto.admin.enableAccountInvites", As::Admin, &json!({ "account": did })).await.ok();
    assert_eq!(own(&world, &alice.account).await.len(), 3);
    let nobody = json!({ "account": "did:web:nobody.example.com" });
    let refused = world.post("com.atproto.admin.disableAccountInvites", As::Admin, &nobody).await;
    assert_eq!(refused.error(), (400, "NotFound"));
    let long = json!({ "account": did, "note": "x".repeat(1_001) });
    assert_eq!(world.post("com.atproto.admin.disableAccountInvites", As::Admin, &long).await.status, 400);
}

#[tokio::test]
async fn all_codes_are_listed_page_by_page_in_either_order() {
    let world = World::new().await;
    let mut all = Vec::new();
    for _ in 0..7 {
        let made = create_invites(&world.server, vec![ADMIN.to_owned()], 1, 5).await.unwrap();
        all.push(made[0].codes[0].clone());
        world.clock.advance(Duration::from_secs(1));
    }
    for name in ["alice", "carol"] {
        create_account(&world.server, with_code(name, &all[3])).await.unwrap();
    }
    create_account(&world.server, with_code("dave", &all[5])).await.unwrap();
    let listed = async |sort: &str| {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let target = format!("com.atproto.admin.getInviteCodes?sort={sort}&limit=3&cursor={cursor}");
            let page = world.get(&target, As::Admin).await.ok();
            seen.extend(page["codes"].as_array().unwrap().iter().map(|code| code["code"].as_str().unwrap().to_owned()));
            match page["cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return seen,
            }
        }
    };
    let mut newest_first = all.clone();
    newest_first.reverse();
    assert_eq!(listed("recent").await, newest_first);
    let by_usage = listed("usage").await;
    assert_eq!(by_usage.len(), 7);
    assert_eq!(by_usage[..2], [all[3].clone(), all[5].clone()]);
    for query in ["sort=oldest", "limit=0", "limit=501", "cursor=x", "cursor=1", "cursor=x::y"] {
        let refused = world.get(&format!("com.atproto.admin.getInviteCodes?{query}"), As::Admin).await;
        assert_eq!(refused.error(), (400, "InvalidRequest"), "{query}");
    }
}

#[tokio::test]
async fn hostile_search_strings_find_nothing_and_break_nothing() {
    let world = World::new().await;
    world.account("alice").await;
    for search in ["%25", "_", "'%20OR%201=1--", "%00", "\\", "%F0%9F%92%A9", "*", "a%25"] {
        let found = world.get(&format!("com.atproto.admin.searchAccounts?email={search}"), As::Admin).await;
        assert!(found.status == 400 || found.json["accounts"] == json!([]), "{search}: {}", found.json);
    }
    let found = world.get("com.atproto.admin.searchAccounts?email=ALICE@Example", As::Admin).await.ok();
    assert_eq!(found["accounts"][0]["handle"], "alice.test");
}
