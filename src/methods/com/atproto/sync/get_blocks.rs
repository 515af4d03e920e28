//! `com.atproto.sync.getBlocks`
use super::answers::{small_car, visible};
use crate::{
    ipld::Cid,
    limits::records::{GET_BLOCKS_BYTES, GET_BLOCKS_CIDS, GET_BLOCKS_PAGE},
    service::Server,
    syntax::Did,
    xrpc::{Query, Reply, XrpcError, auth::Viewer},
};
use serde::Deserialize;
use std::{collections::HashSet, sync::Arc};

/// Blocks of a repository by CID, all or none.
pub struct GetBlocks;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    did: Did,
    cids: Vec<Cid>,
}

impl Query for GetBlocks {
    const NSID: &'static str = "com.atproto.sync.getBlocks";
    type Auth = Viewer;
    type Params = Params;
    type Output = Reply;

    async fn call(server: &Arc<Server>, viewer: Viewer, params: Params) -> Result<Reply, XrpcError> {
        let account = visible(server, &viewer, &params.did).await?;
        if params.cids.len() > GET_BLOCKS_CIDS {
            return Err(XrpcError::invalid(format!("at most {GET_BLOCKS_CIDS} cids may be asked for at once")));
        }
        let mut seen = HashSet::new();
        let cids: Vec<Cid> = params.cids.into_iter().filter(|cid| seen.insert(*cid)).collect();
        let mut blocks = Vec::with_capacity(cids.len());
        let mut bytes = 0;
        for page in cids.chunks(GET_BLOCKS_PAGE) {
            let found = server.store.blocks(account.id, page).await?;
            bytes += found.iter().map(|(_, block)| block.len()).sum::<usize>();
            if bytes > GET_BLOCKS_BYTES {
                return Err(XrpcError::invalid("these blocks are too large for one answer: ask for fewer at once"));
            }
            blocks.extend(found);
        }
        for (cid, _) in &blocks {
            seen.remove(cid);
        }
        if !seen.is_empty() {
            let missing: Vec<String> = cids.iter().filter(|cid| seen.contains(cid)).map(ToString::to_string).collect();
            return Err(XrpcError::bad("BlockNotFound", format!("Could not find cids: {}", missing.join(","))));
        }
        Ok(small_car(&[], &blocks))
    }
}
