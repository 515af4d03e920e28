//! The event stream: how late frames come to many subscribers, and how fast the past is replayed.

use super::{Bench, fresh_number};
use crate::{
    account::Account,
    firehose::{Arrivals, Subscriber},
    http::Body,
    report::median,
    target::{Own, Target},
};
use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

/// Writes whose frames are timed.
const EVENTS: usize = 200;
/// One write every 20 ms: the stream, not the writing, is measured.
const PACE: Duration = Duration::from_millis(20);

impl Bench {
    pub(super) async fn firehose(&mut self, target: &Target) {
        let account = Account::sign_up(target, fresh_number() * 1_000).await;
        for subscribers in [1, 100, 1_000] {
            let what = format!("{subscribers} subscribers and one that stalls");
            let before = target.process.map(crate::process::Process::memory_mib);
            match self.lags(target, &account, subscribers).await {
                Ok(lags) => {
                    self.report.add(&target.name, "firehose", format!("{what}: lag, p50"), median(&lags), "ms");
                    let last = lags[(lags.len() - 1) * 99 / 100];
                    self.report.add(&target.name, "firehose", format!("{what}: lag, p99"), last, "ms");
                }
                Err(why) => self.report.fail(&target.name, "firehose", &what, &why),
            }
            if let (Some(before), Some(process)) = (before, target.process) {
                let more = (process.memory_mib() - before).max(0.0);
                self.report.add(&target.name, "firehose", format!("{what}: memory on top"), more, "MiB");
            }
        }
    }

    /// Milliseconds from sending a write to each subscriber's having its frame, sorted.
    async fn lags(&self, target: &Target, account: &Account, subscribers: usize) -> Result<Vec<f64>, String> {
        // Reads nothing, ever; the others must not notice.
        let _stalled = Subscriber::open(target, None).await.map_err(|cause| cause.to_string())?;
        let local = tokio::task::LocalSet::new();
        let arrivals: Arrivals = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..subscribers {
            let mut subscriber = Subscriber::open(target, None).await.map_err(|cause| cause.to_string())?;
            let arrivals = Rc::clone(&arrivals);
            local.spawn_local(async move {
                let patience = Duration::from_mins(1);
                let times = tokio::time::timeout(patience, subscriber.receive(EVENTS)).await;
                let times = times
                    .map_err(|_| "frames were lost".to_owned())
                    .and_then(|read| read.map_err(|cause| cause.to_string()));
                arrivals.borrow_mut().push(times);
            });
        }
        let (writer, copy) = (account.clone(), target.copy());
        let sent = local
            .run_until(async move {
                let mut connection = copy.connect().await;
                let mut sent = Vec::with_capacity(EVENTS);
                for number in 0..EVENTS {
                    let request = writer.create_record(&copy, number as u64);
                    sent.push(Instant::now());
                    let answer = connection.call(&request, Body::Count).await.map_err(|cause| cause.to_string())?;
                    if answer.status != 200 {
                        return Err(String::from_utf8_lossy(&answer.body).into_owned());
                    }
                    tokio::time::sleep(PACE).await;
                }
                Ok(sent)
            })
            .await?;
        local.await;
        let mut lags = Vec::with_capacity(subscribers * EVENTS);
        for times in arrivals.take() {
            lags.extend(times?.iter().zip(&sent).map(|(came, sent)| came.duration_since(*sent).as_secs_f64() * 1e3));
        }
        lags.sort_by(f64::total_cmp);
        Ok(lags)
    }

    /// One subscriber reads everything from the start.
    pub(super) async fn replay(&mut self) {
        const COMMITS: u64 = 20_000;
        let own = Own::start(self.options.dir.as_deref());
        let mut accounts = Vec::new();
        for _ in 0..32 {
            accounts.push(Account::sign_up(&own.target, fresh_number() * 1_000).await);
        }
        let copy = own.target.copy();
        let make = move |connection: usize, number| accounts[connection].create_record(&copy, number);
        let until = crate::load::Until::Count(COMMITS);
        let written = crate::load::run(&own.target, 32, until, Body::Count, make).await;
        if let Some(why) = written.failure() {
            return self.report.fail(&own.target.name, "replay", "20,000 commits", &why);
        }
        let mut rates = Vec::new();
        for _ in 0..5 {
            let started = Instant::now();
            let mut subscriber = Subscriber::open(&own.target, Some(0)).await.expect("the stream opens");
            subscriber.receive(COMMITS as usize).await.expect("the stream goes on");
            rates.push(COMMITS as f64 / started.elapsed().as_secs_f64());
        }
        self.own("replay", "events from cursor 0, one subscriber", median(&rates), "/s");
    }
}
