//! DID documents and what a handle and a document must say about each other. Pure.
//! Spec: <https://atproto.com/specs/did>, <https://atproto.com/specs/handle>.
mod document;
pub use document::{DidDocument, DocumentError};
