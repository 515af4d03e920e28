//! `com.atproto.repo.applyWrites`
use super::writing::{CommitOutput, charge, check_own, uri};
use crate::{
    ipld::Cid,
    limits::{
        http::WRITE_BODY_BYTES,
        throttle::{CREATE_POINTS, DELETE_POINTS, UPDATE_POINTS},
    },
    service::{
        Server,
        records::{SwapRecord, ValidationStatus, Write, WriteRequest, WriteResult, write},
    },
    syntax::{AtIdentifier, Did, Nsid, RecordKey},
    xrpc::{Charge, Json, Object, Procedure, XrpcError, auth::ActiveAccess},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Up to 200 writes that become one commit, or none of them does.
pub struct ApplyWrites;

/// The body.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    repo: AtIdentifier,
    validate: Option<bool>,
    writes: Vec<Object<Op>>,
    swap_commit: Option<Cid>,
}

/// Any of the three kinds of writes: one shape, so that records are read once and errors name the field.
#[derive(Clone, Debug, Deserialize)]
struct Op {
    #[serde(rename = "$type")]
    kind: Option<String>,
    collection: Option<Nsid>,
    rkey: Option<RecordKey>,
    value: Option<serde_json::Value>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitOutput>,
    results: Vec<OpResult>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "$type", rename_all_fields = "camelCase")]
enum OpResult {
    #[serde(rename = "com.atproto.repo.applyWrites#createResult")]
    Create {
        uri: String,
        cid: Cid,
        #[serde(skip_serializing_if = "Option::is_none")]
        validation_status: Option<&'static str>,
    },
    #[serde(rename = "com.atproto.repo.applyWrites#updateResult")]
    Update {
        uri: String,
        cid: Cid,
        #[serde(skip_serializing_if = "Option::is_none")]
        validation_status: Option<&'static str>,
    },
    #[serde(rename = "com.atproto.repo.applyWrites#deleteResult")]
    Delete {},
}

impl Procedure for ApplyWrites {
    const NSID: &'static str = "com.atproto.repo.applyWrites";
    const MAX_BODY: usize = WRITE_BODY_BYTES;
    type Auth = ActiveAccess;
    type Input = Json<Input>;
    type Output = Json<Output>;

    fn charge(auth: &ActiveAccess, Json(input): &Json<Input>) -> Option<Charge> {
        let points = input.writes.iter().map(|Object(op)| op.points()).fold(0, u32::saturating_add);
        Some(charge(&auth.account, points))
    }

    async fn call(
        server: &Arc<Server>,
        auth: ActiveAccess,
        Json(input): Json<Input>,
    ) -> Result<Json<Output>, XrpcError> {
        check_own(server, &auth.account, &input.repo).await?;
        let writes =
            input.writes.into_iter().enumerate().map(|(i, Object(op))| op.into_write(i)).collect::<Result<_, _>>()?;
        let request = WriteRequest { writes, validate: input.validate, swap_commit: input.swap_commit };
        let written = write(server, &auth.account, request).await?;
        let results = written.results.into_iter().map(|result| OpResult::new(&auth.account.did, result)).collect();
        Ok(Json(Output { commit: written.commit.map(Into::into), results }))
    }
}

impl Op {
    /// What it takes of the account's writes. One that is none takes nothing: it is refused.
    fn points(&self) -> u32 {
        match self.kind.as_deref() {
            Some("com.atproto.repo.applyWrites#create") => CREATE_POINTS,
            Some("com.atproto.repo.applyWrites#update") => UPDATE_POINTS,
            Some("com.atproto.repo.applyWrites#delete") => DELETE_POINTS,
            Some(_) | None => 0,
        }
    }

    fn into_write(self, index: usize) -> Result<Write, XrpcError> {
        let missing = |field: &str| XrpcError::invalid(format!("Invalid input: writes/{index} must have \"{field}\""));
        let Self { kind, collection, rkey, value } = self;
        let kind = kind.ok_or_else(|| missing("$type"))?;
        let collection = collection.ok_or_else(|| missing("collection"))?;
        match kind.as_str() {
            "com.atproto.repo.applyWrites#create" => Ok(Write::Create {
                collection,
                rkey,
                record: value.ok_or_else(|| missing("value"))?,
                replace_duplicates: false,
            }),
            "com.atproto.repo.applyWrites#update" => Ok(Write::Update {
                collection,
                rkey: rkey.ok_or_else(|| missing("rkey"))?,
                record: value.ok_or_else(|| missing("value"))?,
            }),
            "com.atproto.repo.applyWrites#delete" => Ok(Write::Delete {
                collection,
                rkey: rkey.ok_or_else(|| missing("rkey"))?,
                swap: SwapRecord::Any,
                lenient: false,
            }),
            _ => Err(XrpcError::invalid(format!(
                "Action not supported: writes/{index} has the $type \"{}\"; it must be com.atproto.repo.applyWrites#create, #update or #delete",
                kind.chars().take(128).collect::<String>(),
            ))),
        }
    }
}

impl OpResult {
    fn new(did: &Did, result: WriteResult) -> Self {
        match result {
            WriteResult::Created { path, cid, status } => {
                Self::Create { uri: uri(did, &path), cid, validation_status: status.map(ValidationStatus::as_str) }
            }
            WriteResult::Updated { path, cid, status } => {
                Self::Update { uri: uri(did, &path), cid, validation_status: status.map(ValidationStatus::as_str) }
            }
            WriteResult::Deleted => Self::Delete {},
        }
    }
}
