//! `com.atproto.admin.*`. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/admin>.

mod account_view;
mod delete_account;
mod disable_account_invites;
mod disable_invite_codes;
mod enable_account_invites;
mod get_account_info;
mod get_account_infos;
mod get_invite_codes;
mod get_subject_status;
mod invite_rights;
mod search_accounts;
mod send_email;
mod subject;
#[cfg(test)]
mod tests;
mod update_account_email;
mod update_account_handle;
mod update_account_password;
mod update_account_signing_key;
mod update_subject_status;

pub use account_view::AccountView;
use account_view::account_of;
pub use delete_account::DeleteAccount;
pub use disable_account_invites::DisableAccountInvites;
pub use disable_invite_codes::DisableInviteCodes;
pub use enable_account_invites::EnableAccountInvites;
pub use get_account_info::GetAccountInfo;
pub use get_account_infos::GetAccountInfos;
pub use get_invite_codes::GetInviteCodes;
pub use get_subject_status::GetSubjectStatus;
pub use invite_rights::InviteRightsInput;
pub use search_accounts::SearchAccounts;
pub use send_email::SendEmail;
pub use subject::{StatusAttr, SubjectRef};
pub use update_account_email::UpdateAccountEmail;
pub use update_account_handle::UpdateAccountHandle;
pub use update_account_password::UpdateAccountPassword;
pub use update_account_signing_key::UpdateAccountSigningKey;
pub use update_subject_status::UpdateSubjectStatus;
