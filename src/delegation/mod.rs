//! Delegation: the key that only the user holds, named in the DID document, with proofs made by that key. Pure.
//!
//! `docs/delegation.md` is the contract that this implements. The PLC log decides which key was named when; statements
//! by the keys only add to it. Nothing here fetches, stores or knows a server: values in, values out, and the time is an
//! argument.

pub mod anchor;
pub mod app_data;
pub mod check;
mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
mod id;
mod named_key;
mod pin;
pub mod proof;
pub mod safety_number;
mod shape;
mod statement;
#[doc(hidden)]
pub mod testing;
#[doc(hidden)]
pub mod vectors;
pub mod verdict;
pub mod web;
mod well_known;

pub use anchor::VerifiedLog;
pub use app_data::{APP_DATA_COLLECTION, APP_DATA_TYPE, AppData, AppDataDraft, DOMAIN_APP};
pub use check::{
    Account, CheckedStatement, Effect, Ground, Purpose, Session, check_form, check_generic_change, check_operation,
    check_statement, plan_operation,
};
pub use error::DelegationError;
pub use id::{DelegationId, DelegationIdError};
pub use named_key::NamedKey;
pub use pin::Pin;
pub use shape::ShapeError;
pub use statement::{Draft, STATEMENT_COLLECTION, STATEMENT_TYPE, Statement};
pub use verdict::{Assessment, Evidence, Source, Status, Verdict, VsPin, assess};
pub use well_known::{WELL_KNOWN_PATH, WellKnown};

#[cfg(test)]
mod tests;
