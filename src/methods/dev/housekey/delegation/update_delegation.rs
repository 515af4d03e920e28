//! `dev.housekey.delegation.updateDelegation`

use std::sync::Arc;

use super::answers::{ChangeInput, ChangeOutput};
use crate::{
    delegation::Purpose,
    limits::http::WRITE_BODY_BYTES,
    service::{
        Server,
        delegation::{change, session},
    },
    xrpc::{Json, Procedure, XrpcError, auth::OwnerAccess},
};

/// Names the next key.
pub struct UpdateDelegation;

impl Procedure for UpdateDelegation {
    const NSID: &'static str = "dev.housekey.delegation.updateDelegation";
    const MAX_BODY: usize = WRITE_BODY_BYTES;
    type Auth = OwnerAccess;
    type Input = Json<ChangeInput>;
    type Output = Json<ChangeOutput>;

    async fn call(
        server: &Arc<Server>,
        auth: OwnerAccess,
        Json(input): Json<ChangeInput>,
    ) -> Result<Json<ChangeOutput>, XrpcError> {
        let session = session(auth.opened_at, server.now());
        let changed = change(server, &auth.account, session, Purpose::Update, input.into()).await?;
        Ok(Json(changed.into()))
    }
}
