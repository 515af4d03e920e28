//! `app.bsky.notification.*`. Lexicons:
//! <https://github.com/bluesky-social/atproto/tree/main/lexicons/app/bsky/notification>.

mod register_push;
mod unregister_push;

pub use register_push::RegisterPush;
pub use unregister_push::UnregisterPush;
