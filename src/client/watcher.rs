//! Follows the PLC directory's export stream and tells what changes under the watched ids.
//!
//! The stream only says when to look: what is told comes from the verified log, compared with what was seen last. So
//! nothing is missed when the stream breaks, and a stream that lies tells nothing.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use url::Url;

use super::sources::{Judged, Sources};
use crate::{
    clock::Timestamp,
    delegation::{DelegationId, Status, history::resets},
    ipld::Cid,
    limits::client::{
        SETTLE_PAUSE, SETTLE_TRIES, STREAM_FIRST_PAUSE, STREAM_LONGEST_PAUSE, STREAM_MESSAGE_MAX_BYTES, STREAM_SILENCE,
    },
    outbound::{FetchError, Messages},
    syntax::Did,
};

/// What happened to a watched id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A first key, or the same one after an end.
    Named,
    /// Another key, endorsed by the one before.
    Endorsed,
    /// Another key that nobody endorsed.
    Reset,
    /// No key any more.
    Ended,
    /// An operation that had changed the id was undone.
    Nullified,
    /// What was seen before is not in the log.
    Vanished,
    /// The verdict is another one, though the log is the same.
    Verdict,
}

/// One change, in the form in which it is printed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The account.
    pub did: Did,
    /// The delegation id.
    pub id: DelegationId,
    /// What happened.
    pub kind: Kind,
    /// The key that is named from then on; of what was undone, the key that it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The PLC operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Cid>,
    /// When PLC took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What the delegation is worth now.
    pub status: Status,
}

/// What was seen of one id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: Status,
    /// The operations that changed it and stand.
    changes: Vec<Cid>,
    nullified: Vec<Cid>,
}

/// Watches one delegation id of some accounts.
pub struct Watcher {
    sources: Sources,
    stream: Url,
    id: DelegationId,
    seen: BTreeMap<Did, Option<Seen>>,
}

/// A message of the stream, as far as it matters.
#[derive(Deserialize)]
struct Line {
    did: String,
}

impl Watcher {
    /// A watcher of accounts with a did:plc.
    pub fn new(sources: Sources, plc: &Url, dids: impl IntoIterator<Item = Did>, id: DelegationId) -> Self {
        let mut stream = plc.clone();
        stream.set_path(&format!("{}/export/stream", plc.path().trim_end_matches('/')));
        let seen = dids.into_iter().map(|did| (did, None)).collect();
        Self { sources, stream, id, seen }
    }

    /// Runs until the task is dropped. `tell` gets every change; `trouble` gets sentences about the connection, and how
    /// long it will be until the next attempt.
    pub async fn run(&mut self, mut tell: impl AsyncFnMut(Event), trouble: impl Fn(&str, Duration)) {
        let mut pause = STREAM_FIRST_PAUSE;
        loop {
            match self.follow(&mut tell, &mut pause).await {
                Ok(()) => trouble("the directory closed the stream", pause),
                Err(cause) => trouble(&cause.to_string(), pause),
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(STREAM_LONGEST_PAUSE);
        }
    }

    /// One connection. Everything is looked at once after it stands, so that nothing is lost in between.
    async fn follow(&mut self, tell: &mut impl AsyncFnMut(Event), pause: &mut Duration) -> Result<(), FetchError> {
        let options = self.sources.outbound();
        let mut messages = Messages::open(&self.stream, options, STREAM_MESSAGE_MAX_BYTES, STREAM_SILENCE).await?;
        for did in self.seen.keys().cloned().collect::<Vec<_>>() {
            self.look(&did, tell).await;
        }
        while let Some(text) = messages.next().await? {
            *pause = STREAM_FIRST_PAUSE;
            let Ok(line) = serde_json::from_str::<Line>(&text) else { continue };
            if let Some(did) = line.did.parse().ok().filter(|did| self.seen.contains_key(did)) {
                self.look(&did, tell).await;
            }
        }
        Ok(())
    }

    /// Reads one account and tells what is new. A statement follows its operation, so that a key that nothing bears out
    /// yet is read again.
    async fn look(&mut self, did: &Did, tell: &mut impl AsyncFnMut(Event)) {
        let mut judged = self.sources.judge(did, &self.id, None).await;
        for _ in 0..SETTLE_TRIES {
            let before = self.seen.get(did).and_then(Option::as_ref);
            let settled = match judged.assessment.verdict.status {
                Status::Unproven | Status::Unavailable | Status::Mismatch => {
                    before.is_none() || before == Some(&Seen::of(&judged))
                }
                Status::None | Status::Verified | Status::Ended => true,
            };
            if settled {
                break;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
            judged = self.sources.judge(did, &self.id, None).await;
        }
        let Some(before) = self.seen.get_mut(did) else { return };
        let now = Seen::of(&judged);
        let events = before.as_ref().map_or_else(Vec::new, |before| news(before, &judged));
        // A log that could not be read says nothing about what it held.
        if judged.assessment.head.is_some() {
            *before = Some(now);
        } else if let Some(before) = before {
            before.status = now.status;
        }
        for event in events {
            tell(event).await;
        }
    }
}

impl Seen {
    fn of(judged: &Judged) -> Self {
        let assessment = &judged.assessment;
        Self {
            status: assessment.verdict.status,
            changes: assessment.eras.iter().filter_map(|era| era.operation).collect(),
            nullified: assessment.verdict.nullified.iter().map(|nullified| nullified.operation).collect(),
        }
    }
}

/// What differs from what was seen, in the order of the log.
fn news(before: &Seen, judged: &Judged) -> Vec<Event> {
    let (did, id) = (&judged.gathered.did, &judged.gathered.id);
    let assessment = &judged.assessment;
    let status = assessment.verdict.status;
    let event = |kind, key: Option<String>, operation, at| Event {
        did: did.clone(),
        id: id.clone(),
        kind,
        key,
        operation,
        at,
        status,
    };
    let mut events = Vec::new();
    let resets: Vec<usize> = resets(&assessment.eras).iter().map(|reset| reset.era).collect();
    for nullified in assessment.verdict.nullified.iter().filter(|new| !before.nullified.contains(&new.operation)) {
        let at = Some(nullified.at.clone());
        events.push(event(Kind::Nullified, nullified.key.clone(), Some(nullified.operation), at));
    }
    for (index, era) in assessment.eras.iter().enumerate() {
        if era.operation.is_some_and(|operation| before.changes.contains(&operation)) {
            continue;
        }
        let kind = match &era.key {
            None => Kind::Ended,
            Some(_) if resets.contains(&index) => Kind::Reset,
            Some(_) if era.is_endorsed() => Kind::Endorsed,
            Some(_) => Kind::Named,
        };
        let key = era.key.as_ref().map(|key| key.as_str().to_owned());
        events.push(event(kind, key, era.operation, era.at.map(Timestamp::to_rfc3339_millis)));
    }
    let now = Seen::of(judged);
    let is_gone = |cid: &&Cid| !now.changes.contains(cid) && !now.nullified.contains(cid);
    for vanished in before.changes.iter().chain(&before.nullified).filter(is_gone) {
        // What could not be read has not vanished; the status tells.
        if assessment.head.is_some() {
            events.push(event(Kind::Vanished, None, Some(*vanished), None));
        }
    }
    if events.is_empty() && before.status != status {
        let key = assessment.key().map(|key| key.as_str().to_owned());
        events.push(event(Kind::Verdict, key, None, None));
    }
    events
}
