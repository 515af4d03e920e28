//! Which handles accounts of this server may have.

use super::{Policy, Server};
use crate::{
    limits::accounts as limits,
    outbound::{Freshness, ResolveError},
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
}

/// Labels that no account gets under a service domain: names that mail, the web and the protocol use for the operator,
/// and that would let somebody pass for them.
const RESERVED: &[&str] = &[
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "administrators",
    "api",
    "app",
    "apps",
    "appview",
    "atproto",
    "auth",
    "autoconfig",
    "autodiscover",
    "billing",
    "blog",
    "bluesky",
    "bsky",
    "cdn",
    "contact",
    "dashboard",
    "dev",
    "did",
    "dns",
    "docs",
    "email",
    "example",
    "feed",
    "feeds",
    "firehose",
    "ftp",
    "handle",
    "help",
    "helpdesk",
    "host",
    "hostmaster",
    "imap",
    "info",
    "invalid",
    "invite",
    "invites",
    "labeler",
    "legal",
    "lexicon",
    "localhost",
    "login",
    "logout",
    "mail",
    "mailer-daemon",
    "me",
    "mod",
    "moderation",
    "moderator",
    "moderators",
    "news",
    "no-reply",
    "noreply",
    "ns1",
    "ns2",
    "nsid",
    "null",
    "oauth",
    "operator",
    "ozone",
    "password",
    "payment",
    "payments",
    "pds",
    "plc",
    "policy",
    "pop",
    "pop3",
    "postmaster",
    "privacy",
    "recovery",
    "register",
    "registrar",
    "relay",
    "repo",
    "root",
    "safety",
    "security",
    "server",
    "settings",
    "signin",
    "signup",
    "smtp",
    "ssl",
    "staff",
    "static",
    "status",
    "support",
    "sync",
    "sysadmin",
    "system",
    "team",
    "terms",
    "test",
    "tid",
    "tls",
    "token",
    "trust",
    "undefined",
    "unknown",
    "update",
    "uucp",
    "verify",
    "webmail",
    "webmaster",
    "wpad",
    "www",
    "xrpc",
];

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

/// The rules for handles under a service domain; one elsewhere is [`HandleError::UnsupportedDomain`].
///
/// # Errors
/// The rule that is broken.
pub fn check_service_handle(policy: &Policy, handle: &Handle) -> Result<(), HandleError> {
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
    if RESERVED.binary_search(&label).is_ok() || handle.as_str() == policy.hostname {
        return Err(HandleError::Reserved);
    }
    Ok(())
}

/// Whether an existing account may have this handle: under a service domain by its rules, elsewhere when the domain
/// points to the account.
///
/// # Errors
/// The rule that is broken, or why the domain could not be asked.
pub async fn check_handle_of(server: &Server, did: &Did, handle: &Handle) -> Result<(), HandleError> {
    match check_service_handle(&server.policy, handle) {
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
        check_service_handle(&policy(), &handle.parse().unwrap())
    }

    #[test]
    fn the_reserved_labels_are_sorted_so_that_they_are_found() {
        assert!(RESERVED.is_sorted());
        assert_eq!(checked("admin.test"), Err(HandleError::Reserved));
        assert_eq!(checked("www.test"), Err(HandleError::Reserved));
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
        assert_eq!(check_service_handle(&policy, &handle), Ok(()));
    }

    #[test]
    fn a_name_that_only_ends_alike_is_not_under_the_domain() {
        assert_eq!(checked("alice.contest"), Err(HandleError::UnsupportedDomain));
        assert_eq!(checked("alice.example.com"), Err(HandleError::UnsupportedDomain));
    }

    #[test]
    fn the_servers_own_name_is_no_handle() {
        let mut policy = policy();
        policy.hostname = "house.test".to_owned();
        assert_eq!(check_service_handle(&policy, &"house.test".parse().unwrap()), Err(HandleError::Reserved));
    }

    #[test]
    fn a_disallowed_top_level_domain_is_refused() {
        assert!(matches!(parse_handle("alice.local"), Err(HandleError::Invalid(_))));
        assert!(matches!(parse_handle("not a handle"), Err(HandleError::Invalid(_))));
        assert_eq!(parse_handle("ALICE.test").unwrap().as_str(), "alice.test");
    }
}
