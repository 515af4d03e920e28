//! `com.atproto.temp.*`. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/temp>.
//!
//! `fetchLabels` is a labeler's and `requestPhoneVerification` an entryway's: neither is served.

mod add_reserved_handle;
mod check_handle_availability;
mod check_signup_queue;
mod dereference_scope;
mod revoke_account_credentials;
#[cfg(test)]
mod tests;

pub use add_reserved_handle::AddReservedHandle;
pub use check_handle_availability::CheckHandleAvailability;
pub use check_signup_queue::CheckSignupQueue;
pub use dereference_scope::DereferenceScope;
pub use revoke_account_credentials::RevokeAccountCredentials;
