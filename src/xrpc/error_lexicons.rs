//! What errors of schemas are on the wire.
use super::XrpcError;
use crate::service::lexicons::LexiconError;
use http::StatusCode;

impl From<LexiconError> for XrpcError {
    fn from(error: LexiconError) -> Self {
        let message = error.to_string();
        match error {
            LexiconError::NotFound(_) => Self::bad("LexiconNotFound", message),
            LexiconError::Unavailable(_) => Self::with_status(StatusCode::BAD_GATEWAY, "UpstreamFailure", message),
        }
    }
}
