//! `com.atproto.repo.getRecord`
use super::writing::uri;
use crate::{
    ipld::{Cid, json::write_cbor_as_json},
    repo::RecordPath,
    service::{
        Server,
        repos::{RepoUnavailable, Sight, available},
    },
    syntax::{AtIdentifier, Nsid, RecordKey},
    xrpc::{Query, Reply, XrpcError, auth::Public},
};
use serde::Deserialize;
use std::sync::Arc;

/// One record of an active account.
pub struct GetRecord;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: RecordKey,
    cid: Option<Cid>,
}

impl Query for GetRecord {
    const NSID: &'static str = "com.atproto.repo.getRecord";
    type Auth = Public;
    type Params = Params;
    type Output = Reply;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Reply, XrpcError> {
        let path = RecordPath::new(params.collection, params.rkey);
        let not_found =
            || XrpcError::bad("RecordNotFound", format!("Could not locate record: at://{}/{path}", params.repo));
        let account = match available(server, &params.repo, Sight::Active).await {
            Ok(account) => account,
            Err(RepoUnavailable::Store(cause)) => return Err(cause.into()),
            // As the reference: who asks for a record learns nothing of the account.
            Err(
                RepoUnavailable::NotFound(_)
                | RepoUnavailable::Takendown(_)
                | RepoUnavailable::Suspended(_)
                | RepoUnavailable::Deactivated(_),
            ) => return Err(not_found()),
        };
        if server.store.record_takedown(account.id, &path).await?.is_some() {
            return Err(not_found());
        }
        let record = server.store.record(account.id, &path).await?;
        let record = record.filter(|record| params.cid.is_none_or(|cid| cid == record.cid)).ok_or_else(not_found)?;
        let mut json = Vec::with_capacity(record.value.len() * 2 + 256);
        json.extend_from_slice(
            format!(r#"{{"uri":"{}","cid":"{}","value":"#, uri(&account.did, &path), record.cid).as_bytes(),
        );
        write_cbor_as_json(&record.value, &mut json).map_err(|cause| XrpcError::internal(&cause))?;
        json.push(b'}');
        Ok(Reply::raw_json(json))
    }
}
