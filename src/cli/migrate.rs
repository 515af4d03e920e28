//! `housekey migrate`: a whole account from one server to another.

use super::{
    Failure,
    ask::{self, SignInArgs},
    print_json,
    progress::Bar,
    verify::SourceArgs,
};
use crate::{
    client::{
        mover::{Event, MoveError, MoveFile, Moved, Mover, Plan, Signer, Standing, Step, Stopped, Survey},
        pds::Pds,
        session::Session,
        sources::Sources,
    },
    clock::SystemClock,
    crypto::{Curve, KeyType, SigningKey},
    syntax::{AtIdentifier, Did, Handle},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use url::Url;

/// What the exit code says where the move waits for its owner: a mailed code, or a document to publish.
const WAITS: u8 = 3;

/// What it says where the account has moved and a delegation does not verify as before.
const BROKEN_DELEGATION: u8 = 4;

/// Moves an account with records, blobs, preferences and identity, delegations included. Run it again after whatever stopped
/// it: it goes on where it was.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  housekey migrate in alice.bsky.social --to https://pds.example.com --dry-run
  housekey migrate in alice.bsky.social --to https://pds.example.com --invite-code pds-example-com-xxxxx-xxxxx
  housekey migrate in alice.bsky.social --plc-code ABCDE-FGHIJ        go on, with the code that was mailed
  housekey migrate in alice.bsky.social --to https://pds.example.com --until check
  housekey migrate out alice.example.com --to https://other.example.net --handle alice.other.example.net

The steps: account, repository, blobs, preferences, check, identity, activate, deactivate, verify. Up to `check` nothing that
others see has changed, and nothing is lost by giving up. For `identity` the old server mails a code (or you sign with
--rotation-key), and some servers mail another for each sign-in (--sign-in-code); where somebody is at the terminal, both are
asked for. Passwords are asked for too, and never stored.
docs/moving.md says what to do when something goes wrong.

Exit codes: 0 done; 1 stopped, run it again; 2 wrong usage; 3 waits for you: a mailed code, or a document to publish;
4 moved, but a delegation does not verify as before.")]
pub(super) struct Migrate {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Move an account from wherever it is to a Housekey server
    In(Move),
    /// Move an account from a Housekey server to any other
    Out(Move),
}

#[derive(Debug, Args)]
struct Move {
    /// Handle or DID of the account
    account: AtIdentifier,
    /// Address of the new server [default: the one of the move that is noted]
    #[arg(long, value_name = "URL")]
    to: Option<Url>,
    /// Address of the old server [default: the noted one, or the one that the DID document names]
    #[arg(long, value_name = "URL")]
    from: Option<Url>,
    /// File with the password at the old server [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with the password for the new server [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    sign_in: SignInArgs,
    /// The same for the new server, where the account was there before
    #[arg(long, value_name = "CODE")]
    new_sign_in_code: Option<String>,
    /// Handle at the new server [default: the present one, or its like under the new server's domain]
    #[arg(long)]
    handle: Option<Handle>,
    /// E-mail address for the new server [default: the present one]
    #[arg(long)]
    email: Option<String>,
    /// Invite code of the new server
    #[arg(long, value_name = "CODE")]
    invite_code: Option<String>,
    /// The code that the old server mailed for the change of the identity
    #[arg(long, value_name = "CODE")]
    plc_code: Option<String>,
    /// A rotation key of your own, as a key file of the type p256 or k256: no code is needed then
    #[arg(long, value_name = "FILE")]
    rotation_key: Option<PathBuf>,
    /// File with the passphrase of the rotation key [default: it is asked for where it is locked]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Change the identity although blobs are missing at the new server
    #[arg(long)]
    allow_missing_blobs: bool,
    /// The last step to take
    #[arg(long, value_name = "STEP", default_value = "verify")]
    until: Step,
    /// Only find out what would be done: nothing is changed
    #[arg(long)]
    dry_run: bool,
    /// Where the move is noted, and beside it the repository's archive [default: ACCOUNT.move.json here]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print one line of JSON at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArgs,
}

impl Migrate {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let (Verb::In(command) | Verb::Out(command)) = self.command;
        command.run().await
    }
}

/// Who moves from where to where, as far as arguments, an earlier run's note and public material say.
struct Route {
    did: Did,
    from: Pds,
    to: Pds,
    file: PathBuf,
    note: Option<MoveFile>,
}

