//! A whole server for tests of verbs and methods: a clock that stands, seeded randomness, a store in a temporary
//! directory, and a PLC directory on loopback whose faults a test chooses.
//!
//! ```ignore
//! let world = World::new().await;
//! let alice = world.account("alice").await;
//! world.directory.fail_next(Fault::AcceptThenHangUp);
//! let world = world.restart().await;
//! ```

mod calls;
mod directory;
mod mailbox;
mod relay;

use std::{sync::Arc, time::Duration};

pub(crate) use self::relay::TestRelay;
pub(crate) use calls::{Answer, As};
pub(crate) use directory::{Fault, TestDirectory};
pub(crate) use mailbox::{MailFault, Mailbox, Names};

use super::{
    AccountLocks, JournalTurns, LexiconOptions, Lexicons, Links, PasswordPool, Policy, Replays, Server, Services,
    SignUpRules, SigningKeys, TidSource,
    accounts::{SignUp, SignedUp, create_account},
    delegation::RenderedBodies,
    mails::{self, Outbox},
    security_log::SecurityLog,
    web_dids::WebDids,
};
use crate::{
    clock::{Clock, ManualClock, Timestamp},
    crypto::{Curve, Secret, SigningKey, jwt::SessionKey, password::Cost, seal::MasterKey},
    entropy::{Entropy, SeededEntropy},
    event::Frame,
    meters::Meters,
    outbound::{
        GuardedClient, Mailer, OutboundOptions, PlcClient, Resolver, ResolverOptions, SmtpOptions, TrustedClient,
    },
    store::{Account, Durability, Store, StoreOptions},
    tasks::Tasks,
    throttle::{Mode, Settings, Throttle},
};

/// The password of every account that [`World::account`] makes.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// When the clock of a new world stands.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_780_000_000);

/// What the operator of a test server decided.
pub(crate) fn policy() -> Policy {
    Policy {
        hostname: "pds.example.com".to_owned(),
        public_url: "https://pds.example.com".parse().unwrap(),
        service_did: "did:web:pds.example.com".parse().unwrap(),
        handle_domains: vec!["test".to_owned()],
        did_web: true,
        invite_required: false,
        sign_up: SignUpRules::default(),
        recovery_did_key: None,
        blob_bytes: 5_000_000,
        import_bytes: 100_000_000,
        retain: Duration::from_hours(72),
        backfill: Duration::from_hours(72),
        version: "0.1.0-test".to_owned(),
        links: Links::default(),
        services: Services::default(),
        crawlers: Vec::new(),
        genesis_endpoint: None,
        plc_limits: true,
        password_cost: Cost::Minimum,
    }
}

/// A running server and what surrounds it.
pub(crate) struct World {
    /// The server.
    pub(crate) server: Arc<Server>,
    /// Its clock, which the directory reads too.
    pub(crate) clock: Arc<ManualClock>,
    /// The PLC directory that it uses.
    pub(crate) directory: TestDirectory,
    /// Mail that it sent.
    pub(crate) mailbox: Mailbox,
    /// TXT records that it can see.
    pub(crate) names: Names,
    policy: Policy,
    has_mail: bool,
    // The directory of the store; gone with the world.
    dir: tempfile::TempDir,
    // Restarts so far: each run of the server has its own randomness, as a real one would.
    runs: u64,
}

impl World {
    /// A server that nobody uses yet.
    pub(crate) async fn new() -> Self {
        Self::with(policy()).await
    }

    /// The same with a policy of the test's.
    pub(crate) async fn with(policy: Policy) -> Self {
        Self::made(policy, true).await
    }

    /// The same with no mail server configured.
    pub(crate) async fn without_mail() -> Self {
        Self::made(policy(), false).await
    }

