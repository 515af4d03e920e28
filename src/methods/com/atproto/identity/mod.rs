//! `com.atproto.identity.*`. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/identity>.

mod get_recommended_did_credentials;
mod identity_info;
mod refresh_identity;
mod request_plc_operation_signature;
mod resolve_did;
mod resolve_handle;
mod resolve_identity;
mod sign_plc_operation;
mod submit_plc_operation;
#[cfg(test)]
mod tests;
mod update_handle;

pub use get_recommended_did_credentials::GetRecommendedDidCredentials;
pub use identity_info::IdentityInfo;
pub use refresh_identity::RefreshIdentity;
pub use request_plc_operation_signature::RequestPlcOperationSignature;
pub use resolve_did::ResolveDid;
pub use resolve_handle::ResolveHandle;
pub use resolve_identity::ResolveIdentity;
pub use sign_plc_operation::SignPlcOperation;
pub use submit_plc_operation::SubmitPlcOperation;
pub use update_handle::UpdateHandle;
