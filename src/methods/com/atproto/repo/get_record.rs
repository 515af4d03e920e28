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
    xrpc::{
        Query, Reply, XrpcError,
        proxy::{Passable, pipe_for_anyone},
    },
};
use serde::Deserialize;
use std::sync::Arc;
use url::form_urlencoded;

/// One record of an active account; of an account elsewhere, as the `AppView` has it.
pub struct GetRecord;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: RecordKey,
    cid: Option<Cid>,
}

/// The parameters as a query again.
fn query(repo: &AtIdentifier, path: &RecordPath, cid: Option<Cid>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("repo", repo.as_ref());
    query.append_pair("collection", path.collection.as_str());
    query.append_pair("rkey", path.rkey.as_str());
    if let Some(cid) = cid {
        query.append_pair("cid", &cid.to_string());
    }
    query.finish()
}

impl Query for GetRecord {
    const NSID: &'static str = "com.atproto.repo.getRecord";
    type Auth = Passable;
    type Params = Params;
    type Output = Reply;

    async fn call(server: &Arc<Server>, passable: Passable, params: Params) -> Result<Reply, XrpcError> {
        let path = RecordPath::new(params.collection, params.rkey);
        let not_found =
            || XrpcError::bad("RecordNotFound", format!("Could not locate record: at://{}/{path}", params.repo));
        let account = match available(server, &params.repo, Sight::Active).await {
            Ok(account) => account,
            Err(RepoUnavailable::Store(cause)) => return Err(cause.into()),
            Err(RepoUnavailable::NotFound(_)) if passable.has_target(server) => {
                let query = query(&params.repo, &path, params.cid);
                return pipe_for_anyone(server, &passable, &query).await;
            }
            // As the reference: who asks for a record learns nothing of the account.
            Err(
                RepoUnavailable::NotFound(_)
                | RepoUnavailable::Takendown(_)
                | RepoUnavailable::Suspended(_)
                | RepoUnavailable::Deactivated(_),
            ) => return Err(not_found()),
        };
        let record = server.store.shown_record(account.id, &path).await?;
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
