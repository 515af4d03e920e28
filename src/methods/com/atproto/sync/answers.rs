//! What methods of this group share: whose repository it is, CAR answers, and how a state is called.
use crate::{
    ipld::{Cid, car},
    methods::reading::sight,
    service::{Server, repos::available},
    store::{Account, AccountState},
    sync::car_stream,
    syntax::{AtIdentifier, Did, Tid},
    xrpc::{Reply, XrpcError, auth::Viewer},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;

pub(super) const CAR: &str = "application/vnd.ipld.car";

/// The one parameter of several methods.
#[derive(Clone, Debug, Deserialize)]
pub struct DidParams {
    pub(super) did: Did,
}

/// The account, if this caller may see its repository.
pub(super) async fn visible(server: &Server, viewer: &Viewer, did: &Did) -> Result<Account, XrpcError> {
    Ok(available(server, &AtIdentifier::Did(did.clone()), sight(viewer, did)).await?)
}

/// The whole repository, or what was written since a revision.
pub(super) async fn repo_car(server: &Server, account: &Account, since: Option<Tid>) -> Result<Reply, XrpcError> {
    let export = server.store.open_export(account.id, since).await?;
    let export = export
        .ok_or_else(|| XrpcError::bad("RepoNotFound", format!("Could not find repo for DID: {}", account.did)))?;
    Ok(Reply::stream(CAR, car_stream(export).map_err(XrpcError::from).boxed()))
}

/// A CAR file of a few blocks.
pub(super) fn small_car<'a>(roots: &[Cid], blocks: impl IntoIterator<Item = &'a (Cid, Bytes)>) -> Reply {
    let mut file = car::header(roots);
    for (cid, block) in blocks {
        car::write_block(&mut file, cid, block);
    }
    Reply::bytes(CAR, file.into())
}

/// How answers call a state that is not active.
pub(super) const fn status(state: &AccountState) -> Option<&'static str> {
    match state {
        AccountState::Active => None,
        AccountState::Takendown { .. } => Some("takendown"),
        AccountState::Suspended => Some("suspended"),
        AccountState::Deactivated { .. } | AccountState::Pending => Some("deactivated"),
    }
}
