//! Schemas and what they say about values. Pure: documents come in as values, nothing is fetched here.
//!
//! [`Document::from_value`] compiles a document once; [`check_record`], [`check_input`] and [`check_params`] hold values
//! against it. A reference is followed through a [`Catalog`] when a value gets there, so that documents may refer to each
//! other in circles. Spec: <https://atproto.com/specs/lexicon>.

mod compile;
mod flaw;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod node;
mod params;
mod published;
mod schema;
mod validate;

pub use compile::DocumentError;
pub use flaw::Flaw;
pub use params::check_params;
pub use published::{Published, published};
pub use schema::{Body, Definition, Document, KeyKind, Method, MethodKind, Object, Record, Reference, Type};
pub use validate::{check_input, check_output, check_record, check_record_key};

use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Where documents are found.
pub trait Catalog {
    /// The document of this name, if it is known.
    fn document(&self, nsid: &str) -> Option<Arc<Document>>;
}
