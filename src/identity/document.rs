//! A DID document as the protocol reads it. Spec: <https://atproto.com/specs/did>.
//!
//! Reading is tolerant, as clients are: what the protocol does not use may have any shape, and what it uses but cannot
//! understand is absent rather than an error.

use serde_json::{Value, json};
use url::Url;

use crate::{
    crypto::DidKey,
    limits::outbound::{DID_DOCUMENT_MAX_ENTRIES, SERVICE_ENDPOINT_MAX_BYTES},
    syntax::{Did, Handle},
};

const PDS_ID: &str = "atproto_pds";
const PDS_TYPE: &str = "AtprotoPersonalDataServer";

/// A parsed DID document; the JSON is kept as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct DidDocument {
    /// Its subject.
    pub did: Did,
    /// The first valid `at://` alias.
    pub handle: Option<Handle>,
    /// The `#atproto` key, if it is one that the protocol can use.
    pub signing_key: Option<DidKey>,
    /// The `#atproto_pds` endpoint: an http(s) origin.
    pub pds: Option<Url>,
    /// The document as it came.
    pub json: Value,
}

/// Why JSON is not a usable DID document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON object, or its `id` is not text.
    #[error("it is not an object with an id")]
    Shape,
    /// It is about another DID.
    #[error("it is about another DID")]
    Subject,
    /// A list in it has more entries than are looked at.
    #[error("its {0} has more than {DID_DOCUMENT_MAX_ENTRIES} entries")]
    TooMany(&'static str),
}

impl DidDocument {
    /// Reads a document that must be about `did`.
    ///
    /// # Errors
    /// [`DocumentError`] when it is not an object, is about another DID, or has too many entries. A missing or useless
    /// handle, key or endpoint is none: the field is `None` then.
    pub fn parse(did: &Did, json: Value) -> Result<Self, DocumentError> {
        let id = json.as_object().and_then(|object| object.get("id")).and_then(Value::as_str);
        if id.ok_or(DocumentError::Shape)? != did.as_str() {
            return Err(DocumentError::Subject);
        }
        for list in ["alsoKnownAs", "verificationMethod", "service"] {
            if entries(&json, list).len() > DID_DOCUMENT_MAX_ENTRIES {
                return Err(DocumentError::TooMany(list));
            }
        }
        let handle = entries(&json, "alsoKnownAs")
            .iter()
            .filter_map(|alias| alias.as_str()?.strip_prefix("at://"))
            .find_map(|name| name.parse().ok());
        let mut document = Self { did: did.clone(), handle, signing_key: None, pds: None, json };
        document.signing_key = document.key("atproto");
        document.pds = document.service(PDS_ID, Some(PDS_TYPE)).filter(is_origin);
        Ok(document)
    }

    /// The endpoint of service `#id`, optionally of a type: the first such entry, if it is an http(s) URL without
    /// credentials.
    pub fn service(&self, id: &str, kind: Option<&str>) -> Option<Url> {
        let entry = entries(&self.json, "service").iter().find(|entry| {
            self.is_named(entry, id) && kind.is_none_or(|kind| entry.get("type").and_then(Value::as_str) == Some(kind))
        })?;
        let endpoint = entry.get("serviceEndpoint")?.as_str()?;
        if endpoint.len() > SERVICE_ENDPOINT_MAX_BYTES {
            return None;
        }
        let url = Url::parse(endpoint).ok()?;
        let is_usable = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none();
        is_usable.then_some(url)
    }

    /// The key of verification method `#id`: the first such entry, if it is one that the protocol can use.
    pub fn key(&self, id: &str) -> Option<DidKey> {
        let entry = entries(&self.json, "verificationMethod").iter().find(|entry| self.is_named(entry, id))?;
        let kind = entry.get("type")?.as_str()?;
        DidKey::from_verification_method(kind, entry.get("publicKeyMultibase")?.as_str()?).ok()
    }

