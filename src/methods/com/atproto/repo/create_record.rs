//! `com.atproto.repo.createRecord`
use super::writing::{RecordOutput, charge, write_record};
use crate::{
    ipld::Cid,
    limits::{http::WRITE_BODY_BYTES, throttle::CREATE_POINTS},
    service::{
        Server,
        records::{Write, WriteRequest},
    },
    syntax::{AtIdentifier, Nsid, RecordKey},
    xrpc::{Charge, Json, Procedure, XrpcError, auth::ActiveAccess},
};
use serde::Deserialize;
use std::sync::Arc;

/// Creates a record; an older like, repost, follow or block of the same subject goes in the same commit.
pub struct CreateRecord;

/// The body.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: Option<RecordKey>,
    validate: Option<bool>,
    record: serde_json::Value,
    swap_commit: Option<Cid>,
}

impl Procedure for CreateRecord {
    const NSID: &'static str = "com.atproto.repo.createRecord";
    const MAX_BODY: usize = WRITE_BODY_BYTES;
    type Auth = ActiveAccess;
    type Input = Json<Input>;
    type Output = Json<RecordOutput>;

    fn charge(auth: &ActiveAccess, _: &Json<Input>) -> Option<Charge> {
        Some(charge(&auth.account, CREATE_POINTS))
    }

    async fn call(
        server: &Arc<Server>,
        auth: ActiveAccess,
        Json(input): Json<Input>,
    ) -> Result<Json<RecordOutput>, XrpcError> {
        let request = WriteRequest {
            writes: vec![Write::Create {
                collection: input.collection,
                rkey: input.rkey,
                record: input.record,
                // As the reference: who turns validation off also turns this off.
                replace_duplicates: input.validate != Some(false),
            }],
            validate: input.validate,
            swap_commit: input.swap_commit,
        };
        write_record(server, &auth.account, &input.repo, request).await.map(Json)
    }
}
