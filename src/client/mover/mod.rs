//! A whole account from one server to another: records, blobs, preferences, identity. Each step finds out from the servers
//! what is done already, so a move that was interrupted anywhere goes on when it is run again.

mod account;
mod check;
mod content;
mod identity;
mod note;
mod standing;
mod step;
mod survey;

pub use note::MoveFile;
pub use standing::{Stand, Standing};
pub use step::Step;
pub use survey::{Signer, Survey};

use serde_json::Value;
use std::{collections::BTreeSet, path::PathBuf};

use super::{files::FileError, pds::CallError, session::Session, sources::Sources};
use crate::{
    crypto::SigningKey,
    delegation::DelegationId,
    syntax::{Did, Handle},
};

/// What moves, from where to where.
pub struct Plan {
    /// The account.
    pub did: Did,
    /// Its session where it is.
    pub from: Session,
    /// Its session where it goes; not open before there is an account.
    pub to: Session,
    /// The handle that it is to have; what it has, or its like under the new server's domain, if not given.
    pub handle: Option<Handle>,
    /// Its address; what the old server says, if not given.
    pub email: Option<String>,
    /// An invite code of the new server.
    pub invite_code: Option<String>,
    /// A rotation key of the owner's own; without it the old server signs, for which it mails a code.
    pub rotation_key: Option<SigningKey>,
    /// The code that the old server has mailed.
    pub plc_code: Option<String>,
    /// Asks the owner for the code that the named server has mailed, where somebody can be asked.
    pub ask_code: Option<fn(&str) -> Option<String>>,
    /// Whether the identity may change although blobs are missing at the new server.
    pub allow_missing_blobs: bool,
    /// The last step to take.
    pub until: Step,
    /// Where the move is noted; the repository's archive is kept beside it.
    pub file: PathBuf,
}

/// What a move tells while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A step begins.
    Step(Step),
    /// `done` of `all`, bytes or blobs.
    Progress {
        /// So far.
        done: u64,
        /// In all; 0 where nobody said.
        all: u64,
    },
    /// Something that the owner should know.
    Note(String),
}

/// Why a move stopped. What was done stays done.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// A server.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The old server has mailed a code, and the move goes on with it.
    #[error("{0} has mailed a code to the account's address: run this again with --plc-code CODE")]
    CodeNeeded(String),
    /// The old server has mailed none.
    #[error("{0}; once you have a code, run this again with --plc-code CODE")]
    NotMailed(CallError),
    /// The old server does not take the code.
    #[error("{0}; without --plc-code another code is mailed")]
    WrongCode(CallError),
    /// The owner of a did:web has to publish a document.
    #[error("the document of {did} is yours to publish: put {} where it is served, then run this again", file.display())]
    Publish {
        /// The account.
        did: Did,
        /// Where the document was written.
        file: PathBuf,
    },
    /// Blobs that the records name are not at the new server.
    #[error(
        "{} blobs are missing at the new server, such as {}: run this again to try once more, or with \
         --allow-missing-blobs to go without them",
        .0.len(), .0.first().map_or("", String::as_str)
    )]
    MissingBlobs(Vec<String>),
    /// What is there does not fit.
    #[error("{0}")]
    Unfit(String),
}

impl MoveError {
    /// Whether the move waits for its owner, who has to do something elsewhere first.
    pub const fn waits_for_owner(&self) -> bool {
        match self {
            Self::Call(cause) => cause.waits_for_code(),
            Self::CodeNeeded(_) | Self::NotMailed(_) | Self::WrongCode(_) | Self::Publish { .. } => true,
            Self::File(_) | Self::MissingBlobs(_) | Self::Unfit(_) => false,
        }
    }
}

/// A move that stopped, and how the account stands now.
#[derive(Debug, thiserror::Error)]
#[error("the step {} stopped: {cause}", step.name())]
pub struct Stopped {
    /// The step that was not done.
    pub step: Step,
    /// Why.
    #[source]
    pub cause: MoveError,
    /// Where the account is active now, and what its document names.
    pub standing: Standing,
}

