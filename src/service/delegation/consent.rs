//! Consent of the owner where the key before does not give it: a code that is mailed and good for one change alone.

use sha2::{Digest, Sha256};

use super::{
    DelegationFailure,
    change::{current_of, plc_account, required_current},
    ground::{invalid_statement, log_of, verified},
    mails::shown,
    web,
};
use crate::{
    crypto::token,
    delegation::{DelegationError, DelegationId, Purpose, Statement, check_form, check_statement},
    ipld::Cid,
    limits::accounts as limits,
    outbound::{Mail, MailError},
    service::Server,
    store::{Account, CodePurpose, TakeCode},
};

/// The one change that a code is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A statement.
    Statement(Cid),
    /// The end of a delegation whose key is lost.
    End(DelegationId),
}

/// What a code is asked for.
#[derive(Clone, Debug)]
pub enum TokenRequest {
    /// For a statement, as JSON.
    Statement(serde_json::Value),
    /// For the end of the delegation with this id, as text.
    End(String),
}

/// Mails the owner a code for one change, after every check that the change itself would have to pass.
///
/// # Errors
/// [`DelegationFailure`].
pub async fn request_token(server: &Server, account: &Account, request: TokenRequest) -> Result<(), DelegationFailure> {
    let (id, subject, before, key) = match request {
        TokenRequest::Statement(json) => {
            let statement = Statement::from_json(&json).map_err(invalid_statement)?;
            let before = check_asked(server, account, &statement).await?;
            let key = statement.key().map(|key| key.as_str().to_owned());
            (statement.id().clone(), Subject::Statement(statement.cid()), before, key)
        }
        TokenRequest::End(id) => {
            let (id, current) = required_current(server, account, &id).await?;
            (id.clone(), Subject::End(id), Some(current), None)
        }
    };
    let to = account.email.clone().ok_or(DelegationFailure::NoEmail)?;
    if !server.mailer.is_configured() {
        return Err(DelegationFailure::MailNotConfigured);
    }
    let code = token::mail_code(server.entropy.as_ref());
    let ends = server.now().plus(limits::MAIL_CODE_LIFETIME);
    server.store.put_code(account.id, CodePurpose::Delegation, subject.hash_with(code.expose()), ends).await?;
    let text = include_str!("../../../assets/mail/delegation_token.txt")
        .replace("{handle}", account.handle.as_str())
        .replace("{did}", account.did.as_str())
        .replace("{id}", id.as_str())
        .replace("{old}", &shown(before.as_deref()))
        .replace("{new}", &shown(key.as_deref()))
        .replace("{code}", code.expose());
    let subject = "Confirm a change of your end-to-end encryption key".to_owned();
    server.mailer.send(&Mail { to, subject, text, html: None }).await.map_err(|cause| match cause {
        MailError::NotConfigured => DelegationFailure::MailNotConfigured,
        MailError::Address(_) | MailError::NotTaken(_) => DelegationFailure::Mail(cause.to_string()),
    })
}

/// Checks the statement as the method that it is for would, and gives the key that the id names now.
async fn check_asked(
    server: &Server,
    account: &Account,
    statement: &Statement,
) -> Result<Option<String>, DelegationFailure> {
    let ending = statement.key().is_none();
    check_form(statement, if ending { Purpose::Delete } else { Purpose::Create }, &account.did, server.now())?;
    if !account.did.is_plc() {
        return web::check_asked(server, account, statement).await;
    }
    let log = log_of(server, account).await?;
    let verified = verified(account, &log)?;
    let current = current_of(&verified, statement.id());
    let purpose = match &current {
        _ if ending => Purpose::Delete,
        Some(current) if statement.key().is_none_or(|key| key.as_str() != current) => Purpose::Update,
        Some(_) | None => Purpose::Create,
    };
    let ids = super::change::delegated_ids(server, account, &verified).await?;
    let keys = super::ground::server_keys(server, account);
    check_statement(statement, purpose, &plc_account(account, &verified, &ids, &keys, server.now()))?;
    Ok(current)
}

impl Subject {
    /// What is stored of a code: a code for another change has another hash.
    fn hash_with(&self, code: &str) -> [u8; 32] {
        let subject = match self {
            Self::Statement(cid) => format!("statement {cid}"),
            Self::End(id) => format!("end {id}"),
        };
        Sha256::new().chain_update(code.as_bytes()).chain_update([0]).chain_update(subject.as_bytes()).finalize().into()
    }
}

/// A code that was found to be right, and is used up only when everything else is.
#[derive(Debug)]
pub(super) struct Consent {
    hash: Option<[u8; 32]>,
}

impl Consent {
    /// Nothing more is needed.
    pub(super) const GIVEN: Self = Self { hash: None };

    /// Looks at the code; a wrong one counts as an attempt.
    pub(super) async fn by_code(
        server: &Server,
        account: &Account,
        subject: &Subject,
        code: Option<&str>,
    ) -> Result<Self, DelegationFailure> {
        let code = code.map(str::trim).filter(|code| !code.is_empty()).ok_or(DelegationError::TokenRequired)?;
        if code.len() > limits::MAIL_CODE_MAX_CHARS {
            return Err(DelegationError::InvalidToken.into());
        }
        let hash = subject.hash_with(&code.to_ascii_uppercase());
        outcome(server.store.check_code(account.id, CodePurpose::Delegation, hash, server.now()).await?)?;
        Ok(Self { hash: Some(hash) })
    }

    /// Uses the code up.
    pub(super) async fn take(self, server: &Server, account: &Account) -> Result<(), DelegationFailure> {
        let Some(hash) = self.hash else { return Ok(()) };
        outcome(server.store.take_code(account.id, CodePurpose::Delegation, hash, server.now()).await?)
    }
}

fn outcome(taken: TakeCode) -> Result<(), DelegationFailure> {
    match taken {
        TakeCode::Accepted => Ok(()),
        TakeCode::Invalid => Err(DelegationError::InvalidToken.into()),
        TakeCode::Expired => Err(DelegationError::ExpiredToken.into()),
    }
}
