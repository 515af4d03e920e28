//! `com.atproto.repo.importRepo`
use crate::{
    service::{
        Server,
        import::{self, ImportFault, NewCommit},
    },
    xrpc::{Empty, Procedure, Upload, XrpcError, auth::FullAccess},
};
use std::sync::Arc;

/// The media type of a CAR file.
const CAR: &str = "application/vnd.ipld.car";

/// Takes a whole repository as a CAR file in place of the account's. For accounts that are being moved in, so deactivated
/// ones may.
pub struct ImportRepo;

impl Procedure for ImportRepo {
    const NSID: &'static str = "com.atproto.repo.importRepo";
    type Auth = FullAccess;
    type Input = Upload;
    type Output = Empty;

    async fn call(server: &Arc<Server>, auth: FullAccess, Upload(body): Upload) -> Result<Empty, XrpcError> {
        match body.mime().as_deref() {
            Some(CAR) => {}
            Some(other) => return Err(XrpcError::invalid(format!("Wrong request encoding (Content-Type): {other}"))),
            None => return Err(XrpcError::invalid("Request encoding (Content-Type) required but not provided")),
        }
        let max = server.policy.import_bytes;
        if body.content_length.is_some_and(|length| length > max) {
            return Err(ImportFault::TooLarge(max).into());
        }
        import::import(server, &auth.account, body.stream, NewCommit::Signed).await?;
        Ok(Empty)
    }
}
