//! Reads of records and identities, and what relays ask for.

use super::{Bench, fresh_number};
use crate::{
    account::{Account, POSTS, record_key},
    http::{self, Body},
    load::{self, Until},
    target::Target,
};
use std::rc::Rc;

/// Records of the small repository.
const SMALL: u64 = 1_000;

impl Bench {
    async fn read(&mut self, target: &Target, phase: &'static str, what: &str, paths: Vec<String>) {
        let requests: Vec<Rc<[u8]>> = paths.iter().map(|path| http::get(&target.host, path, None).into()).collect();
        let make = move |_, number: u64| Rc::clone(&requests[number as usize % requests.len()]);
        let measured = load::run(target, 16, Until::Passed(self.options.span()), Body::Count, make).await;
        self.rate(target, phase, what, &measured);
    }

    pub(super) async fn reads(&mut self, target: &Target) {
        let small = Account::sign_up(target, fresh_number() * 1_000).await;
        small.fill(target, 0, SMALL).await;
        let large = Account::sign_up(target, fresh_number() * 1_000).await;
        large.fill(target, 0, self.options.records).await;
        let record = |account: &Account, number: u64| {
            let (did, key) = (&account.did, record_key(number));
            format!("/xrpc/com.atproto.repo.getRecord?repo={did}&collection={POSTS}&rkey={key}")
        };
        self.read(target, "reads", "getRecord", (0..SMALL).map(|number| record(&small, number)).collect()).await;
        let step = (self.options.records / SMALL).max(1) as usize;
        let paths = (0..self.options.records).step_by(step).map(|number| record(&large, number)).collect();
        self.read(target, "reads", &format!("getRecord of {}", self.options.records), paths).await;
        let describe = format!("/xrpc/com.atproto.repo.describeRepo?repo={}", small.did);
        self.read(target, "reads", "describeRepo", vec![describe]).await;
        for (account, size) in [(&small, SMALL), (&large, self.options.records)] {
            let list = format!("/xrpc/com.atproto.repo.listRecords?repo={}&collection={POSTS}&limit=100", account.did);
            self.read(target, "reads", &format!("listRecords(100) of {size}"), vec![list]).await;
        }
        let resolve = format!("/xrpc/com.atproto.identity.resolveHandle?handle={}", small.handle);
        self.read(target, "reads", "resolveHandle", vec![resolve]).await;
    }

    pub(super) async fn sync(&mut self, target: &Target) {
        let account = Account::sign_up(target, fresh_number() * 1_000).await;
        account.fill(target, 0, SMALL * 10).await;
        let did = &account.did;
        let latest = format!("/xrpc/com.atproto.sync.getLatestCommit?did={did}");
        self.read(target, "sync", "getLatestCommit", vec![latest]).await;
        let proofs = (0..SMALL)
            .map(|number| {
                let key = record_key(number * 10);
                format!("/xrpc/com.atproto.sync.getRecord?did={did}&collection={POSTS}&rkey={key}")
            })
            .collect();
        self.read(target, "sync", "sync.getRecord of 10,000", proofs).await;
        let path = format!("/xrpc/com.atproto.sync.getRepo?did={did}");
        let request: Rc<[u8]> = http::get(&target.host, &path, None).into();
        let measured = load::run(target, 1, Until::Count(20), Body::Count, move |_, _| request.clone()).await;
        self.latency(target, "sync", "getRepo of 10,000 records", &measured);
    }
}
