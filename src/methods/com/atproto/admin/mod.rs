//! `com.atproto.admin.*`. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/admin>.

mod account_view;
mod get_account_info;
mod get_account_infos;
mod search_accounts;
#[cfg(test)]
mod tests;

pub use account_view::AccountView;
pub use get_account_info::GetAccountInfo;
pub use get_account_infos::GetAccountInfos;
pub use search_accounts::SearchAccounts;
