//! Accounts and records to measure with.

use super::{http, target::Target};
use serde_json::{Value, json};
use std::rc::Rc;

/// The collection of the records that are written.
pub const POSTS: &str = "app.bsky.feed.post";

/// An account with a session.
#[derive(Clone, Debug)]
pub struct Account {
    pub did: String,
    pub handle: String,
    pub token: String,
}

/// What signs an account up; `number` makes it another one.
pub fn sign_up_body(target: &Target, number: u64) -> Value {
    // Handles are short on purpose: the reference takes no more than 18 characters in front of the domain.
    let handle = format!("m{:x}x{number}{}", std::process::id() & 0xffff, target.domain);
    json!({"handle": handle, "email": format!("{handle}@example.com"), "password": "correct horse battery"})
}

impl Account {
    pub async fn sign_up(target: &Target, number: u64) -> Self {
        let made = target
            .post("com.atproto.server.createAccount", None, &sign_up_body(target, number))
            .await
            .expect("an account can be made");
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        Self { did: text("did"), handle: text("handle"), token: text("accessJwt") }
    }

    /// A createRecord of a small post, ready to send.
    pub fn create_record(&self, target: &Target, number: u64) -> Rc<[u8]> {
        let body = json!({"repo": self.did, "collection": POSTS, "record": post(number)});
        http::post(&target.host, "/xrpc/com.atproto.repo.createRecord", Some(&self.token), &body).into()
    }

    /// Writes records `from..to` with keys that can be asked for again ([`record_key`]), 200 a commit.
    pub async fn fill(&self, target: &Target, from: u64, to: u64) {
        let mut connection = target.connect().await;
        let numbers: Vec<u64> = (from..to).collect();
        for chunk in numbers.chunks(200) {
            let request = self.apply_writes(target, chunk);
            let answer = connection.call(&request, http::Body::Count).await.expect("the server answers");
            assert!(answer.status == 200, "applyWrites: {}", String::from_utf8_lossy(&answer.body));
        }
    }

    /// An applyWrites that creates these records, ready to send.
    pub fn apply_writes(&self, target: &Target, numbers: &[u64]) -> Rc<[u8]> {
        let writes: Vec<Value> = numbers
            .iter()
            .map(|number| {
                json!({
                    "$type": "com.atproto.repo.applyWrites#create", "collection": POSTS,
                    "rkey": record_key(*number), "value": post(*number),
                })
            })
            .collect();
        let body = json!({"repo": self.did, "writes": writes});
        http::post(&target.host, "/xrpc/com.atproto.repo.applyWrites", Some(&self.token), &body).into()
    }
}

/// The key of the record `number`: a TID, in order of the numbers, as clients make them.
pub fn record_key(number: u64) -> String {
    const ALPHABET: &[u8] = b"234567abcdefghijklmnopqrstuvwxyz";
    // Microseconds since 2025, one post each 97 seconds.
    let mut rest = (1_735_689_600_000_000 + number * 97_000_000) << 10;
    let mut key = [b'2'; 13];
    for place in key.iter_mut().rev() {
        *place = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    String::from_utf8(key.to_vec()).unwrap()
}

/// A small post, as people write them.
pub fn post(number: u64) -> Value {
    json!({
        "$type": POSTS,
        "text": format!("Post number {number}: the kettle sings, the cat is out, and the bus was late again."),
        "langs": ["en"],
        "createdAt": "2026-11-22T12:00:00.000Z",
    })
}
