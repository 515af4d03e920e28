//! A session at a server that lasts as long as long work does.

use std::{sync::Arc, time::Duration};

use crate::{
    client::pds::{CallError, Pds},
    clock::{Clock, Timestamp},
    crypto::Secret,
    limits::client::MOVE_SESSION,
    syntax::Did,
};

/// A server and the account's password there.
pub struct Session {
    pds: Pds,
    did: Did,
    password: Secret,
    clock: Arc<dyn Clock>,
    opened: Option<Timestamp>,
}

impl Session {
    /// Not opened yet.
    pub const fn new(pds: Pds, did: Did, password: Secret, clock: Arc<dyn Clock>) -> Self {
        Self { pds, did, password, clock, opened: None }
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
    /// [`CallError`], above all where the password is another one.
    pub async fn open(&mut self) -> Result<(), CallError> {
        let did = self.pds.log_in(self.did.as_str(), &self.password).await?;
        if did != self.did {
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
        let age = self.opened.map_or(Duration::MAX, |opened| self.clock.now().since(opened));
        if age >= MOVE_SESSION {
            self.open().await?;
        }
        Ok(&self.pds)
    }
}
