use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    http, methods,
    service::{
        records::{ValidationStatus, Write, WriteError, WriteRequest, WriteResult, write},
        testing::{self, As, World},
    },
    store::Account,
    web::PdsSite,
};

const NAME: &str = "com.example.notes.note";
const DNS: &str = "_lexicon.notes.example.com";

fn nsid(text: &str) -> Nsid {
    text.parse().unwrap()
}

/// A note has a text of at most ten bytes, and perhaps a place.
fn note() -> Json {
    json!({ "$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": NAME, "defs": { "main": {
        "type": "record", "key": "any", "record": { "type": "object", "required": ["text"], "properties": {
            "text": { "type": "string", "maxLength": 10 },
            "place": { "type": "ref", "ref": "com.example.notes.place" },
        } } } } })
}

fn place() -> Json {
    json!({ "$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": "com.example.notes.place", "defs": { "main": {
        "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } } } })
}

/// A server at an address of its own, with one account that publishes schemas.
struct Publisher {
    world: World,
    account: Account,
}

impl Publisher {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = world_at(&listener).await;
        let site = Arc::new(PdsSite::new(Arc::clone(&world.server)));
        let app = http::App::pds(Arc::clone(&world.server), methods::methods(), site, Vec::new());
        http::serve(listener, app, &world.server.tasks);
        let account = world.account("author").await;
        Self { world, account }
    }

    async fn publish(&self, rkey: &str, schema: Json) {
        let collection = nsid("com.atproto.lexicon.schema");
        let put = Write::Put {
            collection,
            rkey: rkey.parse().unwrap(),
            record: schema,
            swap: crate::service::records::SwapRecord::Any,
        };
        write(&self.world.server, &self.account, WriteRequest { writes: vec![put], ..WriteRequest::default() })
            .await
            .unwrap();
    }
}

async fn world_at(listener: &TcpListener) -> World {
    let mut policy = testing::policy();
    policy.public_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    World::with(policy).await
}

/// Lets a server know an account of another, and whom DNS names as the authority.
fn introduce(to: &World, from: &World, account: &Account) {
    for entry in from.directory.log(&account.did) {
        to.directory.accept(&account.did, &entry.operation);
    }
    to.names.set_record(DNS, format!("did={}", account.did));
}

async fn reader_of(publisher: &Publisher) -> World {
    let reader = World::new().await;
    introduce(&reader, &publisher.world, &publisher.account);
    reader
}

async fn create(
    world: &World,
    account: &Account,
    validate: Option<bool>,
    record: Json,
) -> Result<Option<ValidationStatus>, WriteError> {
    let create = Write::Create { collection: nsid(NAME), rkey: None, record, replace_duplicates: true };
    let request = WriteRequest { writes: vec![create], validate, swap_commit: None };
    match write(&world.server, account, request).await?.results.as_slice() {
        [WriteResult::Created { status, .. }] => Ok(*status),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_schema_is_found_by_dns_proven_by_its_server_and_answered() {
    let publisher = Publisher::start().await;
    publisher.publish(NAME, note()).await;
    let reader = reader_of(&publisher).await;
    let target = format!("com.atproto.lexicon.resolveLexicon?nsid={NAME}");
    let answer = reader.get(&target, As::Nobody).await.ok();
    assert_eq!(answer["schema"], note());
    assert_eq!(answer["uri"], format!("at://{}/com.atproto.lexicon.schema/{NAME}", publisher.account.did));
    let own = publisher.world.server.store.head(publisher.account.id).await.unwrap().unwrap();
    assert!(answer["cid"].is_string() && own.rev.to_string() > String::new());
    // It is remembered: DNS may forget it meanwhile.
    reader.names.set_record(DNS, String::new());
    reader.clock.advance(Duration::from_secs(3_599));
    assert_eq!(reader.get(&target, As::Nobody).await.ok(), answer);
    reader.clock.advance(Duration::from_secs(1));
    assert_eq!(reader.get(&target, As::Nobody).await.error(), (400, "LexiconNotFound"));
}

#[tokio::test]
async fn a_schema_of_an_account_here_needs_no_network() {
    let publisher = Publisher::start().await;
    publisher.publish(NAME, note()).await;
    publisher.world.names.set_record(DNS, format!("did={}", publisher.account.did));
    let target = format!("com.atproto.lexicon.resolveLexicon?nsid={NAME}");
    assert_eq!(publisher.world.get(&target, As::Nobody).await.ok()["schema"], note());
}

#[tokio::test]
async fn validation_that_is_demanded_waits_for_the_schema_and_for_those_that_it_refers_to() {
    let publisher = Publisher::start().await;
    publisher.publish(NAME, note()).await;
    publisher.publish("com.example.notes.place", place()).await;
    let reader = reader_of(&publisher).await;
    let alice = reader.account("alice").await;
    let valid = Some(ValidationStatus::Valid);
    assert_eq!(create(&reader, &alice, Some(true), json!({ "text": "short" })).await, Ok(valid));
    let placed = json!({ "text": "short", "place": { "name": "here" } });
    assert_eq!(create(&reader, &alice, Some(true), placed).await, Ok(valid));
    let refused = create(&reader, &alice, Some(true), json!({ "text": "far too long" })).await.unwrap_err();
    let words = format!("Invalid {NAME} record: Record/text must not be longer than 10 characters");
    assert_eq!(refused.to_string(), words);
    let nowhere = json!({ "text": "short", "place": {} });
    let refused = create(&reader, &alice, None, nowhere.clone()).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("Invalid {NAME} record: Record/place must have the property \"name\""));
    assert_eq!(create(&reader, &alice, Some(false), nowhere).await, Ok(None));
}

#[tokio::test]
async fn other_writes_do_not_wait_and_later_ones_are_checked() {
    let publisher = Publisher::start().await;
    publisher.publish(NAME, note()).await;
    let reader = reader_of(&publisher).await;
    let alice = reader.account("alice").await;
    let wrong = json!({ "text": 7 });
    assert_eq!(create(&reader, &alice, None, wrong.clone()).await, Ok(Some(ValidationStatus::Unknown)));
    // The look-up that the write began; whoever asks joins it.
    resolve(&reader.server, &nsid(NAME)).await.unwrap();
    assert!(matches!(create(&reader, &alice, None, wrong).await, Err(WriteError::Invalid { .. })));
    let fine = json!({ "text": "short" });
    assert_eq!(create(&reader, &alice, None, fine).await, Ok(Some(ValidationStatus::Valid)));
}

#[tokio::test]
async fn a_schema_that_nobody_has_is_named_and_not_asked_for_again_at_once() {
    let publisher = Publisher::start().await;
    let reader = reader_of(&publisher).await;
    let alice = reader.account("alice").await;
    let refused = create(&reader, &alice, Some(true), json!({ "text": "short" })).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("Unknown lexicon type: {NAME}"));
    publisher.publish(NAME, note()).await;
    assert!(matches!(resolve(&reader.server, &nsid(NAME)).await, Err(LexiconError::NotFound(_))));
    reader.clock.advance(Duration::from_mins(2));
    assert!(resolve(&reader.server, &nsid(NAME)).await.is_ok());
    for name in ["com.example.elsewhere.note", "local.host.note", "org.onion.note"] {
        assert!(matches!(resolve(&reader.server, &nsid(name)).await, Err(LexiconError::NotFound(_))), "{name}");
    }
}

/// An account whose server gives every request this answer, and how often it was asked.
async fn hostile(answer: Vec<u8>) -> (World, World, Account, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = world_at(&listener).await;
    let account = theirs.account("mallory").await;
    let asked = Arc::new(AtomicUsize::new(0));
    let (tasks, count) = (theirs.server.tasks.clone(), Arc::clone(&asked));
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4_096];
            drop(stream.read(&mut request).await);
            drop(stream.write_all(&answer).await);
            drop(stream.shutdown().await);
        }
    });
    let reader = World::new().await;
    introduce(&reader, &theirs, &account);
    (reader, theirs, account, asked)
}