impl Move {
    async fn run(self) -> Result<ExitCode, Failure> {
        let sources = self.sources.open()?;
        let route = self.route(&sources).await?;
        if self.dry_run {
            return self.survey(&sources, route).await;
        }
        let note = route
            .note
            .clone()
            .unwrap_or_else(|| MoveFile::new(&self.account, route.did.clone(), route.from.host(), route.to.host()));
        let plan = self.plan(route)?;
        let bar = Bar::new();
        let mut step = Step::Account;
        let mut tell = |event| match event {
            Event::Step(next) => {
                step = next;
                bar.rest();
                let number = 1 + Step::ALL.iter().position(|step| *step == next).unwrap_or_default();
                bar.note(&format!("{number}/{} {}: {}", Step::ALL.len(), next.name(), next.words()));
            }
            Event::Progress { done, all } => {
                bar.show(if step == Step::Repository { "repository, bytes" } else { step.name() }, done, all);
            }
            Event::Note(text) => bar.note(&format!("    {text}")),
        };
        let result = Mover::new(&sources, plan, note, &mut tell)?.run().await;
        drop(bar);
        match result {
            Ok(moved) => Ok(self.show(&moved)),
            Err(stopped) => Err(self.explain(&stopped)),
        }
    }

    async fn route(&self, sources: &Sources) -> Result<Route, Failure> {
        let file = self.file.clone().unwrap_or_else(|| default_file(&self.account));
        if file.extension().is_some_and(|extension| extension == "car") {
            return Err(Failure::usage(
                "the name that ends in .car is the archive's, beside the note: name --file otherwise",
            ));
        }
        let note = MoveFile::read(&file)?;
        let did = match note.as_ref().and_then(|note| note.did_of(&self.account)) {
            Some(did) => did.clone(),
            None => sources.did_of(&self.account).await.map_err(Failure::new)?,
        };
        let to = match (&self.to, note.as_ref().and_then(MoveFile::to)) {
            (Some(url), _) => url.clone(),
            (None, Some(noted)) => noted.parse()?,
            (None, None) => return Err(Failure::usage("name the new server with --to URL")),
        };
        let to = sources.server(to);
        let noted = note.as_ref().and_then(|note| note.from(&to.host()));
        let from = match (&self.from, noted) {
            (Some(url), _) => sources.server(url.clone()),
            (None, Some(noted)) => sources.named_server(noted.parse()?),
            (None, None) => sources.named_server(sources.server_of(&did).await.map_err(Failure::new)?),
        };
        if from.url().origin() == to.url().origin() {
            return Err(Failure::usage(format!(
                "the DID document names {} already: where the account comes from has to be named with --from",
                to.host()
            )));
        }
        Ok(Route { did, from, to, file, note })
    }

    fn old_password(&self, from: &Pds) -> Result<crate::crypto::Secret, Failure> {
        ask::password(self.password_file.as_deref(), &self.account, &from.host())
    }

    fn plan(&self, route: Route) -> Result<Plan, Failure> {
        let Route { did, from, to, file, note } = route;
        let old = self.old_password(&from)?;
        let path = self.new_password_file.as_deref();
        let place = format!("for {} at {}", self.account, to.host());
        // Once there is a note, there may be an account with that password.
        let new = if note.is_some() {
            ask::secret(path, &format!("Password {place}"))?
        } else {
            ask::new_secret(path, &format!("New password {place}"))?
        };
        let there = ask::sign_in_code(self.new_sign_in_code.clone(), "--new-sign-in-code");
        let clock = Arc::new(SystemClock);
        Ok(Plan {
            from: Session::new(from, did.clone(), old, self.sign_in.code(), Arc::<SystemClock>::clone(&clock)),
            to: Session::new(to, did.clone(), new, there, clock),
            did,
            handle: self.handle.clone(),
            email: self.email.clone(),
            invite_code: self.invite_code.clone(),
            rotation_key: self.rotation_key()?,
            plc_code: self.plc_code.clone(),
            ask_code: ask::can_ask().then_some(ask_code),
            allow_missing_blobs: self.allow_missing_blobs,
            until: self.until,
            file,
        })
    }

    fn rotation_key(&self) -> Result<Option<SigningKey>, Failure> {
        let Some(path) = &self.rotation_key else { return Ok(None) };
        let key = ask::open_key(path, self.passphrase_file.as_deref())?;
        let curve = match key.key_type() {
            KeyType::K256 => Curve::K256,
            KeyType::P256 => Curve::P256,
            KeyType::Ed25519 => return Err(Failure::usage("a rotation key must be of the type p256 or k256")),
        };
        Ok(Some(SigningKey::from_bytes(curve, key.to_bytes().as_slice())?))
    }

