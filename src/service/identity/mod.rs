//! Identities: resolving them, and changing those of this server's accounts.

mod change;
mod plc_operations;
mod resolve;
mod signing_key;
#[cfg(test)]
mod tests;

pub use change::{StateError, UpdateHandleError, update_endpoint, update_handle, update_handle_as};
pub use plc_operations::{
    PlcOperationError, Recommended, SignRequest, recommended_credentials, sign_plc_operation, submit_plc_operation,
};
pub use resolve::{Identity, ResolveIdentityError, resolve_did, resolve_handle, resolve_identity};
pub(in crate::service) use signing_key::effect as signing_key_effect;
pub use signing_key::{RotateKeyError, rotate_signing_key};
