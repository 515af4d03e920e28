//! The DID document: it names the new server, and keeps everything else that it said.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::{MoveError, Mover};
use crate::{
    client::{files, pds::Pds},
    delegation::VerifiedLog,
    limits::client::{CODE_TRIES, CONFIRM_PAUSE, CONFIRM_TRIES},
    plc::{ATPROTO_KEY, ATPROTO_PDS, Operation, Service, UnsignedOperation, validate_constraints},
};

/// What a server wants a DID document to say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    rotation_keys: Vec<String>,
    verification_methods: BTreeMap<String, String>,
    also_known_as: Vec<String>,
    services: BTreeMap<String, Service>,
}

impl Credentials {
    pub(super) async fn of(pds: &Pds) -> Result<Self, MoveError> {
        let json = pds.get("com.atproto.identity.getRecommendedDidCredentials", &[]).await?;
        let list = |name: &str| -> Vec<String> {
            let items = json.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let methods = json.get("verificationMethods").and_then(Value::as_object).into_iter().flatten();
        Ok(Self {
            rotation_keys: list("rotationKeys"),
            verification_methods: methods
                .filter_map(|(id, key)| Some((id.clone(), key.as_str()?.to_owned())))
                .collect(),
            also_known_as: list("alsoKnownAs"),
            services: json
                .get("services")
                .and_then(|services| serde_json::from_value(services.clone()).ok())
                .unwrap_or_default(),
        })
    }
}

/// The state that the move wants: of the old server's nothing is left but what was never its own.
fn moved(present: &UnsignedOperation, old: &Credentials, new: &Credentials) -> UnsignedOperation {
    let mut next = present.clone();
    // The owner's own keys stay in front.
    next.rotation_keys.retain(|key| !old.rotation_keys.contains(key) && !new.rotation_keys.contains(key));
    next.rotation_keys.extend(new.rotation_keys.iter().cloned());
    next.verification_methods.extend(
        new.verification_methods
            .iter()
            .filter(|(id, _)| id.as_str() == ATPROTO_KEY || !present.verification_methods.contains_key(*id))
            .map(|(id, key)| (id.clone(), key.clone())),
    );
    next.also_known_as.retain(|name| !name.starts_with("at://"));
    next.also_known_as.splice(0..0, new.also_known_as.iter().cloned());
    next.services.extend(new.services.iter().map(|(id, service)| (id.clone(), service.clone())));
    next
}

impl Mover<'_> {
    /// The state of the DID, from a log that verifies.
    pub(super) async fn data(&self) -> Result<UnsignedOperation, MoveError> {
        let did = &self.plan.did;
        let entries = self.sources.log(did).await.map_err(|cause| MoveError::Unfit(cause.to_string()))?;
        let log = VerifiedLog::new(did, &entries)
            .map_err(|cause| MoveError::Unfit(format!("the log of {did} does not verify: {cause}")))?;
        let data = log.data().ok_or_else(|| MoveError::Unfit(format!("{did} has ended")))?;
        Ok(UnsignedOperation { prev: Some(log.head()), ..data.clone() })
    }

    /// Whether the document names the new server and the key that it signs with.
    pub(super) async fn is_named(&self, new: &Credentials) -> Result<bool, MoveError> {
        let endpoint = new.services.get(ATPROTO_PDS).map(|service| service.endpoint.trim_end_matches('/').to_owned());
        Ok(self.named().await? == (endpoint, new.verification_methods.get(ATPROTO_KEY).cloned()))
    }

    /// Whether the document names the key that a server signs with, by whatever address that is reached.
    pub(super) async fn is_signed_by(&self, server: &Credentials) -> Result<bool, MoveError> {
        let (_, key) = self.named().await?;
        Ok(key.as_ref() == server.verification_methods.get(ATPROTO_KEY))
    }

