//! The whole take-over, in order.

use std::path::{Path, PathBuf};

use super::{
    accounts::{self, ForeignAccount, time},
    actor::{ActorFault, reserved_keys},
    foreign::{Foreign, Unreadable},
    report::{Report, SettingsReport},
    sequence,
    settings::Settings,
    source::{Source, SourceError},
    staging::{CONFIG, SECRETS, Staging, StagingError},
    take::{TakeError, Taker},
};
use crate::{
    app::{StartError, World, open_server},
    clock::Timestamp,
    config::{self, Config, ConfigError},
    limits::adopt::{EVENTS_PAGE, SEQ_GAP},
    service::{Server, accounts::reserved_key_purpose},
    store::{InviteCode, NewInvite, StoreError, StoredEvent},
    syntax::Did,
};

/// What to take over, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// The reference's data directory.
    pub dir: PathBuf,
    /// The directory to make; none: `<dir>-housekey`.
    pub target: Option<PathBuf>,
    /// The file of settings; none: `<dir>/pds.env`.
    pub env_file: Option<PathBuf>,
    /// Where the blobs are, if not where the settings say.
    pub blobs: Option<PathBuf>,
    /// How blobs come along.
    pub transfer: BlobTransfer,
    /// What is made in the end.
    pub outcome: Outcome,
    /// DIDs of accounts that are not taken over.
    pub leave_out: Vec<String>,
}

/// How blobs come along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobTransfer {
    /// As hard links, which take no room; as copies where the file system has none.
    Link,
    /// As copies.
    Copy,
}

/// What is made in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The directory.
    Directory,
    /// Nothing: it is made and thrown away.
    Nothing,
}

/// How far it is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Accounts that are done.
    pub done: usize,
    /// All accounts.
    pub total: usize,
    /// The account at hand.
    pub did: String,
}

/// An account that cannot be taken over.
#[derive(Clone, Debug)]
pub struct Faulty {
    /// Its DID.
    pub did: String,
    /// Why, in words.
    pub why: String,
}

