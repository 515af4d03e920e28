//! The test world with the bounds and shorthands that tests of records and the event stream want.
use super::{
    Server,
    testing::{self, World},
};
use crate::{
    clock::ManualClock,
    crypto::jwt::{Scope, SessionClaims, SessionToken},
    store::{Account, AccountState},
    syntax::Did,
};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// A server, its clock, and what keeps both running.
pub(crate) struct Fixture {
    pub(crate) server: Arc<Server>,
    pub(crate) clock: Arc<ManualClock>,
    world: World,
}

/// A DID that nobody registered.
pub(crate) fn unknown_did(name: &str) -> Did {
    let text = data_encoding::BASE32_NOPAD.encode(&Sha256::digest(name)).to_ascii_lowercase();
    format!("did:plc:{}", text.get(..24).unwrap()).parse().unwrap()
}

impl Fixture {
    /// Small blobs, and a window that is shorter than what is kept.
    pub(crate) async fn new() -> Self {
        let mut policy = testing::policy();
        policy.blob_bytes = 1_000_000;
        policy.retain = Duration::from_hours(72);
        policy.backfill = Duration::from_hours(24);
        let world = World::with(policy).await;
        Self { server: Arc::clone(&world.server), clock: Arc::clone(&world.clock), world }
    }

    /// A new active account with the handle `<name>.test`.
    pub(crate) async fn account(&self, name: &str) -> Account {
        self.world.account(name).await
    }

    /// Changes an account's state without telling the stream.
    pub(crate) async fn set_state(&self, account: &Account, state: AccountState) {
        self.server.store.set_account_state(account.id, state, Vec::new()).await.unwrap();
    }

    /// An access token of the account.
    pub(crate) fn token(&self, did: &Did, scope: Scope) -> String {
        let iat = self.server.now().as_secs();
        let claims = SessionClaims {
            scope,
            aud: self.server.policy.service_did.to_string(),
            sub: did.to_string(),
            iat,
            exp: iat + 7_200,
            auth_time: None,
            jti: None,
            epoch: 0,
            app_password: None,
        };
        self.server.session_key.sign(SessionToken::Access, &claims)
    }
}
