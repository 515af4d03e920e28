//! The page as visitors get it: each state by the view, the rest through the site of a whole server.

use super::*;
use crate::{
    clock::{Clock as _, Timestamp},
    crypto::{DelegateSigningKey, KeyType},
    delegation::{
        Draft, Evidence, Source, Statement, assess,
        safety_number::fingerprint,
        testing::{World as Pure, delegate as key},
        web::WebDocument,
    },
    plc::{UnsignedOperation, log::standing},
    service::testing::{As, World},
    store::{AccountId, AccountState},
    web::{PdsSite, Site, WebReply, WebRequest},
    xrpc::ReplyBody,
};
use http::{HeaderMap, Method};
use serde_json::json;
use std::{net::Ipv4Addr, sync::Arc, time::Duration};

struct Page {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Page {
    #[track_caller]
    fn has(&self, part: &str) -> &Self {
        assert!(self.text.contains(part), "{part:?} is not in {}", self.text);
        self
    }

    #[track_caller]
    fn lacks(&self, part: &str) -> &Self {
        assert!(!self.text.contains(part), "{part:?} is in {}", self.text);
        self
    }
}

async fn get(world: &World, target: &str) -> Page {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = WebRequest {
        method: Method::GET,
        path: path.to_owned(),
        query: query.to_owned(),
        host: "pds.example.com".to_owned(),
        headers: HeaderMap::new(),
        client_ip: Ipv4Addr::LOCALHOST.into(),
        body: Bytes::new(),
    };
    match Arc::new(PdsSite::new(Arc::clone(&world.server))).handle(request).await {
        WebReply::Reply(Reply { status, headers, body: ReplyBody::Full(bytes) }) => {
            Page { status: status.as_u16(), headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
        }
        WebReply::Reply(_) | WebReply::Socket(_) => panic!("no page is a stream"),
    }
}

/// A statement by this key for the account, at the head of its log.
fn claim(world: &World, account: &Account, key: &DelegateSigningKey) -> serde_json::Value {
    let draft = Draft {
        did: account.did.clone(),
        id: DelegationId::default(),
        key: Some(key.public()),
        prev: Some(standing(&world.directory.log(&account.did)).next_back().unwrap().cid),
        created_at: world.clock.now(),
    };
    draft.sign(Some(key), None).unwrap().to_json()
}

/// An account `<name>.test` that delegated to this key.
async fn delegated(world: &World, name: &str, key: &DelegateSigningKey) -> Account {
    let signed_up = world.signed_up(name).await;
    let body = json!({ "statement": claim(world, &signed_up.account, key) });
    let token = As::Bearer(&signed_up.tokens.access_jwt);
    world.post("dev.housekey.delegation.createDelegation", token, &body).await.ok();
    signed_up.account
}

/// Somebody with the server's rotation key makes the document name this key.
fn name_elsewhere(world: &World, account: &Account, key: &DelegateSigningKey) {
    let head = standing(&world.directory.log(&account.did)).next_back().unwrap().cid;
    let mut next = UnsignedOperation { prev: Some(head), ..world.directory.current(&account.did) };
    next.verification_methods.insert("e2ee".to_owned(), key.public().to_string());
    world.directory.accept(&account.did, &next.sign(&world.server.rotation_key));
}

/// The page about the DID of a pure world.
fn shown(assessment: &Assessment, world: &Pure) -> Page {
    let account = Account {
        id: AccountId(1),
        did: world.did.clone(),
        handle: "alice.test".parse().unwrap(),
        email: None,
        email_confirmed_at: None,
        password_hash: String::new(),
        state: AccountState::Active,
        head: None,
        sealed_signing_key: Vec::new(),
        signing_key: world.signing.did_key().to_string(),
        created_at: Timestamp::EPOCH,
        session_epoch: 0,
    };
    let page = DelegationPage::new(&account, &world.id, assessment, "", Comparison::NotAsked);
    let status = if page.is_known() { 200 } else { 503 };
    Page { status, headers: HeaderMap::new(), text: page.render().unwrap() }
}

#[tokio::test]
async fn a_verified_key_is_shown_with_fingerprint_statement_and_a_warning_about_who_rendered_it() {
    let world = World::new().await;
    let first = key(KeyType::P256, 1);
    let alice = delegated(&world, "alice", &first).await;
    for target in ["/delegation/alice.test", "/delegation/%40alice.test", "/delegation/alice.test?id=e2ee"] {
        let page = get(&world, target).await;
        assert_eq!(page.status, 200, "{target}");
        page.has(&fingerprint(&first.public())).has(&first.public().to_string()).has(alice.did.as_str());
        page.has("Verified").has("First key").has("<svg").has("less than 72 hours old");
        page.has("rendered by the account’s own server").has("housekey verify alice.test");
        let records = "com.atproto.repo.listRecords?repo=alice.test&collection=dev.housekey.delegation.statement";
        let records = world.get(records, As::Nobody).await.ok();
        let statement = records["records"][0]["uri"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        page.has(&statement);
    }
    let by_did = get(&world, &format!("/delegation/{}", alice.did.as_str().replace(':', "%3A"))).await;
    assert_eq!(by_did.text, get(&world, "/delegation/alice.test").await.text);
}

#[tokio::test]
async fn the_page_runs_nothing_and_loads_its_stylesheet_alone() {
    let world = World::new().await;
    delegated(&world, "alice", &key(KeyType::Ed25519, 1)).await;
    let page = get(&world, "/delegation/alice.test").await;
    let csp = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(csp.starts_with("default-src 'none'; style-src 'self'; img-src data:;"), "{csp}");
    assert!(!csp.contains("unsafe") && !csp.contains("script"), "{csp}");
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    page.lacks("<script").lacks("style=").lacks("http:").lacks("https:");
    let style = get(&world, "/pages/style.css").await;
    assert_eq!(
        (style.status, &style.headers[header::CONTENT_TYPE]),
        (200, &"text/css; charset=utf-8".parse().unwrap())
    );
    style.has("prefers-color-scheme: dark").lacks("url(").lacks("@import");
}

#[tokio::test]
async fn who_is_not_here_gets_a_page_and_their_text_never_becomes_markup() {
    let world = World::new().await;
    world.signed_up("alice").await;
    for target in
        ["/delegation/bob.test", "/delegation/did:plc:ewvi7nxzyoun6zhxrhs64oiz", "/delegation/", "/delegation/%zz"]
    {
        let page = get(&world, target).await;
        assert_eq!(page.status, 404, "{target}");
        page.has("<h1>No such account</h1>").has("/pages/style.css");
    }
    let hostile = get(&world, "/delegation/%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert_eq!(hostile.status, 404);
    hostile.lacks("<script").has("&#60;script&#62;");
    let hostile = get(&world, "/delegation/alice.test?id=%3Cscript%3E").await;
    assert_eq!(hostile.status, 400);
    hostile.lacks("<script").has("delegation id");
    let hostile = get(&world, "/delegation/alice.test?with=%22%3E%3Cscript%3E").await;
    assert_eq!(hostile.status, 200);
    hostile.lacks("<script").has("value=\"&#34;&#62;&#60;script&#62;\"");
    assert_eq!(get(&world, "/delegation/alice.test/more").await.status, 404);
}

#[tokio::test]
async fn while_the_directory_is_down_the_page_says_so_and_shows_no_key() {
    let world = World::new().await;
    let first = key(KeyType::K256, 1);
    delegated(&world, "alice", &first).await;
    world.directory.set_down(true);
    let page = get(&world, "/delegation/alice.test").await;
    assert_eq!(page.status, 503);
    page.has("could not be read just now").lacks(&first.public().to_string()).lacks("Verified");
    world.directory.set_down(false);
    assert_eq!(get(&world, "/delegation/alice.test").await.status, 200);
}

#[tokio::test]
async fn one_visitor_too_many_is_told_to_come_again() {
    let world = World::new().await;
    world.signed_up("alice").await;
    let visitors = Visitors::new();
    let all = u32::try_from(limits::PAGES_AT_ONCE + limits::PAGES_WAITING).unwrap();
    let held = visitors.admitted.try_acquire_many(all).unwrap();
    let busy = page(&world.server, &visitors, "alice.test", "").await;
    assert_eq!((busy.status.as_u16(), busy.headers.contains_key(header::RETRY_AFTER)), (503, true));
    drop(held);
    assert_eq!(page(&world.server, &visitors, "alice.test", "").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_key_that_was_set_elsewhere_shows_as_unproven_at_once() {
    let world = World::new().await;
    let alice = delegated(&world, "alice", &key(KeyType::Ed25519, 1)).await;
    world.clock.advance(Duration::from_mins(1));
    let other = key(KeyType::Ed25519, 2);
    name_elsewhere(&world, &alice, &other);
    let page = get(&world, "/delegation/alice.test").await;
    page.has("</span> Unproven</h2>").has(&other.public().to_string()).has("New key, not endorsed: a reset");
}

#[tokio::test]
async fn both_sides_show_the_same_safety_number() {
    let world = World::new().await;
    let (ours, theirs) = (key(KeyType::Ed25519, 1), key(KeyType::P256, 2));
    let alice = delegated(&world, "alice", &ours).await;
    let bob = delegated(&world, "bob", &theirs).await;
    let id = DelegationId::default();
    let (ours, theirs) = (ours.public(), theirs.public());
    let number =
        safety_number(Side { did: &alice.did, id: &id, key: &ours }, Side { did: &bob.did, id: &id, key: &theirs });
    let shown: String =
        in_groups(&number).split(' ').map(|group| format!("<span>{group}</span> ")).collect::<Vec<_>>().concat();
    get(&world, "/delegation/alice.test?id=e2ee&with=%40bob.test").await.has(&shown).has("<strong>bob.test</strong>");
    get(&world, &format!("/delegation/bob.test?with={}", alice.did)).await.has(&shown);
}

#[tokio::test]
async fn without_two_verified_keys_there_is_no_safety_number() {
    let world = World::new().await;
    delegated(&world, "alice", &key(KeyType::Ed25519, 1)).await;
    world.signed_up("bob").await;
    let mallory = delegated(&world, "mallory", &key(KeyType::Ed25519, 2)).await;
    world.clock.advance(Duration::from_mins(1));
    name_elsewhere(&world, &mallory, &key(KeyType::Ed25519, 3));
    for (with, why) in [
        ("bob.test", "bob.test has no verified key"),
        ("mallory.test", "mallory.test has no verified key"),
        ("alice.test", "the same account"),
        ("nobody.test", "no account nobody.test"),
        ("no%20handle", "no account no handle"),
    ] {
        let page = get(&world, &format!("/delegation/alice.test?with={with}")).await;
        assert_eq!(page.status, 200);
        page.has(why).lacks("class=\"number\"");
    }
    get(&world, "/delegation/alice.test?with=").await.lacks("role=\"status\"");
}

#[test]
fn an_endorsed_successor_is_told_from_a_reset() {
    let mut world = Pure::new(1);
    let (first, second, third) = (key(KeyType::Ed25519, 1), key(KeyType::P256, 2), key(KeyType::K256, 3));
    world.delegate(&first, None);
    world.pass(Duration::from_hours(100));
    world.delegate(&second, Some(&first));
    world.pass(Duration::from_hours(100));
    let page = shown(&world.assess(), &world);
    page.has("First key").has("New key, endorsed by the key before").lacks("reset");
    world.delegate(&third, None);
    world.pass(Duration::from_hours(100));
    let page = shown(&world.assess(), &world);
    page.has("</span> Verified, after a reset</h2>")
        .has("New key, not endorsed: a reset")
        .has("One key change was not endorsed");
    page.has("<time datetime=\"2027-01-15T08:00:00.001Z\">2027-01-15 08:00 UTC</time>").lacks("72 hours");
    let places: Vec<usize> =
        [&first, &second, &third].map(|key| page.text.rfind(&key.public().to_string()).unwrap()).into();
    assert!(places.is_sorted(), "the oldest comes first");
}

#[test]
fn an_end_is_shown_with_who_said_so() {
    let mut world = Pure::new(2);
    let first = key(KeyType::Ed25519, 1);
    world.delegate(&first, None);
    let mut alone = world.clone();
    world.end(&first);
    shown(&world.assess(), &world).has("</span> Ended</h2>").has("last key signed a statement").has("None any more.");
    alone.name(None);
    shown(&alone.assess(), &alone)
        .has("</span> Ended</h2>")
        .has("the server’s word alone")
        .has("No key signed this end.");
}

#[test]
fn what_was_undone_stays_in_the_timeline() {
    let mut world = Pure::new(3);
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let genesis = world.delegate(&first, None);
    world.pass(Duration::from_hours(1));
    world.name(Some(&second.public()));
    world.pass(Duration::from_hours(1));
    world.recover(genesis, Some(&first.public()));
    let page = shown(&world.assess(), &world);
    page.has("</span> Undone</h3>").has(&second.public().to_string()).has("One change was undone later");
    page.has("</span> Verified</h2>");
}

#[test]
fn an_account_without_a_delegation_has_no_key_and_no_history() {
    let world = Pure::new(4);
    let page = shown(&world.assess(), &world);
    assert_eq!(page.status, 200);
    page.has("No key").has("never named a key").lacks("<h2 id=\"history\">").lacks("<svg");
}

#[test]
fn a_key_that_a_server_could_use_is_a_mismatch() {
    let mut world = Pure::new(5);
    let operation = UnsignedOperation { prev: Some(world.head()), ..world.state() };
    let mut operation = operation;
    operation.verification_methods.insert("e2ee".to_owned(), world.owner.did_key().to_string());
    let signed = operation.sign(&world.server);
    world.post(&signed);
    shown(&world.assess(), &world).has("</span> Mismatch</h2>").has("A server could use this key");
}

#[test]
fn a_log_that_does_not_verify_shows_none_of_its_keys() {
    let mut world = Pure::new(6);
    let first = key(KeyType::Ed25519, 1);
    world.delegate(&first, None);
    world.log.remove(0);
    let page = shown(&world.assess(), &world);
    page.has("</span> Mismatch</h2>").has("does not verify").lacks(&first.public().to_string());
}

#[test]
fn a_hidden_part_of_the_log_is_a_mismatch_and_the_statement_is_listed() {
    let mut world = Pure::new(7);
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    world.delegate(&first, None);
    let kept = world.log.clone();
    world.rename("other");
    world.delegate(&second, Some(&first));
    world.log = kept;
    let page = shown(&world.assess(), &world);
    page.has("</span> Mismatch</h2>").has("a part of the log is being hidden").has("Statements that do not count");
}

#[test]
fn what_cannot_be_fetched_is_unknown_and_not_unproven() {
    let mut world = Pure::new(8);
    world.delegate(&key(KeyType::Ed25519, 1), None);
    let statements: Vec<Statement> = world.statements.clone();
    let evidence = Evidence { source: Source::Unavailable, statements: Some(&statements), ..world.evidence(None) };
    let page = shown(&assess(&evidence), &world);
    assert_eq!(page.status, 503);
    page.has("Unknown").has("Not known now.").lacks("Unproven").lacks("<h2 id=\"history\">");
}

#[test]
fn a_did_web_has_a_history_without_times_and_says_what_that_is_worth() {
    let mut world = Pure::new(11);
    let first = key(KeyType::Ed25519, 1);
    let draft = world.draft(world.head(), Some(&first));
    world.did = "did:web:alice.test".parse().unwrap();
    let statement = Draft { did: world.did.clone(), prev: None, ..draft }.sign(Some(&first), None).unwrap();
    world.statements.push(statement);
    let named = first.public().to_string();
    let document = WebDocument { key: Some(&named), server_keys: &[] };
    let page = shown(&assess(&Evidence { source: Source::Web(document), ..world.evidence(None) }), &world);
    page.has("</span> Verified</h2>").has(&named).has("A did:web has no log").lacks("<time").lacks("PLC operation");
}

#[test]
fn a_key_of_an_unknown_kind_with_markup_in_it_stays_text() {
    let mut world = Pure::new(9);
    world.delegate(&key(KeyType::Ed25519, 1), None);
    let mut assessment = world.assess();
    let era = assessment.eras.last_mut().unwrap();
    era.key = Some(NamedKey::new("did:key:<b onmouseover=alert(1)>"));
    shown(&assessment, &world).lacks("<b ").has("did:key:&#60;b onmouseover");
}

#[test]
fn a_long_history_shows_its_newest_entries() {
    let mut world = Pure::new(10);
    world.delegate(&key(KeyType::Ed25519, 1), None);
    let mut assessment = world.assess();
    let era = assessment.eras.last().unwrap().clone();
    assessment.eras = vec![era; crate::limits::delegation::PAGE_TIMELINE_MAX + 3];
    shown(&assessment, &world).has("3 older entries are left out").lacks("First key");
}
