//! Accounts whose DID is there before them: one that moves here, and a did:web under the server's own domain names, which
//! is there because the server says so.

use std::sync::Arc;

use super::{
    Server,
    accounts::{SignUp, SignUpError, SignedUp, check_sign_up, reserved_key_purpose},
    credentials::check_new_password,
    genesis::{self, Announced},
    guesses::check_password,
    journal::JournalError,
    security_log, sessions,
};
use crate::{
    crypto::{Curve, SigningKey, seal::CannotOpen},
    limits::accounts::MOVED_IN_GRACE,
    outbound::Freshness,
    store::{Account, AccountId, AccountState, NewAccount, SecurityKind, StoreError, WebDid},
    syntax::Did,
};

/// Makes the account and opens its first session.
///
/// One that moves here shows by a token of the DID that it may; it comes in deactivated, with an empty repository, and
/// is deleted after [`MOVED_IN_GRACE`] unless it is activated. A did:web that this server serves needs no token: it must be
/// `did:web:<handle>`, and one that was ever used does not come again.
pub(super) async fn create(server: &Arc<Server>, did: Did, sign_up: SignUp) -> Result<SignedUp, SignUpError> {
    let moves = sign_up.issuer.as_ref() == Some(&did);
    if !moves {
        check_web_did(server, &did, &sign_up).await?;
    }
    let (handle, email, password) = check_sign_up(server, &sign_up).await?;
    let hashing = server.passwords.hash(password, server.policy.password_cost, Arc::clone(&server.entropy));
    let password_hash = hashing.await?;
    let key = signing_key(server, &did, moves).await?;
    let purpose = Server::repo_key_purpose(&did);
    let now = server.now();
    let (state, announced, web_did) = if moves {
        let delete_after = Some(now.plus(MOVED_IN_GRACE));
        (AccountState::Deactivated { delete_after }, Announced::Nothing, WebDid::Elsewhere)
    } else {
        (AccountState::Active, Announced::Everything, WebDid::Served)
    };
    let first = genesis::first(server, (&did, &handle), &key, announced);
    let account = NewAccount {
        did: did.clone(),
        handle,
        email: Some(email),
        password_hash,
        sealed_signing_key: server.master_key.seal(&purpose, key.to_bytes().as_slice(), server.entropy.as_ref()),
        signing_key: key.did_key().to_string(),
        invite_code: sign_up.invite_code,
        created_at: now,
    };
    // Its number is not known yet.
    let noted = security_log::event(server, AccountId(0), SecurityKind::AccountCreated, moves.then_some("moves in"));
    let id = server.store.create_account(account, (state, web_did), first, noted).await;
    let id = id.map_err(|refused| SignUpError::from(JournalError::Begin(refused)))?;
    let account = server.store.account_by_id(id).await?;
    signed_up(server, account.ok_or_else(|| StoreError::Damaged("a new account is missing".to_owned()))?).await
}

/// The same account once more with a new session, if it is one that moves in and was not activated yet; none where the DID
/// has no account here, or does not ask itself.
///
/// The password must be the one that the account was made with: the server that the account leaves can make such tokens
/// too, and would otherwise have a session here that outlives the move.
///
/// # Errors
/// [`SignUpError::DidTaken`] for an account that was activated, switched off or taken down since,
/// [`SignUpError::MovingAlready`] for another password.
pub(super) async fn again(server: &Server, did: &Did, sign_up: &SignUp) -> Result<Option<SignedUp>, SignUpError> {
    if sign_up.issuer.as_ref() != Some(did) || sign_up.has_plc_op {
        return Ok(None);
    }
    let Some(account) = server.store.account_by_did(did).await? else { return Ok(None) };
    let waits = AccountState::Deactivated { delete_after: Some(account.created_at.plus(MOVED_IN_GRACE)) };
    if account.state != waits {
        return Err(SignUpError::DidTaken(account.did));
    }
    let password = sign_up.password.clone().unwrap_or_default();
    check_new_password(&password)?;
    if !check_password(server, &account, password, "to go on moving in").await? {
        return Err(SignUpError::MovingAlready(account.did));
    }
    signed_up(server, account).await.map(Some)
}

async fn signed_up(server: &Server, account: Account) -> Result<SignedUp, SignUpError> {
    let tokens = sessions::open(server, &account, None).await?;
    let document = sessions::document(server, &account.did).await;
    Ok(SignedUp { account, tokens, document })
}

/// Whether nobody's token is needed for this DID: the server makes it.
async fn check_web_did(server: &Server, did: &Did, sign_up: &SignUp) -> Result<(), SignUpError> {
    let missing_auth = || Err(SignUpError::MissingAuth(did.clone()));
    let Some(name) = did.as_str().strip_prefix("did:web:").filter(|_| sign_up.issuer.is_none()) else {
        return missing_auth();
    };
    let Ok(handle) = name.parse() else { return missing_auth() };
    if server.policy.service_domain_of(&handle).is_none() {
        return missing_auth();
    }
    if !server.policy.did_web {
        return Err(SignUpError::WebDid("this server makes no did:web: leave \"did\" out, or bring a DID of your own"));
    }
    if !sign_up.handle.eq_ignore_ascii_case(name) || handle.as_str() != name {
        return Err(SignUpError::WebDid("a did:web of this server must be did:web:<handle>, in small letters"));
    }
    if server.store.is_served_did(did).await? {
        return Err(SignUpError::DidTaken(did.clone()));
    }
    Ok(())
}

/// The key that was reserved for the DID, or that its document names already; else a new one.
async fn signing_key(server: &Server, did: &Did, moves: bool) -> Result<SigningKey, SignUpError> {
    let mut reserved = server.store.reserved_for(did).await?;
    if reserved.is_none() && moves {
        let document = server.resolver.did(did, Freshness::Cached).await.ok();
        reserved = document.and_then(|document| document.signing_key.as_ref().map(ToString::to_string));
    }
    if let Some(did_key) = reserved
        && let Some(sealed) = server.store.reserved_signing_key(&did_key).await?
    {
        let failed = |cause| SignUpError::Journal(JournalError::Key(cause));
        let plain = server.master_key.open(&reserved_key_purpose(&did_key), &sealed).map_err(failed)?;
        return SigningKey::from_bytes(Curve::K256, &plain).map_err(|_| failed(CannotOpen));
    }
    Ok(SigningKey::generate(Curve::K256, server.entropy.as_ref()))
}
