//! Everything public about a delegation, fetched from where it is: the log from a directory, statements and associated
//! data from the account's PDS, the latter also from the host that the key itself names.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use url::Url;

use super::{
    pds::{Pds, Through},
    records::{declaration, entries, statements},
    test_names::TestNames,
};
use crate::{
    clock::Clock,
    delegation::{
        AppData, Assessment, DelegationId, Evidence, Pin, Source, Statement, Status, VerifiedLog, WELL_KNOWN_PATH,
        WellKnown, assess, web::WebDocument,
    },
    identity::DidDocument,
    limits::client::{ANSWER_MAX_BYTES, ANSWER_TIMEOUT},
    outbound::{
        FetchError, FetchLimits, Freshness, GuardedClient, OutboundOptions, PlcClient, PlcError, Resolver,
        ResolverOptions, TrustedClient,
    },
    plc::Entry,
    syntax::{AtIdentifier, Did, Handle},
    tasks::Tasks,
};

const WELL_KNOWN: FetchLimits = FetchLimits { body_bytes: ANSWER_MAX_BYTES, total: ANSWER_TIMEOUT, redirects: 0 };

/// What a client is told about the world.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// The PLC directory.
    pub plc: Url,
    /// A PDS or `AppView` that resolves handles, and did:webs under `.test`; DNS and HTTPS where there is none.
    pub resolver: Option<Url>,
    /// PEM bundle of further certificate authorities.
    pub extra_ca_pem: Option<Vec<u8>>,
}

/// Who can be asked. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    plc: PlcClient,
    outbound: OutboundOptions,
    trusted: TrustedClient,
    guarded: GuardedClient,
    resolver: Resolver,
    names: Option<Pds>,
    clock: Arc<dyn Clock>,
}

/// The history as it was fetched.
#[derive(Clone, Debug)]
pub enum History {
    /// An audit log, not verified.
    Plc(Vec<Entry>),
    /// What a did:web document says about the id.
    Web {
        /// The did:key under the id.
        key: Option<String>,
        /// did:keys that the server could use.
        server_keys: Vec<String>,
    },
    /// It could not be fetched.
    Unavailable,
}

/// What was fetched about one delegation.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The account.
    pub did: Did,
    /// The delegation id.
    pub id: DelegationId,
    /// The log or document.
    pub history: History,
    /// The statements; none where they could not be fetched.
    pub statements: Option<Vec<Statement>>,
    /// Entries of associated data, not verified.
    pub entries: Vec<AppData>,
    /// The key of the declaration.
    pub declaration: Option<Vec<u8>>,
    /// The account's PDS.
    pub pds: Option<Url>,
    /// The handle that the document names.
    pub handle: Option<Handle>,
    /// What could not be fetched, in sentences.
    pub problems: Vec<String>,
}

impl Gathered {
    fn nothing(did: &Did, id: &DelegationId) -> Self {
        Self {
            did: did.clone(),
            id: id.clone(),
            history: History::Unavailable,
            statements: None,
            entries: Vec::new(),
            declaration: None,
            pds: None,
            handle: None,
            problems: Vec::new(),
        }
    }

    /// Judges it.
    pub fn assess(&self, pin: Option<&Pin>, clock: &dyn Clock) -> Assessment {
        let source = match &self.history {
            History::Plc(entries) => Source::Plc(entries),
            History::Web { key, server_keys } => Source::Web(WebDocument { key: key.as_deref(), server_keys }),
            History::Unavailable => Source::Unavailable,
        };
        assess(&Evidence {
            did: &self.did,
            id: &self.id,
            source,
            statements: self.statements.as_deref(),
            entries: &self.entries,
            pin,
            declaration: self.declaration.as_deref(),
            now: clock.now(),
        })
    }
}

/// A judged delegation and what it was judged by.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was fetched.
    pub gathered: Gathered,
    /// What it is worth.
    pub assessment: Assessment,
}

