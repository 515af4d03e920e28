//! `dev.*`.
pub mod housekey;
