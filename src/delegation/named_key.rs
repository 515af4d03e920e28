//! A key as a log, a document or a statement names it: a did:key of any kind, perhaps one that a delegation may have.

use crate::crypto::{DelegateKey, DelegateKeyError, is_did_key_syntax};

/// A did:key and what it is. Texts are compared: a key that is supported has one text only.
#[derive(Clone, Debug)]
pub struct NamedKey {
    text: String,
    key: Result<DelegateKey, DelegateKeyError>,
}

impl NamedKey {
    /// From any text that stands where a key is named; a PLC log may hold keys of every kind.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), key: text.parse() }
    }

    /// From a text with the syntax of a did:key of any kind; `None` for others.
    pub fn parse(text: &str) -> Option<Self> {
        is_did_key_syntax(text).then(|| Self::new(text))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key.
    ///
    /// # Errors
    /// Why no delegation may name it.
    pub fn supported(&self) -> Result<&DelegateKey, DelegateKeyError> {
        self.key.as_ref().map_err(|cause| *cause)
    }

    /// Whether this key made the signature; one that is not supported makes none.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.as_ref().is_ok_and(|key| key.verify(message, signature).is_ok())
    }
}

impl From<DelegateKey> for NamedKey {
    fn from(key: DelegateKey) -> Self {
        Self { text: key.to_string(), key: Ok(key) }
    }
}

impl PartialEq for NamedKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for NamedKey {}
