//! Which names get the whole server, and which only their `.well-known`: a handle's name is its owner's, and must not
//! show the server's pages to browsers.

use crate::{limits::http as limits, service::Server, syntax::Handle};
use futures_util::future::BoxFuture;
use std::{net::IpAddr, sync::Arc};

/// Knows which names are accounts' handles.
pub trait HandleOwners: Send + Sync + 'static {
    /// Whether an account has this handle (lower-cased).
    fn is_account(&self, handle: Handle) -> BoxFuture<'_, bool>;
}

impl HandleOwners for Server {
    fn is_account(&self, handle: Handle) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            // When the database fails, the request will say so better than a 404 would.
            self.store.account_by_handle(&handle).await.is_ok_and(|account| account.is_some())
        })
    }
}

/// The rule for host names.
pub struct Hosts {
    own: String,
    domains: Vec<String>,
    owners: Arc<dyn HandleOwners>,
    known: moka::future::Cache<String, bool>,
}

impl std::fmt::Debug for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hosts").field("own", &self.own).field("domains", &self.domains).finish_non_exhaustive()
    }
}

impl Hosts {
    /// The server's own name wins over everything; names under `domains` (without leading dot) and names that `owners`
    /// know are restricted; all others get the whole server.
    pub fn new(own: &str, domains: &[String], owners: Arc<dyn HandleOwners>) -> Self {
        let lower = |name: &str| name.trim_matches('.').to_ascii_lowercase();
        let known = moka::future::Cache::builder()
            .max_capacity(limits::HOST_CACHE_ENTRIES)
            .time_to_live(limits::HOST_CACHE)
            .build();
        Self { own: lower(own), domains: domains.iter().map(|domain| lower(domain)).collect(), owners, known }
    }

    /// Whether a request for `host` (without port) may see only `/.well-known/`.
    pub(super) async fn is_restricted(&self, host: &str) -> bool {
        if host.eq_ignore_ascii_case(&self.own) || host.eq_ignore_ascii_case("localhost") || host.is_empty() {
            return false;
        }
        if host.parse::<IpAddr>().is_ok() {
            return false;
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if host == self.own || host == "localhost" {
            return false;
        }
        if self.domains.iter().any(|domain| is_under(&host, domain)) {
            return true;
        }
        if let Some(known) = self.known.get(&host).await {
            return known;
        }
        let Ok(handle) = host.parse::<Handle>() else { return false };
        let is_account = self.owners.is_account(handle).await;
        self.known.insert(host, is_account).await;
        is_account
    }
}

fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Carol;

    impl HandleOwners for Carol {
        fn is_account(&self, handle: Handle) -> BoxFuture<'_, bool> {
            Box::pin(std::future::ready(handle.as_str() == "carol.example.org"))
        }
    }

    fn hosts(domains: &[&str]) -> Hosts {
        let domains: Vec<String> = domains.iter().map(|&domain| domain.to_owned()).collect();
        Hosts::new("pds.example.com", &domains, Arc::new(Carol))
    }

    #[tokio::test]
    async fn own_names_addresses_and_strangers_get_everything() {
        let hosts = hosts(&["pds.example.com"]);
        for host in [
            "pds.example.com",
            "PDS.Example.Com",
            "pds.example.com.",
            "localhost",
            "127.0.0.1",
            "::1",
            "",
            "x",
            "other.net",
        ] {
            assert!(!hosts.is_restricted(host).await, "{host}");
        }
    }

    #[tokio::test]
    async fn names_under_a_handle_domain_and_accounts_own_names_are_restricted() {
        let hosts = hosts(&["pds.example.com", "Users.net."]);
        for host in
            ["alice.pds.example.com", "Alice.PDS.example.com.", "bob.users.net", "a.b.users.net", "carol.example.org"]
        {
            assert!(hosts.is_restricted(host).await, "{host}");
        }
        assert!(!hosts.is_restricted("users.net").await);
        assert!(!hosts.is_restricted("notusers.net").await);
    }

    #[tokio::test]
    async fn the_own_name_wins_over_a_handle_domain_that_holds_it() {
        let hosts = hosts(&["example.com"]);
        assert!(!hosts.is_restricted("pds.example.com").await);
        assert!(hosts.is_restricted("alice.example.com").await);
    }
}
