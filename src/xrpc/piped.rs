//! Methods that may pass the request on, and therefore need it as it came.

use std::{future::Future, sync::Arc};

use super::{Call, Reply, RequestBody, XrpcError};
use crate::service::Server;

/// A method that works on the request itself: it demands its own auth, and reads parameters and body if it must.
pub trait Piped: 'static {
    /// Its name on the wire.
    const NSID: &'static str;
    /// Does it. Answers are private to the caller.
    fn call(
        server: &Arc<Server>,
        call: &Call,
        body: RequestBody,
    ) -> impl Future<Output = Result<Reply, XrpcError>> + Send;
}
