//! The project's test vectors: what `docs/delegation-vectors.json` holds, made anew by each run, always the same.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::{Value as Json, json};

use super::{
    AppData, DOMAIN_APP, DelegationId, Draft, Evidence, Pin, Source, Statement, assess,
    safety_number::{Side, fingerprint, half, safety_number},
    testing::{START, World, delegate},
    web::WebDocument,
};
use crate::{
    clock::Timestamp,
    crypto::{DelegateSigningKey, KeyType},
    ipld::{Map, Value},
    syntax::Did,
};

/// Orders of the base points: big-endian for ECDSA, little-endian for Ed25519.
const P256_ORDER: &[u8] = b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const K256_ORDER: &[u8] = b"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
const ED25519_ORDER: &[u8] = b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// All vectors as one JSON object.
pub fn all() -> Json {
    json!({
        "about": "Test vectors of dev.housekey.delegation, see delegation.md. Bytes are in hex unless they stand in \
                  the data model. Made by examples/delegation_vectors.rs.",
        "keys": KeyType::ALL.iter().flat_map(|kind| (1..=3).map(|n| key(&delegate(*kind, n)))).collect::<Vec<_>>(),
        "refusedKeys": refused_keys(),
        "signatures": KeyType::ALL.iter().flat_map(|kind| signatures(*kind)).collect::<Vec<_>>(),
        "statements": KeyType::ALL.iter().flat_map(|kind| statements(*kind)).collect::<Vec<_>>(),
        "refusedStatements": refused_statements(),
        "appData": KeyType::ALL.iter().flat_map(|kind| entries(*kind)).collect::<Vec<_>>(),
        "histories": histories(),
        "webHistories": web_histories(),
        "safetyNumbers": safety_numbers(),
    })
}

/// The vectors as the text of the file.
pub fn text() -> String {
    format!("{:#}\n", all())
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn key(key: &DelegateSigningKey) -> Json {
    let public = key.public();
    json!({
        "type": key.key_type().name(),
        "privateKey": hex(key.to_bytes().as_slice()),
        "didKey": public.to_string(),
        "multicodec": hex(&public.to_multicodec_bytes()),
        "fingerprint": fingerprint(&public),
    })
}

fn refused_keys() -> Json {
    let ed25519 =
        |raw: [u8; 32]| format!("did:key:z{}", bs58::encode([[0xed, 0x01].as_slice(), &raw].concat()).into_string());
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signed_identity = identity;
    signed_identity[31] = 0x80;
    let mut beyond = [0xff; 32];
    (beyond[0], beyond[31]) = (0xf0, 0x7f);
    json!([
        { "why": "Ed25519, the identity: of small order", "didKey": ed25519(identity) },
        { "why": "Ed25519, y = 0: of small order", "didKey": ed25519([0; 32]) },
        { "why": "Ed25519, the identity with a sign: not canonical", "didKey": ed25519(signed_identity) },
        { "why": "Ed25519, y = p + 3: not canonical", "didKey": ed25519(beyond) },
        { "why": "X25519, which does not sign", "didKey": "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc" },
    ])
}

fn signatures(kind: KeyType) -> Vec<Json> {
    let key = delegate(kind, 1);
    let message = b"message";
    let good = key.sign(message);
    let vector = |valid: bool, why: &str, signature: &[u8]| {
        json!({
            "key": key.public().to_string(), "message": hex(message), "signature": hex(signature),
            "valid": valid, "why": why,
        })
    };
    let (r, s) = good.split_at(32);
    let (why, other_s) = match kind {
        KeyType::Ed25519 => ("S is not below L", reversed(&sum(&reversed(s), &reversed(&order(ED25519_ORDER))))),
        KeyType::P256 => ("high S", difference(&order(P256_ORDER), s)),
        KeyType::K256 => ("high S", difference(&order(K256_ORDER), s)),
    };
    vec![
        vector(true, "good", &good),
        vector(false, why, &[r, &other_s].concat()),
        vector(false, "cut short", &good[..63]),
        vector(false, "r and s exchanged", &[s, r].concat()),
    ]
}

fn order(hex: &[u8]) -> Vec<u8> {
    HEXLOWER.decode(hex).unwrap_or_default()
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// `a − b`, both big-endian and of the same length.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let inverted: Vec<u8> = b.iter().map(|byte| !byte).collect();
    let mut one = vec![0; a.len()];
    if let Some(last) = one.last_mut() {
        *last = 1;
    }
    sum(&sum(a, &inverted), &one)
}

/// `a + b` without what does not fit, both big-endian and of the same length.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let digits = a.iter().zip(b).rev().map(|(a, b)| {
        let [high, low] = (u16::from(*a) + u16::from(*b) + carry).to_be_bytes();
        carry = u16::from(high);
        low
    });
    reversed(&digits.collect::<Vec<_>>())
}

