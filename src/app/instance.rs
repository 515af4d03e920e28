//! One running server.

use super::secrets::{Configured, Secrets, SecretsError};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    crypto::password::Cost,
    entropy::{Entropy, OsEntropy},
    http,
    meters::Meters,
    methods,
    outbound::{
        FetchError, GuardedClient, MailError, Mailer, OutboundOptions, PlcClient, PlcError, Resolver, ResolverOptions,
        SmtpOptions, TrustedClient,
    },
    service::{
        AccountLocks, JournalTurns, LexiconOptions, Lexicons, PasswordPool, Policy, Replays, Server, SigningKeys,
        TidSource,
        delegation::{self, RenderedBodies, WatchBy},
        journal,
        lexicons::DirectoryError,
        mails::{self, Outbox},
        run_maintenance,
        security_log::{self, SecurityLog, run_security_log},
        web_dids::WebDids,
    },
    store::{Durability, OpenError, Store, StoreOptions},
    tasks::Tasks,
    throttle::Throttle,
    web::{MetricsSite, PdsSite, Site},
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use url::Url;

/// What a server stands on besides its configuration: real for `serve`, steered for `dev` and tests.
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Argon2's cost for new passwords.
    pub password_cost: Cost,
    /// Endpoint that genesis operations name, when it is not the public URL.
    pub genesis_endpoint: Option<Url>,
    /// Whether the PLC directory counts operations.
    pub plc_limits: bool,
    /// Mail, when it is not the configured SMTP server.
    pub mailer: Option<Mailer>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            durability: Durability::Full,
            password_cost: Cost::Standard,
            genesis_endpoint: None,
            plc_limits: true,
            mailer: None,
        }
    }
}

/// Why a server does not start, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The data directory cannot be made.
    #[error("the data directory {0} cannot be made: {1}")]
    DataDir(String, io::Error),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// HTTP to others.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The PLC directory's client.
    #[error(transparent)]
    Plc(#[from] PlcError),
    /// Schemas.
    #[error(transparent)]
    Lexicons(#[from] DirectoryError),
    /// Mail.
    #[error("[email] cannot be used: {0}")]
    Mail(#[from] MailError),
}

/// A server that listens.
pub struct Instance {
    /// Everything that it is made of.
    pub server: Arc<Server>,
    /// Where it listens.
    pub address: SocketAddr,
    tasks: Tasks,
}

impl Instance {
    /// Binds the configured address.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
        TcpListener::bind(address).await.map_err(|cause| StartError::Listen(address, cause))
    }

    /// Opens the data, starts the background work, and answers requests on `listener` from then on.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(config: &Config, world: World, listener: TcpListener) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(|cause| StartError::Listen(config.server.listen, cause))?;
        let admin = match config.admin.listen {
            Some(address) => Some(Self::bind(address).await?),
            None => None,
        };
        let tasks = Tasks::new();
        let server = Arc::new(server(config, world, &tasks).await?);
        // What is brought over from another server may be more: only what is added later must fit.
        server.store.limit_accounts(config.limits.quota());
        journal::start_reconciler(&server);
        let by = if config.identity.plc_stream { WatchBy::Stream } else { WatchBy::Rounds };
        delegation::start_watch(&server, by);
        tasks.spawn(run_maintenance(Arc::clone(&server)));
        tasks.spawn(run_security_log(Arc::clone(&server)));
        tasks.spawn(mails::run_outbox(Arc::clone(&server)));
        let site: Arc<dyn Site> = Arc::new(PdsSite::new(Arc::clone(&server)));
        let app = http::App::pds(Arc::clone(&server), methods::methods(), site, config.server.trusted_proxies.clone());
        http::serve(listener, app, &tasks);
        crate::service::relays::start_announcing(&server);
        if let Some(admin) = admin {
            let numbers: Arc<dyn Site> = Arc::new(MetricsSite::new(Arc::clone(&server)));
            http::serve(admin, http::App::own_site(numbers), &tasks);
        }
        Ok(Self { server, address, tasks })
    }

    /// Says in the log whether mail can be sent, as soon as that is known.
    pub fn check_mail(&self) {
        self.tasks.spawn(mails::check_connection(Arc::clone(&self.server)));
    }

    /// Stops taking requests, lets running ones end, finishes background work and closes the database.
    pub async fn stop(self) {
        self.tasks.stop();
        self.tasks.finished().await;
        if let Err(cause) = security_log::flush(&self.server).await {
            tracing::error!(%cause, "the last events of security logs could not be written: {cause}");
        }
        self.server.store.close().await;
    }
}

