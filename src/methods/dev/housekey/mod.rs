//! `dev.housekey.*`.
pub mod admin;
pub mod delegation;
