//! `com.atproto.server.requestEmailConfirmation`

use std::sync::Arc;

use crate::{
    service::{Server, codes::mail_code},
    store::CodePurpose,
    throttle::Bucket,
    xrpc::{Charge, Empty, NoInput, Procedure, XrpcError, auth::AnyAccess},
};

/// Mails the code that `confirmEmail` asks for.
pub struct RequestEmailConfirmation;

impl Procedure for RequestEmailConfirmation {
    const NSID: &'static str = "com.atproto.server.requestEmailConfirmation";
    type Auth = AnyAccess;
    type Input = NoInput;
    type Output = Empty;

    fn charge(auth: &AnyAccess, _: &NoInput) -> Option<Charge> {
        Some(Charge::account(Bucket::RequestEmailConfirmation, &auth.account.did, 1))
    }

    async fn call(server: &Arc<Server>, auth: AnyAccess, _: NoInput) -> Result<Empty, XrpcError> {
        mail_code(server, &auth.account, CodePurpose::ConfirmEmail).await?;
        Ok(Empty)
    }
}
