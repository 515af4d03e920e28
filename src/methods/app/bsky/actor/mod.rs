//! `app.bsky.actor.*`. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/app/bsky/actor>.

mod get_preferences;
mod get_profile;
mod get_profiles;
mod put_preferences;

pub use get_preferences::GetPreferences;
pub use get_profile::GetProfile;
pub use get_profiles::GetProfiles;
pub use put_preferences::PutPreferences;