/// The server over its data without a listener and without background work: for whoever fills the data.
///
/// # Errors
/// [`StartError`].
pub async fn open_server(config: &Config, world: World) -> Result<Server, StartError> {
    server(config, world, &Tasks::new()).await
}

async fn server(config: &Config, world: World, tasks: &Tasks) -> Result<Server, StartError> {
    let data_dir = &config.server.data_dir;
    std::fs::create_dir_all(data_dir).map_err(|cause| StartError::DataDir(data_dir.display().to_string(), cause))?;
    let options = StoreOptions { dir: data_dir.clone(), blobs: config.blobs.dir.clone(), durability: world.durability };
    let store = Store::open(&options, tasks)?;
    let configured = Configured {
        master_key: config.secrets.master_key.as_ref(),
        jwt_secret: config.secrets.jwt_secret.as_ref(),
        rotation_key: config.identity.rotation_key.as_ref(),
    };
    let secrets = Secrets::load(configured, data_dir, &store, world.entropy.as_ref()).await?;
    let outbound = OutboundOptions {
        allow_private_addresses: config.outbound.allow_private_addresses,
        extra_ca_pem: config.outbound.extra_ca_pem.clone(),
        dns_servers: config.identity.dns_servers.clone(),
        user_agent: format!("housekey/{} (+{})", env!("CARGO_PKG_VERSION"), config.server.public_url),
    };
    let client = GuardedClient::new(&outbound)?;
    let relay_client = crate::outbound::RelayClient::new(&outbound)?;
    let resolver =
        Resolver::new(resolving(config), &outbound, client.clone(), Arc::clone(&world.clock), tasks.clone())?;
    resolver.set_local(Arc::new(WebDids::new(store.clone(), config.policy().endpoint())));
    let lexicons =
        Lexicons::new(LexiconOptions { resolve: config.lexicons.resolve, dir: config.lexicons.dir.clone() })?;
    let mailer = match world.mailer {
        Some(mailer) => mailer,
        None => Mailer::new(smtp(config).as_ref())?,
    };
    Ok(Server {
        plc: PlcClient::new(&config.identity.plc_url, &outbound)?,
        policy: Policy {
            genesis_endpoint: world.genesis_endpoint,
            plc_limits: world.plc_limits,
            password_cost: world.password_cost,
            ..config.policy()
        },
        throttle: Throttle::new(config.limits.throttle(), Arc::clone(&world.clock)),
        clock: world.clock,
        entropy: world.entropy,
        tasks: tasks.clone(),
        relays: crate::service::Relays::new(&config.policy().crawlers, relay_client),
        store,
        resolver,
        client,
        trusted: TrustedClient::new(&outbound)?,
        mailer,
        master_key: secrets.master_key,
        session_key: secrets.session_key,
        rotation_key: secrets.rotation_key,
        admin_password: config.admin.password.clone(),
        passwords: PasswordPool::new(cores()),
        locks: AccountLocks::default(),
        signing_keys: SigningKeys::default(),
        tids: TidSource::default(),
        journal: JournalTurns::default(),
        lexicons,
        replays: Replays::default(),
        rendered: RenderedBodies::default(),
        security_log: SecurityLog::default(),
        meters: Meters::default(),
        outbox: Outbox::default(),
    })
}

fn resolving(config: &Config) -> ResolverOptions {
    ResolverOptions {
        plc_url: config.identity.plc_url.clone(),
        stale: config.identity.did_cache_stale,
        max: config.identity.did_cache_max,
    }
}

fn smtp(config: &Config) -> Option<SmtpOptions> {
    let url = config.email.smtp_url.clone()?;
    Some(SmtpOptions { url, from: config.email.from.clone()? })
}

/// Argon2 runs on so many cores at once.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
