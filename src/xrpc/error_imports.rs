//! What errors of imports are on the wire.
use super::XrpcError;
use crate::{
    repo::mst::MstError,
    service::import::{ImportError, ImportFault},
    store::ImportRefused,
};
use http::StatusCode;

impl From<ImportError<Self>> for XrpcError {
    fn from(refused: ImportError<Self>) -> Self {
        match refused {
            ImportError::Read(error) => error,
            ImportError::Refused(fault) => fault.into(),
        }
    }
}

impl From<ImportFault> for XrpcError {
    fn from(fault: ImportFault) -> Self {
        let message = fault.to_string();
        match fault {
            // The source is a file of our own: what it fails with is not the client's doing.
            ImportFault::Tree(MstError::Source(cause)) => Self::internal(&cause),
            ImportFault::TooLarge(_) => Self::with_status(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message),
            ImportFault::Car(_)
            | ImportFault::TooManyBlocks
            | ImportFault::Roots(_)
            | ImportFault::NoCommit(_)
            | ImportFault::Commit(_)
            | ImportFault::WrongDid { .. }
            | ImportFault::WrongKey(_)
            | ImportFault::Tree(_)
            | ImportFault::RecordMissing(_)
            | ImportFault::Record { .. }
            | ImportFault::RecordsTooLarge(_)
            | ImportFault::TooMuchKept
            | ImportFault::Store(ImportRefused::Running | ImportRefused::TooManyCollections) => Self::invalid(message),
            ImportFault::Store(ImportRefused::OverQuota(_)) => Self::bad("QuotaExceeded", message),
            ImportFault::KeysUnavailable(_) => Self::with_status(StatusCode::BAD_GATEWAY, "UpstreamFailure", message),
            ImportFault::Store(ImportRefused::Busy | ImportRefused::StaleHead) => {
                Self::with_status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
            }
            ImportFault::Store(ImportRefused::NoAccount) => {
                Self::with_status(StatusCode::FORBIDDEN, "AccountNotFound", message)
            }
            ImportFault::Store(ImportRefused::Store(cause)) => cause.into(),
            ImportFault::Key(cause) => Self::internal(&cause),
        }
    }
}
