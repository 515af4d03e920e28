//! `dev.housekey.admin.*`: what the administrator asks of this server beyond the protocol. Lexicons:
//! `assets/lexicons/dev/housekey/admin`.

mod get_relay_status;
mod request_crawl;

pub use get_relay_status::GetRelayStatus;
pub use request_crawl::RequestCrawl;