    /// The server and the key that the document names.
    async fn named(&self) -> Result<(Option<String>, Option<String>), MoveError> {
        let (endpoint, key) = if self.plan.did.is_plc() {
            let mut present = self.data().await?;
            let service = present.services.remove(ATPROTO_PDS);
            (service.map(|service| service.endpoint), present.verification_methods.remove(ATPROTO_KEY))
        } else {
            let document = self.sources.document(&self.plan.did).await.map_err(MoveError::Unfit)?;
            (document.pds.as_ref().map(ToString::to_string), document.signing_key.as_ref().map(ToString::to_string))
        };
        Ok((endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()), key))
    }

    /// Lets the DID document name the new server.
    pub(super) async fn identity(&mut self) -> Result<(), MoveError> {
        if self.turned {
            return Ok(());
        }
        let new = Credentials::of(self.plan.to.fresh().await?).await?;
        self.remember_delegations().await?;
        if !self.plan.did.is_plc() {
            return self.publish(&new).await;
        }
        let present = self.data().await?;
        let old = Credentials::of(self.plan.from.fresh().await?).await?;
        let wanted = moved(&present, &old, &new);
        validate_constraints(&wanted).map_err(|cause| MoveError::Unfit(cause.to_string()))?;
        for key in wanted.rotation_keys.iter().filter(|key| !new.rotation_keys.contains(key)) {
            self.tell(format!("the rotation key {key} stays: it is neither server's, so it should be yours"));
        }
        let operation = self.signed(&present, &wanted).await?;
        // What was written at the old server while a code was waited for comes along.
        self.check().await?;
        self.submit(&operation, &new).await
    }

    /// The operation, signed: by an earlier run, the owner's key, or the old server.
    async fn signed(
        &mut self,
        present: &UnsignedOperation,
        wanted: &UnsignedOperation,
    ) -> Result<Operation, MoveError> {
        let noted = self.note.operation.take().filter(|operation| operation.normalized().as_ref() == Some(wanted));
        let operation = match (noted, &self.plan.rotation_key) {
            (Some(operation), _) => operation,
            (None, Some(key)) if present.rotation_keys.contains(&key.did_key().to_string()) => wanted.clone().sign(key),
            (None, Some(key)) => {
                return Err(MoveError::Unfit(format!("{} is no rotation key of {}", key.did_key(), self.plan.did)));
            }
            (None, None) => self.signed_by_the_old_server(wanted).await?,
        };
        // A code signs once: whatever happens next, the next run has the operation.
        self.note.operation = Some(operation.clone());
        self.save()?;
        Ok(operation)
    }

    async fn signed_by_the_old_server(&mut self, wanted: &UnsignedOperation) -> Result<Operation, MoveError> {
        if let Some(code) = self.plan.plc_code.clone() {
            return self.signed_for(&code, wanted).await;
        }
        let from = self.plan.from.fresh().await?;
        let host = from.host();
        let stop = match from.post("com.atproto.identity.requestPlcOperationSignature", &Value::Null).await {
            Ok(_) => MoveError::CodeNeeded(host.clone()),
            // Its operator may give one by other means.
            Err(cause) if cause.is_about_this() => {
                self.tell(cause.to_string());
                MoveError::NotMailed(cause)
            }
            Err(cause) => return Err(cause.into()),
        };
        let mut tries = 0;
        while let Some(code) = self.plan.ask_code.and_then(|ask| ask(&host)) {
            tries += 1;
            match self.signed_for(&code, wanted).await {
                Err(MoveError::WrongCode(cause)) if tries < CODE_TRIES => self.tell(cause.to_string()),
                other => return other,
            }
        }
        Err(stop)
    }

    /// What the old server signs for a code, if it is what was asked for.
    async fn signed_for(&mut self, code: &str, wanted: &UnsignedOperation) -> Result<Operation, MoveError> {
        let from = self.plan.from.fresh().await?;
        let body = json!({
            "token": code,
            "rotationKeys": wanted.rotation_keys,
            "alsoKnownAs": wanted.also_known_as,
            "verificationMethods": wanted.verification_methods,
            "services": wanted.services,
        });
        let answer = match from.post("com.atproto.identity.signPlcOperation", &body).await {
            Err(cause) if cause.is("InvalidToken") || cause.is("ExpiredToken") => {
                return Err(MoveError::WrongCode(cause));
            }
            other => other?,
        };
        let unfit = |what: &str| MoveError::Unfit(format!("{} signed {what}", from.host()));
        let operation = answer.get("operation").cloned().unwrap_or(Value::Null);
        let operation: Operation =
            serde_json::from_value(operation).map_err(|_| unfit("nothing that is an operation"))?;
        match operation.normalized() {
            Some(signed) if signed == *wanted => Ok(operation),
            _ => Err(unfit("something else than was asked for; nothing was submitted")),
        }
    }

    /// Sends the operation, and looks whether it is in the directory: an answer alone is not enough, nor is its loss.
    async fn submit(&mut self, operation: &Operation, new: &Credentials) -> Result<(), MoveError> {
        let body = json!({"operation": operation});
        let answer = self.plan.to.fresh().await?.post("com.atproto.identity.submitPlcOperation", &body).await;
        let tries = if answer.is_ok() { CONFIRM_TRIES } else { 1 };
        for left in (0..tries).rev() {
            self.turned = self.is_named(new).await?;
            if self.turned {
                return Ok(());
            }
            if left > 0 {
                tokio::time::sleep(CONFIRM_PAUSE).await;
            }
        }
        answer?;
        Err(MoveError::Unfit("the new server took the operation, and the directory does not show it".to_owned()))
    }

    /// A did:web has its document elsewhere: it is written for its owner, who alone can publish it.
    async fn publish(&self, new: &Credentials) -> Result<(), MoveError> {
        let present = self.sources.document(&self.plan.did).await.map_err(MoveError::Unfit)?;
        let file = self.plan.file.with_extension("did.json");
        let mut text = serde_json::to_string_pretty(&web_document(&present.json, new)).unwrap_or_default();
        text.push('\n');
        files::replace(&file, &text)?;
        Err(MoveError::Publish { did: self.plan.did.clone(), file })
    }
}

