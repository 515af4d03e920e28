//! What the directory's log says about a row.

use crate::{
    outbound::PlcError,
    plc::{Entry, log::standing, verify_log},
    service::Server,
    store::JournalRow,
    syntax::Did,
};

/// The log of a DID could not be read, or is not one that an honest directory serves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogUnavailable(pub String);

/// A DID's whole audit log, oldest first and verified from its genesis; empty for a DID that is not registered.
///
/// # Errors
/// [`LogUnavailable`] with the cause in words.
pub async fn audit_log(server: &Server, did: &Did) -> Result<Vec<Entry>, LogUnavailable> {
    let log = match server.plc.audit_log(did).await {
        Ok(log) => log,
        Err(PlcError::NotRegistered) => return Ok(Vec::new()),
        Err(cause @ (PlcError::Unexpected(_) | PlcError::Unavailable(_))) => {
            return Err(LogUnavailable(cause.to_string()));
        }
    };
    verify_log(did, &log)
        .map_err(|cause| LogUnavailable(format!("the PLC directory gave a log that cannot be used: {cause}")))?;
    Ok(log)
}

/// Where a row's operation stands in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is there and stands.
    Present,
    /// It was there and a stronger key undid it.
    Nullified,
    /// It is not there, and what it builds on is still the head.
    Absent,
    /// It is not there, and the head is another by now.
    Moved,
}

pub(super) fn standing_of(row: &JournalRow, log: &[Entry]) -> Standing {
    if let Some(entry) = log.iter().find(|entry| entry.cid == row.change.operation_cid) {
        return if entry.nullified { Standing::Nullified } else { Standing::Present };
    }
    let head = standing(log).next_back().map(|entry| entry.cid);
    if head == row.change.prev { Standing::Absent } else { Standing::Moved }
}