    /// The same with the budgets of a real server; the others count nothing.
    pub(crate) async fn with_limits() -> Self {
        let mut world = Self::new().await;
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&world.clock);
        Arc::get_mut(&mut world.server).unwrap().throttle = Throttle::new(Settings::default(), clock);
        world
    }

    async fn made(policy: Policy, has_mail: bool) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let directory = TestDirectory::start(Arc::clone(&clock)).await;
        let dir = tempfile::tempdir().unwrap();
        let (mailbox, names) = (Mailbox::start().await, Names::start().await);
        let server = start(
            &policy,
            &clock,
            &Around { directory: &directory, mailbox: has_mail.then_some(&mailbox), names: &names },
            &dir,
            0,
        );
        Self { server, clock, directory, mailbox, names, policy, has_mail, dir, runs: 0 }
    }

    /// The server again over the same data, as after a crash: what was in memory only is gone.
    pub(crate) async fn restart(self) -> Self {
        let Self { server, clock, directory, mailbox, names, policy, has_mail, dir, runs } = self;
        server.tasks.stop();
        server.tasks.finished().await;
        server.store.close().await;
        drop(server);
        let around = Around { directory: &directory, mailbox: has_mail.then_some(&mailbox), names: &names };
        let server = start(&policy, &clock, &around, &dir, runs + 1);
        Self { server, clock, directory, mailbox, names, policy, has_mail, dir, runs: runs + 1 }
    }

    /// The same with another policy, as after a change of the configuration.
    pub(crate) async fn restart_with(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self.restart().await
    }

    /// A sign-up for `<name>.test` with everything that is needed.
    pub(crate) fn sign_up(name: &str) -> SignUp {
        SignUp {
            handle: format!("{name}.test"),
            email: Some(format!("{name}@example.com")),
            password: Some(PASSWORD.to_owned()),
            ..SignUp::default()
        }
    }

    /// An account `<name>.test` with [`PASSWORD`], and its session.
    pub(crate) async fn signed_up(&self, name: &str) -> SignedUp {
        create_account(&self.server, Self::sign_up(name)).await.unwrap()
    }

    /// An account `<name>.test` with [`PASSWORD`].
    pub(crate) async fn account(&self, name: &str) -> Account {
        self.signed_up(name).await.account
    }

    /// Where the server keeps its database and, in `blobs`, its files.
    pub(crate) fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Hands over the mail that is due, as the server's own task would.
    pub(crate) async fn deliver(&self) {
        mails::deliver_due(&self.server).await.unwrap();
    }

    /// The account as it is now.
    pub(crate) async fn reread(&self, account: &Account) -> Account {
        self.server.store.account_by_id(account.id).await.unwrap().unwrap()
    }

    /// Every event so far, parsed.
    pub(crate) async fn events(&self) -> Vec<Frame> {
        let stored = self.server.store.events_after(0, 10_000).await.unwrap();
        stored.iter().map(|event| Frame::decode(&event.frame).unwrap()).collect()
    }
}

/// What is outside of the server.
struct Around<'a> {
    directory: &'a TestDirectory,
    mailbox: Option<&'a Mailbox>,
    names: &'a Names,
}

fn start(
    policy: &Policy,
    clock: &Arc<ManualClock>,
    around: &Around<'_>,
    dir: &tempfile::TempDir,
    run: u64,
) -> Arc<Server> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(run));
    let tasks = Tasks::new();
    let options =
        StoreOptions { dir: dir.path().to_owned(), blobs: dir.path().join("blobs"), durability: Durability::Process };
    let store = Store::open(&options, &tasks).unwrap();
    let outbound = OutboundOptions {
        allow_private_addresses: true,
        dns_servers: vec![around.names.address],
        ..OutboundOptions::default()
    };
    let smtp = around
        .mailbox
        .map(|mailbox| SmtpOptions { url: Secret::new(mailbox.url()), from: "house@pds.example.com".to_owned() });
    let client = GuardedClient::new(&outbound).unwrap();
    let resolver = ResolverOptions {
        plc_url: around.directory.url().clone(),
        stale: Duration::from_hours(1),
        max: Duration::from_hours(24),
    };
    let resolver = Resolver::new(resolver, &outbound, client.clone(), Arc::clone(&clock), tasks.clone()).unwrap();
    resolver.set_local(Arc::new(WebDids::new(store.clone(), policy.endpoint())));
    // What the operator keeps is the same in every run.
    let kept = SeededEntropy::new(u64::MAX);
    Arc::new(Server {
        resolver,
        plc: PlcClient::new(around.directory.url(), &outbound).unwrap(),
        mailer: Mailer::new(smtp.as_ref()).unwrap(),
        relays: {
            let client = crate::outbound::RelayClient::new(&outbound).unwrap();
            super::Relays::new(&policy.crawlers, client)
        },
        policy: policy.clone(),
        master_key: MasterKey::generate(&kept),
        session_key: SessionKey::new(&Secret::new("a secret of this test")),
        rotation_key: SigningKey::generate(Curve::K256, &kept),
        admin_password: Some(Secret::new("admin-pass")),
        passwords: PasswordPool::new(2),
        locks: AccountLocks::default(),
        signing_keys: SigningKeys::default(),
        tids: TidSource::new(u16::try_from(run).unwrap()),
        journal: JournalTurns::default(),
        lexicons: Lexicons::new(LexiconOptions { resolve: true, dir: None }).unwrap(),
        replays: Replays::default(),
        trusted: TrustedClient::new(&outbound).unwrap(),
        rendered: RenderedBodies::default(),
        throttle: Throttle::new(Settings { mode: Mode::Off, ..Settings::default() }, Arc::clone(&clock)),
        security_log: SecurityLog::default(),
        meters: Meters::default(),
        outbox: Outbox::default(),
        clock,
        entropy,
        tasks,
        store,
        client,
    })
}
