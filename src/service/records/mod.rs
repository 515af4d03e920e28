//! The one way by which records change: create, put, delete and batches of them all become one commit here.
mod backlinks;
mod commit;
mod prepare;
#[cfg(test)]
mod tests;
mod validation;

use super::{
    Server,
    states::{Capability, allows},
};
use crate::{
    crypto::seal::CannotOpen,
    delegation::{APP_DATA_COLLECTION, DelegationError, STATEMENT_COLLECTION},
    ipld::{Cid, Map, json::JsonError},
    limits::repo::MAX_COMMIT_OPS,
    repo::{PlanError, RecordPath, mst::MstError},
    store::{Account, AccountState, ChangeSet, QuotaExceeded, StoreError},
    syntax::{Nsid, RecordKey, Tid},
};
pub use backlinks::backlinks;
use prepare::Prepared;
use std::sync::Arc;
pub use validation::ValidationStatus;

/// What a caller believes is at a path before its write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwapRecord {
    /// Anything.
    #[default]
    Any,
    /// Nothing.
    Absent,
    /// This record.
    Is(Cid),
}

/// One write as a client asks for it. Records are data-model JSON.
#[derive(Clone, Debug)]
pub enum Write {
    /// A record that must not exist yet.
    Create {
        /// The collection.
        collection: Nsid,
        /// The key; none: a fresh TID.
        rkey: Option<RecordKey>,
        /// The record.
        record: serde_json::Value,
        /// Whether likes, reposts, follows and blocks with the same subject are deleted in the same commit.
        replace_duplicates: bool,
    },
    /// A record that must exist.
    Update {
        /// The collection.
        collection: Nsid,
        /// The key.
        rkey: RecordKey,
        /// The record.
        record: serde_json::Value,
    },
    /// A record that may exist; the same record again changes nothing.
    Put {
        /// The collection.
        collection: Nsid,
        /// The key.
        rkey: RecordKey,
        /// The record.
        record: serde_json::Value,
        /// What must be there now.
        swap: SwapRecord,
    },
    /// A deletion.
    Delete {
        /// The collection.
        collection: Nsid,
        /// The key.
        rkey: RecordKey,
        /// What must be there now.
        swap: SwapRecord,
        /// Whether deleting what is not there changes nothing (otherwise it is an error).
        lenient: bool,
    },
}

/// Writes that become one commit, or none of them does.
#[derive(Clone, Debug, Default)]
pub struct WriteRequest {
    /// The writes, at most [`MAX_COMMIT_OPS`].
    pub writes: Vec<Write>,
    /// Whether records are held against their schemas: always (`true`: the schema must be known), never (`false`), or if
    /// it is known.
    pub validate: Option<bool>,
    /// The commit that the caller believes is the latest.
    pub swap_commit: Option<Cid>,
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// It is there now.
    Created {
        /// Where.
        path: RecordPath,
        /// What.
        cid: Cid,
        /// Whether it is known to fit its schema, if that was asked.
        status: Option<ValidationStatus>,
    },
    /// It is there now; something else may have been there before.
    Updated {
        /// Where.
        path: RecordPath,
        /// What.
        cid: Cid,
        /// Whether it is known to fit its schema, if that was asked.
        status: Option<ValidationStatus>,
    },
    /// It is not there now.
    Deleted,
}

