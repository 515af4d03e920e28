//! `dev.housekey.admin.*`: what the administrator asks of this server beyond the protocol. Lexicons:
//! `assets/lexicons/dev/housekey/admin`.

mod create_code;
mod get_relay_status;
mod list_mails;
mod request_crawl;
mod retry_mails;
#[cfg(test)]
mod tests;

pub use create_code::CreateCode;
pub use get_relay_status::GetRelayStatus;
pub use list_mails::ListMails;
pub use request_crawl::RequestCrawl;
pub use retry_mails::RetryMails;