    /// Where a did:web document is: `https://<host>/.well-known/did.json` (plain http for `localhost`, which alone may
    /// have a port); `None` for another method or a path.
    pub fn did_web_url(did: &Did) -> Option<Url> {
        if !did.is_web() {
            return None;
        }
        let host = did.as_str().strip_prefix("did:web:")?;
        let (name, port) = match host.split_at_checked("localhost".len()) {
            Some((name @ "localhost", "")) => (name, None),
            Some((name @ "localhost", port)) if port.to_ascii_lowercase().starts_with("%3a") => (name, port.get(3..)),
            _ => (host, None),
        };
        let text = match (name, port) {
            ("localhost", Some(port)) => format!("http://localhost:{port}/.well-known/did.json"),
            ("localhost", None) => "http://localhost/.well-known/did.json".to_owned(),
            _ => format!("https://{name}/.well-known/did.json"),
        };
        Url::parse(&text).ok()
    }

    /// The server's own document, for `/.well-known/did.json`: it names nothing but the PDS service at `endpoint`.
    pub fn of_server(did: &Did, endpoint: &Url) -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": did.as_str(),
            "service": [{
                "id": format!("#{PDS_ID}"),
                "type": PDS_TYPE,
                "serviceEndpoint": endpoint.as_str().trim_end_matches('/'),
            }],
        })
    }

    /// Whether an entry's id is `#id`, written relative or with the document's own DID before it.
    fn is_named(&self, entry: &Value, id: &str) -> bool {
        let Some(name) = entry.get("id").and_then(Value::as_str) else { return false };
        name.strip_prefix(self.did.as_str()).unwrap_or(name).strip_prefix('#') == Some(id)
    }
}