fn statement(name: &str, statement: &Statement) -> Json {
    json!({
        "name": name,
        "statement": statement.to_json(),
        "signedBytes": hex(&statement.signed_bytes()),
        "cid": statement.cid().to_string(),
        "recordKey": statement.record_key(),
        "record": crate::ipld::json::to_json(&Value::Map(statement.to_record())),
    })
}

fn statements(kind: KeyType) -> Vec<Json> {
    let (first, second) = (delegate(kind, 1), delegate(kind, 2));
    let mut world = World::new(1);
    let mut vectors = Vec::new();
    let mut add = |name: &str, world: &World| {
        if let Some(latest) = world.statements.last() {
            vectors.push(statement(&format!("{}: {name}", kind.name()), latest));
        }
    };
    world.pass(Duration::from_hours(1));
    world.delegate(&first, None);
    add("the first key", &world);
    world.pass(Duration::from_hours(1));
    world.delegate(&second, Some(&first));
    add("an endorsed rotation", &world);
    world.pass(Duration::from_hours(1));
    world.end(&second);
    add("an end", &world);
    vectors
}

fn refused_statements() -> Json {
    let world = World::new(1);
    let good = world.claim(&delegate(KeyType::Ed25519, 1), None).to_map();
    let changed = |why: &str, change: &dyn Fn(&mut Map)| {
        let mut map = good.clone();
        change(&mut map);
        json!({ "why": why, "statement": crate::ipld::json::to_json(&Value::Map(map)) })
    };
    json!([
        changed("an unknown field", &|map| drop(map.insert("extra", true))),
        changed("null for an absent endorsement", &|map| drop(map.insert("endorsement", Value::Null))),
        changed("endorsed without an endorsement", &|map| drop(map.insert("endorsed", true))),
        changed("no claim", &|map| drop(map.remove("claim"))),
        changed("key null with a claim", &|map| drop(map.insert("key", Value::Null))),
        changed("a time without milliseconds", &|map| drop(map.insert("createdAt", "2027-01-15T08:00:00Z"))),
        changed("a time with an offset", &|map| drop(map.insert("createdAt", "2027-01-15T08:00:00.000+00:00"))),
        changed("prev null for a did:plc", &|map| drop(map.insert("prev", Value::Null))),
        changed("an id with a capital", &|map| drop(map.insert("id", "E2EE"))),
        changed("another type", &|map| drop(map.insert("$type", "dev.housekey.delegation.statement"))),
    ])
}

fn entries(kind: KeyType) -> Vec<Json> {
    let key = delegate(kind, 1);
    let world = World::new(1);
    let domain: Map = [("domain", "keys.example.com")].into_iter().collect();
    let packages: Map = [("packages", Value::List(vec![Value::Bytes(vec![1, 2, 3])]))].into_iter().collect();
    let vector = |name: &str, entry: &AppData| {
        json!({
            "name": format!("{}: {name}", kind.name()),
            "entry": entry.to_json(),
            "signedBytes": hex(&entry.signed_bytes()),
            "recordKey": entry.record_key(),
        })
    };
    vec![
        vector("the domain", &world.entry(DOMAIN_APP, Some(domain), &key)),
        vector("an app's data", &world.entry("com.example.chat", Some(packages), &key)),
        vector("an ended entry", &world.entry("com.example.chat", None, &key)),
    ]
}

fn history(name: &str, world: &World, pin: Option<&Pin>) -> Json {
    let assessment = world.assess_with(pin);
    let mut vector = json!({
        "name": name,
        "did": world.did,
        "id": world.id,
        "now": world.now.to_rfc3339_millis(),
        "log": world.log,
        "statements": world.statements.iter().map(Statement::to_json).collect::<Vec<_>>(),
        "verdict": assessment.verdict,
    });
    if let (Some(pin), Some(vector)) = (pin, vector.as_object_mut()) {
        vector.insert("pin".to_owned(), json!(pin));
    }
    vector
}

/// A DID with one honest key of this kind.
fn honest(kind: KeyType) -> World {
    let mut world = World::new(1);
    world.pass(Duration::from_hours(100));
    world.delegate(&delegate(kind, 1), None);
    world.pass(Duration::from_hours(100));
    world
}

fn pin_of(world: &World) -> Option<Pin> {
    world.assess().to_pin(&world.did, &world.id)
}