impl Sources {
    /// Clients of the directory, of name services and of whatever they name. Servers at private addresses are asked
    /// only where the directory itself is on this machine: then everything is a development set-up.
    ///
    /// # Errors
    /// [`FetchError::Setup`].
    pub fn new(options: &SourceOptions, clock: Arc<dyn Clock>) -> Result<Self, FetchError> {
        let outbound = OutboundOptions {
            allow_private_addresses: is_this_machine(&options.plc),
            extra_ca_pem: options.extra_ca_pem.clone(),
            user_agent: concat!("housekey/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..OutboundOptions::default()
        };
        let trusted = TrustedClient::new(&outbound)?;
        let guarded = GuardedClient::new(&outbound)?;
        // Nothing is asked twice, so that no age matters.
        let (stale, max) = (Duration::ZERO, Duration::ZERO);
        let resolver = Resolver::new(
            ResolverOptions { plc_url: options.plc.clone(), stale, max },
            &outbound,
            guarded.clone(),
            Arc::clone(&clock),
            Tasks::new(),
        )?;
        let plc = PlcClient::new(&options.plc, &outbound).map_err(|cause| FetchError::Setup(cause.to_string()))?;
        let names = options.resolver.clone().map(|url| Pds::new(url, Through::Trusted(trusted.clone())));
        if let Some(names) = &names {
            resolver.set_local(Arc::new(TestNames::of(names.clone())));
        }
        Ok(Self { plc, outbound, trusted, guarded, resolver, names, clock })
    }

    /// The settings that all requests share.
    pub const fn outbound(&self) -> &OutboundOptions {
        &self.outbound
    }

    /// The clock that verdicts are given by.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// A server at an address that the user named.
    pub fn server(&self, url: Url) -> Pds {
        Pds::new(url, Through::Trusted(self.trusted.clone()))
    }

    /// A server at an address that somebody's document names.
    pub fn named_server(&self, url: Url) -> Pds {
        Pds::new(url, Through::Guarded(self.guarded.clone()))
    }

    /// The DID of an account.
    ///
    /// # Errors
    /// A sentence.
    pub async fn did_of(&self, actor: &AtIdentifier) -> Result<Did, String> {
        let handle = match actor {
            AtIdentifier::Did(did) => return Ok(did.clone()),
            AtIdentifier::Handle(handle) => handle,
        };
        let Some(names) = &self.names else {
            return self.resolver.handle(handle).await.map_err(|cause| cause.to_string());
        };
        let answer = names.get("com.atproto.identity.resolveHandle", &[("handle", handle.as_str())]).await;
        let answer = answer.map_err(|cause| cause.to_string())?;
        let did = answer.get("did").and_then(Value::as_str).and_then(|did| did.parse().ok());
        did.ok_or_else(|| format!("{} names no DID for {handle}", names.host()))
    }

    /// The server that the account's document names; a PLC log is verified for that.
    ///
    /// # Errors
    /// A sentence.
    pub async fn server_of(&self, did: &Did) -> Result<Url, String> {
        let mut gathered = Gathered::nothing(did, &DelegationId::default());
        self.read_history(&mut gathered).await;
        let problems = gathered.problems.join("; ");
        gathered.pds.ok_or_else(|| {
            if problems.is_empty() { format!("the document of {did} names no server") } else { problems }
        })
    }

    /// The document of a DID, as it is now.
    ///
    /// # Errors
    /// A sentence.
    pub async fn document(&self, did: &Did) -> Result<Arc<DidDocument>, String> {
        self.resolver.did(did, Freshness::Now).await.map_err(|cause| cause.to_string())
    }

    /// The audit log, not verified.
    ///
    /// # Errors
    /// [`PlcError`].
    pub async fn log(&self, did: &Did) -> Result<Vec<Entry>, PlcError> {
        self.plc.audit_log(did).await
    }

    /// Fetches everything and judges it. Where a statement speaks of more than the log shows, the log is read once more.
    pub async fn judge(&self, did: &Did, id: &DelegationId, pin: Option<&Pin>) -> Judged {
        let mut gathered = self.gather(did, id).await;
        let mut assessment = gathered.assess(pin, self.clock());
        if did.is_plc()
            && assessment.wants_newer_log()
            && let Ok(log) = self.log(did).await
        {
            gathered.history = History::Plc(log);
            assessment = gathered.assess(pin, self.clock());
        }
        if let Some(domain) = assessment.associated.domain.clone() {
            self.ask_domain(&domain, &mut gathered).await;
            assessment = gathered.assess(pin, self.clock());
        }
        if assessment.verdict.status == Status::Mismatch
            && let Some(cause) = &assessment.log_error
        {
            gathered.problems.push(format!("the log of {did} is not one that an honest directory serves: {cause}"));
        }
        Judged { gathered, assessment }
    }

    /// Fetches everything once.
    pub async fn gather(&self, did: &Did, id: &DelegationId) -> Gathered {
        let mut gathered = Gathered::nothing(did, id);
        self.read_history(&mut gathered).await;
        let Some(pds) = gathered.pds.clone() else {
            if !matches!(gathered.history, History::Unavailable) {
                gathered.problems.push(format!("the document of {did} names no server"));
            }
            return gathered;
        };
        let pds = self.named_server(pds);
        let (statements, entries, declaration) =
            tokio::join!(statements(&pds, did, id), entries(&pds, did, id), declaration(&pds, did));
        match statements {
            Ok(statements) => gathered.statements = Some(statements),
            Err(cause) => gathered.problems.push(format!("the statements could not be fetched: {cause}")),
        }
        match entries {
            Ok(entries) => gathered.entries = entries,
            Err(cause) => gathered.problems.push(format!("the associated data could not be fetched: {cause}")),
        }
        gathered.declaration = declaration;
        gathered
    }

    async fn read_history(&self, gathered: &mut Gathered) {
        let did = &gathered.did;
        if did.is_plc() {
            match self.log(did).await {
                Ok(log) => {
                    // What does not verify says nothing about where the account is either.
                    let state = VerifiedLog::new(did, &log).ok();
                    let data = state.as_ref().and_then(VerifiedLog::data);
                    gathered.pds = data.and_then(|data| Url::parse(data.pds()?).ok());
                    gathered.handle = data.and_then(|data| data.handle()?.parse().ok());
                    gathered.history = History::Plc(log);
                }
                Err(cause) => gathered.problems.push(format!("the log of {did} could not be read: {cause}")),
            }
            return;
        }
        match self.resolver.did(did, Freshness::Now).await {
            Ok(document) => {
                gathered.pds.clone_from(&document.pds);
                gathered.handle.clone_from(&document.handle);
                let server_keys = document.signing_key.iter().map(ToString::to_string).collect();
                gathered.history = History::Web { key: named_key(&document, &gathered.id), server_keys };
            }
            Err(cause) => gathered.problems.push(cause.to_string()),
        }
    }

    /// Adds what the host says that the key itself names; all of it is signed, and the latest counts.
    async fn ask_domain(&self, domain: &str, gathered: &mut Gathered) {
        if gathered.pds.as_ref().and_then(Url::host_str) == Some(domain) {
            return;
        }
        let Ok(mut url) = Url::parse(&format!("https://{domain}{WELL_KNOWN_PATH}")) else { return };
        url.query_pairs_mut().append_pair("did", gathered.did.as_str()).append_pair("id", gathered.id.as_str());
        let fetched = self.guarded.get(&url, WELL_KNOWN).await.map_err(|cause| cause.to_string());
        let read = fetched.and_then(|fetched| {
            if fetched.status != 200 {
                return Err(format!("the answer has status {}", fetched.status));
            }
            let json = serde_json::from_slice(&fetched.body).map_err(|cause| cause.to_string())?;
            WellKnown::from_json(&json, &gathered.did, &gathered.id).map_err(|cause| cause.to_string())
        });
        match read {
            Ok(said) => gathered.entries.extend(said.apps.into_values()),
            Err(cause) => gathered.problems.push(format!("{domain}, which the key names, could not be asked: {cause}")),
        }
    }
}

/// Whether a URL names this machine.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// The did:key of a Multikey verification method, of whatever kind.
pub(in crate::client) fn named_key(document: &DidDocument, id: &DelegationId) -> Option<String> {
    let names = [format!("#{id}"), format!("{}#{id}", document.did)];
    let methods = document.json.get("verificationMethod")?.as_array()?;
    let method = methods.iter().find(|method| {
        method.get("id").and_then(Value::as_str).is_some_and(|name| names.iter().any(|own| own == name))
    })?;
    Some(format!("did:key:{}", method.get("publicKeyMultibase")?.as_str()?))
}
