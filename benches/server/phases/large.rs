//! Exports and imports of large repositories, and what they do to others meanwhile.

use super::{Bench, fresh_number};
use crate::{
    account::Account,
    http::{self, Body},
    load::{self, Until},
    target::{Own, Target},
};
use serde_json::json;
use std::{
    rc::Rc,
    time::{Duration, Instant},
};

/// The least number of records that another account writes meanwhile.
const BESIDE: u64 = 300;

impl Bench {
    pub(super) async fn large(&mut self) {
        for records in [10_000, self.options.records] {
            let own = Own::start(self.options.dir.as_deref());
            let account = Account::sign_up(&own.target, fresh_number() * 1_000).await;
            account.fill(&own.target, 0, records).await;
            self.export(&own.target, &account, records).await;
            self.import(&own, &account, records).await;
            self.deletion(&own, &account, records).await;
        }
    }

    async fn export(&mut self, target: &Target, account: &Account, records: u64) {
        let process = target.process.unwrap();
        let before = process.memory_mib();
        process.reset_peak();
        let path = format!("/xrpc/com.atproto.sync.getRepo?did={}", account.did);
        let request: Rc<[u8]> = http::get(&target.host, &path, None).into();
        let again = Rc::clone(&request);
        let measured = load::run(target, 1, Until::Count(9), Body::Count, move |_, _| request.clone()).await;
        let what = format!("getRepo of {records} records");
        self.latency(target, "large", &what, &measured);
        let more = (process.peak_memory_mib() - before).max(0.0);
        self.own("large", format!("{what}, memory on top"), more, "MiB");
        let bystander = Account::sign_up(target, fresh_number() * 1_000).await;
        let work = load::run(target, 1, Until::Count(9), Body::Count, move |_, _| again.clone());
        let (_, others) = self.beside(target, &bystander, work).await;
        self.latency(target, "large", &format!("{what}, another's createRecord meanwhile"), &others);
    }

    /// Moves the account to another server, as far as its records go, while a third account writes there.
    async fn import(&mut self, own: &Own, account: &Account, records: u64) {
        let car = own.target.bytes(&format!("/xrpc/com.atproto.sync.getRepo?did={}", account.did)).await.unwrap();
        let sibling = own.sibling(self.options.dir.as_deref());
        let there = &sibling.target;
        let moved = match self.arrive(&own.target, there, account).await {
            Ok(moved) => moved,
            Err(why) => return self.report.fail(&there.name, "large", "importRepo", &why),
        };
        let bystander = Account::sign_up(there, fresh_number() * 1_000).await;
        let process = there.process.unwrap();
        let before = process.memory_mib();
        process.reset_peak();
        let path = "/xrpc/com.atproto.repo.importRepo";
        let request = http::request("POST", &there.host, path, Some(&moved), Some(("application/vnd.ipld.car", &car)));
        let work = async {
            let mut connection = there.connect().await;
            let started = Instant::now();
            let answer = connection.call(&request, Body::Keep).await.expect("the server answers");
            (answer, started.elapsed())
        };
        let ((answer, took), others) = self.beside(there, &bystander, work).await;
        let what = format!("importRepo of {records} records");
        if answer.status >= 300 {
            return self.report.fail(&there.name, "large", &what, &String::from_utf8_lossy(&answer.body));
        }
        self.own("large", what.clone(), took.as_secs_f64() * 1e3, "ms");
        self.own("large", format!("{what}, memory on top"), (process.peak_memory_mib() - before).max(0.0), "MiB");
        self.latency(there, "large", &format!("{what}, another's createRecord meanwhile"), &others);
    }

    /// A deactivated account for an existing DID; its token.
    async fn arrive(&self, here: &Target, there: &Target, account: &Account) -> Result<String, String> {
        let server = there.get("/xrpc/com.atproto.server.describeServer", None).await?;
        let aud = server["did"].as_str().unwrap();
        let query = format!("aud={aud}&lxm=com.atproto.server.createAccount");
        let auth = here.get(&format!("/xrpc/com.atproto.server.getServiceAuth?{query}"), Some(&account.token)).await?;
        let body = json!({
            "did": account.did, "handle": account.handle, "email": "moved@example.com", "password": "correct horse battery",
        });
        let token = auth["token"].as_str().unwrap();
        let made = there.post("com.atproto.server.createAccount", Some(token), &body).await?;
        Ok(made["accessJwt"].as_str().unwrap().to_owned())
    }

    /// Deletes the account while another one writes.
    async fn deletion(&mut self, own: &Own, account: &Account, records: u64) {
        let target = &own.target;
        let bystander = Account::sign_up(target, fresh_number() * 1_000).await;
        let body = json!({"did": account.did});
        let credentials = data_encoding::BASE64.encode(format!("admin:{}", crate::target::ADMIN_PASSWORD).as_bytes());
        let text = body.to_string();
        let request = format!(
            "POST /xrpc/com.atproto.admin.deleteAccount HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {credentials}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            target.host,
            text.len()
        );
        let work = async {
            let mut connection = target.connect().await;
            let started = Instant::now();
            let answer = connection.call(request.as_bytes(), Body::Keep).await.expect("the server answers");
            (answer, started.elapsed())
        };
        let ((answer, took), others) = self.beside(target, &bystander, work).await;
        let what = format!("deleteAccount with {records} records");
        if answer.status >= 300 {
            return self.report.fail(&target.name, "large", &what, &String::from_utf8_lossy(&answer.body));
        }
        self.own("large", what.clone(), took.as_secs_f64() * 1e3, "ms");
        self.latency(target, "large", &format!("{what}, another's createRecord meanwhile"), &others);
    }

    /// Writes as `bystander`, one record at a time, until `work` is done.
    async fn beside<T>(
        &self,
        target: &Target,
        bystander: &Account,
        work: impl Future<Output = T>,
    ) -> (T, load::Measured) {
        let stop = Rc::new(std::cell::Cell::new(false));
        let done = async {
            let outcome = work.await;
            stop.set(true);
            outcome
        };
        let (writer, copy, seen) = (bystander.clone(), target.copy(), Rc::clone(&stop));
        let writes = async {
            let mut all = load::Measured::default();
            let mut number = 0;
            // So many at least: a deletion is answered at once, and its rows go in slices after that.
            while !seen.get() || number < BESIDE {
                let (from, copy) = (writer.clone(), copy.copy());
                let base = number;
                let make = move |_, next| from.create_record(&copy, base + next);
                all.merge(load::run(target, 1, Until::Count(10), Body::Count, make).await);
                number += 10;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            all
        };
        tokio::join!(done, writes)
    }
}
