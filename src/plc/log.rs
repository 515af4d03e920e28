//! Audit logs: all operations of one DID with the times at which the directory took them, verified from public data alone.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Operation, RuleError, UnsignedOperation, rules};
use crate::{
    clock::Timestamp,
    ipld::Cid,
    limits::plc as limits,
    syntax::{Datetime, Did},
};

/// One entry of an audit log, as on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Whose it is.
    pub did: Did,
    /// The operation.
    pub operation: Operation,
    /// Its CID.
    pub cid: Cid,
    /// Whether a stronger key rewrote it.
    pub nullified: bool,
    /// When the directory took it; milliseconds on the wire.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub created_at: Timestamp,
}

impl Entry {
    /// An entry for an operation that is taken now and stands; the time is cut to milliseconds.
    pub fn new(did: Did, operation: Operation, now: Timestamp) -> Self {
        let cid = operation.cid();
        let created_at = Timestamp::from_micros(now.as_micros().saturating_sub(now.as_micros().rem_euclid(1000)));
        Self { did, operation, cid, nullified: false, created_at }
    }
}

/// What a verified log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The DID.
    pub did: Did,
    /// The last operation that stands: `prev` of the next.
    pub head: Cid,
    /// The state, in the terms of the new form; none when the DID has ended.
    pub data: Option<UnsignedOperation>,
}

/// Why a log is not one that an honest directory would serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There are no entries.
    #[error("the log is empty")]
    Empty,
    /// More entries than [`limits::AUDIT_LOG_MAX_ENTRIES`].
    #[error("the log has more than {} entries", limits::AUDIT_LOG_MAX_ENTRIES)]
    TooLong,
    /// An entry of another DID.
    #[error("entry {index} of the log is of another DID")]
    OtherDid {
        /// Which, from 0.
        index: usize,
    },
    /// The CID of an entry is not its operation's.
    #[error("the CID of entry {index} of the log is not its operation's")]
    Cid {
        /// Which, from 0.
        index: usize,
    },
    /// An entry is older than the one before.
    #[error("entry {index} of the log is older than the one before")]
    Time {
        /// Which, from 0.
        index: usize,
    },
    /// An entry may not follow those before.
    #[error("entry {index} of the log: {cause}")]
    Rule {
        /// Which, from 0.
        index: usize,
        /// Why.
        cause: RuleError,
    },
    /// An entry is marked as nullified and is not, or the other way.
    #[error("entry {index} of the log is wrong about being nullified")]
    Nullified {
        /// Which, from 0.
        index: usize,
    },
}

/// The entries that are not nullified, in order.
pub fn standing(log: &[Entry]) -> impl DoubleEndedIterator<Item = &Entry> {
    log.iter().filter(|entry| !entry.nullified)
}

/// Replays a whole audit log (nullified entries included, oldest first) and gives the state at its end.
///
/// # Errors
/// [`LogError`] names the first entry that no honest directory would have served.
pub fn verify_log(did: &Did, log: &[Entry]) -> Result<State, LogError> {
    if log.len() > limits::AUDIT_LOG_MAX_ENTRIES {
        return Err(LogError::TooLong);
    }
    let mut alive: Vec<&Entry> = Vec::with_capacity(log.len());
    let mut before = None;
    for (index, entry) in log.iter().enumerate() {
        if entry.did != *did {
            return Err(LogError::OtherDid { index });
        }
        if entry.cid != entry.operation.cid() {
            return Err(LogError::Cid { index });
        }
        if before.is_some_and(|before| entry.created_at < before) {
            return Err(LogError::Time { index });
        }
        before = Some(entry.created_at);
        let nullified = rules::nullified_by(did, &alive, &entry.operation, entry.created_at)
            .map_err(|cause| LogError::Rule { index, cause })?;
        alive.truncate(alive.len().saturating_sub(nullified));
        alive.push(entry);
    }
    check_nullified(log, &alive)?;
    let head = alive.last().ok_or(LogError::Empty)?;
    Ok(State { did: did.clone(), head: head.cid, data: head.operation.normalized() })
}

/// An entry must say that it is nullified exactly if it is not alive in the end.
fn check_nullified(log: &[Entry], alive: &[&Entry]) -> Result<(), LogError> {
    let mut alive = alive.iter().peekable();
    for (index, entry) in log.iter().enumerate() {
        let is_alive = alive.next_if(|next| std::ptr::eq(**next, entry)).is_some();
        if is_alive == entry.nullified {
            return Err(LogError::Nullified { index });
        }
    }
    Ok(())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn write_time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_millis())
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Datetime::deserialize(deserializer).map(|datetime| datetime.timestamp())
}