/// Why nothing was taken over. Nothing was made then.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// What is to be taken over.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A database of the reference.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The reference is too old.
    #[error(
        "the databases are of a version from before 2024: start a recent reference PDS on them once, which brings them up to date"
    )]
    TooOld,
    /// The settings do not make a configuration.
    #[error("the settings do not make a configuration: {0}")]
    Config(#[from] ConfigError),
    /// The new directory.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The new server.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The new database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A reserved key.
    #[error(transparent)]
    ReservedKey(#[from] ActorFault),
    /// Accounts that cannot be taken over.
    #[error("{}", faults(.0))]
    Faulty(Vec<Faulty>),
    /// Somebody wrote into it meanwhile.
    #[error("{} was changed while it was read: stop the reference PDS and try again", .0.display())]
    Changed(PathBuf),
}

fn faults(faulty: &[Faulty]) -> String {
    let lines: Vec<String> = faulty.iter().map(|Faulty { did, why }| format!("\n  {did}: {why}")).collect();
    let first = "nothing was taken over, because of these accounts (--leave-out DID leaves one out):";
    format!("{first}{}", lines.concat())
}

/// Takes over a reference PDS's data directory.
///
/// # Errors
/// [`AdoptError`]; nothing was made then, and nothing of the original is ever changed.
pub async fn adopt(options: &Options, world: World, progress: &dyn Fn(&Progress)) -> Result<Report, AdoptError> {
    let dir = absolute(&options.dir);
    let source = Source::find(&dir, options.env_file.as_deref(), options.blobs.as_deref())?;
    source.check_stopped()?;
    let looks = source.looks();
    let target = options.target.as_deref().map_or_else(|| beside(&dir), absolute);
    let env_file = &source.env_file;
    let settings = source.environment.settings();
    let settings = settings.map_err(|fault| SourceError::Settings { path: env_file.clone(), fault })?;
    let staging = Staging::beside(&target)?;
    staging.write_secrets(&settings.secrets)?;
    let (config, warnings) = staged_config(&settings, &staging)?;
    let mut report = Report {
        from: dir,
        config: target.join(CONFIG),
        dry_run: options.outcome == Outcome::Nothing,
        hostname: config.server.hostname.clone(),
        settings: SettingsReport { taken: settings.taken.clone(), not_taken: settings.not_taken.clone(), warnings },
        ..Report::default()
    };
    let server = open_server(&config, world).await?;
    let taken = take_everything(&server, &source, &staging, (options, progress), &mut report).await;
    server.store.close().await;
    drop(server);
    taken?;
    source.check_stopped()?;
    if source.looks() != looks {
        return Err(AdoptError::Changed(source.dir));
    }
    staging.write(Path::new(CONFIG), &settings.toml(&target, &target.join(SECRETS)))?;
    match options.outcome {
        Outcome::Directory => staging.finish(&target)?,
        Outcome::Nothing => drop(staging),
    }
    report.to = target;
    Ok(report)
}

/// The configuration with which the data is written: as it will be, but in the staging directory.
fn staged_config(settings: &Settings, staging: &Staging) -> Result<(Config, Vec<String>), ConfigError> {
    let text = settings.toml(&staging.path, &staging.path.join(SECRETS));
    let source = config::Source { file: Some((staging.path.join(CONFIG), text)), ..config::Source::default() };
    let (config, warnings) = Config::load(source)?;
    Ok((config, warnings.iter().map(ToString::to_string).collect()))
}

async fn take_everything(
    server: &Server,
    source: &Source,
    staging: &Staging,
    (options, progress): (&Options, &dyn Fn(&Progress)),
    report: &mut Report,
) -> Result<(), AdoptError> {
    let aside = staging.aside();
    let db = Foreign::open(&source.account, &aside)?;
    if !accounts::is_recent(&db)? {
        return Err(AdoptError::TooOld);
    }
    let all = accounts::accounts(&db)?;
    let taker = Taker { server, source, db: &db, aside: &aside, transfer: options.transfer };
    take_accounts(&taker, &all, (options, progress), report).await?;
    report.invites = take_invites(server, &db).await?;
    let oauth = accounts::oauth_clients(&db)?;
    if oauth > 0 {
        report.not_taken.push(format!("{oauth} sign-ins by OAuth: these apps must sign in again"));
    }
    let devices = accounts::devices(&db)?;
    if devices > 0 {
        report.not_taken.push(format!("{devices} browsers in which an account is remembered for such sign-ins"));
    }
    let codes = accounts::mailed_codes(&db)?;
    if codes > 0 {
        report.not_taken.push(format!("{codes} codes that were mailed: who waits for one asks for another"));
    }
    drop(db);
    report.reserved_keys = take_reserved_keys(server, source).await?;
    take_sequence(server, source, &aside, report).await
}

async fn take_accounts(
    taker: &Taker<'_>,
    all: &[ForeignAccount],
    (options, progress): (&Options, &dyn Fn(&Progress)),
    report: &mut Report,
) -> Result<(), AdoptError> {
    let mut faulty = Vec::new();
    for (done, account) in all.iter().enumerate() {
        progress(&Progress { done, total: all.len(), did: account.did.clone() });
        if options.leave_out.contains(&account.did) {
            report.left_out.push(account.did.clone());
            continue;
        }
        match taker.take(account, &mut report.not_taken).await {
            Ok(taken) => report.accounts.push(taken),
            Err(TakeError::Store(cause)) => return Err(cause.into()),
            Err(other) => faulty.push(Faulty { did: account.did.clone(), why: other.to_string() }),
        }
    }
    if faulty.is_empty() { Ok(()) } else { Err(AdoptError::Faulty(faulty)) }
}

async fn take_invites(server: &Server, db: &Foreign) -> Result<usize, AdoptError> {
    let at = |text: &str| time(text).unwrap_or(Timestamp::EPOCH);
    let mut invites = Vec::new();
    for invite in accounts::invites(db)? {
        let used_by = invite.used_by.iter();
        let used_by = used_by.filter_map(|(did, used_at)| Some((did.parse::<Did>().ok()?, at(used_at)))).collect();
        invites.push(InviteCode {
            disabled: invite.disabled,
            used_by,
            invite: NewInvite {
                uses: u32::try_from(invite.uses.max(0)).unwrap_or(u32::MAX),
                created_at: at(&invite.created_at),
                code: invite.code,
                for_account: invite.for_account,
                created_by: invite.created_by,
            },
        });
    }
    let count = invites.len();
    server.store.take_over_invites(invites).await?;
    Ok(count)
}

async fn take_reserved_keys(server: &Server, source: &Source) -> Result<usize, AdoptError> {
    let keys = reserved_keys(&source.actors)?;
    for (name, key) in &keys {
        let did_key = key.did_key().to_string();
        let purpose = reserved_key_purpose(&did_key);
        let sealed = server.master_key.seal(&purpose, key.to_bytes().as_slice(), server.entropy.as_ref());
        // A file is named after the DID that the key is for, or after the key.
        let did = name.parse::<Did>().ok().filter(|did| did.is_plc() || did.is_web());
        server.store.reserve_signing_key(did.as_ref(), &did_key, sealed, server.now()).await?;
    }
    Ok(keys.len())
}

/// Carries over the recent events, and continues the numbers behind a gap.
async fn take_sequence(server: &Server, source: &Source, aside: &Path, report: &mut Report) -> Result<(), AdoptError> {
    let db = Foreign::open(&source.sequencer, aside)?;
    let from = server.now().minus(server.policy.retain).to_rfc3339_millis();
    let (mut after, mut lost) = (0, 0);
    loop {
        let (events, without, last) = sequence::events(&db, &from, after, EVENTS_PAGE)?;
        let Some(last) = last else { break };
        (after, lost) = (last, lost + without);
        report.events += events.len();
        let events = events.into_iter().map(|event| (StoredEvent { seq: event.seq, frame: event.frame }, event.time));
        server.store.take_over_events(events.collect()).await?;
    }
    if lost > 0 {
        report.not_taken.push(format!("{lost} recent events that are not of the form that is in use today"));
    }
    report.last_seq = sequence::latest(&db)?;
    server.store.continue_after(report.last_seq.saturating_add(SEQ_GAP)).await?;
    report.next_seq = report.last_seq.saturating_add(SEQ_GAP).saturating_add(1);
    Ok(())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn beside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push("-housekey");
    dir.with_file_name(name)
}
