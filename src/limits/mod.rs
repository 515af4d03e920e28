//! Every numeric bound of the server, named, with its unit and its reason. One file per area.
pub mod accounts;
pub mod client;
pub mod community;
pub mod config;
pub mod delegation;
pub mod firehose;
pub mod http;
pub mod ipld;
pub mod journal;
pub mod lexicon;
pub mod outbound;
pub mod plc;
pub mod records;
pub mod relays;
pub mod repo;
pub mod store;
pub mod syntax;
