//! `com.*`.
pub mod atproto;