fn histories() -> Json {
    let key = |n| delegate(KeyType::Ed25519, n);
    let mut vectors = vec![history("nothing was ever delegated", &World::new(1), None)];
    for kind in KeyType::ALL {
        let mut world = honest(kind);
        let pin = pin_of(&world);
        vectors.push(history(&format!("{}: one key", kind.name()), &world, None));
        world.delegate(&delegate(kind, 2), Some(&delegate(kind, 1)));
        vectors.push(history(&format!("{}: an endorsed successor", kind.name()), &world, pin.as_ref()));
    }
    let start = honest(KeyType::Ed25519);
    let pin = pin_of(&start);
    let mut scenario = |name: &str, act: &dyn Fn(&mut World)| {
        let mut world = start.clone();
        act(&mut world);
        vectors.push(history(name, &world, pin.as_ref()));
    };
    let hour = Duration::from_hours(1);
    scenario("ended by an endorsed statement", &|world| drop(world.end(&key(1)).to_string()));
    scenario("a swap with fresh statements", &|world| {
        world.statements.clear();
        world.delegate(&key(2), None);
    });
    scenario("swapped and swapped back", &|world| {
        world.delegate(&key(2), None);
        world.pass(hour);
        world.delegate(&key(1), None);
    });
    scenario("ended and re-created with the same key", &|world| {
        world.end(&key(1));
        world.pass(hour);
        world.delegate(&key(1), None);
    });
    scenario("ended and re-created with another key", &|world| {
        world.name(None);
        world.pass(hour);
        world.delegate(&key(2), None);
    });
    scenario("swapped, then nullified by the owner", &|world| {
        let before = world.head();
        world.delegate(&key(2), None);
        world.pass(hour);
        world.recover(before, Some(&key(1).public()));
    });
    scenario("a retired key bridges one that nobody endorsed", &|world| {
        world.delegate(&key(2), None);
        world.pass(hour);
        world.delegate(&key(3), Some(&key(1)));
    });
    scenario("a statement was dropped", &|world| {
        world.delegate(&key(2), Some(&key(1)));
        world.statements.pop();
    });
    scenario("the log lacks what a statement speaks of", &|world| {
        world.rename("alicia");
        world.delegate(&key(2), Some(&key(1)));
        world.log.truncate(2);
    });
    scenario("the log lacks the head that was remembered, and has another key", &|world| {
        world.log.truncate(1);
        world.delegate(&key(2), None);
    });
    Json::Array(vectors)
}

#[expect(clippy::expect_used, reason = "the inputs are fixed")]
fn web_histories() -> Json {
    let did: Did = "did:web:alice.example.com".parse().expect("a DID");
    let id = DelegationId::default();
    let key = |n| delegate(KeyType::P256, n);
    let draft = |n: Option<u64>, prev: Option<&Statement>, at: Timestamp| Draft {
        did: did.clone(),
        id: id.clone(),
        key: n.map(|n| key(n).public()),
        prev: prev.map(Statement::cid),
        created_at: at,
    };
    let first = draft(Some(1), None, START).sign(Some(&key(1)), None).expect("a statement of the right shape");
    let later = START.plus(Duration::from_hours(1));
    let second =
        draft(Some(2), Some(&first), later).sign(Some(&key(2)), Some(&key(1))).expect("a statement of the right shape");
    let unendorsed =
        draft(Some(2), Some(&first), later).sign(Some(&key(2)), None).expect("a statement of the right shape");
    let end = draft(None, Some(&first), later).sign(None, Some(&key(1))).expect("a statement of the right shape");
    let vector = |name: &str, named: Option<u64>, statements: &[Statement]| {
        let text = named.map(|n| key(n).public().to_string());
        let evidence = Evidence {
            did: &did,
            id: &id,
            source: Source::Web(WebDocument { key: text.as_deref(), server_keys: &[] }),
            statements: Some(statements),
            entries: &[],
            pin: None,
            declaration: None,
            now: later,
        };
        json!({
            "name": name, "did": did, "id": id, "key": text,
            "statements": statements.iter().map(Statement::to_json).collect::<Vec<_>>(),
            "verdict": assess(&evidence).verdict,
        })
    };
    json!([
        vector("one key", Some(1), std::slice::from_ref(&first)),
        vector("an endorsed successor", Some(2), &[first.clone(), second.clone()]),
        vector("a reset", Some(2), &[first.clone(), unendorsed]),
        vector("an end", None, &[first, end]),
        vector("the beginning of the chain is missing", Some(2), &[second]),
    ])
}

fn safety_numbers() -> Json {
    let (alice, bob) = (World::new(1), World::new(2));
    let pairs = [
        (delegate(KeyType::Ed25519, 1), delegate(KeyType::Ed25519, 2)),
        (delegate(KeyType::Ed25519, 1), delegate(KeyType::P256, 2)),
        (delegate(KeyType::P256, 1), delegate(KeyType::K256, 2)),
    ];
    let vector = |(one, other): &(DelegateSigningKey, DelegateSigningKey)| {
        let (one_key, other_key) = (one.public(), other.public());
        let one = Side { did: &alice.did, id: &alice.id, key: &one_key };
        let other = Side { did: &bob.did, id: &bob.id, key: &other_key };
        let side =
            |side: Side<'_>| json!({ "did": side.did, "id": side.id, "key": side.key.to_string(), "half": half(side) });
        json!({ "one": side(one), "other": side(other), "safetyNumber": safety_number(one, other) })
    };
    pairs.iter().map(vector).collect()
}
