//! What a repository costs as it grows, in time and on disk.

use super::{Bench, fresh_number};
use crate::{
    account::Account,
    http::Body,
    load::{self, Until},
    target::Own,
};

/// Records that are written one at a time at each size.
const WRITES: u64 = 1_000;

impl Bench {
    pub(super) async fn growth(&mut self) {
        let mut own = Own::start(self.options.dir.as_deref());
        let account = Account::sign_up(&own.target, fresh_number() * 1_000).await;
        let mut size = 0;
        for (step, at) in [0, 1_000, 10_000, self.options.records].into_iter().enumerate() {
            account.fill(&own.target, size, at).await;
            size = size.max(at);
            let (writer, copy) = (account.clone(), own.target.copy());
            let base = (step as u64 + 1) * 10_000_000;
            let make = move |_, number| writer.create_record(&copy, base + number);
            let measured = load::run(&own.target, 1, Until::Count(WRITES), Body::Count, make).await;
            self.latency(&own.target, "growth", &format!("createRecord at {at} records"), &measured);
        }
        own.stop();
        let path = own.data_dir().join("housekey.sqlite");
        let records = (size + 4 * WRITES) as f64;
        let database = rusqlite::Connection::open(&path).unwrap();
        let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, f64>(0)).unwrap();
        let tables = "SELECT CAST(coalesce(sum(pgsize), 0) AS REAL) FROM dbstat WHERE";
        let log = number(&format!("{tables} name LIKE 'events%' OR name LIKE 'event_%'"));
        let rest = number(&format!("{tables} name NOT LIKE 'events%' AND name NOT LIKE 'event_%'"));
        self.own("growth", "blocks, index and record, for each record", rest / records, "bytes");
        self.own("growth", "event log, for each record", log / records, "bytes");
        if let Ok(frames) =
            database.query_row("SELECT CAST(sum(length(frame)) AS REAL) FROM events", [], |row| row.get::<_, f64>(0))
        {
            self.own("growth", "event log, as a multiple of its frames", log / frames, "×");
        }
    }
}