/// The document with the new server's endpoint, key and handle, and everything else as it was.
fn web_document(present: &Value, new: &Credentials) -> Value {
    let mut document = present.clone();
    let did = present.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |name: &str| present.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let without = |name: &str, id: &str| -> Vec<Value> {
        let (short, long) = (format!("#{id}"), format!("{did}#{id}"));
        let is_other =
            |entry: &Value| entry.get("id").and_then(Value::as_str).is_none_or(|id| id != short && id != long);
        list(name).into_iter().filter(is_other).collect()
    };
    let key =
        new.verification_methods.get(ATPROTO_KEY).and_then(|key| key.strip_prefix("did:key:")).unwrap_or_default();
    let mut methods = without("verificationMethod", ATPROTO_KEY);
    let method =
        json!({"id": format!("{did}#{ATPROTO_KEY}"), "type": "Multikey", "controller": did, "publicKeyMultibase": key});
    methods.insert(0, method);
    let mut services = without("service", ATPROTO_PDS);
    if let Some(service) = new.services.get(ATPROTO_PDS) {
        services
            .push(json!({"id": format!("#{ATPROTO_PDS}"), "type": service.kind, "serviceEndpoint": service.endpoint}));
    }
    let others =
        list("alsoKnownAs").into_iter().filter(|name| !name.as_str().is_some_and(|name| name.starts_with("at://")));
    let names: Vec<Value> = new.also_known_as.iter().cloned().map(Value::String).chain(others).collect();
    if let Some(map) = document.as_object_mut() {
        map.insert("alsoKnownAs".to_owned(), names.into());
        map.insert("verificationMethod".to_owned(), methods.into());
        map.insert("service".to_owned(), services.into());
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(endpoint: &str) -> BTreeMap<String, Service> {
        let service = Service { kind: "AtprotoPersonalDataServer".to_owned(), endpoint: endpoint.to_owned() };
        BTreeMap::from([(ATPROTO_PDS.to_owned(), service)])
    }

    fn methods(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(id, key)| ((*id).to_owned(), (*key).to_owned())).collect()
    }

    fn strings(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn server(key: &str, handle: &str, endpoint: &str) -> Credentials {
        Credentials {
            rotation_keys: strings(&[key]),
            verification_methods: methods(&[(ATPROTO_KEY, key)]),
            also_known_as: strings(&[handle]),
            services: service(endpoint),
        }
    }

    #[test]
    fn a_move_keeps_the_owners_keys_delegations_and_other_names_and_nothing_of_the_old_server() {
        let old = server("old", "at://alice.old.example", "https://old.example");
        let new = server("new", "at://alice.new.example", "https://new.example");
        let mut services = service("https://old.example");
        services.extend(BTreeMap::from([(
            "chat".to_owned(),
            Service { kind: "Chat".to_owned(), endpoint: "https://chat.example".to_owned() },
        )]));
        let present = UnsignedOperation {
            rotation_keys: strings(&["mine", "old"]),
            verification_methods: methods(&[(ATPROTO_KEY, "old"), ("e2ee", "delegate")]),
            also_known_as: strings(&["at://alice.old.example", "https://alice.example"]),
            services,
            prev: None,
        };
        let next = moved(&present, &old, &new);
        assert_eq!(next.rotation_keys, ["mine", "new"]);
        assert_eq!(next.verification_methods, methods(&[(ATPROTO_KEY, "new"), ("e2ee", "delegate")]));
        assert_eq!(next.also_known_as, ["at://alice.new.example", "https://alice.example"]);
        assert_eq!(next.services[ATPROTO_PDS].endpoint, "https://new.example");
        assert_eq!(next.services["chat"].endpoint, "https://chat.example");
    }

    #[test]
    fn a_delegated_key_is_the_one_of_the_document_and_not_the_one_that_a_server_recommends() {
        let old = server("old", "at://a.b", "https://old.example");
        let mut new = server("new", "at://a.b", "https://new.example");
        new.verification_methods.insert("e2ee".to_owned(), "another".to_owned());
        let present = UnsignedOperation {
            verification_methods: methods(&[(ATPROTO_KEY, "old"), ("e2ee", "delegate")]),
            ..UnsignedOperation::default()
        };
        assert_eq!(moved(&present, &old, &new).verification_methods["e2ee"], "delegate");
    }

    #[test]
    fn a_did_web_document_keeps_what_is_not_the_servers() {
        let present = json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": "did:web:alice.example",
            "alsoKnownAs": ["at://alice.example", "https://alice.example"],
            "verificationMethod": [
                {"id": "did:web:alice.example#atproto", "type": "Multikey", "publicKeyMultibase": "zOld"},
                {"id": "#e2ee", "type": "Multikey", "publicKeyMultibase": "zDelegate"},
            ],
            "service": [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://old.example"}],
        });
        let next = web_document(&present, &server("did:key:zNew", "at://alice.example", "https://new.example"));
        assert_eq!(next["@context"], present["@context"]);
        assert_eq!(next["alsoKnownAs"], present["alsoKnownAs"]);
        assert_eq!(next["verificationMethod"][0]["publicKeyMultibase"], "zNew");
        assert_eq!(next["verificationMethod"][1], present["verificationMethod"][1]);
        assert_eq!(next["verificationMethod"].as_array().unwrap().len(), 2);
        assert_eq!(next["service"].as_array().unwrap().len(), 1);
        assert_eq!(next["service"][0]["serviceEndpoint"], "https://new.example");
    }
}
