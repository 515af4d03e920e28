//! Commits, version 3. Spec: <https://atproto.com/specs/repository#commit-objects>.

use bytes::Bytes;

use crate::{
    crypto::{DidKey, KeyError, Signature, SigningKey},
    ipld::{CborError, Cid, Codec, cbor},
    limits::repo::MAX_COMMIT_BYTES,
    syntax::{Did, SyntaxError, Tid},
};

/// The version of the repository format.
const VERSION: i64 = 3;

/// A commit before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedCommit {
    /// The account.
    pub did: Did,
    /// The MST root.
    pub data: Cid,
    /// The revision.
    pub rev: Tid,
}

/// A signed commit (version 3, `prev` null when made here).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// What is signed.
    pub unsigned: UnsignedCommit,
    /// The legacy link, null in all new commits.
    pub prev: Option<Cid>,
    /// The signature.
    pub sig: Signature,
}

/// Why bytes are not a good commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Larger than the bound.
    #[error("the commit has more than {MAX_COMMIT_BYTES} bytes")]
    TooLarge,
    /// Not canonical DAG-CBOR, or not of the types that a commit has.
    #[error("the commit is not valid: {0}")]
    Cbor(#[from] CborError),
    /// Other fields than a commit has.
    #[error("the commit does not have exactly the fields did, rev, sig, data, prev and version")]
    Fields,
    /// Another version than 3.
    #[error("the commit has version {0}; only version 3 is supported")]
    Version(i64),
    /// A DID or revision that is none.
    #[error("the commit is not valid: {0}")]
    Syntax(#[from] SyntaxError),
    /// A signature of another length than 64 bytes.
    #[error("the commit's signature does not have 64 bytes")]
    SignatureLength,
    /// `data` or `prev` that does not link to DAG-CBOR.
    #[error("the commit links to something that is not DAG-CBOR")]
    LinkCodec,
    /// The signature was not made by this key over these fields.
    #[error("the commit's signature is not valid: {0}")]
    Signature(KeyError),
}

impl UnsignedCommit {
    /// Signs; `prev` is null.
    pub fn sign(self, key: &SigningKey) -> Commit {
        let sig = key.sign(&encode(&self, None, None));
        Commit { unsigned: self, prev: None, sig }
    }
}

impl Commit {
    /// The DAG-CBOR block.
    pub fn encode(&self) -> Bytes {
        Bytes::from(encode(&self.unsigned, self.prev.as_ref(), Some(&self.sig)))
    }

    /// From a block: exactly the fields of version 3, `prev` null or a link.
    ///
    /// # Errors
    /// The [`CommitError`] that says which rule the bytes break; the signature is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommitError> {
        if bytes.len() > MAX_COMMIT_BYTES {
            return Err(CommitError::TooLarge);
        }
        let mut reader = cbor::Reader::new(bytes);
        // A missing `prev` (an old mistake) or an unknown field makes another count.
        if reader.map()? != 6 {
            return Err(CommitError::Fields);
        }
        field(&mut reader, "did")?;
        let did = reader.text()?;
        field(&mut reader, "rev")?;
        let rev = reader.text()?;
        field(&mut reader, "sig")?;
        let sig = reader.bytes()?;
        field(&mut reader, "data")?;
        let data = reader.link()?;
        field(&mut reader, "prev")?;
        let prev = reader.link_or_null()?;
        field(&mut reader, "version")?;
        let version = reader.int()?;
        reader.end()?;
        if version != VERSION {
            return Err(CommitError::Version(version));
        }
        if data.codec() != Codec::DagCbor || prev.as_ref().is_some_and(|cid| cid.codec() != Codec::DagCbor) {
            return Err(CommitError::LinkCodec);
        }
        let sig = Signature(sig.try_into().map_err(|_| CommitError::SignatureLength)?);
        Ok(Self { unsigned: UnsignedCommit { did: did.parse()?, data, rev: rev.parse()? }, prev, sig })
    }

    /// Checks the signature, which must be low-S.
    ///
    /// # Errors
    /// [`CommitError::Signature`].
    pub fn verify(&self, key: &DidKey) -> Result<(), CommitError> {
        let signed = encode(&self.unsigned, self.prev.as_ref(), None);
        key.verify(&signed, &self.sig.0).map_err(CommitError::Signature)
    }
}

fn field(reader: &mut cbor::Reader<'_>, name: &str) -> Result<(), CommitError> {
    if reader.text()? == name { Ok(()) } else { Err(CommitError::Fields) }
}

/// The block, or what is signed when there is no signature.
fn encode(commit: &UnsignedCommit, prev: Option<&Cid>, sig: Option<&Signature>) -> Vec<u8> {
    let mut out = cbor::Writer::new();
    out.map(if sig.is_some() { 6 } else { 5 });
    out.text("did").text(commit.did.as_str()).text("rev").text(&commit.rev.to_string());
    if let Some(sig) = sig {
        out.text("sig").bytes(&sig.0);
    }
    out.text("data").link(&commit.data).text("prev").link_or_null(prev).text("version").int(VERSION);
    out.into_bytes()
}
