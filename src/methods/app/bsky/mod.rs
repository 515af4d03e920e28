//! `app.bsky.*`: what a server keeps for apps, and what it adds to an `AppView`'s answers. Everything else of the
//! namespace is passed on.
pub mod actor;
pub mod feed;
pub mod notification;
