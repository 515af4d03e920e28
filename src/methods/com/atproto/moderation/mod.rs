//! `com.atproto.moderation.*`. Lexicons:
//! <https://github.com/bluesky-social/atproto/tree/main/lexicons/com/atproto/moderation>.

mod create_report;

pub use create_report::CreateReport;
