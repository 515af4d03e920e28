//! `dev.housekey.*`.
pub mod delegation;
