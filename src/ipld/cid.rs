//! Content identifiers. Spec: <https://atproto.com/specs/data-model#link-and-cid-formats>.
use sha2::{Digest, Sha256};

/// Characters of the text form: `b` and 36 bytes in base32.
pub(super) const TEXT_LEN: usize = 59;
/// Version 1; SHA-256 and its length of 32 bytes.
const VERSION: u8 = 0x01;
const SHA_256: [u8; 2] = [0x12, 0x20];
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What the bytes behind a CID are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// DAG-CBOR (0x71): records, MST nodes, commits.
    DagCbor,
    /// Raw bytes (0x55): blobs.
    Raw,
}

impl Codec {
    const fn code(self) -> u8 {
        match self {
            Self::DagCbor => 0x71,
            Self::Raw => 0x55,
        }
    }
}

/// A version 1 CID with SHA-256, in its 36-byte binary form (version, codec, 0x12, 0x20, digest).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid([u8; 36]);

impl Cid {
    /// The CID of DAG-CBOR bytes.
    pub fn of_cbor(bytes: &[u8]) -> Self {
        Self::new(Codec::DagCbor, Sha256::digest(bytes).into())
    }

    /// The CID of raw bytes (a blob).
    pub fn of_raw(bytes: &[u8]) -> Self {
        Self::new(Codec::Raw, Sha256::digest(bytes).into())
    }

    /// From a codec and a SHA-256 digest.
    pub fn new(codec: Codec, digest: [u8; 32]) -> Self {
        let mut bytes = [0; 36];
        let (head, tail) = bytes.split_at_mut(4);
        head.copy_from_slice(&[VERSION, codec.code(), SHA_256[0], SHA_256[1]]);
        tail.copy_from_slice(&digest);
        Self(bytes)
    }

    /// From the 36-byte form; `None` for any other version, codec, hash or length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 36] = bytes.try_into().ok()?;
        match bytes {
            [VERSION, 0x71 | 0x55, 0x12, 0x20, ..] => Some(Self(bytes)),
            _ => None,
        }
    }

    /// The 36-byte form.
    pub const fn as_bytes(&self) -> &[u8; 36] {
        &self.0
    }

    /// The codec.
    pub const fn codec(&self) -> Codec {
        match self.0 {
            [_, 0x55, ..] => Codec::Raw,
            _ => Codec::DagCbor,
        }
    }

    /// The SHA-256 digest.
    pub fn digest(&self) -> &[u8; 32] {
        const NONE: &[u8; 32] = &[0; 32];
        // Always there: 36 bytes are 4 and 32.
        self.0.last_chunk().unwrap_or(NONE)
    }

    /// Whether this is the CID of these bytes.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        Sha256::digest(bytes).as_slice() == self.digest()
    }

    /// The text form in ASCII, without a heap allocation.
    pub(super) fn to_text(self) -> [u8; TEXT_LEN] {
        let mut text = [b'b'; TEXT_LEN];
        let mut places = text.iter_mut().skip(1);
        // Five bytes are eight characters; the last of the 36 bytes makes two, whose last two bits are zero.
        for group in self.0.chunks(5) {
            let bits = group.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte)) << (8 * (5 - group.len()));
            let characters = (group.len() * 8).div_ceil(5);
            for (place, index) in places.by_ref().take(characters).zip(0u32..) {
                let value = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or(0);
                *place = BASE32.get(value).copied().unwrap_or(b'a');
            }
        }
        text
    }
}

/// A text that is not a CID of the form the protocol uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the CID is not valid: a CIDv1 in base32 with SHA-256 and the codec dag-cbor or raw is needed")]
pub struct CidError;

impl std::str::FromStr for Cid {
    type Err = CidError;
    fn from_str(text: &str) -> Result<Self, CidError> {
        let digits = text.strip_prefix('b').filter(|digits| digits.len() == TEXT_LEN - 1).ok_or(CidError)?;
        let mut bytes = [0; 36];
        let mut places = bytes.iter_mut();
        let (mut bits, mut held) = (0u32, 0);
        for digit in digits.bytes() {
            let value = match digit {
                b'a'..=b'z' => digit - b'a',
                b'2'..=b'7' => digit - b'2' + 26,
                _ => return Err(CidError),
            };
            bits = bits << 5 | u32::from(value);
            held += 5;
            if held >= 8 {
                held -= 8;
                let [.., byte] = (bits >> held).to_be_bytes();
                *places.next().ok_or(CidError)? = byte;
                bits &= (1 << held) - 1;
            }
        }
        // The two bits that are left over must be zero, or two texts would be one CID.
        if bits != 0 {
            return Err(CidError);
        }
        Self::from_bytes(&bytes).ok_or(CidError)
    }
}

impl std::fmt::Display for Cid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(str::from_utf8(&self.to_text()).unwrap_or_default())
    }
}

impl std::fmt::Debug for Cid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl serde::Serialize for Cid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.to_text()).unwrap_or_default())
    }
}

impl<'de> serde::Deserialize<'de> for Cid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::syntax::deserialize_text(deserializer)
    }
}
