//! `app.*`.
pub mod bsky;
