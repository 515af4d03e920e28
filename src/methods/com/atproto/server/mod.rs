//! `com.atproto.server.*`. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/server>.

mod activate_account;
mod check_account_status;
mod create_account;
mod create_invite_code;
mod create_invite_codes;
mod create_session;
mod deactivate_account;
mod delete_account;
mod delete_session;
mod describe_server;
mod get_account_invite_codes;
mod get_service_auth;
mod get_session;
mod invite_view;
mod refresh_session;
mod reserve_signing_key;
mod session_view;
#[cfg(test)]
mod tests;

pub use activate_account::ActivateAccount;
pub use check_account_status::CheckAccountStatus;
pub use create_account::CreateAccount;
pub use create_invite_code::CreateInviteCode;
pub use create_invite_codes::CreateInviteCodes;
pub use create_session::CreateSession;
pub use deactivate_account::DeactivateAccount;
pub use delete_account::DeleteAccount;
pub use delete_session::DeleteSession;
pub use describe_server::DescribeServer;
pub use get_account_invite_codes::GetAccountInviteCodes;
pub use get_service_auth::GetServiceAuth;
pub use get_session::GetSession;
pub use invite_view::InviteView;
pub use refresh_session::RefreshSession;
pub use reserve_signing_key::ReserveSigningKey;
pub use session_view::{SessionView, SessionWithTokens};
