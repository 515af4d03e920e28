//! Operations: their JSON exactly as on the wire, their DAG-CBOR, hashes and signatures.

use std::{collections::BTreeMap, fmt};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    crypto::{DidKey, SigningKey},
    ipld::{Cid, Codec, Map, Value, cbor},
    limits::plc as limits,
    syntax::{Did, Handle},
};

/// The name of the verification method that signs repositories.
pub const ATPROTO_KEY: &str = "atproto";
/// The name of the service that hosts the account.
pub const ATPROTO_PDS: &str = "atproto_pds";
/// The type of that service.
pub const ATPROTO_PDS_TYPE: &str = "AtprotoPersonalDataServer";

/// A signed operation of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Operation {
    /// Creates or replaces the whole state of a DID.
    #[serde(rename = "plc_operation")]
    Operation(SignedOperation),
    /// Ends a DID.
    #[serde(rename = "plc_tombstone")]
    Tombstone(Tombstone),
    /// The old form of a genesis operation; read, never made.
    #[serde(rename = "create")]
    Create(LegacyCreate),
}

/// The state that an operation gives a DID, and the operation it follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsignedOperation {
    /// did:keys that may sign the next operation, the strongest first.
    pub rotation_keys: Vec<String>,
    /// did:keys of any kind by name.
    pub verification_methods: BTreeMap<String, String>,
    /// URIs, the first `at://` being the handle.
    pub also_known_as: Vec<String>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// The operation before; none for a genesis.
    pub prev: Option<Cid>,
}

/// A service of a DID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is.
    pub endpoint: String,
}

/// An operation and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WireOperation", into = "WireOperation")]
pub struct SignedOperation {
    /// What was signed.
    pub unsigned: UnsignedOperation,
    /// By one of the rotation keys of the operation before, or of its own if it is the first.
    pub sig: OpSignature,
}

/// The end of a DID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// The operation before.
    #[serde(deserialize_with = "exact_cid")]
    pub prev: Cid,
    /// By one of the rotation keys of the operation before.
    pub sig: OpSignature,
}

/// The old form of a genesis operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LegacyCreate {
    /// A did:key: signs repositories, and is the second rotation key.
    pub signing_key: String,
    /// A did:key: the first rotation key.
    pub recovery_key: String,
    /// Without `at://`.
    pub handle: String,
    /// The PDS.
    pub service: String,
    /// Always null.
    #[serde(deserialize_with = "only_null")]
    pub prev: (),
    /// By one of the two keys.
    pub sig: OpSignature,
}

/// The text of a signature: base64url without padding, of some bytes; that these are a compact low-S signature is seen
/// when they are verified.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OpSignature(String);

/// A `sig` that is not canonical base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sig is not valid: base64url without padding, line breaks or stray bits is needed")]
pub struct OpSignatureError;

impl OpSignature {
    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn to_bytes(&self) -> Vec<u8> {
        BASE64URL_NOPAD.decode(self.0.as_bytes()).unwrap_or_default()
    }
}

impl TryFrom<String> for OpSignature {
    type Error = OpSignatureError;

    fn try_from(text: String) -> Result<Self, OpSignatureError> {
        let canonical = text.len() <= limits::SIGNATURE_MAX_CHARS && BASE64URL_NOPAD.decode(text.as_bytes()).is_ok();
        if canonical { Ok(Self(text)) } else { Err(OpSignatureError) }
    }
}

impl From<OpSignature> for String {
    fn from(signature: OpSignature) -> Self {
        signature.0
    }
}

impl fmt::Debug for OpSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl UnsignedOperation {
    /// The state of an account on a PDS, as a genesis operation.
    pub fn genesis(signing_key: &DidKey, handle: &Handle, pds: &str, rotation_keys: Vec<String>) -> Self {
        let mut operation = Self { rotation_keys, ..Self::default() };
        operation.set_signing_key(signing_key);
        operation.set_handle(handle);
        operation.set_pds(pds);
        operation
    }

    /// The did:key that signs the account's repository.
    pub fn signing_key(&self) -> Option<&str> {
        self.verification_methods.get(ATPROTO_KEY).map(String::as_str)
    }

    /// Makes this key the one that signs the account's repository.
    pub fn set_signing_key(&mut self, key: &DidKey) {
        self.verification_methods.insert(ATPROTO_KEY.to_owned(), key.to_string());
    }

    /// The handle as it is written in the first `at://` URI, whether or not it is a valid one.
    pub fn handle(&self) -> Option<&str> {
        self.also_known_as.iter().find_map(|uri| uri.strip_prefix("at://"))
    }

