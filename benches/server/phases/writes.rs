//! Accounts, sessions and records.

use super::{Bench, fresh_number};
use crate::{
    account::{Account, sign_up_body},
    http::{self, Body},
    load::{self, Until},
    process::flush_ms,
    target::{Own, Target},
};
use serde_json::json;
use std::rc::Rc;

/// Accounts that are made one after the other.
const SIGN_UPS: u64 = 50;
/// Sessions that are opened one after the other.
const SIGN_INS: u64 = 50;
/// Records that are written one after the other.
const WRITES: u64 = 2_000;
/// Commits of 100 records.
const BATCHES: u64 = 40;

impl Bench {
    pub(super) async fn accounts(&mut self, target: &Target) {
        let (host, first) = (target.host.clone(), fresh_number() * 1_000);
        let bodies: Vec<Rc<[u8]>> = (0..SIGN_UPS)
            .map(|number| {
                let body = sign_up_body(target, first + number);
                http::post(&host, "/xrpc/com.atproto.server.createAccount", None, &body).into()
            })
            .collect();
        let make = move |_, number: u64| Rc::clone(&bodies[number as usize]);
        let measured = load::run(target, 1, Until::Count(SIGN_UPS), Body::Count, make).await;
        self.latency(target, "accounts", "createAccount", &measured);
    }

    pub(super) async fn sessions(&mut self, target: &Target) {
        let account = Account::sign_up(target, fresh_number() * 1_000).await;
        let body = json!({"identifier": account.handle, "password": "correct horse battery"});
        let request: Rc<[u8]> = http::post(&target.host, "/xrpc/com.atproto.server.createSession", None, &body).into();
        let measured = load::run(target, 1, Until::Count(SIGN_INS), Body::Count, move |_, _| request.clone()).await;
        self.latency(target, "sessions", "createSession", &measured);
        let path = "/xrpc/com.atproto.server.getSession";
        let request: Rc<[u8]> = http::get(&target.host, path, Some(&account.token)).into();
        let until = Until::Passed(self.options.span());
        let measured = load::run(target, 16, until, Body::Count, move |_, _| request.clone()).await;
        self.rate(target, "sessions", "getSession, 16 connections", &measured);
    }

    pub(super) async fn writes_of_all(&mut self) {
        let own = Own::start(self.options.dir.as_deref());
        let flush = flush_ms(own.dir.path(), 4096);
        self.own("writes", "fdatasync of 4 KiB on this disk, p50", flush, "ms");
        self.writes(&own.target).await;
        drop(own);
        if let Some(url) = self.options.against.clone() {
            let other = Target::foreign(&url, self.options.against_pid, &self.options.against_domain);
            self.writes(&other).await;
        }
    }

    async fn writes(&mut self, target: &Target) {
        let first = fresh_number() * 1_000;
        let mut accounts = Vec::new();
        for number in 0..32 {
            accounts.push(Account::sign_up(target, first + number).await);
        }
        let make = {
            let (account, target) = (accounts[0].clone(), target.copy());
            move |_, number| account.create_record(&target, number)
        };
        let measured = load::run(target, 1, Until::Count(WRITES), Body::Count, make).await;
        self.latency(target, "writes", "createRecord, one at a time", &measured);
        for at_once in [8, 32] {
            let (writers, copy) = (accounts.clone(), target.copy());
            let make = move |connection: usize, number| writers[connection].create_record(&copy, number);
            let until = Until::Passed(self.options.span());
            let before = flushes(target).await;
            let measured = load::run(target, at_once, until, Body::Count, make).await;
            let what = format!("createRecord, {at_once} accounts at once");
            self.rate(target, "writes", &what, &measured);
            if let (Some(before), Some(after)) = (before, flushes(target).await) {
                self.own(
                    "writes",
                    format!("{what}: records for each flush"),
                    measured.done as f64 / (after - before),
                    "",
                );
            }
        }
        let make = {
            let (account, target) = (accounts[1].clone(), target.copy());
            move |_, number: u64| {
                let numbers: Vec<u64> = (number * 100..number * 100 + 100).collect();
                account.apply_writes(&target, &numbers)
            }
        };
        let measured = load::run(target, 1, Until::Count(BATCHES), Body::Count, make).await;
        self.latency(target, "writes", "applyWrites of 100", &measured);
    }
}

/// How often the server has flushed a group of writes.
async fn flushes(target: &Target) -> Option<f64> {
    target.number("housekey_write_commit_duration_seconds_count").await
}
