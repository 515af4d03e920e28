//! Everything that a verb needs, made once at start.
use super::{
    AccountLocks, JournalTurns, Lexicons, PasswordPool, Replays, Services, SigningKeys, TidSource,
    delegation::RenderedBodies, mails::Outbox, security_log::SecurityLog,
};
use crate::{
    clock::{Clock, Timestamp},
    crypto::{
        Curve, Secret, SigningKey,
        jwt::SessionKey,
        seal::{CannotOpen, MasterKey},
    },
    entropy::Entropy,
    meters::Meters,
    outbound::{GuardedClient, Mailer, PlcClient, Resolver, TrustedClient},
    store::{Account, Store},
    syntax::Did,
    tasks::Tasks,
    throttle::Throttle,
};
use std::{sync::Arc, time::Duration};
use url::Url;

/// The running server. Shared as `Arc<Server>`.
pub struct Server {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Background work.
    pub tasks: Tasks,
    /// The database and blob files.
    pub store: Store,
    /// DIDs and handles of others.
    pub resolver: Resolver,
    /// Guarded HTTP.
    pub client: GuardedClient,
    /// HTTP to what the operator set.
    pub trusted: TrustedClient,
    /// The PLC directory.
    pub plc: PlcClient,
    /// Relays that are told of news.
    pub relays: super::Relays,
    /// Mail.
    pub mailer: Mailer,
    /// Mail on its way (`Outbox::default()`).
    pub outbox: Outbox,
    /// What the operator decided.
    pub policy: Policy,
    /// Opens sealed secrets.
    pub master_key: MasterKey,
    /// Signs session tokens.
    pub session_key: SessionKey,
    /// The server's PLC rotation key.
    pub rotation_key: SigningKey,
    /// The administrator's password; none: no administration over HTTP.
    pub admin_password: Option<Secret>,
    /// Argon2 on a bounded pool.
    pub passwords: PasswordPool,
    /// One writer per account at a time.
    pub locks: AccountLocks,
    /// Opened repository keys.
    pub signing_keys: SigningKeys,
    /// Schemas.
    pub lexicons: Lexicons,
    /// Fresh record keys and revisions.
    pub tids: TidSource,
    /// One carrier per identity at a time (`JournalTurns::default()`).
    pub journal: JournalTurns,
    /// Service-auth tokens that were used (`Replays::default()`).
    pub replays: Replays,
    /// Bodies of the well-known resource (`RenderedBodies::default()`).
    pub rendered: RenderedBodies,
    /// How often anything may be asked for.
    pub throttle: Throttle,
    /// What the server counts about itself (`Meters::default()`).
    pub meters: Meters,
    /// What happened to accounts and is not written yet (`SecurityLog::default()`).
    pub security_log: SecurityLog,
}

/// What the operator decided, in final types.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The server's own host name, without port.
    pub hostname: String,
    /// Origin under which clients reach it, no trailing slash in text form.
    pub public_url: Url,
    /// `did:web:<hostname>` unless set otherwise.
    pub service_did: Did,
    /// Domains under which accounts get handles, each without the leading dot.
    pub handle_domains: Vec<String>,
    /// Whether accounts may have a did:web under these domains, which the server serves.
    pub did_web: bool,
    /// Whether sign-up needs an invite code.
    pub invite_required: bool,
    /// What else holds for sign-ups.
    pub sign_up: SignUpRules,
    /// A second recovery key that every new account's rotation keys get, as did:key.
    pub recovery_did_key: Option<String>,
    /// Largest blob, in bytes.
    pub blob_bytes: u64,
    /// Largest repository import, in bytes.
    pub import_bytes: u64,
    /// How long events stay replayable.
    pub retain: Duration,
    /// How far back a cursor may reach.
    pub backfill: Duration,
    /// The version that `_health` tells.
    pub version: String,
    /// Addresses of documents and people.
    pub links: Links,
    /// Services that requests are passed to.
    pub services: Services,
    /// Relays that are told of news.
    pub crawlers: Vec<Url>,
    /// Endpoint that genesis operations name, when it is not `public_url` (seeded development accounts).
    pub genesis_endpoint: Option<Url>,
    /// Whether the PLC directory counts operations, so that its budget is kept here too.
    pub plc_limits: bool,
    /// Argon2's cost for new hashes.
    pub password_cost: crate::crypto::password::Cost,
}

/// What holds for sign-ups besides whether they need an invite.
#[derive(Clone, Debug, Default)]
pub struct SignUpRules {
    /// Whether only the administrator makes accounts.
    pub is_closed: bool,
    /// How long an account must be here for each invite code of its own; none: it gets none.
    pub invite_interval: Option<Duration>,
    /// Time before this earns no codes.
    pub invite_epoch: Timestamp,
    /// Sign-ups from one network address a day; none: as many as there come.
    pub per_address: Option<u32>,
}

/// Where people find terms and help.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Terms of service.
    pub terms: Option<String>,
    /// Privacy policy.
    pub privacy: Option<String>,
    /// The operator's address.
    pub contact_email: Option<String>,
}

impl Server {
    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The purpose under which an account's repository key is sealed.
    pub fn repo_key_purpose(did: &Did) -> String {
        format!("repo-key:{did}")
    }

    /// Opens an account's repository key, or finds it open.
    ///
    /// # Errors
    /// When it was sealed with another master key.
    pub fn signing_key(&self, account: &Account) -> Result<SigningKey, CannotOpen> {
        if let Some(key) = self.signing_keys.get(account) {
            return Ok(key);
        }
        let plain = self.master_key.open(&Self::repo_key_purpose(&account.did), &account.sealed_signing_key)?;
        let key = SigningKey::from_bytes(Curve::K256, &plain).map_err(|_| CannotOpen)?;
        self.signing_keys.put(account, &key);
        Ok(key)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("hostname", &self.policy.hostname).finish_non_exhaustive()
    }
}
