//! The two views of a DID's state that a directory serves: the W3C DID document, and the plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Service, UnsignedOperation};
use crate::{
    crypto::{Curve, DidKey},
    syntax::Did,
};

/// The media type of a DID document from a directory.
pub const MEDIA_TYPE: &str = "application/did+ld+json";

/// A DID document (`/{did}`). Keys of kinds that this program does not know are Multikeys like the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DidDocument {
    /// The JSON-LD contexts.
    #[serde(rename = "@context")]
    pub context: Vec<String>,
    /// The DID.
    pub id: Did,
    /// URIs, the first `at://` being the handle.
    pub also_known_as: Vec<String>,
    /// Public keys.
    pub verification_method: Vec<VerificationMethod>,
    /// Services.
    pub service: Vec<DocumentService>,
}

/// A public key in a DID document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationMethod {
    /// The DID, `#` and the key's name.
    pub id: String,
    /// `Multikey`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The DID.
    pub controller: Did,
    /// The key without `did:key:`.
    pub public_key_multibase: String,
}

/// A service in a DID document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentService {
    /// `#` and the service's name.
    pub id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is.
    pub service_endpoint: String,
}

impl DidDocument {
    /// The document of a DID in this state.
    pub fn of(did: &Did, state: &UnsignedOperation) -> Self {
        let mut context: Vec<String> =
            ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"].map(str::to_owned).into();
        for suite in state.verification_methods.values().filter_map(|key| suite(key)) {
            if !context.iter().any(|known| known == suite) {
                context.push(suite.to_owned());
            }
        }
        let method = |(name, key): (&String, &String)| VerificationMethod {
            id: format!("{did}#{name}"),
            kind: "Multikey".to_owned(),
            controller: did.clone(),
            public_key_multibase: key.strip_prefix("did:key:").unwrap_or(key).to_owned(),
        };
        let service = |(name, service): (&String, &Service)| DocumentService {
            id: format!("#{name}"),
            kind: service.kind.clone(),
            service_endpoint: service.endpoint.clone(),
        };
        Self {
            context,
            id: did.clone(),
            also_known_as: state.also_known_as.clone(),
            verification_method: state.verification_methods.iter().map(method).collect(),
            service: state.services.iter().map(service).collect(),
        }
    }
}

/// The plain data of a DID (`/{did}/data`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// The DID.
    pub did: Did,
    /// did:keys by name.
    pub verification_methods: BTreeMap<String, String>,
    /// did:keys, the strongest first.
    pub rotation_keys: Vec<String>,
    /// URIs.
    pub also_known_as: Vec<String>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
}

impl Data {
    /// The data of a DID in this state.
    pub fn of(did: &Did, state: &UnsignedOperation) -> Self {
        Self {
            did: did.clone(),
            verification_methods: state.verification_methods.clone(),
            rotation_keys: state.rotation_keys.clone(),
            also_known_as: state.also_known_as.clone(),
            services: state.services.clone(),
        }
    }
}

/// The context that a key's kind adds; none for a kind that is not known here.
fn suite(key: &str) -> Option<&'static str> {
    Some(match key.parse::<DidKey>().ok()?.curve() {
        Curve::P256 => "https://w3id.org/security/suites/ecdsa-2019/v1",
        Curve::K256 => "https://w3id.org/security/suites/secp256k1-2019/v1",
    })
}
