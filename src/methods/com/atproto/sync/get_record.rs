//! `com.atproto.sync.getRecord`
use super::answers::{small_car, visible};
use crate::{
    limits::records::PROOF_ATTEMPTS,
    repo::RecordPath,
    service::Server,
    syntax::{Did, Nsid, RecordKey},
    xrpc::{Query, Reply, XrpcError, auth::Viewer},
};
use serde::Deserialize;
use std::sync::Arc;

/// The proof that a record is in a repository, or that none is there: the commit, the nodes down to it, the record.
pub struct GetRecord;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Did,
    collection: Nsid,
    rkey: RecordKey,
}

impl Query for GetRecord {
    const NSID: &'static str = "com.atproto.sync.getRecord";
    type Auth = Viewer;
    type Params = Params;
    type Output = Reply;

    async fn call(server: &Arc<Server>, viewer: Viewer, params: Params) -> Result<Reply, XrpcError> {
        let account = visible(server, &viewer, &params.did).await?;
        let path = RecordPath::new(params.collection, params.rkey);
        for _ in 0..PROOF_ATTEMPTS {
            let Some((head, commit, proof)) = server.store.record_proof(account.id, &path).await? else {
                return Err(XrpcError::bad("RepoNotFound", format!("Could not find repo for DID: {}", account.did)));
            };
            let mut blocks = vec![(head.commit, commit)];
            blocks.extend(proof.nodes);
            if let Some(cid) = proof.cid {
                // The record is read after the proof: a write in between may have replaced it.
                match server.store.record(account.id, &path).await?.filter(|record| record.cid == cid) {
                    Some(record) => blocks.push((cid, record.value)),
                    None => continue,
                }
            }
            return Ok(small_car(&[head.commit], &blocks));
        }
        Err(XrpcError::internal(&"a record changed faster than its proof could be read"))
    }
}