/// The entries of a list, none if it is absent or no list.
fn entries<'a>(json: &'a Value, list: &str) -> &'a [Value] {
    json.get(list).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_origin(url: &Url) -> bool {
    url.path() == "/" && url.query().is_none() && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{Curve, SigningKey},
        entropy::SeededEntropy,
    };

    const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

    fn did() -> Did {
        DID.parse().unwrap()
    }

    fn key() -> DidKey {
        SigningKey::generate(Curve::K256, &SeededEntropy::new(1)).did_key()
    }

    fn parse(json: Value) -> DidDocument {
        DidDocument::parse(&did(), json).unwrap()
    }

    #[test]
    fn an_ordinary_document_gives_handle_key_and_pds() {
        let document = parse(json!({
            "id": DID,
            "alsoKnownAs": ["at://Alice.example.com"],
            "verificationMethod": [{ "id": format!("{DID}#atproto"), "type": "Multikey", "controller": DID,
                "publicKeyMultibase": key().multibase() }],
            "service": [{ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": "https://pds.example.com" }],
        }));
        assert_eq!(document.handle, "alice.example.com".parse().ok());
        assert_eq!(document.signing_key, Some(key()));
        assert_eq!(document.pds.unwrap().as_str(), "https://pds.example.com/");
    }

    #[test]
    fn fragment_ids_may_be_relative_or_absolute_but_not_of_another_did() {
        let with = |id: &str| {
            parse(json!({ "id": DID, "service": [{ "id": id, "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": "https://pds.example.com" }] }))
            .pds
        };
        assert!(with("#atproto_pds").is_some());
        assert!(with(&format!("{DID}#atproto_pds")).is_some());
        assert!(with("did:plc:other#atproto_pds").is_none());
        assert!(with("atproto_pds").is_none());
        assert!(with("##atproto_pds").is_none());
    }

    #[test]
    fn the_first_valid_handle_counts() {
        let document = parse(json!({ "id": DID,
            "alsoKnownAs": ["https://x.example", "at://not_valid", 7, "at://bob.test", "at://alice.test"] }));
        assert_eq!(document.handle, "bob.test".parse().ok());
    }

    #[test]
    fn the_first_key_of_the_name_counts_even_if_it_is_useless() {
        let document = parse(json!({ "id": DID, "verificationMethod": [
            { "id": "#atproto", "type": "Multikey", "publicKeyMultibase": "zNonsense" },
            { "id": "#atproto", "type": "Multikey", "publicKeyMultibase": key().multibase() },
        ] }));
        assert_eq!(document.signing_key, None);
    }

    #[test]
    fn a_legacy_uncompressed_key_is_read() {
        use k256::elliptic_curve::sec1::ToSec1Point as _;
        let secret = k256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let point = k256::PublicKey::from(secret.verifying_key()).to_sec1_point(false).to_bytes();
        let document = parse(json!({ "id": DID, "verificationMethod": [{ "id": "#atproto",
            "type": "EcdsaSecp256k1VerificationKey2019",
            "publicKeyMultibase": format!("z{}", bs58::encode(point).into_string()) }] }));
        let expected = SigningKey::from_bytes(Curve::K256, &[7; 32]).unwrap().did_key();
        assert_eq!(document.signing_key, Some(expected));
    }

    #[test]
    fn a_pds_of_another_type_is_passed_over() {
        let document = parse(json!({ "id": DID, "service": [
            { "id": "#atproto_pds", "type": "SomethingElse", "serviceEndpoint": "https://no.example.com" },
            { "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://yes.example.com" },
        ] }));
        assert_eq!(document.pds.unwrap().host_str(), Some("yes.example.com"));
    }

    #[test]
    fn a_pds_endpoint_must_be_an_http_origin() {
        let with = |endpoint: Value| {
            parse(json!({ "id": DID, "service": [{ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": endpoint }] }))
            .pds
        };
        assert!(with(json!("http://localhost:2583")).is_some());
        assert!(with(json!("https://pds.example.com:8443/")).is_some());
        for bad in [
            "https://pds.example.com/path",
            "https://pds.example.com/?q",
            "https://pds.example.com/#f",
            "https://user:pw@pds.example.com",
            "ftp://pds.example.com",
            "file:///etc/passwd",
            "pds.example.com",
            "",
        ] {
            assert_eq!(with(json!(bad)), None, "{bad}");
        }
        assert_eq!(with(json!({ "uri": "https://pds.example.com" })), None);
        assert_eq!(with(json!(format!("https://pds.example.com/{}", "a".repeat(3000)))), None);
    }

    #[test]
    fn another_service_may_have_a_path_and_is_found_by_type() {
        let document = parse(json!({ "id": DID, "service": [
            { "id": "#labeler", "type": "AtprotoLabeler", "serviceEndpoint": "https://l.example.com/x" }] }));
        assert_eq!(document.service("labeler", None).unwrap().as_str(), "https://l.example.com/x");
        assert!(document.service("labeler", Some("AtprotoLabeler")).is_some());
        assert!(document.service("labeler", Some("Other")).is_none());
        assert!(document.service("nothing", None).is_none());
    }

    #[test]
    fn odd_shapes_are_absent_rather_than_errors() {
        let document =
            parse(json!({ "id": DID, "alsoKnownAs": "at://a.test", "verificationMethod": {}, "service": [1, null,
            { "id": 4 }] }));
        assert_eq!((document.handle, document.signing_key, document.pds), (None, None, None));
    }

    #[test]
    fn a_document_about_someone_else_is_refused() {
        assert_eq!(DidDocument::parse(&did(), json!({ "id": "did:plc:other" })), Err(DocumentError::Subject));
        assert_eq!(DidDocument::parse(&did(), json!({})), Err(DocumentError::Shape));
        assert_eq!(DidDocument::parse(&did(), json!([DID])), Err(DocumentError::Shape));
    }

    #[test]
    fn a_document_with_endless_lists_is_refused() {
        let json = json!({ "id": DID, "alsoKnownAs": vec!["at://a.test"; DID_DOCUMENT_MAX_ENTRIES + 1] });
        assert_eq!(DidDocument::parse(&did(), json), Err(DocumentError::TooMany("alsoKnownAs")));
    }

    #[test]
    fn a_did_web_is_a_host_name_and_only_localhost_has_a_port() {
        let url = |did: &str| DidDocument::did_web_url(&did.parse().unwrap()).map(String::from);
        assert_eq!(url("did:web:example.com").as_deref(), Some("https://example.com/.well-known/did.json"));
        assert_eq!(url("did:web:localhost%3A2583").as_deref(), Some("http://localhost:2583/.well-known/did.json"));
        assert_eq!(url("did:web:localhost").as_deref(), Some("http://localhost/.well-known/did.json"));
        for bad in ["did:web:example.com:path", "did:web:example.com%3A8080", "did:web:127.0.0.1%2Fx", DID] {
            assert_eq!(url(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_servers_own_document_reads_back() {
        let did: Did = "did:web:pds.example.com".parse().unwrap();
        let endpoint = Url::parse("https://pds.example.com").unwrap();
        let json = DidDocument::of_server(&did, &endpoint);
        assert_eq!(json["service"][0]["serviceEndpoint"], "https://pds.example.com");
        assert_eq!(DidDocument::parse(&did, json).unwrap().pds, Some(endpoint));
    }
}
