//! A session at a server that lasts as long as long work does.

use serde_json::Value;
use std::sync::Arc;

use crate::{
    client::{
        pds::{CallError, Pds},
        sign_in::SignInCode,
    },
    clock::{Clock, Timestamp},
    crypto::Secret,
    limits::client::{LISTED_MAX_PAGES, LISTED_PAGE, MOVE_SESSION},
    syntax::Did,
};

/// A server and the account's password there.
pub struct Session {
    pds: Pds,
    did: Did,
    password: Secret,
    code: SignInCode,
    clock: Arc<dyn Clock>,
    opened: Option<Timestamp>,
}

impl Session {
    /// Not opened yet.
    pub const fn new(pds: Pds, did: Did, password: Secret, code: SignInCode, clock: Arc<dyn Clock>) -> Self {
        Self { pds, did, password, code, clock, opened: None }
    }

    /// The server.
    pub const fn pds(&self) -> &Pds {
        &self.pds
    }

    /// Its name.
    pub fn host(&self) -> String {
        self.pds.host()
    }

    /// The password.
    pub const fn password(&self) -> &Secret {
        &self.password
    }

    /// Logs in.
    ///
    /// # Errors
    /// As [`Pds::log_in`].
    pub async fn open(&mut self) -> Result<(), CallError> {
        let did = self.pds.log_in(self.did.as_str(), &self.password, &self.code).await?;
        // A code signs in once.
        self.code.given = None;
        self.opened_as(&did)
    }

    fn opened_as(&mut self, did: &Did) -> Result<(), CallError> {
        if *did != self.did {
            return Err(CallError::Strange(self.host(), "com.atproto.server.createSession"));
        }
        self.opened = Some(self.clock.now());
        Ok(())
    }

    /// The server, in a session that still lasts a while: tokens end after two hours, blobs may take longer.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn fresh(&mut self) -> Result<&Pds, CallError> {
        match self.opened.map(|opened| self.clock.now().since(opened)) {
            Some(age) if age < MOVE_SESSION => {}
            Some(_) => self.renew().await?,
            None => self.open().await?,
        }
        Ok(&self.pds)
    }

    /// Without the password, so that no other code is mailed in the middle of the work; with it where the server wants that.
    async fn renew(&mut self) -> Result<(), CallError> {
        match self.pds.refresh().await {
            Ok(did) => self.opened_as(&did),
            Err(cause) if cause.is_busy() || matches!(cause, CallError::Unreachable(..)) => Err(cause),
            Err(_) => self.open().await,
        }
    }

    /// What the server lists under `field` in the pages of a query, as far as `read` finds something in it.
    ///
    /// # Errors
    /// As [`Self::open`]; [`CallError::Strange`] for an answer without that list, or when it does not end.
    pub async fn list<T>(
        &mut self,
        nsid: &'static str,
        query: &[(&str, &str)],
        field: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, CallError> {
        let (limit, mut cursor) = (LISTED_PAGE.to_string(), None::<String>);
        let mut listed = Vec::new();
        for _ in 0..LISTED_MAX_PAGES {
            let pds = self.fresh().await?;
            let more =
                [("limit", limit.as_str())].into_iter().chain(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = pds.get(nsid, &query.iter().copied().chain(more).collect::<Vec<_>>()).await?;
            let items = page.get(field).and_then(Value::as_array);
            let items = items.ok_or_else(|| CallError::Strange(pds.host(), nsid))?;
            listed.extend(items.iter().take(LISTED_PAGE).filter_map(&read));
            let next = page.get("cursor").and_then(Value::as_str).map(str::to_owned);
            if items.is_empty() || next.is_none() || next == cursor {
                return Ok(listed);
            }
            cursor = next;
        }
        Err(CallError::Strange(self.host(), nsid))
    }

    /// CIDs of the blobs that the account's records name and the server does not have, each once.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn missing_blobs(&mut self) -> Result<Vec<String>, CallError> {
        let cid = |blob: &Value| Some(blob.get("cid")?.as_str()?.to_owned());
        let mut missing = self.list("com.atproto.repo.listMissingBlobs", &[], "blobs", cid).await?;
        // A blob of several records is named once for each of them by some servers.
        missing.sort_unstable();
        missing.dedup();
        Ok(missing)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
