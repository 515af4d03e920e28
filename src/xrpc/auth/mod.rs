//! Who calls: each type here is proof of a check.
//!
//! Clients refresh a session only on 400 with `ExpiredToken`, so statuses and names are exactly the reference's.

mod credentials;
mod service;
mod session;

pub use service::{AccountOrModerator, AdminOrModerator, ModerationService, OptionalServiceAuth, UploadAuth};
pub use session::{
    ActiveAccess, AnyAccess, AnyAccessOrQueued, AnyAccessOrTakendown, ExpiredRefreshToken, FullAccess,
    FullAccessOrTakendown, OwnerAccess, RefreshToken, is_privileged,
};

use super::{RequestHead, XrpcError};
use crate::{
    crypto::{Secret, token::constant_time_eq},
    service::{Origin, Server, Spending, guess_secret},
    syntax::Did,
};
use credentials::Credentials;
use std::{future::Future, sync::Arc};

/// What can be demanded of a caller.
pub trait Authenticate: Sized + Send {
    /// Whether answers depend on the caller (`Cache-Control: private`, `Vary: Authorization`).
    const PRIVATE: bool = true;
    /// Checks the request.
    fn authenticate(server: &Arc<Server>, head: &RequestHead) -> impl Future<Output = Result<Self, XrpcError>> + Send;
    /// The token that is used up when the request succeeds.
    fn spending(&mut self) -> Option<Spending> {
        None
    }
}

/// Anybody.
#[derive(Clone, Copy, Debug)]
pub struct Public;

impl Authenticate for Public {
    const PRIVATE: bool = false;

    async fn authenticate(_: &Arc<Server>, _: &RequestHead) -> Result<Self, XrpcError> {
        Ok(Self)
    }
}

/// The administrator's Basic password.
#[derive(Clone, Copy, Debug)]
pub struct Admin;

impl Authenticate for Admin {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        match credentials::read(&head.headers) {
            Ok(Some(Credentials::Basic(encoded))) => {
                let guess = guess_secret(server)?;
                if is_admin(server.admin_password.as_ref(), encoded) {
                    guess.right();
                    Origin::is_the_operators();
                    return Ok(Self);
                }
                Err(required())
            }
            Ok(_) | Err(_) => Err(required()),
        }
    }
}

fn required() -> XrpcError {
    XrpcError::unauthorized("AuthenticationRequired", "Authentication Required")
}

fn is_admin(password: Option<&Secret>, encoded: &str) -> bool {
    let Some((user, given)) = credentials::basic(encoded) else { return false };
    // Both are compared in every case, so that time does not tell which was wrong.
    let right_user = constant_time_eq(user.as_bytes(), b"admin");
    let right_password =
        password.is_some_and(|password| constant_time_eq(given.as_bytes(), password.expose().as_bytes()));
    right_user & right_password
}

/// Nobody in particular, an account, or the administrator: for reads where the owner and the administrator see more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// No credentials.
    Anyone,
    /// An account's session (a taken-down one's too).
    Account(Did),
    /// The administrator.
    Admin,
}

impl Authenticate for Viewer {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        match credentials::read(&head.headers)? {
            None => Ok(Self::Anyone),
            Some(Credentials::Basic(_)) => Admin::authenticate(server, head).await.map(|Admin| Self::Admin),
            Some(Credentials::Bearer(token)) => session::viewer(server, token).await.map(Self::Account),
        }
    }
}

/// The owner with a full session, whatever the account's state short of a takedown; or the administrator.
#[derive(Clone, Debug)]
pub enum OwnerOrAdmin {
    /// The owner.
    Owner(Box<FullAccess>),
    /// The administrator.
    Admin,
}

impl Authenticate for OwnerOrAdmin {
    async fn authenticate(server: &Arc<Server>, head: &RequestHead) -> Result<Self, XrpcError> {
        match credentials::read(&head.headers)? {
            Some(Credentials::Basic(_)) => Admin::authenticate(server, head).await.map(|Admin| Self::Admin),
            Some(Credentials::Bearer(_)) | None => {
                FullAccess::authenticate(server, head).await.map(|owner| Self::Owner(Box::new(owner)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;

    #[test]
    fn only_the_right_name_and_password_are_the_administrator() {
        let password = Secret::new("pa:ss");
        let is = |text: &str| is_admin(Some(&password), &BASE64.encode(text.as_bytes()));
        assert!(is("admin:pa:ss"));
        for wrong in ["admin:pa", "admin:pa:ss2", "root:pa:ss", "Admin:pa:ss", ":pa:ss", "admin:", "admin", ""] {
            assert!(!is(wrong), "{wrong}");
        }
    }

    #[test]
    fn without_a_password_nobody_is_the_administrator() {
        assert!(!is_admin(None, &BASE64.encode(b"admin:")));
        assert!(!is_admin(None, &BASE64.encode(b"admin:x")));
    }
}
