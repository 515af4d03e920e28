//! The one thread that writes: takes jobs from a bounded queue and commits all that wait in one transaction.
//!
//! Each job runs in a savepoint of its own, so that one that fails leaves nothing behind and its neighbours alone. Answers
//! go out, and events become visible, only after the commit, which with `synchronous=FULL` means after the flush.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Instant,
};

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    AccountId, StoreError, StoredEvent,
    checkpoint::Checkpointer,
    hidden::Hiding,
    shared::Shared,
    sql::{self, failed},
};
use crate::{
    clock::Timestamp,
    event::UnnumberedFrame,
    limits::store::{GROUP_MAX, WRITE_QUEUE},
    meters::Writes,
    repo::Head,
    syntax::Nsid,
};

/// What a job may do: write, number events, and say what becomes known after the commit.
#[derive(Debug)]
pub(super) struct Work<'a> {
    /// The write connection, inside the transaction and the job's savepoint.
    pub(super) conn: &'a Connection,
    /// What all threads share; jobs read it.
    pub(super) shared: &'a Shared,
    effects: &'a mut Effects,
}

/// What becomes known after the commit.
#[derive(Debug, Default)]
struct Effects {
    next_seq: i64,
    events: Vec<StoredEvent>,
    heads: Vec<(AccountId, Option<Head>)>,
    collections: Vec<(Nsid, i64)>,
    directory: Option<i64>,
    hidden: Vec<Hiding>,
}

impl Work<'_> {
    /// Numbers and stores events; returns the number of the last one in the log.
    pub(super) fn announce(&mut self, events: &[(UnnumberedFrame, Timestamp)]) -> Result<i64, StoreError> {
        for (frame, time) in events {
            let seq = self.effects.next_seq;
            let frame: Bytes = frame.number(seq);
            sql::execute(
                self.conn,
                "INSERT INTO events (seq, time, frame) VALUES (?1, ?2, ?3)",
                (seq, time.as_micros(), &frame[..]),
            )?;
            self.effects.events.push(StoredEvent { seq, frame });
            self.effects.next_seq += 1;
        }
        Ok(self.effects.next_seq - 1)
    }

    /// The next event gets `seq`, unless that would be going back.
    pub(super) fn skip_to(&mut self, seq: i64) {
        self.effects.next_seq = self.effects.next_seq.max(seq);
    }

    /// Notes whose events are passed on after the commit, and whose are not.
    pub(super) fn hide(&mut self, change: Hiding) {
        self.effects.hidden.push(change);
    }

    /// Notes where a repository stands after the commit.
    pub(super) fn set_head(&mut self, account: AccountId, head: Option<Head>) {
        self.effects.heads.push((account, head));
    }

    /// Notes the directory's latest number.
    pub(super) fn set_directory_latest(&mut self, seq: i64) {
        self.effects.directory = Some(seq);
    }

    /// The number of a collection, given one if it has none.
    pub(super) fn collection_id(&mut self, nsid: &Nsid) -> Result<i64, StoreError> {
        if let Some(id) = self.shared.collections.get(nsid) {
            return Ok(id);
        }
        sql::execute(self.conn, "INSERT INTO collections (nsid) VALUES (?1) ON CONFLICT DO NOTHING", [nsid.as_str()])?;
        let id =
            sql::one(self.conn, "SELECT id FROM collections WHERE nsid = ?1", [nsid.as_str()], |row| sql::col(row, 0))?
                .ok_or_else(|| StoreError::Damaged("a collection vanished".to_owned()))?;
        self.effects.collections.push((nsid.clone(), id));
        Ok(id)
    }
}

/// Runs after the transaction ended: well (`None`), or not.
type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;
/// A job: gets its savepoint, or the reason why there is none; says whether what it did is to stay, and how to answer.
type Job = Box<dyn FnOnce(Result<&mut Work<'_>, StoreError>) -> (bool, Answer) + Send>;

enum Message {
    Job(Job),
    /// Wakes the writer so that it looks after retired rows.
    Sweep,
    Close,
}

/// The sending end of the queue, and the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: SyncSender<Message>,
    meters: Writes,
}

