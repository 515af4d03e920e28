//! What the four writing methods share: whose repository it is, and the shape of answers.
use crate::{
    ipld::Cid,
    repo::RecordPath,
    service::{
        Server,
        records::{CommitMeta, ValidationStatus, WriteRequest, WriteResult, Written, write},
        repos,
    },
    store::Account,
    syntax::{AtIdentifier, Did, Tid},
    throttle::Bucket,
    xrpc::{Charge, XrpcError},
};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// `com.atproto.repo.defs#commitMeta`.
#[derive(Debug, Serialize)]
pub struct CommitOutput {
    cid: Cid,
    rev: Tid,
}

impl From<CommitMeta> for CommitOutput {
    fn from(commit: CommitMeta) -> Self {
        Self { cid: commit.cid, rev: commit.rev }
    }
}

/// The answer to a write of one record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordOutput {
    pub(super) uri: String,
    pub(super) cid: Cid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<CommitOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) validation_status: Option<&'static str>,
}

/// What writes take of the account's budget.
pub(super) fn charge(account: &Account, points: u32) -> Charge {
    Charge::account(Bucket::RepoWrites, &account.did, points)
}

/// Makes the one write of `request` in the caller's own repository.
pub(super) async fn write_record(
    server: &Arc<Server>,
    account: &Account,
    repo: &AtIdentifier,
    request: WriteRequest,
) -> Result<RecordOutput, XrpcError> {
    check_own(server, account, repo).await?;
    let Written { commit, results } = write(server, account, request).await?;
    match results.first() {
        Some(WriteResult::Created { path, cid, status } | WriteResult::Updated { path, cid, status }) => {
            Ok(RecordOutput {
                uri: uri(&account.did, path),
                cid: *cid,
                commit: commit.map(Into::into),
                validation_status: status.map(ValidationStatus::as_str),
            })
        }
        Some(WriteResult::Deleted) | None => Err(XrpcError::internal(&"a record was written without a result")),
    }
}

/// A record's AT-URI as text.
pub(super) fn uri(did: &Did, path: &RecordPath) -> String {
    format!("at://{did}/{path}")
}

/// Refuses a `repo` that is not the caller's own, by DID or handle.
pub(super) async fn check_own(server: &Server, account: &Account, repo: &AtIdentifier) -> Result<(), XrpcError> {
    let own = match repo {
        AtIdentifier::Did(did) => *did == account.did,
        AtIdentifier::Handle(handle) => *handle == account.handle,
    };
    if own {
        return Ok(());
    }
    if repos::find(server, repo).await?.is_none() {
        return Err(XrpcError::with_status(StatusCode::FORBIDDEN, "AccountNotFound", "Account not found"));
    }
    Err(XrpcError::with_status(StatusCode::UNAUTHORIZED, "AuthenticationRequired", "Authentication Required"))
}
