//! The verdict: what a peer concludes about a delegation from public material alone.
//!
//! A pure function over a log (or a did:web document), statements, what was remembered, and the time. Fetching is the
//! caller's: the log from a directory or mirror that the account's server does not run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    AppData, DelegationId, NamedKey, Pin, Statement,
    anchor::{IdLog, Nullified, Position, VerifiedLog},
    app_data::Associated,
    history::{Era, compare, is_complete, predecessor, resets},
    proof::{Fault, Ignored, Proven, prove},
    web::{Chain, WebDocument},
};
use crate::{
    clock::Timestamp,
    ipld::Cid,
    limits::plc::RECOVERY_WINDOW,
    plc::{Entry, LogError},
    syntax::Did,
};

/// What a delegation is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The id never named a key.
    None,
    /// It names a key, and the key says so.
    Verified,
    /// It names a key that no statement bears out.
    Unproven,
    /// Something is being hidden, or a server could use the key.
    Mismatch,
    /// It named a key once and names none now.
    Ended,
    /// Something could not be fetched.
    Unavailable,
}

/// What the history was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// A PLC log.
    Plc,
    /// None: did:web, or it could not be had.
    None,
}

/// How the history goes on from what was remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VsPin {
    /// Nothing was remembered.
    None,
    /// The same key, all along.
    Same,
    /// The same key, but it was ended or another one stood in between.
    Interrupted,
    /// Another key; every change since is endorsed.
    Successor,
    /// Another key; some change since is not endorsed.
    Reset,
    /// What was remembered is no longer in the history, or was undone.
    Rollback,
}

/// Whether `com.germnetwork.declaration` carries the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Declaration {
    /// The same.
    Match,
    /// Another.
    Differs,
    /// There is none.
    Absent,
}

/// A reset as a verdict shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerdictReset {
    /// The key that came.
    pub key: String,
    /// The key before it.
    pub previous: String,
    /// The PLC operation; absent for did:web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Cid>,
    /// When PLC took it; absent for did:web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// A nullified operation as a verdict shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerdictNullified {
    /// The key that it named; absent when it removed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The operation.
    pub operation: Cid,
    /// When PLC took it.
    pub at: String,
}

/// The verdict, in its exact JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What the delegation is worth.
    pub status: Status,
    /// What the history was taken from.
    pub log: LogKind,
    /// Whether every key of the history has a statement.
    pub complete: bool,
    /// Key changes that the key before did not endorse.
    pub resets: Vec<VerdictReset>,
    /// Nullified operations that touched the id.
    pub nullified: Vec<VerdictNullified>,
    /// Whether the key is so young that a stronger rotation key may still undo it.
    pub recent: bool,
    /// How the history goes on from what was remembered.
    pub vs_pin: VsPin,
    /// Whether a declaration for another messenger carries the same key.
    pub declaration: Declaration,
}

/// Where the history comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The audit log of a did:plc, as fetched: it is verified here.
    Plc(&'a [Entry]),
    /// The document of a did:web.
    Web(WebDocument<'a>),
    /// It could not be fetched.
    Unavailable,
}

/// What was fetched, and what was remembered.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The account; a handle is resolved once, then the DID counts.
    pub did: &'a Did,
    /// The delegation id.
    pub id: &'a DelegationId,
    /// The log or document.
    pub source: Source<'a>,
    /// The statements; none when they could not be fetched.
    pub statements: Option<&'a [Statement]>,
    /// The entries of associated data.
    pub entries: &'a [AppData],
    /// What was remembered.
    pub pin: Option<&'a Pin>,
    /// The key of `com.germnetwork.declaration`: one byte for the algorithm, then the key.
    pub declaration: Option<&'a [u8]>,
    /// The time now.
    pub now: Timestamp,
}

/// The verdict and what it rests on.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// The verdict.
    pub verdict: Verdict,
    /// The history, oldest first.
    pub eras: Vec<Era>,
    /// Statements that do not count.
    pub ignored: Vec<Ignored>,
    /// Why the log is not one, where it did not verify.
    pub log_error: Option<LogError>,
    /// The head of the log.
    pub head: Option<Cid>,
    /// Associated data under the current key; empty unless the delegation is verified.
    pub associated: Associated,
}

