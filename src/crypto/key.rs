//! K-256 and P-256 keys, did:key, low-S signatures. Spec: <https://atproto.com/specs/cryptography>.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use data_encoding::HEXLOWER_PERMISSIVE;
use k256::ecdsa::signature::{Signer as _, Verifier as _};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    entropy::{Entropy, random_bytes},
    limits::plc::DID_KEY_MAX_CHARS,
};

pub(super) const DID_KEY: &str = "did:key:";

/// The two curves that the protocol signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Curve {
    /// secp256k1, the default for accounts.
    K256,
    /// NIST P-256.
    P256,
}

impl Curve {
    /// The name of its signatures in a JWT's header.
    pub const fn jwt_alg(self) -> &'static str {
        match self {
            Self::K256 => "ES256K",
            Self::P256 => "ES256",
        }
    }

    /// The multicodec of a public key, as a varint.
    const fn multicodec(self) -> [u8; 2] {
        match self {
            Self::K256 => [0xe7, 0x01],
            Self::P256 => [0x80, 0x24],
        }
    }
}

/// A compact 64-byte r‖s signature, always low-S when made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// Why a key or signature was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not `did:key:z` and base58btc, or is too long.
    #[error("the key is not valid: did:key: followed by z and base58btc is needed")]
    Encoding,
    /// A key of another kind.
    #[error("the key is of a kind that is not supported: K-256 or P-256 is needed")]
    Unsupported,
    /// The bytes are not a point of the curve.
    #[error("the key is not valid: its bytes are no point of its curve")]
    Point,
    /// The bytes are not a private key.
    #[error("the private key is not valid: 32 bytes (64 hex digits) of a number within the curve's order are needed")]
    Private,
    /// Not 64 bytes, not low-S, or of another key or message.
    #[error("the signature is not valid")]
    Signature,
}

/// A private key.
#[derive(Clone)]
pub struct SigningKey(Private);

// Both kinds zero themselves when dropped.
#[derive(Clone)]
enum Private {
    K256(k256::ecdsa::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl SigningKey {
    /// A new random key.
    pub fn generate(curve: Curve, entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new(random_bytes::<32>(entropy));
        loop {
            if let Ok(key) = Self::from_bytes(curve, bytes.as_slice()) {
                return key;
            }
            // Not below the curve's order: happens once in 2^32 at most.
            *bytes = Sha256::digest(bytes.as_slice()).into();
        }
    }

    /// From 32 big-endian bytes.
    ///
    /// # Errors
    /// [`KeyError::Private`] for another length, zero, or a number that is not below the curve's order.
    pub fn from_bytes(curve: Curve, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != 32 {
            return Err(KeyError::Private);
        }
        match curve {
            Curve::K256 => k256::ecdsa::SigningKey::from_slice(bytes).map(Private::K256),
            Curve::P256 => p256::ecdsa::SigningKey::from_slice(bytes).map(Private::P256),
        }
        .map(Self)
        .map_err(|_| KeyError::Private)
    }

    /// From 64 hex digits, K-256 (the form of `rotation_key`).
    ///
    /// # Errors
    /// [`KeyError::Private`] for anything else.
    pub fn from_hex(hex: &str) -> Result<Self, KeyError> {
        if hex.len() != 64 {
            return Err(KeyError::Private);
        }
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map(Zeroizing::new).map_err(|_| KeyError::Private)?;
        Self::from_bytes(Curve::K256, &bytes)
    }

    /// The 32 private bytes, to be sealed.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(match &self.0 {
            Private::K256(key) => key.to_bytes().into(),
            Private::P256(key) => key.to_bytes().into(),
        })
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        match &self.0 {
            Private::K256(_) => Curve::K256,
            Private::P256(_) => Curve::P256,
        }
    }

    /// The public key.
    pub fn did_key(&self) -> DidKey {
        DidKey::new(match &self.0 {
            Private::K256(key) => Public::K256(*key.verifying_key()),
            Private::P256(key) => Public::of_p256(key.verifying_key()),
        })
    }

    /// Deterministic (RFC 6979) low-S signature over SHA-256 of `message`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(match &self.0 {
            Private::K256(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().to_bytes().into()
            }
            Private::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                // The crate makes low-S for K-256 alone.
                signature.normalize_s().to_bytes().into()
            }
        })
    }
}

/// A public key on K-256 or P-256, as `did:key:z…` (compressed point). Held in parsed form: verifying decodes nothing.
#[derive(Clone)]
pub struct DidKey {
    public: Public,
    compressed: [u8; 33],
}

#[derive(Clone, Copy)]
enum Public {
    K256(k256::ecdsa::VerifyingKey),
    /// The uncompressed point: what verifies fastest on this curve wants it so, and takes a quarter of the time.
    P256([u8; 65]),
}

impl Public {
    fn of_p256(key: &p256::ecdsa::VerifyingKey) -> Self {
        let mut point = [0; 65];
        for (to, from) in point.iter_mut().zip(key.to_sec1_point(false).as_bytes()) {
            *to = *from;
        }
        Self::P256(point)
    }
}

impl DidKey {
    fn new(public: Public) -> Self {
        let mut compressed = [0; 33];
        let point: &[u8] = match &public {
            Public::K256(key) => &key.to_sec1_point(true).to_bytes(),
            // X as it is, and the sign that the last bit of Y tells.
            Public::P256(point) => {
                let sign = 2 + (point.last().copied().unwrap_or_default() & 1);
                &[&[sign], point.get(1..33).unwrap_or_default()].concat()
            }
        };
        for (to, from) in compressed.iter_mut().zip(point) {
            *to = *from;
        }
        Self { public, compressed }
    }

