//! `com.atproto.server.requestAccountDelete`

use std::sync::Arc;

use crate::{
    service::{Server, codes::mail_code},
    store::CodePurpose,
    throttle::Bucket,
    xrpc::{Charge, Empty, NoInput, Procedure, XrpcError, auth::FullAccess},
};

/// Mails the code that `deleteAccount` asks for.
pub struct RequestAccountDelete;

impl Procedure for RequestAccountDelete {
    const NSID: &'static str = "com.atproto.server.requestAccountDelete";
    type Auth = FullAccess;
    type Input = NoInput;
    type Output = Empty;

    fn charge(auth: &FullAccess, _: &NoInput) -> Option<Charge> {
        Some(Charge::account(Bucket::RequestAccountDelete, &auth.account.did, 1))
    }

    async fn call(server: &Arc<Server>, auth: FullAccess, _: NoInput) -> Result<Empty, XrpcError> {
        mail_code(server, &auth.account, CodePurpose::DeleteAccount).await?;
        Ok(Empty)
    }
}
