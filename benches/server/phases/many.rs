//! Many at once: accounts in memory and on disk, idle connections, more writes than can be taken.

use super::{Bench, fresh_number};
use crate::{
    account::{Account, sign_up_body},
    http::{self, Body},
    load::{self, Until},
    process::disk_bytes,
    target::Own,
};
use std::{rc::Rc, time::Duration};

/// Connections that are held open.
const IDLE: usize = 5_000;
/// Connections that write at once.
const CROWD: usize = 2_000;
/// Accounts that they write to, the first of them from half of all connections.
const WRITERS: usize = 64;

impl Bench {
    pub(super) async fn memory(&mut self) {
        let mut empty = Own::start(self.options.dir.as_deref());
        self.own("memory", "before any account", empty.running.process().memory_mib(), "MiB");
        empty.stop();
        let bare = disk_bytes(&empty.data_dir());
        let mut own = Own::start(self.options.dir.as_deref());
        let first = fresh_number() * 100_000;
        let mut made = 0;
        for accounts in [1, 100, self.options.accounts] {
            let requests: Vec<Rc<[u8]>> = (made..accounts)
                .map(|number| {
                    let body = sign_up_body(&own.target, first + number);
                    http::post(&own.target.host, "/xrpc/com.atproto.server.createAccount", None, &body).into()
                })
                .collect();
            let count = Until::Count(requests.len() as u64);
            let make = move |_, number: u64| Rc::clone(&requests[number as usize]);
            let measured = load::run(&own.target, 4, count, Body::Count, make).await;
            if let Some(why) = measured.failure() {
                return self.report.fail(&own.target.name, "memory", "createAccount", &why);
            }
            made = accounts;
            self.own("memory", format!("at {accounts} accounts"), own.running.process().memory_mib(), "MiB");
        }
        own.stop();
        let each = disk_bytes(&own.data_dir()).saturating_sub(bare) as f64 / made as f64 / 1024.0;
        self.own("memory", format!("disk for each of {made} accounts"), each, "KiB");
    }

    pub(super) async fn idle(&mut self) {
        let own = Own::start(self.options.dir.as_deref());
        let process = own.running.process();
        let before = process.memory_mib();
        let mut held = Vec::new();
        for _ in 0..IDLE {
            held.push(own.target.connect().await);
        }
        let path = "/xrpc/com.atproto.server.describeServer";
        // Every connection has asked something once, as those of real clients have.
        for connection in &mut held {
            let answer = connection.call(&http::get(&own.target.host, path, None), Body::Count).await;
            if let Err(cause) = answer {
                return self.report.fail(&own.target.name, "idle", "5,000 connections", &cause.to_string());
            }
        }
        self.own("idle", format!("memory for {IDLE} idle connections"), process.memory_mib() - before, "MiB");
        let request: Rc<[u8]> = http::get(&own.target.host, path, None).into();
        let measured = load::run(&own.target, 1, Until::Count(500), Body::Count, move |_, _| request.clone()).await;
        self.latency(&own.target, "idle", "another's request meanwhile", &measured);
    }

    /// More writers than an account's queue holds: each gets its answer or 503, soon, and memory stays bounded.
    pub(super) async fn overload(&mut self) {
        let own = Own::start(self.options.dir.as_deref());
        let process = own.running.process();
        let mut accounts = Vec::new();
        for _ in 0..WRITERS {
            accounts.push(Account::sign_up(&own.target, fresh_number() * 1_000).await);
        }
        let before = process.memory_mib();
        process.reset_peak();
        let copy = own.target.copy();
        let make = move |connection: usize, number| {
            let account = if connection.is_multiple_of(2) { 0 } else { connection % WRITERS };
            accounts[account].create_record(&copy, number)
        };
        let until = Until::Passed(Duration::from_secs(self.options.seconds));
        let measured = load::run(&own.target, CROWD, until, Body::Count, make).await;
        let refused: u64 =
            measured.errors.iter().filter(|(what, _)| what.starts_with("503")).map(|(_, times)| times).sum();
        let others: u64 = measured.errors.values().sum::<u64>() - refused;
        if others > 0 || measured.done == 0 {
            let why = measured.failure().unwrap_or_default();
            return self.report.fail(&own.target.name, "overload", "2,000 writers at once", &why);
        }
        let what = format!("{CROWD} writers at once");
        self.own("overload", format!("{what}: written"), measured.per_second(), "/s");
        self.own("overload", format!("{what}: refused with 503"), refused as f64, "");
        self.own("overload", format!("{what}: p99 of those written"), measured.latency_ms(0.99), "ms");
        self.own("overload", format!("{what}: memory on top"), (process.peak_memory_mib() - before).max(0.0), "MiB");
    }
}
