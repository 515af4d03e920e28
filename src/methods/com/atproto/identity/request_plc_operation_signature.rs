//! `com.atproto.identity.requestPlcOperationSignature`

use std::sync::Arc;

use crate::{
    service::{Server, identity::request_plc_operation_signature},
    xrpc::{Empty, NoInput, Procedure, XrpcError, auth::FullAccessOrTakendown},
};

/// Mails the code that `signPlcOperation` asks for.
pub struct RequestPlcOperationSignature;

impl Procedure for RequestPlcOperationSignature {
    const NSID: &'static str = "com.atproto.identity.requestPlcOperationSignature";
    type Auth = FullAccessOrTakendown;
    type Input = NoInput;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: FullAccessOrTakendown, _: NoInput) -> Result<Empty, XrpcError> {
        request_plc_operation_signature(server, &auth.account).await?;
        Ok(Empty)
    }
}
