//! `app.bsky.feed.*`. Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/app/bsky/feed>.

mod get_actor_likes;
mod get_author_feed;
mod get_feed;
mod get_post_thread;
mod get_timeline;

pub use get_actor_likes::GetActorLikes;
pub use get_author_feed::GetAuthorFeed;
pub use get_feed::GetFeed;
pub use get_post_thread::GetPostThread;
pub use get_timeline::GetTimeline;
