//! What an account just wrote, shown to it in answers of a service that does not know it yet.
//!
//! A service tells in `atproto-repo-rev` which revision of the caller's repository it has seen. What was written since
//! is put into its answer as it would put it there itself. Gathering is here; the rest is JSON in, JSON out.

mod post;
mod quote;
#[cfg(test)]
mod tests;
mod view;

pub use quote::{Quote, Quotes, quoted};
pub use view::{View, freshen, parent_to_ask_for, unseen_thread};

use serde_json::Value;
use url::Url;

use super::Server;
use crate::{
    clock::Timestamp,
    ipld::{Cid, json::write_cbor_as_json},
    limits::proxy::{KNOWN_RECORDS, LOCAL_POSTS},
    repo::RecordPath,
    store::{Account, StoreError, StoredRecord},
    syntax::{AtUri, Did, Nsid, RecordKey, Tid},
};

/// A record that a service has not seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Fresh {
    /// Where it is.
    pub uri: String,
    /// Its CID.
    pub cid: String,
    /// When it was written.
    pub indexed_at: Timestamp,
    /// The record as data-model JSON.
    pub record: Value,
}

/// Where images are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// The `AppView`'s, `%s` for preset, DID and CID.
    pub pattern: Option<String>,
    /// This server's address, which has every blob itself.
    pub server: Url,
}

/// What a service has not seen of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Unseen {
    /// The account's DID.
    pub did: String,
    /// Its handle.
    pub handle: String,
    /// Its profile as it is now, seen or not.
    pub current_profile: Option<Value>,
    /// The profile, if the service has not seen it.
    pub profile: Option<Fresh>,
    /// Posts that the service has not seen, oldest first.
    pub posts: Vec<Fresh>,
    /// Where images are.
    pub images: Images,
}

impl Unseen {
    /// Whether the service has seen everything.
    pub const fn is_empty(&self) -> bool {
        self.profile.is_none() && self.posts.is_empty()
    }

    /// How far the service is behind, in milliseconds.
    pub fn lag(&self, now: Timestamp) -> Option<u128> {
        let written = self.profile.iter().chain(&self.posts).map(|fresh| fresh.indexed_at);
        written.min().map(|oldest| now.since(oldest).as_millis())
    }
}

/// What a service that has seen an account's repository up to `rev` does not know.
///
/// # Errors
/// When the database fails, or holds what is no record.
pub async fn unseen(server: &Server, account: &Account, rev: Tid) -> Result<Unseen, StoreError> {
    let store = &server.store;
    let profile = match path("app.bsky.actor.profile", "self") {
        Some(path) => store.shown_record(account.id, &path).await?.map(|record| (path, record)),
        None => None,
    };
    let mut posts = Vec::new();
    if let Ok(collection) = "app.bsky.feed.post".parse::<Nsid>() {
        for (rkey, record) in store.newest_records(account.id, &collection, LOCAL_POSTS).await? {
            if record.rev > rev {
                posts.push(fresh(&account.did, &RecordPath::new(collection.clone(), rkey), &record)?);
            }
        }
    }
    posts.sort_by_key(|post| post.indexed_at);
    let current_profile = profile.as_ref().map(|(_, record)| json(&record.value)).transpose()?;
    let profile = match profile {
        Some((path, record)) if record.rev > rev => Some(fresh(&account.did, &path, &record)?),
        Some(_) | None => None,
    };
    let mut unseen = Unseen {
        did: account.did.to_string(),
        handle: account.handle.to_string(),
        current_profile,
        profile,
        posts,
        images: Images {
            pattern: server.policy.services.image_pattern.clone(),
            server: server.policy.public_url.clone(),
        },
    };
    // A service that has seen nothing at all of a repository that was moved here is not a little behind.
    if !unseen.is_empty() && !store.has_record_until(account.id, rev, KNOWN_RECORDS).await? {
        unseen.profile = None;
        unseen.posts.clear();
    }
    Ok(unseen)
}

fn path(collection: &str, rkey: &str) -> Option<RecordPath> {
    Some(RecordPath::new(collection.parse().ok()?, rkey.parse::<RecordKey>().ok()?))
}

fn fresh(did: &Did, path: &RecordPath, record: &StoredRecord) -> Result<Fresh, StoreError> {
    Ok(Fresh {
        uri: AtUri::record(did, &path.collection, &path.rkey).to_string(),
        cid: Cid::to_string(&record.cid),
        indexed_at: record.rev.timestamp(),
        record: json(&record.value)?,
    })
}

fn json(cbor: &[u8]) -> Result<Value, StoreError> {
    let mut text = Vec::with_capacity(cbor.len() * 2);
    write_cbor_as_json(cbor, &mut text).map_err(|cause| StoreError::Damaged(cause.to_string()))?;
    serde_json::from_slice(&text).map_err(|cause| StoreError::Damaged(cause.to_string()))
}
