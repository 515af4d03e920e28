//! Which handles accounts of this server may have.

use std::{collections::HashSet, sync::LazyLock};

use super::{Policy, Server};
use crate::{
    limits::{accounts as limits, community},
    outbound::{Freshness, ResolveError},
    store::StoreError,
    syntax::{Did, Handle},
};

/// Why a handle is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// It is no handle, or one that nobody may have here.
    #[error("{0}")]
    Invalid(String),
    /// It is not under a domain of this server, and the account does not exist yet.
    #[error("Not a supported handle domain")]
    UnsupportedDomain,
    /// The server keeps it for itself.
    #[error("Reserved handle")]
    Reserved,
    /// Somebody has it.
    #[error("Handle already taken: {0}")]
    Taken(Handle),
    /// The owner's domain says something else.
    #[error(
        "External handle did not resolve to DID: set the TXT record _atproto.{handle} to did={did}, or serve {did} at \
         https://{handle}/.well-known/atproto-did"
    )]
    DoesNotPointHere {
        /// The handle.
        handle: Handle,
        /// Where it should point.
        did: Did,
    },
    /// The owner's domain could not be asked.
    #[error("External handle did not resolve to DID: {0}")]
    NotResolved(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Labels that no account gets under a service domain, unless the administrator says so: names that mail, the web and the
/// protocol use for the operator, and that would let somebody pass for them. The list is the one that npm's
/// `@atproto/pds` publishes, with a few of our own; `assets/reserved/update.mjs` writes it.
static RESERVED: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../../assets/reserved/handles.txt").lines().collect());

/// Whether names that are reserved may be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserved {
    /// They may not.
    #[default]
    Refused,
    /// The administrator says so.
    Allowed,
}

impl Policy {
    /// The service domain that a handle is under, without the leading dot: the longest, if several fit.
    pub fn service_domain_of(&self, handle: &Handle) -> Option<&str> {
        let under = |domain: &&String| {
            handle.as_str().strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        };
        self.handle_domains.iter().filter(under).max_by_key(|domain| domain.len()).map(String::as_str)
    }

    /// Whether this server alone says who has a handle: it is under a service domain, or is one.
    pub fn is_service_handle(&self, handle: &Handle) -> bool {
        self.service_domain_of(handle).is_some() || self.handle_domains.iter().any(|domain| domain == handle.as_str())
    }

    /// `public_url` as DID documents name it: without a slash at the end.
    pub fn endpoint(&self) -> String {
        origin_text(&self.public_url)
    }

    /// The endpoint that genesis operations name.
    pub fn endpoint_at_genesis(&self) -> String {
        self.genesis_endpoint.as_ref().map_or_else(|| self.endpoint(), origin_text)
    }
}

