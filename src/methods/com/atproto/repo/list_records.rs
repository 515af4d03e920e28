//! `com.atproto.repo.listRecords`
use crate::{
    ipld::json::write_cbor_as_json,
    methods::reading::{cursor, next_cursor, page_length},
    service::{
        Server,
        repos::{RepoUnavailable, Sight, available},
    },
    store,
    syntax::{AtIdentifier, Did, Nsid},
    xrpc::{Query, Reply, XrpcError, auth::Public},
};
use serde::Deserialize;
use std::sync::Arc;

/// A page of one collection of an active account, newest key first unless reversed.
pub struct ListRecords;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    repo: AtIdentifier,
    collection: Nsid,
    limit: Option<i64>,
    cursor: Option<String>,
    #[serde(default)]
    reverse: bool,
}

impl Query for ListRecords {
    const NSID: &'static str = "com.atproto.repo.listRecords";
    type Auth = Public;
    type Params = Params;
    type Output = Reply;

    async fn call(server: &Arc<Server>, _: Public, params: Params) -> Result<Reply, XrpcError> {
        let limit = page_length(params.limit, 50, 100)?;
        let cursor = cursor::<String>(params.cursor.as_deref())?;
        let account = match available(server, &params.repo, Sight::Active).await {
            Ok(account) => account,
            Err(RepoUnavailable::Store(cause)) => return Err(cause.into()),
            // As the reference: who asks for records learns nothing of the account.
            Err(
                RepoUnavailable::NotFound(_)
                | RepoUnavailable::Takendown(_)
                | RepoUnavailable::Suspended(_)
                | RepoUnavailable::Deactivated(_),
            ) => return Err(XrpcError::invalid(format!("Could not find repo: {}", params.repo))),
        };
        let list = store::ListRecords {
            account: account.id,
            collection: params.collection.clone(),
            cursor,
            limit,
            reverse: params.reverse,
        };
        let records = server.store.shown_records(list).await?;
        Ok(Reply::raw_json(page(&account.did, &params.collection, &records, limit)?))
    }
}

/// Transcodes a page into one buffer. DIDs, NSIDs, record keys and CIDs hold nothing that JSON would escape.
fn page(did: &Did, collection: &Nsid, records: &[store::ListedRecord], limit: usize) -> Result<Vec<u8>, XrpcError> {
    let bytes: usize = records.iter().map(|record| record.value.len() * 3 / 2 + 256).sum();
    let mut json = Vec::with_capacity(bytes + 64);
    json.push(b'{');
    if let Some(last) = next_cursor(records, limit, |last| &last.rkey) {
        json.extend_from_slice(format!(r#""cursor":"{last}","#).as_bytes());
    }
    json.extend_from_slice(br#""records":["#);
    for (i, record) in records.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let head =
            format!(r#"{comma}{{"uri":"at://{did}/{collection}/{}","cid":"{}","value":"#, record.rkey, record.cid);
        json.extend_from_slice(head.as_bytes());
        write_cbor_as_json(&record.value, &mut json).map_err(|cause| XrpcError::internal(&cause))?;
        json.push(b'}');
    }
    json.extend_from_slice(b"]}");
    Ok(json)
}
