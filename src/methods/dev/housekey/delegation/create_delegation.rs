//! `dev.housekey.delegation.createDelegation`

use std::sync::Arc;

use super::answers::{ChangeInput, ChangeOutput, changed};
use crate::{
    delegation::Purpose,
    limits::delegation::CHANGE_BODY_BYTES,
    service::Server,
    xrpc::{Json, Procedure, XrpcError, auth::OwnerAccess},
};

/// Names a key under an id that has none, or claims the one that the document names already.
pub struct CreateDelegation;

impl Procedure for CreateDelegation {
    const NSID: &'static str = "dev.housekey.delegation.createDelegation";
    const MAX_BODY: usize = CHANGE_BODY_BYTES;
    type Auth = OwnerAccess;
    type Input = Json<ChangeInput>;
    type Output = Json<ChangeOutput>;

    async fn call(
        server: &Arc<Server>,
        auth: OwnerAccess,
        Json(input): Json<ChangeInput>,
    ) -> Result<Json<ChangeOutput>, XrpcError> {
        changed(server, &auth, Purpose::Create, input.into()).await
    }
}
