//! The body of `/.well-known/atproto-delegation`: what a host says about a delegation; everything in it that counts is
//! signed.

use std::collections::BTreeMap;

use serde_json::{Map as JsonMap, Value as Json};

use super::{AppData, DelegationId, Statement, shape::ShapeError};
use crate::{
    limits::delegation as limits,
    syntax::{Did, Nsid},
};

/// The path on the host.
pub const WELL_KNOWN_PATH: &str = "/.well-known/atproto-delegation";

/// What the resource says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WellKnown {
    /// The account.
    pub did: Did,
    /// The delegation id.
    pub id: DelegationId,
    /// The latest statement; that of the end where there is one.
    pub statement: Option<Statement>,
    /// The entry of each app; none when the delegation is ended.
    pub apps: BTreeMap<Nsid, AppData>,
}

impl WellKnown {
    /// Of a delegation that names a key.
    pub fn active(did: Did, id: DelegationId, statement: Option<Statement>, entries: Vec<AppData>) -> Self {
        let apps = entries.into_iter().map(|entry| (entry.app().clone(), entry)).collect();
        Self { did, id, statement, apps }
    }

    /// Of a delegation that was ended, with the statement that ended it where there is one.
    pub fn ended(did: Did, id: DelegationId, ending: Option<Statement>) -> Self {
        let statement = ending.filter(|statement| statement.key().is_none());
        Self { did, id, statement, apps: BTreeMap::new() }
    }

    /// The body as JSON.
    pub fn to_json(&self) -> Json {
        let mut body = JsonMap::new();
        body.insert("version".to_owned(), Json::from(1));
        body.insert("did".to_owned(), Json::from(self.did.as_str()));
        body.insert("id".to_owned(), Json::from(self.id.as_str()));
        if let Some(statement) = &self.statement {
            body.insert("statement".to_owned(), statement.to_json());
        }
        let apps = self.apps.iter().map(|(app, entry)| (app.to_string(), entry.to_json()));
        body.insert("apps".to_owned(), Json::Object(apps.collect()));
        Json::Object(body)
    }

    /// The body as bytes, the same for every reader.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// Reads a body that any host may have served. Fields that are not known are left aside: the body itself is not
    /// signed. A part that has not its shape is left out like one that is missing.
    ///
    /// # Errors
    /// [`ShapeError`] when it is not of version 1, or not about this delegation.
    pub fn from_json(json: &Json, did: &Did, id: &DelegationId) -> Result<Self, ShapeError> {
        if json.get("version").and_then(Json::as_u64) != Some(1) {
            return Err(ShapeError::new("version must be 1"));
        }
        let text = |name| json.get(name).and_then(Json::as_str);
        if text("did") != Some(did.as_str()) || text("id") != Some(id.as_str()) {
            return Err(ShapeError::new("did and id must be those that were asked for"));
        }
        let entries = json.get("apps").and_then(Json::as_object).into_iter().flatten();
        let apps = entries.take(limits::APP_DATA_MAX_ENTRIES).filter_map(|(app, entry)| {
            let entry = AppData::from_json(entry).ok().filter(|entry| entry.app().as_str() == app)?;
            Some((entry.app().clone(), entry))
        });
        let statement = json.get("statement").and_then(|statement| Statement::from_json(statement).ok());
        Ok(Self { did: did.clone(), id: id.clone(), statement, apps: apps.collect() })
    }
}