    async fn survey(&self, sources: &Sources, route: Route) -> Result<ExitCode, Failure> {
        let old = self.old_password(&route.from)?;
        let mut from = Session::new(route.from, route.did.clone(), old, self.sign_in.code(), Arc::new(SystemClock));
        let own_key = self.rotation_key.is_some();
        let survey = Survey::of(sources, &route.did, &mut from, &route.to, self.handle.clone(), own_key).await;
        let survey = survey.map_err(|cause| Failure { message: cause.to_string(), code: code_of(&cause) })?;
        if self.json {
            print_json(&survey_json(&survey));
        } else {
            print_survey(&survey, self.invite_code.is_some());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, moved: &Moved) -> ExitCode {
        if self.json {
            print_json(&moved_json(moved));
        } else {
            print(moved, self.until);
        }
        let stands = moved.delegations.iter().all(|(_, verified)| *verified);
        if stands { ExitCode::SUCCESS } else { ExitCode::from(BROKEN_DELEGATION) }
    }

    fn explain(&self, stopped: &Stopped) -> Failure {
        if self.json {
            print_json(&json!({
                "complete": false,
                "step": stopped.step.name(),
                "error": stopped.cause.to_string(),
                "standing": standing_json(&stopped.standing),
            }));
        }
        Failure { message: format!("{stopped}.\nAs it stands, {}.", stopped.standing), code: code_of(&stopped.cause) }
    }
}

/// The exit code of a move that stopped.
const fn code_of(cause: &MoveError) -> u8 {
    if cause.waits_for_owner() { WAITS } else { 1 }
}

fn ask_code(host: &str) -> Option<String> {
    let code = ask::line(&format!("The code that {host} has mailed (empty: later)")).ok()?;
    (!code.is_empty()).then_some(code)
}

fn default_file(account: &AtIdentifier) -> PathBuf {
    PathBuf::from(format!("{}.move.json", account.to_string().replace(':', "_")))
}

fn standing_json(standing: &Standing) -> Value {
    let server = |(url, stand): &(String, crate::client::mover::Stand)| json!({"url": url, "account": stand.name()});
    json!({"document": standing.document, "old": server(&standing.old), "new": server(&standing.new)})
}

fn moved_json(moved: &Moved) -> Value {
    let delegations: Vec<_> =
        moved.delegations.iter().map(|(id, verified)| json!({"id": id, "verified": verified})).collect();
    json!({
        "did": moved.did,
        "complete": moved.complete,
        "missingBlobs": moved.missing_blobs,
        "delegations": delegations,
        "standing": standing_json(&moved.standing),
    })
}

fn survey_json(survey: &Survey) -> Value {
    let signer = match survey.signer {
        Signer::OwnKey => "rotationKey",
        Signer::OldServer => "mailedCode",
        Signer::Publisher => "document",
    };
    json!({
        "did": survey.did,
        "handle": survey.handle,
        "inviteRequired": survey.invite_required,
        "records": survey.records,
        "blobs": survey.blobs.0,
        "blobsThere": survey.blobs.1,
        "identity": signer,
        "standing": standing_json(&survey.standing),
    })
}

fn print(moved: &Moved, until: Step) {
    if moved.complete {
        println!("Done: {} lives at {}.", moved.did, moved.standing.new.0);
    } else {
        println!("Done up to the step {}: run this again without --until to go on.", until.name());
        println!("As it stands, {}.", moved.standing);
    }
    if !moved.missing_blobs.is_empty() {
        println!("  {} blobs are not at the new server.", moved.missing_blobs.len());
    }
    for (id, verified) in &moved.delegations {
        let what = if *verified { "verifies as before" } else { "does NOT verify: look at it with `housekey verify`" };
        println!("  The delegation {id} {what}.");
    }
}

fn print_survey(survey: &Survey, has_invite: bool) {
    let (expected, there) = survey.blobs;
    println!("{} would move from {} to {}", survey.did, survey.standing.old.0, survey.standing.new.0);
    println!("  as {}, with {} records and {there} of {expected} blobs.", survey.handle, survey.records);
    if there < expected {
        println!("  Blobs are missing at the old server already: --allow-missing-blobs will be needed.");
    }
    if survey.invite_required && !has_invite {
        println!("  The new server wants an invite code: --invite-code CODE.");
    }
    println!(
        "  {}",
        match survey.signer {
            Signer::OwnKey => "Your rotation key signs the change of the identity.",
            Signer::OldServer => "The old server will mail a code for the change of the identity.",
            Signer::Publisher => "You will publish the new document of this did:web yourself.",
        }
    );
    println!("As it stands, {}.", survey.standing);
}