    /// Replaces the first `at://` URI, or puts one in front; other names stay.
    pub fn set_handle(&mut self, handle: &Handle) {
        let uri = format!("at://{handle}");
        match self.also_known_as.iter_mut().find(|uri| uri.starts_with("at://")) {
            Some(old) => *old = uri,
            None => self.also_known_as.insert(0, uri),
        }
    }

    /// Where the account is hosted.
    pub fn pds(&self) -> Option<&str> {
        self.services.get(ATPROTO_PDS).map(|service| service.endpoint.as_str())
    }

    /// Hosts the account at this URL.
    pub fn set_pds(&mut self, endpoint: &str) {
        let service = Service { kind: ATPROTO_PDS_TYPE.to_owned(), endpoint: endpoint.to_owned() };
        self.services.insert(ATPROTO_PDS.to_owned(), service);
    }

    /// What is signed: DAG-CBOR without `sig`.
    pub fn to_cbor(&self) -> Vec<u8> {
        cbor::encode(&Value::Map(self.to_map()))
    }

    /// Signs it.
    pub fn sign(self, key: &SigningKey) -> Operation {
        let sig = signature(key, &self.to_cbor());
        Operation::Operation(SignedOperation { unsigned: self, sig })
    }

    fn to_map(&self) -> Map {
        let mut map = Map::new();
        map.insert("type", "plc_operation");
        map.insert("rotationKeys", texts(&self.rotation_keys));
        map.insert("verificationMethods", map_of(&self.verification_methods, |key| key.as_str().into()));
        map.insert("alsoKnownAs", texts(&self.also_known_as));
        map.insert(
            "services",
            map_of(&self.services, |service| {
                let mut map = Map::new();
                map.insert("type", service.kind.as_str());
                map.insert("endpoint", service.endpoint.as_str());
                map.into()
            }),
        );
        // A link as text, as in JSON.
        map.insert("prev", self.prev.map_or(Value::Null, |cid| cid.to_string().into()));
        map
    }
}

impl Operation {
    /// A signed tombstone that follows `prev`.
    pub fn tombstone(prev: Cid, key: &SigningKey) -> Self {
        let sig = signature(key, &cbor::encode(&Value::Map(tombstone_map(prev))));
        Self::Tombstone(Tombstone { prev, sig })
    }

    /// DAG-CBOR with `sig`: what its CID and a genesis's DID are hashes of.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut map = self.unsigned_map();
        map.insert("sig", self.sig().as_str());
        cbor::encode(&Value::Map(map))
    }

    /// What is signed: DAG-CBOR without `sig`.
    pub fn to_unsigned_cbor(&self) -> Vec<u8> {
        cbor::encode(&Value::Map(self.unsigned_map()))
    }

    /// Its CID, which the next operation names as `prev`.
    pub fn cid(&self) -> Cid {
        Cid::of_cbor(&self.to_cbor())
    }

    /// The operation before; none for a genesis.
    pub const fn prev(&self) -> Option<Cid> {
        match self {
            Self::Operation(operation) => operation.unsigned.prev,
            Self::Tombstone(tombstone) => Some(tombstone.prev),
            Self::Create(_) => None,
        }
    }

    /// The signature.
    pub const fn sig(&self) -> &OpSignature {
        match self {
            Self::Operation(operation) => &operation.sig,
            Self::Tombstone(tombstone) => &tombstone.sig,
            Self::Create(create) => &create.sig,
        }
    }

    /// Whether this ends the DID.
    pub const fn is_tombstone(&self) -> bool {
        matches!(self, Self::Tombstone(_))
    }

    /// The DID that this makes as a genesis operation: the first 24 base32 characters of its hash.
    #[expect(clippy::expect_used, reason = "base32 in lower case behind did:plc: is a DID")]
    pub fn did_for_genesis(&self) -> Did {
        let mut hash = BASE32_NOPAD.encode(&Sha256::digest(self.to_cbor()));
        hash.truncate(24);
        hash.make_ascii_lowercase();
        format!("did:plc:{hash}").parse().expect("a DID")
    }

    /// The state that it gives, with the old form of a genesis put in the terms of the new; none for a tombstone.
    pub fn normalized(&self) -> Option<UnsignedOperation> {
        match self {
            Self::Operation(operation) => Some(operation.unsigned.clone()),
            Self::Tombstone(_) => None,
            Self::Create(create) => Some(create.normalized()),
        }
    }

    /// Which of these did:keys signed it, by its index. Keys that are neither K-256 nor P-256 sign nothing.
    pub fn signer(&self, keys: &[String]) -> Option<usize> {
        let (signed, signature) = (self.to_unsigned_cbor(), self.sig().to_bytes());
        keys.iter().position(|key| key.parse::<DidKey>().is_ok_and(|key| key.verify(&signed, &signature).is_ok()))
    }

    fn unsigned_map(&self) -> Map {
        match self {
            Self::Operation(operation) => operation.unsigned.to_map(),
            Self::Tombstone(tombstone) => tombstone_map(tombstone.prev),
            Self::Create(create) => create.to_map(),
        }
    }
}