impl Assessment {
    /// The key that the delegation names now.
    pub fn key(&self) -> Option<&NamedKey> {
        self.eras.last()?.key.as_ref()
    }

    /// The statement to show for the present state.
    pub fn statement(&self) -> Option<Cid> {
        self.eras.last()?.best_proof().map(|proof| proof.statement)
    }

    /// Whether a statement speaks of more than the log shows. The statements may simply have been fetched later: read
    /// the log once more before the verdict is shown.
    pub fn wants_newer_log(&self) -> bool {
        self.ignored
            .iter()
            .any(|ignored| matches!(ignored.fault, Fault::HiddenLog | Fault::PrevAbsent | Fault::Nowhere))
    }

    /// What to remember, where there is something that may be: a verified or ended delegation.
    pub fn to_pin(&self, did: &Did, id: &DelegationId) -> Option<Pin> {
        if !matches!(self.verdict.status, Status::Verified | Status::Ended) {
            return None;
        }
        let era = predecessor(&self.eras, self.eras.len())?;
        Some(Pin {
            did: did.clone(),
            id: id.clone(),
            key: era.key.clone()?,
            statement: self.statement(),
            head: self.head,
            revs: self.associated.apps.iter().map(|(app, entry)| (app.clone(), entry.rev())).collect(),
        })
    }
}

/// Judges a delegation.
pub fn assess(evidence: &Evidence<'_>) -> Assessment {
    let pin = evidence.pin.filter(|pin| pin.did == *evidence.did && pin.id == *evidence.id);
    match evidence.source {
        Source::Plc(entries) if evidence.did.is_plc() => match VerifiedLog::new(evidence.did, entries) {
            Ok(log) => assess_plc(evidence, pin, &log),
            Err(LogError::Empty) => unknown(evidence, Status::Unavailable, Some(LogError::Empty)),
            Err(cause) => unknown(evidence, Status::Mismatch, Some(cause)),
        },
        Source::Web(document) if evidence.did.is_web() => assess_web(evidence, pin, document),
        Source::Plc(_) | Source::Web(_) | Source::Unavailable => unknown(evidence, Status::Unavailable, None),
    }
}

/// Nothing is known of the history.
fn unknown(evidence: &Evidence<'_>, status: Status, log_error: Option<LogError>) -> Assessment {
    let verdict = Verdict {
        status,
        log: LogKind::None,
        complete: false,
        resets: Vec::new(),
        nullified: Vec::new(),
        recent: false,
        vs_pin: VsPin::None,
        declaration: declaration(evidence.declaration, None),
    };
    let associated = Associated::default();
    Assessment { verdict, eras: Vec::new(), ignored: Vec::new(), log_error, head: None, associated }
}

fn assess_plc(evidence: &Evidence<'_>, pin: Option<&Pin>, verified: &VerifiedLog<'_>) -> Assessment {
    let log = IdLog::read(verified, evidence.id);
    let pinned = pin.map(|pin| &pin.key);
    let proven = prove(evidence.did, evidence.id, &log, evidence.statements.unwrap_or_default(), pinned);
    let vs_pin = pin.map_or(VsPin::None, |pin| {
        let position = pin.head.map_or(Position::After(None), |head| log.position(&head));
        compare(&proven.eras, &pin.key, position)
    });
    // A log only grows, and what was verified once was named in it.
    let cut = pin.is_some_and(|pin| pin.head.is_some_and(|head| !log.contains(&head)) || !log.ever_named(&pin.key));
    let hidden = cut || proven.ignored.iter().any(|ignored| ignored.fault == Fault::HiddenLog);
    let recent = proven.eras.last().is_some_and(|era| {
        let age = era.at.map(|at| evidence.now.since(at));
        era.key.is_some() && age.is_some_and(|age| age <= RECOVERY_WINDOW)
    });
    let nullified = log.nullified().iter().map(show_nullified).collect();
    let verdict = Verdict {
        status: status(&proven.eras, hidden, evidence.statements.is_some()),
        log: LogKind::Plc,
        complete: is_complete(&proven.eras),
        resets: show_resets(&proven.eras),
        nullified,
        recent,
        vs_pin,
        declaration: declaration(evidence.declaration, current(&proven.eras)),
    };
    finish(evidence, pin, verdict, proven, Some(verified.head()))
}

