//! The development server: PDS, PLC directory and mail in one process, with seeded accounts.

use super::{Instance, StartError, World, dev_clock::DevClock, dev_directory::DevDirectory};
use crate::{
    clock::{Clock, Timestamp},
    config::{Config, ConfigError, Source},
    crypto::{Secret, password::Cost, seal::MasterKey, token},
    entropy::{Entropy, OsEntropy, SeededEntropy},
    http,
    outbound::Mailer,
    service::{KnownService, Server, accounts, identity, sessions},
    store::{Account, Durability, StoreError},
    syntax::{Did, Handle, SyntaxError},
    tasks::Tasks,
    web::{PlcDirectory, RateLimits},
};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};
use url::Url;

/// What genesis operations of seeded accounts name, so that DIDs do not depend on the port.
const GENESIS_ENDPOINT: &str = "http://localhost:2583";

/// When seeded accounts were made, unless `--clock` says otherwise: 2026-01-01T00:00:00Z.
const SEEDED_AT: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Top-level domain of development handles.
const HANDLE_DOMAIN: &str = "test";

/// Bytes of randomness in a printed password.
const PASSWORD_BYTES: usize = 10;

/// The settings of `dev`.
#[derive(Clone, Debug)]
pub struct DevSettings {
    /// Port of the PDS; 0 for a free one.
    pub port: u16,
    /// Port of the PLC directory; 0 for a free one.
    pub plc_port: u16,
    /// Makes everything that exists at the start repeatable.
    pub seed: Option<u64>,
    /// Where the clock starts.
    pub clock: Option<Timestamp>,
    /// Accounts to make.
    pub accounts: Vec<String>,
    /// Where data is kept; nowhere if none.
    pub state: Option<PathBuf>,
    /// Address under which clients reach it.
    pub public_url: Option<Url>,
    /// Where schemas of records are, in files.
    pub lexicons: Option<PathBuf>,
    /// Whether the PLC directory limits operations per DID.
    pub plc_limits: bool,
    /// Whether the PDS counts requests and refuses too many.
    pub limits: bool,
    /// The `AppView` to which requests are passed.
    pub appview: Option<KnownService>,
}