impl LegacyCreate {
    fn to_map(&self) -> Map {
        let mut map = Map::new();
        map.insert("type", "create");
        map.insert("signingKey", self.signing_key.as_str());
        map.insert("recoveryKey", self.recovery_key.as_str());
        map.insert("handle", self.handle.as_str());
        map.insert("service", self.service.as_str());
        map.insert("prev", Value::Null);
        map
    }

    fn normalized(&self) -> UnsignedOperation {
        let handle = if self.handle.starts_with("at://") {
            self.handle.clone()
        } else {
            format!("at://{}", self.handle.replacen("http://", "", 1).replacen("https://", "", 1))
        };
        let has_scheme = self.service.starts_with("http://") || self.service.starts_with("https://");
        let mut operation = UnsignedOperation {
            rotation_keys: vec![self.recovery_key.clone(), self.signing_key.clone()],
            verification_methods: BTreeMap::from([(ATPROTO_KEY.to_owned(), self.signing_key.clone())]),
            also_known_as: vec![handle],
            ..UnsignedOperation::default()
        };
        operation.set_pds(&if has_scheme { self.service.clone() } else { format!("https://{}", self.service) });
        operation
    }
}

/// The JSON of an operation, flat.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WireOperation {
    rotation_keys: Vec<String>,
    verification_methods: BTreeMap<String, String>,
    also_known_as: Vec<String>,
    services: BTreeMap<String, Service>,
    // The attribute also makes the field one that must be there.
    #[serde(deserialize_with = "exact_cid_or_null")]
    prev: Option<Cid>,
    sig: OpSignature,
}

impl From<WireOperation> for SignedOperation {
    fn from(wire: WireOperation) -> Self {
        let WireOperation { rotation_keys, verification_methods, also_known_as, services, prev, sig } = wire;
        let unsigned = UnsignedOperation { rotation_keys, verification_methods, also_known_as, services, prev };
        Self { unsigned, sig }
    }
}

impl From<SignedOperation> for WireOperation {
    fn from(operation: SignedOperation) -> Self {
        let UnsignedOperation { rotation_keys, verification_methods, also_known_as, services, prev } =
            operation.unsigned;
        Self { rotation_keys, verification_methods, also_known_as, services, prev, sig: operation.sig }
    }
}

fn signature(key: &SigningKey, message: &[u8]) -> OpSignature {
    OpSignature(BASE64URL_NOPAD.encode(&key.sign(message).0))
}

fn tombstone_map(prev: Cid) -> Map {
    let mut map = Map::new();
    map.insert("type", "plc_tombstone");
    map.insert("prev", prev.to_string());
    map
}

fn texts(texts: &[String]) -> Vec<Value> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

fn map_of<T>(entries: &BTreeMap<String, T>, value: impl Fn(&T) -> Value) -> Map {
    let mut map = Map::new();
    for (key, entry) in entries {
        map.insert(key.as_str(), value(entry));
    }
    map
}

/// A CID in the one text form that the hash of the operation can be recomputed from.
fn parse_exact_cid(text: &str) -> Option<Cid> {
    let cid: Cid = text.parse().ok()?;
    (cid.codec() == Codec::DagCbor && cid.to_string() == text).then_some(cid)
}

fn exact_cid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cid, D::Error> {
    exact_cid_or_null(deserializer)?.ok_or_else(|| serde::de::Error::custom("prev must not be null"))
}

fn exact_cid_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cid>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let refused = || serde::de::Error::custom("prev is not the CID of an operation: a CIDv1 in base32 is needed");
    parse_exact_cid(&text).map(Some).ok_or_else(refused)
}

fn only_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        None => Ok(()),
        Some(_) => Err(serde::de::Error::custom("prev of a genesis operation must be null")),
    }
}
