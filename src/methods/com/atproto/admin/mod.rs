//! `com.atproto.admin.*`. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/admin>.

mod account_view;
mod delete_account;
mod get_account_info;
mod get_account_infos;
mod get_subject_status;
mod search_accounts;
mod subject;
#[cfg(test)]
mod tests;
mod update_subject_status;

pub use account_view::AccountView;
pub use delete_account::DeleteAccount;
pub use get_account_info::GetAccountInfo;
pub use get_account_infos::GetAccountInfos;
pub use get_subject_status::GetSubjectStatus;
pub use search_accounts::SearchAccounts;
pub use subject::{StatusAttr, SubjectRef};
pub use update_subject_status::UpdateSubjectStatus;
