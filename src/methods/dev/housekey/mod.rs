//! `dev.housekey.*`.
pub mod account;
pub mod admin;
pub mod delegation;