fn origin_text(url: &url::Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// A handle that has the form of one and a top-level domain that handles may have.
///
/// # Errors
/// [`HandleError::Invalid`].
pub fn parse_handle(text: &str) -> Result<Handle, HandleError> {
    let handle: Handle =
        text.parse().map_err(|cause: crate::syntax::SyntaxError| HandleError::Invalid(cause.to_string()))?;
    if handle.has_disallowed_tld() {
        return Err(HandleError::Invalid("Handle TLD is invalid or disallowed".to_owned()));
    }
    Ok(handle)
}

/// The rules for handles under a service domain; one elsewhere is [`HandleError::UnsupportedDomain`]. The service domains
/// themselves and the server's own name are the administrator's to give.
///
/// # Errors
/// The rule that is broken.
pub fn check_service_handle(policy: &Policy, handle: &Handle, reserved: Reserved) -> Result<(), HandleError> {
    if policy.handle_domains.iter().any(|domain| domain == handle.as_str()) || handle.as_str() == policy.hostname {
        return if reserved == Reserved::Allowed { Ok(()) } else { Err(HandleError::Reserved) };
    }
    let domain = policy.service_domain_of(handle).ok_or(HandleError::UnsupportedDomain)?;
    let label = handle.as_str().strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')).unwrap_or_default();
    let invalid = |why: &str| Err(HandleError::Invalid(why.to_owned()));
    if label.contains('.') {
        return invalid("Invalid characters in handle");
    }
    if label.len() < limits::HANDLE_LABEL_MIN_CHARS {
        return invalid("Handle too short");
    }
    if label.len() > limits::HANDLE_LABEL_MAX_CHARS {
        return invalid("Handle too long");
    }
    if reserved == Reserved::Refused && RESERVED.contains(label) {
        return Err(HandleError::Reserved);
    }
    Ok(())
}

/// Refuses what the administrator reserved besides the list.
///
/// # Errors
/// [`HandleError::Reserved`], or that the database failed.
pub async fn check_own_reservations(server: &Server, handle: &Handle, reserved: Reserved) -> Result<(), HandleError> {
    if reserved == Reserved::Allowed {
        return Ok(());
    }
    if server.store.handle_is_reserved(handle.as_str()).await? { Err(HandleError::Reserved) } else { Ok(()) }
}

/// Reserves a handle; the accounts that have it keep it.
///
/// # Errors
/// [`HandleError`].
pub async fn reserve(server: &Server, text: &str) -> Result<(), HandleError> {
    let handle = parse_handle(text)?;
    Ok(server.store.reserve_handle(handle.as_str(), server.now()).await?)
}

/// Whether a new account could have this handle.
///
/// # Errors
/// When the database fails.
pub async fn is_available(server: &Server, handle: &Handle) -> Result<bool, StoreError> {
    Ok(!handle.has_disallowed_tld()
        && check_service_handle(&server.policy, handle, Reserved::Refused).is_ok()
        && !server.store.handle_is_reserved(handle.as_str()).await?
        && !server.store.handle_is_held(handle).await?)
}

/// A few handles like this one that a new account could have: with a number behind the label.
///
/// # Errors
/// When the database fails.
pub async fn suggestions(server: &Server, handle: &Handle) -> Result<Vec<Handle>, StoreError> {
    let mut found = Vec::new();
    let Some(domain) =
        server.policy.service_domain_of(handle).or_else(|| server.policy.handle_domains.first().map(String::as_str))
    else {
        return Ok(found);
    };
    let label = handle.as_str().split('.').next().unwrap_or_default();
    for number in 1..=community::HANDLE_SUGGESTION_TRIES {
        let Ok(candidate) = format!("{label}{number}.{domain}").parse::<Handle>() else { break };
        if is_available(server, &candidate).await? {
            found.push(candidate);
        }
        if found.len() == community::HANDLE_SUGGESTIONS {
            break;
        }
    }
    Ok(found)
}

/// Whether an existing account may have this handle: under a service domain by its rules, elsewhere when the domain
/// points to the account.
///
/// # Errors
/// The rule that is broken, or why the domain could not be asked.
pub async fn check_handle_of(
    server: &Server,
    did: &Did,
    handle: &Handle,
    reserved: Reserved,
) -> Result<(), HandleError> {
    check_own_reservations(server, handle, reserved).await?;
    match check_service_handle(&server.policy, handle, reserved) {
        Err(HandleError::UnsupportedDomain) => {}
        decided => return decided,
    }
    // Not from the cache: the owner has just changed the record, perhaps after a first try.
    match server.resolver.handle_with(handle, Freshness::Now).await {
        Ok(found) if found == *did => Ok(()),
        Ok(_) | Err(ResolveError::NotFound(_)) => {
            Err(HandleError::DoesNotPointHere { handle: handle.clone(), did: did.clone() })
        }
        Err(cause) => Err(HandleError::NotResolved(cause.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::policy;

    fn checked(handle: &str) -> Result<(), HandleError> {
        check_service_handle(&policy(), &handle.parse().unwrap(), Reserved::Refused)
    }

    #[test]
    fn a_reserved_label_is_only_the_administrators_to_give() {
        assert!(RESERVED.len() > 1_000);
        for label in ["admin", "www", "bluesky", "lexicon", "wpad", "mailer-daemon"] {
            let handle = format!("{label}.test");
            assert_eq!(checked(&handle), Err(HandleError::Reserved));
            assert_eq!(check_service_handle(&policy(), &handle.parse().unwrap(), Reserved::Allowed), Ok(()));
        }
    }

    #[test]
    fn a_label_has_three_to_eighteen_characters_and_no_dot() {
        let invalid = |why: &str| Err(HandleError::Invalid(why.to_owned()));
        assert_eq!(checked("al.test"), invalid("Handle too short"));
        assert_eq!(checked("abc.test"), Ok(()));
        assert_eq!(checked("abcdefghijklmnopqr.test"), Ok(()));
        assert_eq!(checked("abcdefghijklmnopqrs.test"), invalid("Handle too long"));
        assert_eq!(checked("bob.alice.test"), invalid("Invalid characters in handle"));
    }

    #[test]
    fn the_longest_service_domain_counts() {
        let mut policy = policy();
        policy.handle_domains = vec!["test".to_owned(), "users.test".to_owned()];
        let handle: Handle = "alice.users.test".parse().unwrap();
        assert_eq!(policy.service_domain_of(&handle), Some("users.test"));
        assert_eq!(check_service_handle(&policy, &handle, Reserved::Refused), Ok(()));
    }

    #[test]
    fn a_name_that_only_ends_alike_is_not_under_the_domain() {
        assert_eq!(checked("alice.contest"), Err(HandleError::UnsupportedDomain));
        assert_eq!(checked("alice.example.com"), Err(HandleError::UnsupportedDomain));
    }

    #[test]
    fn the_servers_own_names_are_only_the_administrators_to_give() {
        let mut policy = policy();
        policy.hostname = "house.test".to_owned();
        policy.handle_domains.push("apex.test".to_owned());
        for own in ["house.test", "apex.test"] {
            let own = own.parse().unwrap();
            assert_eq!(check_service_handle(&policy, &own, Reserved::Refused), Err(HandleError::Reserved));
            assert_eq!(check_service_handle(&policy, &own, Reserved::Allowed), Ok(()));
        }
    }

    #[test]
    fn a_disallowed_top_level_domain_is_refused() {
        assert!(matches!(parse_handle("alice.local"), Err(HandleError::Invalid(_))));
        assert!(matches!(parse_handle("not a handle"), Err(HandleError::Invalid(_))));
        assert_eq!(parse_handle("ALICE.test").unwrap().as_str(), "alice.test");
    }
}