    /// From a SEC1 point, compressed or not.
    fn from_point(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        // The crates know more forms of a point than the protocol does.
        if !matches!((point.len(), point.first()), (33, Some(2 | 3)) | (65, Some(4))) {
            return Err(KeyError::Point);
        }
        match curve {
            Curve::K256 => k256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Public::K256),
            Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(|key| Public::of_p256(&key)),
        }
        .map(Self::new)
        .map_err(|_| KeyError::Point)
    }

    fn from_multikey(multibase: &str) -> Result<Self, KeyError> {
        let bytes = decode_multibase(multibase).ok_or(KeyError::Encoding)?;
        let (prefix, point) = bytes.split_first_chunk::<2>().ok_or(KeyError::Unsupported)?;
        let curve = [Curve::K256, Curve::P256].into_iter().find(|curve| curve.multicodec() == *prefix);
        let curve = curve.ok_or(KeyError::Unsupported)?;
        if point.len() == 33 { Self::from_point(curve, point) } else { Err(KeyError::Point) }
    }

    /// The multibase part: `z…` (the `publicKeyMultibase` of a Multikey).
    pub fn multibase(&self) -> String {
        let mut text = String::from("z");
        text.push_str(&bs58::encode(self.to_multicodec_bytes()).into_string());
        text
    }

    /// The multicodec prefix and the compressed point.
    pub(super) fn to_multicodec_bytes(&self) -> Vec<u8> {
        [self.curve().multicodec().as_slice(), &self.compressed].concat()
    }

    /// From a `publicKeyMultibase` in a DID document: a Multikey, or the legacy `EcdsaSecp256k1…`/`EcdsaSecp256r1…2019`
    /// types, whose uncompressed points are accepted.
    ///
    /// # Errors
    /// [`KeyError`] for another type, an encoding that is not base58btc, or no point of the curve.
    pub fn from_verification_method(kind: &str, multibase: &str) -> Result<Self, KeyError> {
        let curve = match kind {
            "Multikey" => return Self::from_multikey(multibase),
            "EcdsaSecp256k1VerificationKey2019" => Curve::K256,
            "EcdsaSecp256r1VerificationKey2019" => Curve::P256,
            _ => return Err(KeyError::Unsupported),
        };
        Self::from_point(curve, &decode_multibase(multibase).ok_or(KeyError::Encoding)?)
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        match &self.public {
            Public::K256(_) => Curve::K256,
            Public::P256(_) => Curve::P256,
        }
    }

    /// Verifies a low-S signature over SHA-256 of `message`.
    ///
    /// # Errors
    /// [`KeyError::Signature`] when it is not 64 bytes, not low-S, or not this key's over this message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        self.check(message, signature, HighS::Refused)
    }

    /// Verifies a signature of a JWT, where the specs of JWS allow a high S (`WebCrypto` makes them).
    ///
    /// # Errors
    /// [`KeyError::Signature`] when it is not 64 bytes, or not this key's over this message.
    pub fn verify_allowing_high_s(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        self.check(message, signature, HighS::Allowed)
    }

    fn check(&self, message: &[u8], signature: &[u8], high_s: HighS) -> Result<(), KeyError> {
        let valid = match &self.public {
            Public::K256(key) => k256::ecdsa::Signature::from_slice(signature).is_ok_and(|given| {
                let low = given.normalize_s();
                (high_s == HighS::Allowed || low == given) && key.verify(message, &low).is_ok()
            }),
            Public::P256(point) => p256::ecdsa::Signature::from_slice(signature).is_ok_and(|given| {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                (high_s == HighS::Allowed || given.normalize_s() == given) && key.verify(message, signature).is_ok()
            }),
        };
        if valid { Ok(()) } else { Err(KeyError::Signature) }
    }

    const fn identity(&self) -> (Curve, &[u8; 33]) {
        (self.curve(), &self.compressed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HighS {
    Refused,
    Allowed,
}

impl PartialEq for DidKey {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for DidKey {}

impl PartialOrd for DidKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DidKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for DidKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl FromStr for DidKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_multikey(text.strip_prefix(DID_KEY).ok_or(KeyError::Encoding)?)
    }
}

impl fmt::Display for DidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DID_KEY}{}", self.multibase())
    }
}

impl fmt::Debug for DidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a text is written as a did:key of any kind is: base58btc of a multicodec and something after it, within
/// [`DID_KEY_MAX_CHARS`]. did:plc permits keys of every kind as verification methods.
pub fn is_did_key_syntax(text: &str) -> bool {
    text.len() <= DID_KEY_MAX_CHARS
        && text
            .strip_prefix(DID_KEY)
            .and_then(decode_multibase)
            .and_then(|bytes| after_varint(&bytes).map(|key| !key.is_empty()))
            .unwrap_or(false)
}

/// The bytes of `z` and base58btc; `None` for anything else, and beyond [`DID_KEY_MAX_CHARS`].
pub(super) fn decode_multibase(text: &str) -> Option<Vec<u8>> {
    let base58 = text.strip_prefix('z').filter(|rest| rest.len() <= DID_KEY_MAX_CHARS)?;
    bs58::decode(base58).into_vec().ok()
}

/// What follows a minimal unsigned varint of at most nine bytes.
fn after_varint(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().take(9).position(|byte| byte & 0x80 == 0)?;
    let (varint, rest) = bytes.split_at_checked(end + 1)?;
    // A last byte of zero after others is a longer way of writing the same number.
    (varint.len() == 1 || varint.last() != Some(&0)).then_some(rest)
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