/// How a move ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The account.
    pub did: Did,
    /// Whether the last step was taken, and not only those that were asked for.
    pub complete: bool,
    /// CIDs of blobs that are not at the new server.
    pub missing_blobs: Vec<String>,
    /// Delegations that verified before the identity changed, and whether their keys still do from public material.
    pub delegations: Vec<(DelegationId, bool)>,
    /// Where the account is active now, and what its document names.
    pub standing: Standing,
}

/// A move under way.
pub struct Mover<'a> {
    sources: &'a Sources,
    plan: Plan,
    note: MoveFile,
    tell: &'a mut dyn FnMut(Event),
    /// Whether the document names the new server already.
    turned: bool,
    /// Whether the new server serves the account already: what is there is the truth then, and nothing is copied over it.
    served: bool,
    /// Whether records are there.
    filled: bool,
    /// Blobs that did not come in this run: they are not asked for again.
    refused: BTreeSet<String>,
}

impl<'a> Mover<'a> {
    /// A move that goes on from what an earlier run noted.
    ///
    /// # Errors
    /// [`MoveError::Unfit`] where the note speaks of another move.
    pub fn new(
        sources: &'a Sources,
        plan: Plan,
        note: MoveFile,
        tell: &'a mut dyn FnMut(Event),
    ) -> Result<Self, MoveError> {
        let note = note.of_move(&plan.did, &plan.from.host(), &plan.to.host(), &plan.file)?;
        Ok(Self { sources, plan, note, tell, turned: false, served: false, filled: false, refused: BTreeSet::new() })
    }

    /// Takes every step that is not taken yet, up to the one that the plan ends with.
    ///
    /// # Errors
    /// [`Stopped`]; running again goes on from there.
    pub async fn run(mut self) -> Result<Moved, Box<Stopped>> {
        let (until, mut moved) = (self.plan.until, Vec::new());
        for step in Step::ALL.into_iter().filter(|step| *step <= until) {
            (self.tell)(Event::Step(step));
            match self.take(step).await {
                Ok(delegations) => moved = delegations,
                Err(cause) => return Err(Box::new(Stopped { step, cause, standing: self.standing().await })),
            }
        }
        let missing_blobs = match self.missing_blobs().await {
            Ok(missing) => missing,
            Err(cause) => {
                self.tell(format!("whether blobs are missing is not known: {cause}"));
                Vec::new()
            }
        };
        Ok(Moved {
            did: self.plan.did.clone(),
            complete: self.note.is_done(),
            missing_blobs,
            delegations: moved,
            standing: self.standing().await,
        })
    }

    async fn take(&mut self, step: Step) -> Result<Vec<(DelegationId, bool)>, MoveError> {
        let taken = match step {
            Step::Account => self.account().await,
            Step::Repository => self.repository().await,
            Step::Blobs => self.blobs().await,
            Step::Preferences => self.preferences().await,
            Step::Check => self.check().await,
            Step::Identity => self.identity().await,
            Step::Activate => self.activate().await,
            Step::Deactivate => self.deactivate().await,
            Step::Verify => return self.verify().await,
        };
        match taken {
            // The old server may be gone by now. Stopping would leave the account active nowhere.
            Err(cause) if step.copies() && self.turned && (self.served || self.filled) => {
                self.tell(format!("{cause}; the move goes on, as the document names the new server already"));
                Ok(Vec::new())
            }
            other => other.map(|()| Vec::new()),
        }
    }

    fn tell(&mut self, text: impl Into<String>) {
        (self.tell)(Event::Note(text.into()));
    }

    fn save(&self) -> Result<(), MoveError> {
        Ok(self.note.write(&self.plan.file)?)
    }

    async fn standing(&self) -> Standing {
        Standing::of(self.sources, &self.plan.did, self.plan.from.pds(), self.plan.to.pds()).await
    }
}

fn text(json: &Value, name: &str) -> Option<String> {
    json.get(name)?.as_str().map(str::to_owned)
}

fn strange(host: &str, method: &'static str) -> MoveError {
    CallError::Strange(host.to_owned(), method).into()
}
