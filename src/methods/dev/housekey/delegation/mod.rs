//! `dev.housekey.delegation.*`. Contract: `docs/delegation.md`; lexicons: `assets/lexicons/dev/housekey/delegation`.

mod answers;
mod create_delegation;
mod delete_delegation;
mod get_associated_data;
mod get_delegation;
mod list_delegations;
mod put_associated_data;
mod request_delegation_token;
#[cfg(test)]
mod tests;
mod update_delegation;

pub use create_delegation::CreateDelegation;
pub use delete_delegation::DeleteDelegation;
pub use get_associated_data::GetAssociatedData;
pub use get_delegation::GetDelegation;
pub use list_delegations::ListDelegations;
pub use put_associated_data::PutAssociatedData;
pub use request_delegation_token::RequestDelegationToken;
pub use update_delegation::UpdateDelegation;
