//! One-time codes: fifteen minutes, one per account and purpose, a few wrong tries. Only their hashes are stored.
//!
//! A code that resets a password comes without its account, so wrong tries of it cannot be counted against one; what
//! guards it is its 50 bits, its fifteen minutes and the limits of requests.

use sha2::{Digest, Sha256};

use super::{
    Server,
    mails::{self, Letter, MailFailure, MailKind, letters},
    security_log,
};
use crate::{
    clock::Timestamp,
    crypto::{Secret, token},
    limits::accounts as limits,
    store::{Account, CodePurpose, NewCode, NewSecurityEvent, SecurityKind, StoreError, TakeCode},
};

/// Characters of a code without its hyphen.
const CODE_CHARS: usize = 10;

/// A code that was made just now.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The code, five characters, a hyphen, five characters.
    pub code: Secret,
    /// The instant from which it is over.
    pub expires_at: Timestamp,
}

/// What came of a code that was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Wrong, used up, another account's or purpose's, or tried too often.
    #[error("Token is invalid")]
    Invalid,
    /// Right, and too old.
    #[error("Token is expired")]
    Expired,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a code for whoever asks in the administrator's name; one before is over.
///
/// # Errors
/// When the database fails.
pub async fn issue(server: &Server, account: &Account, purpose: CodePurpose) -> Result<Issued, StoreError> {
    let (issued, new) = make(server, account, purpose, code_hash);
    put_issued(server, new).await?;
    Ok(issued)
}

/// Stores a code that the administrator is told, and notes it for the owner, whose mailbox does not show it.
pub(super) async fn put_issued(server: &Server, new: NewCode) -> Result<(), StoreError> {
    let detail = match new.purpose {
        CodePurpose::PlcOperation => "a code for a change of the DID was made",
        CodePurpose::ConfirmEmail => "a code to confirm the e-mail address was made",
        CodePurpose::UpdateEmail => "a code to change the e-mail address was made",
        CodePurpose::ResetPassword => "a code to reset the password was made",
        CodePurpose::DeleteAccount => "a code to delete the account was made",
        CodePurpose::Delegation => "a code for a change of a delegation was made",
    };
    let noted = security_log::event(server, new.account, SecurityKind::AdminAction, Some(detail));
    server.store.put_code(new, Some(noted)).await
}

/// Mails a code to the account's owner; one before is over.
///
/// # Errors
/// [`MailFailure`]; the code before stays good then.
pub async fn mail_code(server: &Server, account: &Account, purpose: CodePurpose) -> Result<(), MailFailure> {
    enqueue(server, account, purpose).await?;
    mails::wake(server).await;
    Ok(())
}

/// The same, and the outbox is left to itself.
///
/// # Errors
/// [`MailFailure`]; the code before stays good then.
pub(super) async fn enqueue(server: &Server, account: &Account, purpose: CodePurpose) -> Result<(), MailFailure> {
    let kind = match purpose {
        CodePurpose::PlcOperation => MailKind::PlcOperation,
        CodePurpose::ConfirmEmail => MailKind::ConfirmEmail,
        CodePurpose::UpdateEmail => MailKind::UpdateEmail,
        CodePurpose::ResetPassword => MailKind::ResetPassword,
        CodePurpose::DeleteAccount => MailKind::DeleteAccount,
        CodePurpose::Delegation => MailKind::DelegationToken,
    };
    let (issued, new) = make(server, account, purpose, code_hash);
    let letter: Letter = letters::code(kind, mails::about(server, account), issued.code.expose())?;
    let to = account.email.clone().ok_or(MailFailure::NoEmail)?;
    mails::enqueue(server, account, to, letter, Some(new)).await
}

/// A new code, and what is to be stored of it.
pub(super) fn make(
    server: &Server,
    account: &Account,
    purpose: CodePurpose,
    hash: impl FnOnce(&str) -> [u8; 32],
) -> (Issued, NewCode) {
    let code = token::mail_code(server.entropy.as_ref());
    let expires_at = server.now().plus(limits::MAIL_CODE_LIFETIME);
    let new = NewCode { account: account.id, purpose, hash: hash(code.expose()), expires_at };
    (Issued { code, expires_at }, new)
}

/// Uses a code up, and notes with it what it permitted.
///
/// # Errors
/// [`CodeError`]; a wrong code counts as a try.
pub async fn take(
    server: &Server,
    account: &Account,
    purpose: CodePurpose,
    typed: &str,
    noted: Option<NewSecurityEvent>,
) -> Result<(), CodeError> {
    let hash = hash_of(typed).ok_or(CodeError::Invalid)?;
    outcome(server.store.take_code(account.id, purpose, hash, server.now(), noted).await?)
}

/// Looks at a code without using it up: for a change that takes it together with what it permits, or much later.
///
/// # Errors
/// [`CodeError`]; a wrong code counts as a try.
pub async fn check(server: &Server, account: &Account, purpose: CodePurpose, typed: &str) -> Result<(), CodeError> {
    let hash = hash_of(typed).ok_or(CodeError::Invalid)?;
    outcome(server.store.check_code(account.id, purpose, hash, server.now()).await?)
}

/// What is stored of a code, however it was typed; none for what is no code.
pub fn hash_of(typed: &str) -> Option<[u8; 32]> {
    normalized(typed).map(|code| code_hash(&code))
}

/// A code as it was mailed, however it was typed: in any case, with spaces around it, without its hyphen.
pub(super) fn normalized(typed: &str) -> Option<String> {
    if typed.len() > limits::MAIL_CODE_MAX_CHARS {
        return None;
    }
    let bare: String =
        typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()).collect();
    let is_code = bare.len() == CODE_CHARS && bare.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (first, second) = bare.split_at_checked(CODE_CHARS / 2).filter(|_| is_code)?;
    Some(format!("{first}-{second}"))
}

fn code_hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

const fn outcome(taken: TakeCode) -> Result<(), CodeError> {
    match taken {
        TakeCode::Accepted => Ok(()),
        TakeCode::Invalid => Err(CodeError::Invalid),
        TakeCode::Expired => Err(CodeError::Expired),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_typed() {
        for typed in ["ABCDE-23456", "abcde-23456", " abcde23456\n", "ABCDE 23456", "A-BCDE-23456"] {
            assert_eq!(normalized(typed).as_deref(), Some("ABCDE-23456"), "{typed:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_code_is_none() {
        let long = " ".repeat(limits::MAIL_CODE_MAX_CHARS) + "ABCDE-23456";
        for typed in ["", "-", "ABCDE-2345", "ABCDE-234567", "ÄBCDE-2345", "ABCDE-2345é", "ABCDE_23456", &long] {
            assert_eq!(normalized(typed), None, "{typed:?}");
        }
    }
}
