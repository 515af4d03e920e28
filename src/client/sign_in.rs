//! Signing in: with a password, and with the code that some servers mail for each sign-in.

use serde_json::{Value, json};

use super::pds::{CallError, Pds};
use crate::{crypto::Secret, limits::client::CODE_TRIES, syntax::Did};

const CREATE: &str = "com.atproto.server.createSession";
const REFRESH: &str = "com.atproto.server.refreshSession";

/// Asks the owner for the code that the named server has mailed, and says how it refused the one before; none for "later".
pub type AskCode = fn(host: &str, refused: Option<&str>) -> Option<String>;

/// Where the code comes from that some servers mail for each sign-in, beside the password.
#[derive(Clone, Debug)]
pub struct SignInCode {
    /// The code of an earlier mail.
    pub given: Option<String>,
    /// How the owner is asked, where somebody can be.
    pub ask: Option<AskCode>,
    /// The option of the command line that takes the code: an error names it.
    pub option: &'static str,
}

impl Pds {
    /// Opens a full session; every call from then on is made in it. Gives the account's DID.
    ///
    /// # Errors
    /// [`CallError`], above all where the password is another one; [`CallError::SignInCode`] where a mailed code is needed
    /// too and nobody knows it, [`CallError::WrongSignInCode`] for one that is not taken.
    pub async fn log_in(&mut self, identifier: &str, password: &Secret, code: &SignInCode) -> Result<Did, CallError> {
        let (mut token, mut asked) = (code.given.clone(), 0);
        loop {
            let mut body = json!({"identifier": identifier, "password": password.expose()});
            if let (Some(token), Some(body)) = (&token, body.as_object_mut()) {
                body.insert("authFactorToken".to_owned(), token.as_str().into());
            }
            let stop = match self.without_token().post(CREATE, &body).await {
                Ok(answer) => return self.signed_in(&answer, CREATE),
                Err(cause) => stop(&self.host(), cause, token.is_some(), code.option)?,
            };
            let refused =
                if let CallError::WrongSignInCode { message, .. } = &stop { Some(message.as_str()) } else { None };
            let host = self.host();
            token = code.ask.filter(|_| asked < CODE_TRIES).and_then(|ask| ask(&host, refused));
            if token.is_none() {
                return Err(stop);
            }
            asked += 1;
        }
    }

    /// Lets the session go on with new tokens, for which neither password nor code is needed.
    ///
    /// # Errors
    /// [`CallError`]: a refusal where the session is over.
    pub async fn refresh(&mut self) -> Result<Did, CallError> {
        let strange = || CallError::Strange(self.host(), REFRESH);
        let token = self.refresh_token().ok_or_else(strange)?;
        let answer = self.with_token(token).post(REFRESH, &Value::Null).await?;
        self.signed_in(&answer, REFRESH)
    }

    fn signed_in(&mut self, answer: &Value, method: &'static str) -> Result<Did, CallError> {
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let strange = || CallError::Strange(self.host(), method);
        let did = text("did").and_then(|did| did.parse().ok()).ok_or_else(strange)?;
        self.keep(text("accessJwt").ok_or_else(strange)?, text("refreshJwt"));
        Ok(did)
    }
}

/// What a refusal says of the code; in `Err` one that is about something else.
fn stop(host: &str, cause: CallError, had_code: bool, option: &'static str) -> Result<CallError, CallError> {
    let is_needed = cause.is("AuthFactorTokenRequired");
    let is_wrong = had_code && (is_needed || cause.is("InvalidToken") || cause.is("ExpiredToken"));
    let host = host.to_owned();
    if let (CallError::Refused { message, .. }, true) = (&cause, is_wrong) {
        return Ok(CallError::WrongSignInCode { host, message: message.clone(), option });
    }
    if is_needed { Ok(CallError::SignInCode { host, option }) } else { Err(cause) }
}
