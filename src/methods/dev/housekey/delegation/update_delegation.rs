//! `dev.housekey.delegation.updateDelegation`

use std::sync::Arc;

use super::answers::{ChangeInput, ChangeOutput, changed};
use crate::{
    delegation::Purpose,
    limits::delegation::CHANGE_BODY_BYTES,
    service::Server,
    xrpc::{Json, Procedure, XrpcError, auth::OwnerAccess},
};

/// Names the next key.
pub struct UpdateDelegation;

impl Procedure for UpdateDelegation {
    const NSID: &'static str = "dev.housekey.delegation.updateDelegation";
    const MAX_BODY: usize = CHANGE_BODY_BYTES;
    type Auth = OwnerAccess;
    type Input = Json<ChangeInput>;
    type Output = Json<ChangeOutput>;

    async fn call(
        server: &Arc<Server>,
        auth: OwnerAccess,
        Json(input): Json<ChangeInput>,
    ) -> Result<Json<ChangeOutput>, XrpcError> {
        changed(server, &auth, Purpose::Update, input.into()).await
    }
}
