//! The verbs of the server: each joins the pure domain, the store and the outside world. No HTTP here.
pub mod accounts;
pub mod audit;
pub mod blobs;
pub mod delegation;
pub mod deletion;
pub mod email;
#[cfg(test)]
pub(crate) mod fixture;
mod genesis;
pub mod handles;
pub mod identity;
pub mod import;
pub mod invite_codes;
pub mod invites;
pub mod journal;
mod keys;
pub mod lexicons;
mod locks;
mod maintenance;
mod passwords;
pub mod records;
pub mod relays;
mod replays;
pub mod repos;
mod server;
pub mod service_auth;
mod services;
pub mod sessions;
pub mod sign_ups;
pub mod states;
#[cfg(test)]
pub(crate) mod testing;
mod tids;

pub use journal::JournalTurns;
pub use keys::SigningKeys;
pub use lexicons::{LexiconOptions, Lexicons};
pub use locks::{AccountGuard, AccountLocks};
pub use maintenance::{Removed, maintain, run_maintenance};
pub use passwords::{PasswordPool, PasswordsBusy};
pub use relays::Relays;
pub use replays::{Nonce, Replays, Spending};
pub use server::{Links, Policy, Server, SignUpRules};
pub use services::{KnownService, Services};
pub use tids::TidSource;
