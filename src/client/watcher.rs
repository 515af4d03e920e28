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

/// What happens to the connection with the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection<'a> {
    /// It stands, and everything was looked at: from here on every change is told.
    Follows,
    /// It is lost for this reason, and tried again after this pause.
    Lost(&'a str, Duration),
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

    /// Runs until the task is dropped. `tell` gets every change, `note` what happens to the connection.
    pub async fn run(&mut self, mut tell: impl AsyncFnMut(Event), note: impl Fn(Connection<'_>)) {
        let mut pause = STREAM_FIRST_PAUSE;
        loop {
            match self.follow(&mut tell, &note, &mut pause).await {
                Ok(()) => note(Connection::Lost("the directory closed the stream", pause)),
                Err(cause) => note(Connection::Lost(&cause.to_string(), pause)),
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(STREAM_LONGEST_PAUSE);
        }
    }

    /// One connection. Everything is looked at once after it stands, so that nothing is lost in between.
    async fn follow(
        &mut self,
        tell: &mut impl AsyncFnMut(Event),
        note: &impl Fn(Connection<'_>),
        pause: &mut Duration,
    ) -> Result<(), FetchError> {
        let options = self.sources.outbound();
        let mut messages = Messages::open(&self.stream, options, STREAM_MESSAGE_MAX_BYTES, STREAM_SILENCE).await?;
        for did in self.seen.keys().cloned().collect::<Vec<_>>() {
            self.look(&did, tell).await;
        }
        note(Connection::Follows);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::sources::{Gathered, History},
        crypto::{DelegateSigningKey, KeyType},
        delegation::testing::{World, delegate},
    };

    fn key(n: u64) -> DelegateSigningKey {
        delegate(KeyType::Ed25519, n)
    }

    fn judged(world: &World) -> Judged {
        let gathered = Gathered {
            did: world.did.clone(),
            id: world.id.clone(),
            history: History::Plc(world.log.clone()),
            statements: Some(world.statements.clone()),
            entries: Vec::new(),
            declaration: None,
            pds: None,
            handle: None,
            problems: Vec::new(),
        };
        Judged { gathered, assessment: world.assess() }
    }

    /// The kinds and keys that are told of what `act` does.
    fn told<T>(world: &mut World, act: impl FnOnce(&mut World) -> T) -> Vec<(Kind, String)> {
        let before = Seen::of(&judged(world));
        world.pass(Duration::from_hours(1));
        act(world);
        news(&before, &judged(world)).into_iter().map(|event| (event.kind, event.key.unwrap_or_default())).collect()
    }

    fn named(n: u64) -> String {
        key(n).public().to_string()
    }

    #[test]
    fn every_kind_of_change_is_told_with_its_key() {
        let mut world = World::new(1);
        assert_eq!(told(&mut world, |world| world.rename("alicia")), [], "nothing that concerns the id");
        assert_eq!(told(&mut world, |world| world.delegate(&key(1), None)), [(Kind::Named, named(1))]);
        let endorsed = told(&mut world, |world| world.delegate(&key(2), Some(&key(1))));
        assert_eq!(endorsed, [(Kind::Endorsed, named(2))]);
        assert_eq!(told(&mut world, |world| world.delegate(&key(3), None)), [(Kind::Reset, named(3))]);
        assert_eq!(told(&mut world, |world| world.end(&key(3))), [(Kind::Ended, String::new())]);
        let again = told(&mut world, |world| world.delegate(&key(3), None));
        assert_eq!(again, [(Kind::Named, named(3))], "the same key after an end");
        let several = told(&mut world, |world| {
            world.delegate(&key(4), Some(&key(3)));
            world.pass(Duration::from_hours(1));
            world.delegate(&key(5), None);
        });
        assert_eq!(several, [(Kind::Endorsed, named(4)), (Kind::Reset, named(5))], "in the order of the log");
    }

    #[test]
    fn what_is_undone_or_hidden_is_told() {
        let mut world = World::new(1);
        world.delegate(&key(1), None);
        world.pass(Duration::from_hours(1));
        let before = world.head();
        world.name(Some(&key(2).public()));
        let undone = told(&mut world, |world| world.recover(before, Some(&key(1).public())));
        assert_eq!(undone, [(Kind::Nullified, named(2))]);
        let cut = told(&mut world, |world| {
            world.log.truncate(1);
            world.statements.clear();
        });
        assert_eq!(
            cut,
            [(Kind::Vanished, String::new()), (Kind::Vanished, String::new())],
            "the change and what was undone"
        );
    }

    #[test]
    fn a_verdict_that_changes_while_the_log_does_not_is_told() {
        let mut world = World::new(1);
        world.delegate(&key(1), None);
        let statements = world.statements.clone();
        assert_eq!(told(&mut world, |world| world.statements.clear()), [(Kind::Verdict, named(1))]);
        assert_eq!(told(&mut world, |world| world.statements = statements), [(Kind::Verdict, named(1))]);
        assert_eq!(told(&mut world, |_| {}), []);
    }
}