impl Writer {
    /// Starts the thread. `last_seq` is the greatest number that was ever given.
    pub(super) fn start(
        conn: Connection,
        shared: Arc<Shared>,
        checkpointer: Checkpointer,
        last_seq: i64,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, jobs) = sync_channel(WRITE_QUEUE);
        let meters = shared.writes.clone();
        let accounts_changed = watch_accounts(&conn).map_err(std::io::Error::other)?;
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            Loop { conn, shared, jobs, checkpointer, next_seq: last_seq + 1, accounts_changed }.run();
        })?;
        Ok((Self { queue, meters }, thread))
    }

    /// Runs `job` in the writer's next transaction and answers when it is durable. A dropped future changes nothing: the
    /// job runs whole or was never queued.
    pub(super) async fn run<T, E>(
        &self,
        job: impl FnOnce(&mut Work<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (done, answered) = oneshot::channel();
        let job: Job = Box::new(move |work| {
            let result = work.map_err(E::from).and_then(job);
            let keep = result.is_ok();
            let answer: Answer = Box::new(move |failure| {
                let result = match failure {
                    Some(cause) => result.and_then(|_| Err(cause.clone().into())),
                    None => result,
                };
                // Nobody listens when the caller went away; the write stands all the same.
                drop(done.send(result));
            });
            (keep, answer)
        });
        self.meters.queue.inc();
        self.queue.try_send(Message::Job(job)).map_err(|refused| {
            self.meters.queue.dec();
            match refused {
                TrySendError::Full(_) => {
                    self.meters.refused.inc();
                    StoreError::Busy
                }
                TrySendError::Disconnected(_) => StoreError::Closed,
            }
        })?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Asks for a look at retired rows; without effect when the queue is full, since the next write looks too.
    pub(super) fn sweep(&self) {
        drop(self.queue.try_send(Message::Sweep));
    }

    /// Lets queued jobs finish and ends the thread. A full queue ends it as well, once the last sender is dropped.
    pub(super) fn close(&self) {
        drop(self.queue.send(Message::Close));
    }
}

/// Set by every change of an account's row, whoever makes it.
fn watch_accounts(conn: &Connection) -> rusqlite::Result<Arc<AtomicBool>> {
    let changed = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&changed);
    conn.update_hook(Some(move |_, _: &str, table: &str, _| {
        if table == "accounts" {
            noted.store(true, Ordering::Relaxed);
        }
    }))?;
    Ok(changed)
}

struct Loop {
    conn: Connection,
    shared: Arc<Shared>,
    jobs: Receiver<Message>,
    checkpointer: Checkpointer,
    next_seq: i64,
    accounts_changed: Arc<AtomicBool>,
}

impl Loop {
    fn run(mut self) {
        let mut open = true;
        while open {
            let mut waiting = Vec::new();
            open = self.wait(&mut waiting);
            while !waiting.is_empty() {
                waiting = self.group(waiting);
            }
            self.checkpointer.group_written(&self.conn);
        }
        self.checkpointer.finish(&self.conn);
    }