/// A commit as answers name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitMeta {
    /// The commit block.
    pub cid: Cid,
    /// Its revision.
    pub rev: Tid,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The new commit; none when nothing changed.
    pub commit: Option<CommitMeta>,
    /// One result per write, in order.
    pub results: Vec<WriteResult>,
}

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The account may not write.
    #[error("the account is not active")]
    Inactive(AccountState),
    /// More writes than one commit may hold.
    #[error("Too many writes. Max: {MAX_COMMIT_OPS}")]
    TooManyWrites,
    /// Validation was demanded, and the schema, or one that it refers to, is not to be had.
    #[error("Unknown lexicon type: {0}")]
    UnknownSchema(Nsid),
    /// The record does not fit its schema.
    #[error("Invalid {collection} record: {why}")]
    Invalid {
        /// The collection.
        collection: Nsid,
        /// What is wrong, and where.
        why: String,
    },
    /// The record's key is not of the kind that its schema wants.
    #[error("Invalid record key for {collection}: {why}")]
    RecordKey {
        /// The collection.
        collection: Nsid,
        /// What it must be.
        why: String,
    },
    /// The record is not in the data model.
    #[error("Invalid record: {0}")]
    Json(#[from] JsonError),
    /// The record is a list, a text, …
    #[error("Invalid record: it must be an object")]
    NotAnObject,
    /// `$type` is another collection.
    #[error("Invalid $type: expected {expected}, got {got}")]
    WrongType {
        /// The collection.
        expected: Nsid,
        /// What the record says.
        got: String,
    },
    /// A blob reference of the old form.
    #[error("Legacy blobs are not allowed ({0})")]
    LegacyBlob(String),
    /// Its size in bytes.
    #[error("Invalid record: it has {0} bytes; at most {max} are allowed", max = crate::limits::repo::MAX_RECORD_BYTES)]
    RecordTooLarge(usize),
    /// A referenced blob was not uploaded.
    #[error("Could not find blob: {0}")]
    BlobNotFound(Cid),
    /// A blob reference claims another media type than the upload has.
    #[error("Referenced Mimetype does not match stored blob. Expected: {expected}, Got: {got}")]
    BlobMimeType {
        /// The stored one.
        expected: String,
        /// The claimed one.
        got: String,
    },
    /// A blob reference claims another size than the upload has.
    #[error("Referenced Size does not match stored blob. Expected: {expected}, Got: {got}")]
    BlobSize {
        /// The stored one.
        expected: u64,
        /// The claimed one.
        got: i64,
    },
    /// `swapCommit` is not the latest commit, which is this one.
    #[error("Commit was at {0}")]
    CommitSwap(Cid),
    /// `swapRecord` is not what is there.
    #[error("Record was at {}", .0.map_or_else(|| "null".to_owned(), |cid| cid.to_string()))]
    RecordSwap(Option<Cid>),
    /// A creation where a record is.
    #[error("There is already a record at {0}")]
    Exists(RecordPath),
    /// An update or deletion where no record is.
    #[error("Could not locate record: {0}")]
    Missing(RecordPath),
    /// The same path twice.
    #[error("{0} is written twice in one commit")]
    Twice(RecordPath),
    /// The event would be larger than the stream allows.
    #[error("Too many writes. Max event size: 2MB")]
    EventTooLarge,
    /// The repository moved on again and again.
    #[error("the repository is being changed by something else; try again")]
    Contended,
    /// The account has no repository.
    #[error("the account has no repository")]
    NoRepository,
    /// The signing key cannot be opened.
    #[error(transparent)]
    Key(#[from] CannotOpen),
    /// The collection belongs to the delegation methods.
    #[error("{}", DelegationError::ReservedCollection(.0.to_string()))]
    Reserved(Nsid),
    /// The stored tree cannot be read.
    #[error(transparent)]
    Tree(MstError),
    /// The account would use more than it may.
    #[error(transparent)]
    Full(#[from] QuotaExceeded),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PlanError> for WriteError {
    fn from(refused: PlanError) -> Self {
        match refused {
            PlanError::Exists(path) => Self::Exists(path),
            PlanError::Missing(path) => Self::Missing(path),
            PlanError::Twice(path) => Self::Twice(path),
            PlanError::Tree(cause) => Self::Tree(cause),
        }
    }
}

/// Makes one commit of the writes, durable when this answers; or changes nothing.
///
/// # Errors
/// [`WriteError`] says why nothing was written.
pub async fn write(server: &Arc<Server>, account: &Account, request: WriteRequest) -> Result<Written, WriteError> {
    if !allows(&account.state, Capability::Write) {
        return Err(WriteError::Inactive(account.state.clone()));
    }
    if request.writes.len() > MAX_COMMIT_OPS {
        return Err(WriteError::TooManyWrites);
    }
    if let Some(collection) = request.writes.iter().map(Write::collection).find(|collection| is_reserved(collection)) {
        return Err(WriteError::Reserved(collection.clone()));
    }
    let now = server.now();
    let writes = request
        .writes
        .into_iter()
        .map(|write| prepare::read(write, || server.tids.next(now)))
        .collect::<Result<Vec<_>, _>>()?;
    let statuses = validation::judge(server, request.validate, &writes).await?;
    let writes = writes.into_iter().zip(statuses).map(|(write, status)| write.encode(status));
    let writes = writes.collect::<Result<Vec<_>, _>>()?;
    commit::check_blobs(server, account, &writes).await?;
    let commit = commit::commit(server, account, &writes, request.swap_commit).await?;
    Ok(Written { commit, results: writes.iter().map(result).collect() })
}

/// Whether a collection is written by the delegation methods alone.
fn is_reserved(collection: &Nsid) -> bool {
    [STATEMENT_COLLECTION, APP_DATA_COLLECTION].contains(&collection.as_str())
}

/// A record of a collection that only this server writes: what is there afterwards, in canonical DAG-CBOR; none deletes.
#[derive(Clone, Debug)]
pub(super) struct OwnWrite {
    /// Where.
    pub(super) path: RecordPath,
    /// What.
    pub(super) record: Option<Map>,
}

/// The commit of these records over the head, for whoever holds the account's lock; `None` when nothing changes. Blobs
/// that the records may name are not kept by them.
pub(super) async fn plan_own(
    server: &Server,
    account: &Account,
    writes: Vec<OwnWrite>,
) -> Result<Option<ChangeSet>, WriteError> {
    let writes: Vec<_> = writes.into_iter().map(prepare::own).collect();
    commit::plan_own(server, account, &writes).await
}

impl Write {
    /// The collection.
    const fn collection(&self) -> &Nsid {
        match self {
            Self::Create { collection, .. }
            | Self::Update { collection, .. }
            | Self::Put { collection, .. }
            | Self::Delete { collection, .. } => collection,
        }
    }
}

fn result(write: &Prepared) -> WriteResult {
    match write {
        Prepared::Create { path, record, .. } => {
            WriteResult::Created { path: path.clone(), cid: record.cid, status: record.status }
        }
        Prepared::Update { path, record } | Prepared::Put { path, record, .. } => {
            WriteResult::Updated { path: path.clone(), cid: record.cid, status: record.status }
        }
        Prepared::Delete { .. } => WriteResult::Deleted,
    }
}
