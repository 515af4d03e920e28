//! What a directory does with an operation that is handed in, and with a question about a DID.

use std::time::Duration;

use super::{ConstraintError, Entry, Operation, RuleError, UnsignedOperation, constraints, log::standing, rules};
use crate::{clock::Timestamp, ipld::Cid, limits::plc as limits, syntax::Did};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(24 * 7);

/// An operation that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The entry to append to the log.
    pub entry: Entry,
    /// The entries that are nullified from now on. If there are any, [`check_rate`] is not to be asked: a stolen weaker
    /// key could otherwise keep the owner from taking the DID back.
    pub nullifies: Vec<Cid>,
}

/// Why a directory refuses; the text is the `message` of its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The content breaks a bound.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    /// It may not follow what is there.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Too many operations lately.
    #[error("Too many operations within last {period} (max {max})")]
    Rate {
        /// `hour`, `day` or `week`.
        period: &'static str,
        /// The bound.
        max: usize,
    },
    /// Nobody made this DID.
    #[error("DID not registered: {0}")]
    NotRegistered(Did),
    /// The DID has ended.
    #[error("DID not available: {0}")]
    NotAvailable(Did),
}

impl Refusal {
    /// The HTTP status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Constraint(_) | Self::Rule(_) | Self::Rate { .. } => 400,
            Self::NotRegistered(_) => 404,
            Self::NotAvailable(_) => 410,
        }
    }
}

/// Whether `operation` may be appended to the log of `did` now, and what it nullifies. `log` is what this function let
/// in before, oldest first, nullified entries included or not.
///
/// # Errors
/// [`Refusal::Constraint`] or [`Refusal::Rule`].
pub fn accept(did: &Did, log: &[Entry], operation: &Operation, now: Timestamp) -> Result<Accepted, Refusal> {
    constraints::check_signed(operation)?;
    // Within one log time only goes forward, whatever the clock does: order and recovery depend on it.
    let earliest = log.last().map_or(now, |last| last.created_at.plus(Duration::from_millis(1)));
    let entry = Entry::new(did.clone(), operation.clone(), now.max(earliest));
    let alive: Vec<&Entry> = standing(log).collect();
    let count = rules::nullified_by(did, &alive, operation, entry.created_at)?;
    let nullifies = alive.iter().skip(alive.len() - count).map(|entry| entry.cid).collect();
    Ok(Accepted { entry, nullifies })
}

/// Whether the DID may have one more operation now: at most 10 an hour, 30 a day, 100 a week. Not to be asked for an
/// operation that nullifies others.
///
/// # Errors
/// [`Refusal::Rate`] names the longest period that is exhausted.
pub fn check_rate(log: &[Entry], now: Timestamp) -> Result<(), Refusal> {
    for (period, span, max) in [
        ("week", WEEK, limits::OPERATIONS_PER_WEEK),
        ("day", DAY, limits::OPERATIONS_PER_DAY),
        ("hour", HOUR, limits::OPERATIONS_PER_HOUR),
    ] {
        let start = now.minus(span);
        if standing(log).filter(|entry| entry.created_at > start).count() >= max {
            return Err(Refusal::Rate { period, max });
        }
    }
    Ok(())
}

/// The last operation that stands, for `/{did}/log/last`.
///
/// # Errors
/// [`Refusal::NotRegistered`] for an empty log.
pub fn last<'a>(did: &Did, log: &'a [Entry]) -> Result<&'a Entry, Refusal> {
    standing(log).next_back().ok_or_else(|| Refusal::NotRegistered(did.clone()))
}

/// The state of the DID, for `/{did}` and `/{did}/data`.
///
/// # Errors
/// [`Refusal::NotRegistered`] for an empty log, [`Refusal::NotAvailable`] after a tombstone.
pub fn current(did: &Did, log: &[Entry]) -> Result<UnsignedOperation, Refusal> {
    last(did, log)?.operation.normalized().ok_or_else(|| Refusal::NotAvailable(did.clone()))
}
