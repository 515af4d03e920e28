//! `com.atproto.repo.putRecord`
use super::writing::{RecordOutput, charge, write_record};
use crate::{
    ipld::Cid,
    limits::{http::WRITE_BODY_BYTES, throttle::UPDATE_POINTS},
    service::{
        Server,
        records::{SwapRecord, Write, WriteRequest},
    },
    syntax::{AtIdentifier, Nsid, RecordKey},
    xrpc::{Charge, Json, Procedure, XrpcError, auth::ActiveAccess},
};
use serde::{Deserialize, Deserializer};
use std::sync::Arc;

/// Writes a record whether or not there is one; the same record again makes no commit.
pub struct PutRecord;

/// The body.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: RecordKey,
    validate: Option<bool>,
    record: serde_json::Value,
    /// Left out: anything may be there; null: nothing may.
    #[serde(default, deserialize_with = "swap_record")]
    swap_record: SwapRecord,
    swap_commit: Option<Cid>,
}

fn swap_record<'de, D: Deserializer<'de>>(from: D) -> Result<SwapRecord, D::Error> {
    Ok(Option::<Cid>::deserialize(from)?.map_or(SwapRecord::Absent, SwapRecord::Is))
}

impl Procedure for PutRecord {
    const NSID: &'static str = "com.atproto.repo.putRecord";
    const MAX_BODY: usize = WRITE_BODY_BYTES;
    type Auth = ActiveAccess;
    type Input = Json<Input>;
    type Output = Json<RecordOutput>;

    fn charge(auth: &ActiveAccess, _: &Json<Input>) -> Option<Charge> {
        Some(charge(&auth.account, UPDATE_POINTS))
    }

    async fn call(
        server: &Arc<Server>,
        auth: ActiveAccess,
        Json(input): Json<Input>,
    ) -> Result<Json<RecordOutput>, XrpcError> {
        let request = WriteRequest {
            writes: vec![Write::Put {
                collection: input.collection,
                rkey: input.rkey,
                record: input.record,
                swap: input.swap_record,
            }],
            validate: input.validate,
            swap_commit: input.swap_commit,
        };
        write_record(server, &auth.account, &input.repo, request).await.map(Json)
    }
}
