//! IPLD as the AT Protocol uses it: CIDs, strict DAG-CBOR, data-model JSON, CAR files. Pure.
//!
//! Knows nothing of repositories or lexicons: what a value means is not decided here.
//!
//! - The data model and its JSON: <https://atproto.com/specs/data-model>
//! - DAG-CBOR: <https://ipld.io/specs/codecs/dag-cbor/spec/>, CBOR: RFC 8949
//! - CAR v1: <https://ipld.io/specs/transport/car/carv1/>
//! - CIDs: <https://github.com/multiformats/cid>
pub mod car;
pub mod cbor;
mod cid;
#[doc(hidden)]
pub mod fuzzing;
pub mod json;
mod value;

pub use cbor::CborError;
pub use cid::{Cid, CidError, Codec};
pub use value::{Map, Value};

#[cfg(test)]
mod tests;

/// A reference to a blob inside a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// The blob's CID. An uploaded blob has the raw codec; what a record claims may be anything.
    pub cid: Cid,
    /// The media type that the record claims.
    pub mime_type: String,
    /// The size in bytes that the record claims.
    pub size: i64,
}