fn http_answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    write!(answer, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).unwrap();
    answer.extend_from_slice(body);
    answer
}

#[tokio::test]
async fn what_a_hostile_server_answers_is_an_error_by_its_name() {
    let large = vec![b'x'; crate::limits::lexicon::PROOF_MAX_BYTES + 1];
    for (answer, words) in [
        (http_answer("200 OK", "", b"no CAR file"), "proves nothing"),
        (http_answer("200 OK", "", &large), "could not be asked"),
        (http_answer("200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b"), "could not be asked"),
        (http_answer("302 Found", "location: http://169.254.169.254/\r\n", b""), "could not be asked"),
        (http_answer("500 Oops", "", b""), "status 500"),
        (b"nonsense".to_vec(), "could not be asked"),
        (Vec::new(), "could not be asked"),
    ] {
        let (reader, _theirs, _, asked) = hostile(answer).await;
        let target = format!("com.atproto.lexicon.resolveLexicon?nsid={NAME}");
        let refused = reader.get(&target, As::Nobody).await;
        assert_eq!(refused.error(), (502, "UpstreamFailure"), "{refused:?}");
        assert!(refused.message().contains(words), "{refused:?}");
        let before = asked.load(Ordering::SeqCst);
        assert!(before > 0);
        assert_eq!(reader.get(&target, As::Nobody).await.status, 502);
        assert_eq!(asked.load(Ordering::SeqCst), before, "it is not asked again at once");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_within_the_bound() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = world_at(&listener).await;
    let account = theirs.account("mallory").await;
    theirs.server.tasks.spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let reader = World::new().await;
    introduce(&reader, &theirs, &account);
    // Only the silent server is left to wait for.
    reader.server.resolver.did(&account.did, crate::outbound::Freshness::Now).await.unwrap();
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let refused = resolve(&reader.server, &nsid(NAME)).await.unwrap_err();
    assert!(matches!(&refused, LexiconError::Unavailable(why) if why.contains("could not be asked")), "{refused}");
    assert!(started.elapsed() <= crate::limits::lexicon::FETCH_TIMEOUT * 2);
}

#[tokio::test]
async fn a_chain_of_schemas_that_leads_on_and_on_is_followed_so_far_only() {
    use crate::limits::lexicon::LOOKUPS_PER_RECORD;
    let publisher = Publisher::start().await;
    let reader = reader_of(&publisher).await;
    let name = |n: usize| if n == 0 { "com.example.notes.place".to_owned() } else { format!("com.example.notes.n{n}") };
    let links = LOOKUPS_PER_RECORD + 8;
    for n in 0..links {
        let schema = json!({ "$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": name(n), "defs": { "main": {
            "type": "object", "properties": { "next": { "type": "ref", "ref": name(n + 1) } } } } });
        publisher.publish(&name(n), schema).await;
    }
    publisher.publish(NAME, note()).await;
    let alice = reader.account("alice").await;
    let deep = (0..links).fold(json!({}), |inner, _| json!({ "next": inner }));
    let refused = create(&reader, &alice, Some(true), json!({ "text": "short", "place": deep })).await;
    assert!(refused.is_err(), "{refused:?}");
    let now = reader.server.now();
    let found = (0..links).filter(|n| reader.server.lexicons.knows(&nsid(&name(*n)), now)).count();
    // Its own schema was the first.
    assert_eq!(found, LOOKUPS_PER_RECORD - 1);
}

#[tokio::test]
async fn what_is_published_must_be_the_schema_of_its_name() {
    let publisher = Publisher::start().await;
    let reader = reader_of(&publisher).await;
    for (schema, words) in [
        (json!({ "lexicon": 1 }), "must have"),
        (json!({ "lexicon": 2, "id": NAME, "defs": {} }), "schema/lexicon must be 1"),
        (json!({ "lexicon": 1, "id": "com.example.notes.other", "defs": {} }), "its id is com.example.notes.other"),
        (
            json!({ "lexicon": 1, "id": NAME, "defs": { "loop": { "type": "ref", "ref": "#loop" } } }),
            "cannot have a name",
        ),
        (json!({ "lexicon": 1, "id": NAME, "defs": {}, "x": "x".repeat(300_000) }), "bytes"),
    ] {
        publisher.publish(NAME, schema).await;
        let refused = resolve(&reader.server, &nsid(NAME)).await.unwrap_err();
        assert!(matches!(&refused, LexiconError::Unavailable(why) if why.contains(words)), "{refused}");
        reader.clock.advance(Duration::from_mins(2));
    }
}

#[tokio::test]
async fn a_directory_of_schemas_comes_before_all_others() {
    let dir = tempfile::tempdir().unwrap();
    let post = json!({ "lexicon": 1, "id": "app.bsky.feed.post", "defs": { "main": {
        "type": "record", "key": "any", "record": { "type": "object", "properties": {} } } } });
    let lexicons = Lexicons::new(LexiconOptions { resolve: false, dir: Some(dir.path().to_owned()) }).unwrap();
    let at = Timestamp::from_secs(1_000_000);
    let is_loose = |at| {
        let document = lexicons.shelf(at).document("app.bsky.feed.post").unwrap();
        document.record().unwrap().key == crate::lexicon::KeyKind::Any
    };
    assert!(!is_loose(at));
    std::fs::write(dir.path().join("post.json"), post.to_string()).unwrap();
    assert!(is_loose(at.plus(Duration::from_secs(1))));
}
