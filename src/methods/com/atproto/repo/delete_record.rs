//! `com.atproto.repo.deleteRecord`
use super::writing::{CommitOutput, charge, check_own};
use crate::{
    ipld::Cid,
    limits::throttle::DELETE_POINTS,
    service::{
        Server,
        records::{SwapRecord, Write, WriteRequest, write},
    },
    syntax::{AtIdentifier, Nsid, RecordKey},
    xrpc::{Charge, Json, Procedure, XrpcError, auth::ActiveAccess},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Deletes a record; one that is not there makes no commit and is no error.
pub struct DeleteRecord;

/// The body.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: RecordKey,
    swap_record: Option<Cid>,
    swap_commit: Option<Cid>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitOutput>,
}

impl Procedure for DeleteRecord {
    const NSID: &'static str = "com.atproto.repo.deleteRecord";
    type Auth = ActiveAccess;
    type Input = Json<Input>;
    type Output = Json<Output>;

    fn charge(auth: &ActiveAccess, _: &Json<Input>) -> Option<Charge> {
        Some(charge(&auth.account, DELETE_POINTS))
    }

    async fn call(
        server: &Arc<Server>,
        auth: ActiveAccess,
        Json(input): Json<Input>,
    ) -> Result<Json<Output>, XrpcError> {
        check_own(server, &auth.account, &input.repo).await?;
        let request = WriteRequest {
            writes: vec![Write::Delete {
                collection: input.collection,
                rkey: input.rkey,
                swap: input.swap_record.map_or(SwapRecord::Any, SwapRecord::Is),
                lenient: true,
            }],
            validate: None,
            swap_commit: input.swap_commit,
        };
        let written = write(server, &auth.account, request).await?;
        Ok(Json(Output { commit: written.commit.map(Into::into) }))
    }
}
