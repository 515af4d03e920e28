//! Delegate keys: Ed25519, P-256 and K-256 as did:key, each with one strict rule of verification.
//!
//! The private half exists in clients and tests alone; a server only ever sees the public one.
//! Specs: <https://www.rfc-editor.org/rfc/rfc8032>, <https://atproto.com/specs/cryptography>.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use super::{
    Curve, DidKey, SigningKey,
    key::{DID_KEY, decode_multibase},
};
use crate::entropy::{Entropy, random_bytes};

/// The multicodec of an Ed25519 public key, as a varint.
const ED25519_MULTICODEC: [u8; 2] = [0xed, 0x01];

/// The kinds of a delegate key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// Ed25519, the default.
    Ed25519,
    /// NIST P-256.
    P256,
    /// secp256k1.
    K256,
}

impl KeyType {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::P256, Self::K256];

    /// The name that people know.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::P256 => "P-256",
            Self::K256 => "K-256",
        }
    }
}

/// Why a delegate key or its signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegateKeyError {
    /// The text is not `did:key:z` and base58btc, or is too long.
    #[error("the key is not valid: did:key: followed by z and base58btc is needed")]
    Encoding,
    /// A key of another kind.
    #[error("the key is of a kind that is not supported: Ed25519, P-256 or K-256 is needed")]
    Unsupported,
    /// The bytes are not a point of the curve in its one canonical form, or the point is of small order.
    #[error("the key is not valid: its bytes are no canonical, compressed point of its curve that is safe to use")]
    Point,
    /// The bytes are not a private key.
    #[error("the private key is not valid: 32 bytes are needed, of a number within the curve's order")]
    Private,
    /// Not 64 bytes, not in the one strict form, or of another key or message.
    #[error("the signature is not this key's: 64 bytes are needed, for P-256 and K-256 r and s with a low s")]
    Signature,
}

/// A public key that a delegation may name. Its text form is canonical: two texts are equal exactly if the keys are.
#[derive(Clone)]
pub struct DelegateKey(Public);

#[derive(Clone)]
enum Public {
    Ed25519(ed25519_dalek::VerifyingKey),
    Ecdsa(DidKey),
}

impl DelegateKey {
    /// The kind.
    pub const fn key_type(&self) -> KeyType {
        match &self.0 {
            Public::Ed25519(_) => KeyType::Ed25519,
            Public::Ecdsa(key) => match key.curve() {
                Curve::P256 => KeyType::P256,
                Curve::K256 => KeyType::K256,
            },
        }
    }

    /// The multicodec prefix and the raw key: 32 bytes for Ed25519, a compressed point of 33 otherwise.
    pub fn to_multicodec_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Public::Ed25519(key) => [ED25519_MULTICODEC.as_slice(), key.as_bytes()].concat(),
            Public::Ecdsa(key) => key.to_multicodec_bytes(),
        }
    }

    /// The 32 bytes of an Ed25519 key; none for other kinds.
    pub fn ed25519_bytes(&self) -> Option<&[u8; 32]> {
        match &self.0 {
            Public::Ed25519(key) => Some(key.as_bytes()),
            Public::Ecdsa(_) => None,
        }
    }

    /// Verifies a signature strictly: Ed25519 with the cofactorless equation, S below L, R canonical and not of small
    /// order; ECDSA over SHA-256 with low S.
    ///
    /// # Errors
    /// [`DelegateKeyError::Signature`] when it is not 64 bytes, not in that form, or not this key's over this message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), DelegateKeyError> {
        let valid = match &self.0 {
            // The equation is checked by comparing R's bytes with canonical ones.
            Public::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Public::Ecdsa(key) => key.verify(message, signature).is_ok(),
        };
        if valid { Ok(()) } else { Err(DelegateKeyError::Signature) }
    }

    fn from_ed25519(bytes: &[u8]) -> Result<Self, DelegateKeyError> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| DelegateKeyError::Point)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| DelegateKeyError::Point)?;
        // The crate takes coordinates beyond the field's prime and a sign of zero; writing the point shows them.
        if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
            return Err(DelegateKeyError::Point);
        }
        Ok(Self(Public::Ed25519(key)))
    }
}

impl From<DidKey> for DelegateKey {
    fn from(key: DidKey) -> Self {
        Self(Public::Ecdsa(key))
    }
}

impl FromStr for DelegateKey {
    type Err = DelegateKeyError;

