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
    delegation::{DelegationError, DelegationId, Purpose, Statement, check_form, check_statement},
    ipld::Cid,
    service::{
        Server,
        codes::{self, Issued},
        mails::{self, letters},
    },
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

/// A change that a code may be made for, after every check that the change itself would have to pass.
struct Asked {
    id: DelegationId,
    subject: Subject,
    before: Option<String>,
    after: Option<String>,
}

/// Mails the owner a code for one change.
///
/// # Errors
/// [`DelegationFailure`].
pub async fn request_token(server: &Server, account: &Account, request: TokenRequest) -> Result<(), DelegationFailure> {
    let Asked { id, subject, before, after } = asked(server, account, request).await?;
    let (issued, new) = codes::make(server, account, CodePurpose::Delegation, |code| subject.hash_with(code));
    let (old, new_key) = (shown(before.as_deref()), shown(after.as_deref()));
    let change = letters::Change { id: id.as_str(), old: &old, new: &new_key };
    let letter = letters::delegation_token(mails::about(server, account), change, issued.code.expose())
        .map_err(mails::MailFailure::from)?;
    Ok(mails::send_with(server, account, letter, Some(new)).await?)
}

/// Makes a code for one change in the administrator's name, where no mail can be sent.
///
/// # Errors
/// [`DelegationFailure`].
pub async fn issue_token(
    server: &Server,
    account: &Account,
    request: TokenRequest,
) -> Result<Issued, DelegationFailure> {
    let subject = asked(server, account, request).await?.subject;
    let (issued, new) = codes::make(server, account, CodePurpose::Delegation, |code| subject.hash_with(code));
    codes::put_issued(server, new).await?;
    Ok(issued)
}

async fn asked(server: &Server, account: &Account, request: TokenRequest) -> Result<Asked, DelegationFailure> {
    match request {
        TokenRequest::Statement(json) => {
            let statement = Statement::from_json(&json).map_err(invalid_statement)?;
            let before = check_asked(server, account, &statement).await?;
            let after = statement.key().map(|key| key.as_str().to_owned());
            Ok(Asked { id: statement.id().clone(), subject: Subject::Statement(statement.cid()), before, after })
        }
        TokenRequest::End(id) => {
            let (id, current) = required_current(server, account, &id).await?;
            Ok(Asked { id: id.clone(), subject: Subject::End(id), before: Some(current), after: None })
        }
    }
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
        let code = codes::normalized(code).ok_or(DelegationError::InvalidToken)?;
        let hash = subject.hash_with(&code);
        outcome(server.store.check_code(account.id, CodePurpose::Delegation, hash, server.now()).await?)?;
        Ok(Self { hash: Some(hash) })
    }

    /// Uses the code up.
    pub(super) async fn take(self, server: &Server, account: &Account) -> Result<(), DelegationFailure> {
        let Some(hash) = self.hash else { return Ok(()) };
        outcome(server.store.take_code(account.id, CodePurpose::Delegation, hash, server.now(), None).await?)
    }
}

fn outcome(taken: TakeCode) -> Result<(), DelegationFailure> {
    match taken {
        TakeCode::Accepted => Ok(()),
        TakeCode::Invalid => Err(DelegationError::InvalidToken.into()),
        TakeCode::Expired => Err(DelegationError::ExpiredToken.into()),
    }
}
