//! Schemas that the server knows: the operator's directory, those that the program carries, and those that it looked up
//! and remembers, in this order.

mod directory;
mod memory;
mod resolve;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use bytes::Bytes;

pub use directory::DirectoryError;

use self::{directory::Directory, memory::Memory, resolve::look_up};
use super::Server;
use crate::{
    clock::Timestamp,
    ipld::Cid,
    lexicon::{Catalog, Document, published},
    outbound::{Flights, Joined, landed},
    syntax::{Did, Nsid},
};

/// What the operator decided about schemas.
#[derive(Clone, Debug)]
pub struct LexiconOptions {
    /// Whether unknown ones are looked up over the network.
    pub resolve: bool,
    /// Where more of them are, in files.
    pub dir: Option<PathBuf>,
}

/// A schema as its authority publishes it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Compiled.
    pub document: Arc<Document>,
    /// The account that has authority over the name.
    pub did: Did,
    /// The record's CID.
    pub cid: Cid,
    /// The record, in DAG-CBOR.
    pub record: Bytes,
}

/// Why there is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexiconError {
    /// Its authority has none of that name, or nobody has authority.
    #[error("{0}")]
    NotFound(String),
    /// Its authority could not be asked, or what it gave is not proven or no schema.
    #[error("{0}")]
    Unavailable(String),
}

type Answer = Result<Arc<Resolved>, LexiconError>;

/// All schemas.
pub struct Lexicons {
    resolve: bool,
    directory: Option<Directory>,
    memory: Memory,
    flights: Arc<Flights<Nsid, Answer>>,
}

impl std::fmt::Debug for Lexicons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lexicons").field("resolve", &self.resolve).finish_non_exhaustive()
    }
}

impl Lexicons {
    /// Knows what the program carries, and what is in the directory.
    ///
    /// # Errors
    /// [`DirectoryError`] when the directory cannot be read.
    pub fn new(options: LexiconOptions) -> Result<Self, DirectoryError> {
        let directory = options.dir.map(Directory::open).transpose()?;
        Ok(Self { resolve: options.resolve, directory, memory: Memory::default(), flights: Arc::new(Flights::new()) })
    }

    /// What is known at this instant.
    pub fn shelf(&self, now: Timestamp) -> Shelf<'_> {
        Shelf { directory: self.directory.as_ref().map(|directory| directory.documents(now)), memory: &self.memory }
    }

    /// Whether there is a document of this name.
    pub fn knows(&self, nsid: &Nsid, now: Timestamp) -> bool {
        self.shelf(now).document(nsid.as_str()).is_some()
    }
}

/// What is known, for one validation.
pub struct Shelf<'a> {
    directory: Option<Arc<HashMap<String, Arc<Document>>>>,
    memory: &'a Memory,
}

impl Catalog for Shelf<'_> {
    fn document(&self, nsid: &str) -> Option<Arc<Document>> {
        let in_directory = self.directory.as_ref().and_then(|documents| documents.get(nsid).cloned());
        in_directory.or_else(|| published().document(nsid)).or_else(|| self.memory.document(nsid))
    }
}

/// The schema of a name as its authority publishes it, remembered for an hour.
///
/// # Errors
/// [`LexiconError`].
pub async fn resolve(server: &Arc<Server>, nsid: &Nsid) -> Answer {
    if let Some(answer) = server.lexicons.memory.fresh(nsid, server.now()) {
        return answer;
    }
    match start(server, nsid) {
        Some(flight) => landed(flight).await.unwrap_or_else(|| Err(unavailable("the server is stopping"))),
        None if server.lexicons.resolve => Err(unavailable("too many look-ups of schemas are under way")),
        None => Err(LexiconError::NotFound(
            "this server does not look up schemas over the network (lexicons.resolve is false)".to_owned(),
        )),
    }
}

/// Looks for a schema behind the caller's back, unless it was looked for lately.
pub(super) fn look_for(server: &Arc<Server>, nsid: &Nsid) {
    if server.lexicons.memory.fresh(nsid, server.now()).is_none() {
        drop(start(server, nsid));
    }
}

/// Starts a look-up or joins the one under way; `None` when there are too many, or none is to be made.
fn start(server: &Arc<Server>, nsid: &Nsid) -> Option<tokio::sync::watch::Receiver<Option<Answer>>> {
    if !server.lexicons.resolve {
        return None;
    }
    let (ticket, flight) = match server.lexicons.flights.join(nsid) {
        Joined::Other(flight) => return Some(flight),
        Joined::Full => return None,
        Joined::First(ticket, flight) => (ticket, flight),
    };
    let (server, nsid) = (Arc::clone(server), nsid.clone());
    let tasks = server.tasks.clone();
    let stopping = tasks.stopping();
    tasks.spawn(async move {
        let Some(answer) = stopping.run_until_cancelled(ticket.run(look_up(&server, &nsid))).await else { return };
        let answer = answer.map(Arc::new);
        if let Err(cause) = &answer {
            tracing::debug!(%nsid, %cause, "no schema");
        }
        ticket.land(server.lexicons.memory.remember(&nsid, answer, server.now()));
    });
    Some(flight)
}

fn unavailable(why: &(impl ToString + ?Sized)) -> LexiconError {
    LexiconError::Unavailable(why.to_string())
}