    /// Takes what waits, at least one message unless retired rows are left to sweep; false when it is time to end.
    fn wait(&self, waiting: &mut Vec<Job>) -> bool {
        loop {
            let next = if waiting.is_empty() {
                match self.jobs.try_recv() {
                    Err(TryRecvError::Empty) => {
                        let shared = &self.shared;
                        if shared.exports.sweep_slice(&self.conn)
                            || shared.loose.sweep_slice(&self.conn, &shared.exports)
                        {
                            continue;
                        }
                        self.jobs.recv().map_err(|_| TryRecvError::Disconnected)
                    }
                    other => other,
                }
            } else {
                self.jobs.try_recv()
            };
            match next {
                Ok(Message::Job(job)) => {
                    self.shared.writes.queue.dec();
                    waiting.push(job);
                }
                Ok(Message::Sweep) => {}
                Ok(Message::Close) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
            if waiting.len() >= GROUP_MAX {
                return true;
            }
        }
    }

    /// One transaction. Returns the jobs that did not run because `SQLite` gave the transaction up before their turn.
    fn group(&mut self, waiting: Vec<Job>) -> Vec<Job> {
        if let Err(cause) = self.conn.execute_batch("BEGIN IMMEDIATE").map_err(failed) {
            for job in waiting {
                let (_, answer) = job(Err(cause.clone()));
                answer(None);
            }
            return Vec::new();
        }
        let mut effects = Effects { next_seq: self.next_seq, ..Effects::default() };
        let mut answers = Vec::with_capacity(waiting.len());
        let mut waiting = waiting.into_iter();
        let mut gave_up = false;
        for job in waiting.by_ref() {
            answers.push(self.run_job(job, &mut effects));
            // A full disk or an I/O error makes SQLite roll back everything at once.
            gave_up = self.conn.is_autocommit();
            if gave_up {
                break;
            }
        }
        self.shared.writes.group.observe(f64::from(u32::try_from(answers.len()).unwrap_or(u32::MAX)));
        let outcome = if gave_up { Err(StoreError::DiskFull) } else { self.commit(&effects) };
        match &outcome {
            Ok(()) => self.publish(effects),
            Err(_) if !self.conn.is_autocommit() => drop(self.conn.execute_batch("ROLLBACK")),
            Err(_) => {}
        }
        for answer in answers {
            answer(outcome.as_ref().err());
        }
        waiting.collect()
    }

    fn run_job(&self, job: Job, effects: &mut Effects) -> Answer {
        let mark = (effects.next_seq, effects.events.len(), effects.heads.len(), effects.collections.len());
        let (directory, hidden) = (effects.directory, effects.hidden.len());
        if let Err(cause) = sql::execute(&self.conn, "SAVEPOINT job", []) {
            return job(Err(cause)).1;
        }
        let (keep, answer) = job(Ok(&mut Work { conn: &self.conn, shared: &self.shared, effects }));
        if !keep {
            effects.next_seq = mark.0;
            effects.events.truncate(mark.1);
            effects.heads.truncate(mark.2);
            effects.collections.truncate(mark.3);
            effects.directory = directory;
            effects.hidden.truncate(hidden);
            drop(sql::execute(&self.conn, "ROLLBACK TO job", []));
        }
        drop(sql::execute(&self.conn, "RELEASE job", []));
        answer
    }

    fn commit(&self, effects: &Effects) -> Result<(), StoreError> {
        if effects.next_seq != self.next_seq {
            let last = effects.next_seq - 1;
            sql::execute(&self.conn, "UPDATE counters SET value = ?1 WHERE name = 'seq'", [last])?;
        }
        // For the operator's numbers alone: nothing is decided by it.
        let begun = Instant::now();
        let committed = sql::execute(&self.conn, "COMMIT", []).map(drop);
        self.shared.writes.commit.observe(begun.elapsed().as_secs_f64());
        committed
    }

    fn publish(&mut self, effects: Effects) {
        self.next_seq = effects.next_seq;
        if self.accounts_changed.swap(false, Ordering::Relaxed) {
            self.shared.handles.forget();
        }
        // Before the events that announce it.
        for change in effects.hidden {
            self.shared.hidden.apply(change);
        }
        for (account, head) in effects.heads {
            self.shared.heads.set(account, head);
        }
        for (nsid, id) in effects.collections {
            self.shared.collections.add(nsid, id);
        }
        if !effects.events.is_empty() {
            self.shared.ring.push(effects.events);
            self.shared.latest.send_replace(self.next_seq - 1);
        }
        if let Some(seq) = effects.directory {
            self.shared.directory.send_replace(seq);
        }
    }
}