/// Why the development server does not start.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The directory.
    #[error("the directory for the data cannot be made: {0}")]
    Directory(#[from] io::Error),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An account's name.
    #[error("the account name {0} cannot be a handle: {1}")]
    Name(String, SyntaxError),
    /// An account.
    #[error("the account {0} could not be made: {1}")]
    Account(Handle, String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account that is there at the start.
pub struct SeededAccount {
    /// Its name as it was asked for.
    pub name: String,
    /// Its handle.
    pub handle: Handle,
    /// Its DID.
    pub did: Did,
    /// Its password.
    pub password: Secret,
    /// An access token.
    pub access_jwt: Secret,
}

/// A running development server.
pub struct DevServer {
    /// Origin of the PDS.
    pub pds: String,
    /// Origin of the PLC directory.
    pub plc: String,
    /// Where mail is shown.
    pub mail: String,
    /// The administrator's password.
    pub admin_password: Secret,
    /// The accounts.
    pub accounts: Vec<SeededAccount>,
    instance: Instance,
    plc_tasks: Tasks,
    // Dropped last: removes the data.
    _directory: DevDirectory,
}

impl DevServer {
    /// Starts everything and seeds the accounts.
    ///
    /// # Errors
    /// [`DevError`], in words.
    pub async fn start(settings: DevSettings) -> Result<Self, DevError> {
        let directory = match &settings.state {
            Some(path) => DevDirectory::Kept(path.clone()),
            None => DevDirectory::temporary()?,
        };
        let pds_listener = Instance::bind(loopback(settings.port)).await?;
        let plc_listener = Instance::bind(loopback(settings.plc_port)).await?;
        let own = Url::parse(&format!("http://localhost:{}", pds_listener.local_addr()?.port())).ok();
        let public_url = settings.public_url.clone().or(own);
        let plc = format!("http://localhost:{}", plc_listener.local_addr()?.port());

        let entropy: Arc<dyn Entropy> = match settings.seed {
            Some(seed) => Arc::new(SeededEntropy::new(seed)),
            None => Arc::new(OsEntropy),
        };
        let clock = Arc::new(DevClock::standing(settings.clock.unwrap_or(SEEDED_AT)));
        if settings.seed.is_none() {
            start_clock(&clock, settings.clock);
        }
        let admin_password = Secret::new(token::base32_lower(entropy.as_ref(), PASSWORD_BYTES));
        // Data that is gone afterwards needs no key file; kept data keeps its own.
        let master_key = settings.state.is_none().then(|| MasterKey::generate(entropy.as_ref()));
        let config = config(&settings, &directory, public_url.as_ref(), &plc, &admin_password, master_key.as_ref())?;
        let world = World {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&entropy),
            durability: if settings.state.is_some() { Durability::Full } else { Durability::Process },
            password_cost: Cost::Minimum,
            genesis_endpoint: settings.seed.and_then(|_| Url::parse(GENESIS_ENDPOINT).ok()),
            plc_limits: settings.plc_limits,
            mailer: Some(Mailer::kept()),
        };
        let instance = Instance::start(&config, world, pds_listener).await?;
        let plc_tasks = Tasks::new();
        let faces = PlcDirectory::new(
            instance.server.store.clone(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            if settings.plc_limits { RateLimits::Enforced } else { RateLimits::Off },
            instance.server.policy.version.clone(),
        );
        http::serve(plc_listener, http::App::site(Arc::new(faces)), &plc_tasks);

        let seeded = seed_accounts(&instance.server, &settings.accounts, entropy.as_ref()).await?;
        // From here on time goes: tokens are good from now, whatever the time of the accounts.
        start_clock(&clock, settings.clock);
        let mut accounts = Vec::with_capacity(seeded.len());
        for (name, account, password) in seeded {
            let tokens = sessions::open(&instance.server, &account, None).await?;
            accounts.push(SeededAccount {
                name,
                handle: account.handle,
                did: account.did,
                password,
                access_jwt: Secret::new(tokens.access_jwt),
            });
        }
        let pds = instance.server.policy.endpoint();
        let mail = format!("{pds}/dev/mail");
        Ok(Self { pds, plc, mail, admin_password, accounts, instance, plc_tasks, _directory: directory })
    }

    /// Stops both servers; temporary data goes.
    pub async fn stop(self) {
        self.instance.stop().await;
        self.plc_tasks.stop();
        self.plc_tasks.finished().await;
    }
}

fn start_clock(clock: &DevClock, start: Option<Timestamp>) {
    if start.is_some() { clock.go_on() } else { clock.go_with_the_system() }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

/// What `serve` would need to be told.
fn config(
    settings: &DevSettings,
    directory: &DevDirectory,
    public_url: Option<&Url>,
    plc: &str,
    admin_password: &Secret,
    master_key: Option<&MasterKey>,
) -> Result<Config, ConfigError> {
    let hostname = public_url.and_then(Url::host_str).unwrap_or("localhost");
    let set = |name: &str, value: &str| (format!("HOUSEKEY_{name}"), value.to_owned());
    let mut variables = vec![
        set("SERVER_HOSTNAME", hostname),
        set("SERVER_DATA_DIR", &directory.path().to_string_lossy()),
        set("IDENTITY_PLC_URL", plc),
        set("IDENTITY_HANDLE_DOMAINS", HANDLE_DOMAIN),
        set("ACCOUNTS_INVITE_REQUIRED", "false"),
        set("ACCOUNTS_SIGN_UPS_PER_ADDRESS", "0"),
        set("ADMIN_PASSWORD", admin_password.expose()),
        set("OUTBOUND_ALLOW_PRIVATE_ADDRESSES", "true"),
        // What is developed here is nobody else's business.
        set("LEXICONS_RESOLVE", "false"),
        // Seeded events carry the time of the seed, which no window may cut off.
        set("FIREHOSE_RETAIN_HOURS", "876000"),
        set("FIREHOSE_BACKFILL_HOURS", "876000"),
    ];
    if let Some(dir) = &settings.lexicons {
        variables.push(set("LEXICONS_DIRECTORY", &dir.to_string_lossy()));
    }
    if let Some(key) = master_key {
        variables.push(set("SECRETS_MASTER_KEY", &key.to_hex()));
    }
    if let Some(url) = public_url {
        variables.push(set("SERVER_PUBLIC_URL", url.as_str().trim_end_matches('/')));
    }
    variables.push(set("LIMITS_ENABLED", if settings.limits { "true" } else { "false" }));
    if let Some(appview) = &settings.appview {
        variables.push(set("SERVICES_APPVIEW_URL", appview.url.as_str()));
        variables.push(set("SERVICES_APPVIEW_DID", appview.did.as_str()));
    }
    Ok(Config::load(Source { env: variables, allow_plain_http: true, ..Source::default() })?.0)
}

/// Makes the accounts that are not there yet; all passwords come from the entropy in the order of the names.
async fn seed_accounts(
    server: &Arc<Server>,
    names: &[String],
    entropy: &dyn Entropy,
) -> Result<Vec<(String, Account, Secret)>, DevError> {
    let mut seeded = Vec::with_capacity(names.len());
    for name in names {
        let text = if name.contains('.') { name.clone() } else { format!("{name}.{HANDLE_DOMAIN}") };
        let handle: Handle = text.parse().map_err(|cause| DevError::Name(name.clone(), cause))?;
        let password = Secret::new(token::base32_lower(entropy, PASSWORD_BYTES));
        let account = match server.store.account_by_handle(&handle).await? {
            Some(account) => with_password(server, account, &password).await?,
            None => make(server, &handle, &password).await?,
        };
        seeded.push((name.clone(), account, password));
    }
    Ok(seeded)
}

/// An account of an earlier run gets the password that is printed now.
async fn with_password(server: &Arc<Server>, account: Account, password: &Secret) -> Result<Account, DevError> {
    let failed = |cause: &dyn std::fmt::Display| DevError::Account(account.handle.clone(), cause.to_string());
    let hash = server
        .passwords
        .hash(password.expose().to_owned(), server.policy.password_cost, Arc::clone(&server.entropy))
        .await
        .map_err(|cause| failed(&cause))?;
    server.store.rehash_password(account.id, account.password_hash.clone(), hash).await?;
    identity::update_endpoint(server, &account).await.map_err(|cause| failed(&cause))?;
    Ok(account)
}

async fn make(server: &Arc<Server>, handle: &Handle, password: &Secret) -> Result<Account, DevError> {
    let failed = |cause: &dyn std::fmt::Display| DevError::Account(handle.clone(), cause.to_string());
    let sign_up = accounts::SignUp {
        handle: handle.to_string(),
        email: Some(format!("{}@example.com", handle.first_label())),
        password: Some(password.expose().to_owned()),
        ..accounts::SignUp::default()
    };
    let made = accounts::create_account(server, sign_up).await.map_err(|cause| failed(&cause))?;
    identity::update_endpoint(server, &made.account).await.map_err(|cause| failed(&cause))?;
    Ok(made.account)
}
