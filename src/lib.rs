//! Housekey: a personal data server for the AT Protocol whose users hold the key that matters.
//!
//! ARCHITECTURE.md in the repository says what each layer is for and what it must not know.

pub mod clock;
pub mod entropy;
pub mod limits;

pub mod syntax;

pub mod crypto;
pub mod ipld;

pub mod event;
pub mod plc;

pub mod delegation;
pub mod identity;
pub mod lexicon;
pub mod repo;

pub mod meters;
pub mod tasks;

pub mod outbound;
pub mod store;
pub mod throttle;

pub mod service;
pub mod sync;

pub mod xrpc;

pub mod methods;
pub mod web;

pub mod config;
pub mod http;

pub mod client;

pub mod app;
pub mod telemetry;

pub mod adopt;

pub mod cli;

#[cfg(test)]
mod interop;