    fn from_str(text: &str) -> Result<Self, DelegateKeyError> {
        let bytes = text.strip_prefix(DID_KEY).and_then(decode_multibase).ok_or(DelegateKeyError::Encoding)?;
        if let Some(raw) = bytes.strip_prefix(&ED25519_MULTICODEC) {
            return Self::from_ed25519(raw);
        }
        text.parse::<DidKey>().map(Self::from).map_err(|cause| match cause {
            super::KeyError::Encoding => DelegateKeyError::Encoding,
            super::KeyError::Point => DelegateKeyError::Point,
            super::KeyError::Unsupported | super::KeyError::Private | super::KeyError::Signature => {
                DelegateKeyError::Unsupported
            }
        })
    }
}

impl fmt::Display for DelegateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DID_KEY}z{}", bs58::encode(self.to_multicodec_bytes()).into_string())
    }
}

impl fmt::Debug for DelegateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for DelegateKey {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Public::Ed25519(a), Public::Ed25519(b)) => a.as_bytes() == b.as_bytes(),
            (Public::Ecdsa(a), Public::Ecdsa(b)) => a == b,
            (Public::Ed25519(_), Public::Ecdsa(_)) | (Public::Ecdsa(_), Public::Ed25519(_)) => false,
        }
    }
}

impl Eq for DelegateKey {}

impl PartialOrd for DelegateKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DelegateKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_multicodec_bytes().cmp(&other.to_multicodec_bytes())
    }
}

impl Hash for DelegateKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_multicodec_bytes().hash(state);
    }
}

/// The private half of a delegate key, for the command line and tests; zeroes itself when dropped.
#[derive(Clone)]
pub struct DelegateSigningKey(Private);

#[derive(Clone)]
enum Private {
    Ed25519(ed25519_dalek::SigningKey),
    Ecdsa(SigningKey),
}

impl DelegateSigningKey {
    /// A new random key.
    pub fn generate(key_type: KeyType, entropy: &dyn Entropy) -> Self {
        Self(match key_type {
            KeyType::Ed25519 => {
                let bytes = Zeroizing::new(random_bytes::<32>(entropy));
                Private::Ed25519(ed25519_dalek::SigningKey::from_bytes(&bytes))
            }
            KeyType::P256 => Private::Ecdsa(SigningKey::generate(Curve::P256, entropy)),
            KeyType::K256 => Private::Ecdsa(SigningKey::generate(Curve::K256, entropy)),
        })
    }

    /// From 32 bytes: RFC 8032's private key, or a big-endian number.
    ///
    /// # Errors
    /// [`DelegateKeyError::Private`] for another length, or a number that is not within the curve's order.
    pub fn from_bytes(key_type: KeyType, bytes: &[u8]) -> Result<Self, DelegateKeyError> {
        let ecdsa = |curve| SigningKey::from_bytes(curve, bytes).map(Private::Ecdsa).ok();
        let private = match key_type {
            KeyType::Ed25519 => {
                bytes.try_into().ok().map(|bytes| Private::Ed25519(ed25519_dalek::SigningKey::from_bytes(bytes)))
            }
            KeyType::P256 => ecdsa(Curve::P256),
            KeyType::K256 => ecdsa(Curve::K256),
        };
        private.map(Self).ok_or(DelegateKeyError::Private)
    }

    /// The 32 private bytes, to be kept by the user.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        match &self.0 {
            Private::Ed25519(key) => Zeroizing::new(key.to_bytes()),
            Private::Ecdsa(key) => key.to_bytes(),
        }
    }

    /// The kind.
    pub const fn key_type(&self) -> KeyType {
        match &self.0 {
            Private::Ed25519(_) => KeyType::Ed25519,
            Private::Ecdsa(key) => match key.curve() {
                Curve::P256 => KeyType::P256,
                Curve::K256 => KeyType::K256,
            },
        }
    }

    /// The public half.
    pub fn public(&self) -> DelegateKey {
        DelegateKey(match &self.0 {
            Private::Ed25519(key) => Public::Ed25519(key.verifying_key()),
            Private::Ecdsa(key) => Public::Ecdsa(key.did_key()),
        })
    }

    /// A deterministic signature in the one form that [`DelegateKey::verify`] accepts.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        match &self.0 {
            Private::Ed25519(key) => key.sign(message).to_bytes(),
            Private::Ecdsa(key) => key.sign(message).0,
        }
    }
}

#[cfg(test)]
#[path = "delegate_tests.rs"]
mod tests;