fn assess_web(evidence: &Evidence<'_>, pin: Option<&Pin>, document: WebDocument<'_>) -> Assessment {
    let chain = Chain::read(evidence.did, evidence.id, evidence.statements.unwrap_or_default());
    let (proven, place) = chain.prove(document);
    let vs_pin = pin.map_or(VsPin::None, |pin| {
        let vs_pin = compare(&proven.eras, &pin.key, place.position(pin.statement.as_ref()));
        // A host may leave out what it likes, so that what is not there says no more than that nobody endorsed.
        let unseen = vs_pin == VsPin::Rollback && !pin.statement.is_some_and(|cid| place.is_rolled_back(&cid));
        if unseen { VsPin::Reset } else { vs_pin }
    });
    let ended_unseen = evidence.statements.is_none() && proven.eras.is_empty();
    let verdict = Verdict {
        status: if ended_unseen {
            Status::Unavailable
        } else {
            status(&proven.eras, false, evidence.statements.is_some())
        },
        log: LogKind::None,
        complete: place.whole && is_complete(&proven.eras),
        resets: show_resets(&proven.eras),
        nullified: Vec::new(),
        recent: false,
        vs_pin,
        declaration: declaration(evidence.declaration, current(&proven.eras)),
    };
    finish(evidence, pin, verdict, proven, None)
}

fn finish(
    evidence: &Evidence<'_>,
    pin: Option<&Pin>,
    verdict: Verdict,
    Proven { eras, ignored }: Proven,
    head: Option<Cid>,
) -> Assessment {
    let key = current(&eras).filter(|_| verdict.status == Status::Verified);
    let associated = key.and_then(|key| key.supported().ok()).map_or_else(Associated::default, |key| {
        let nothing = BTreeMap::new();
        let seen = pin.filter(|pin| pin.key.supported() == Ok(key)).map_or(&nothing, |pin| &pin.revs);
        Associated::read(evidence.entries, (evidence.did, evidence.id), key, seen, evidence.now)
    });
    Assessment { verdict, eras, ignored, log_error: None, head, associated }
}

fn current(eras: &[Era]) -> Option<&NamedKey> {
    eras.last()?.key.as_ref()
}

fn status(eras: &[Era], hidden: bool, fetched: bool) -> Status {
    let last = eras.last();
    if hidden || last.is_some_and(|era| era.server_held) {
        return Status::Mismatch;
    }
    match last {
        None => Status::None,
        Some(era) if era.key.is_none() => Status::Ended,
        Some(_) if !fetched => Status::Unavailable,
        Some(era) if era.is_proven() => Status::Verified,
        Some(_) => Status::Unproven,
    }
}

fn show_resets(eras: &[Era]) -> Vec<VerdictReset> {
    let show = |reset: super::history::Reset| {
        let era = eras.get(reset.era);
        VerdictReset {
            key: reset.key.as_str().to_owned(),
            previous: reset.previous.as_str().to_owned(),
            operation: era.and_then(|era| era.operation),
            at: era.and_then(|era| era.at).map(Timestamp::to_rfc3339_millis),
        }
    };
    resets(eras).into_iter().map(show).collect()
}

fn show_nullified(nullified: &Nullified) -> VerdictNullified {
    VerdictNullified {
        key: nullified.key.as_ref().map(|key| key.as_str().to_owned()),
        operation: nullified.operation,
        at: nullified.at.to_rfc3339_millis(),
    }
}

fn declaration(declared: Option<&[u8]>, key: Option<&NamedKey>) -> Declaration {
    let Some((_, raw)) = declared.and_then(<[u8]>::split_first) else { return Declaration::Absent };
    let ours = key.and_then(|key| key.supported().ok()).and_then(|key| key.ed25519_bytes());
    if ours.is_some_and(|ours| ours == raw) { Declaration::Match } else { Declaration::Differs }
}
