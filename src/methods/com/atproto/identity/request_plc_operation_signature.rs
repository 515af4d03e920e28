//! `com.atproto.identity.requestPlcOperationSignature`

use std::sync::Arc;

use crate::{
    service::{Server, codes::mail_code},
    store::CodePurpose,
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
        mail_code(server, &auth.account, CodePurpose::PlcOperation).await?;
        Ok(Empty)
    }
}
