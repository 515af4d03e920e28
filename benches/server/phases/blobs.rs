//! Blobs of one megabyte.

use super::{Bench, fresh_number};
use crate::{
    account::{Account, POSTS},
    http::{self, Body},
    load::{self, Until},
    process::flush_ms,
    target::Target,
};
use serde_json::json;
use std::rc::Rc;

const SIZE: usize = 1_000_000;
const UPLOADS: u64 = 60;

impl Bench {
    pub(super) async fn blobs(&mut self, target: &Target) {
        let account = Account::sign_up(target, fresh_number() * 1_000).await;
        let dir = self.options.dir.clone().unwrap_or_else(std::env::temp_dir);
        self.own("blobs", "fdatasync of 1 MB on this disk, p50", flush_ms(&dir, SIZE), "ms");
        let (host, token) = (target.host.clone(), account.token.clone());
        let make = move |_, number: u64| {
            let bytes = noise(number);
            http::request(
                "POST",
                &host,
                "/xrpc/com.atproto.repo.uploadBlob",
                Some(&token),
                Some(("application/octet-stream", &bytes)),
            )
            .into()
        };
        let measured = load::run(target, 1, Until::Count(UPLOADS), Body::Count, make).await;
        self.latency(target, "blobs", "uploadBlob of 1 MB", &measured);
        let bytes = noise(UPLOADS + 1);
        let uploaded = target
            .upload("com.atproto.repo.uploadBlob", &account.token, "application/octet-stream", &bytes)
            .await
            .unwrap();
        let record = json!({"$type": POSTS, "text": "look", "createdAt": "2026-11-22T12:00:00.000Z", "attached": uploaded["blob"]});
        let body = json!({"repo": account.did, "collection": POSTS, "record": record, "validate": false});
        target.post("com.atproto.repo.createRecord", Some(&account.token), &body).await.unwrap();
        let cid = uploaded["blob"]["ref"]["$link"].as_str().unwrap();
        let path = format!("/xrpc/com.atproto.sync.getBlob?did={}&cid={cid}", account.did);
        let request: Rc<[u8]> = http::get(&target.host, &path, None).into();
        let until = Until::Passed(self.options.span());
        let measured = load::run(target, 16, until, Body::Count, move |_, _| request.clone()).await;
        self.rate(target, "blobs", "getBlob of 1 MB, 16 connections", &measured);
    }
}

/// Bytes that look like no known kind of file and are different for each seed.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(SIZE + 8);
    bytes.extend_from_slice(b"noise\0\0\0");
    while bytes.len() < SIZE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(SIZE);
    bytes
}
