//! `[identity]`: DIDs and handles, and who vouches for them.

use std::{net::SocketAddr, time::Duration};

use url::Url;

use super::{
    ConfigError, Server, Warning,
    kinds::{DnsServer, Flag, HandleDomain, PrivateKey, PublicKey, Seconds, ServiceUrl},
    section::section,
    source::Given,
    value::List,
};
use crate::{
    crypto::{DidKey, SigningKey},
    syntax::Handle,
};

/// Age in seconds after which a DID document is refreshed, unless a shorter `did_cache_max_seconds` is set.
const DID_CACHE_STALE_SECONDS: u64 = 3_600;

section! {
    /// DIDs and handles, and who vouches for them.
    Identity = "identity" (server: &Server) {
        /// The PLC directory.
        plc_url: Url as ServiceUrl = default("https://plc.directory");
        /// Whether the directory's export stream is followed for what others do to this server's accounts.
        plc_stream: bool as Flag = default("true");
        /// Domains under which accounts get handles, each without the leading dot.
        handle_domains: Vec<String> as List<HandleDomain> = default(own_domain(server));
        /// Whether accounts may have a did:web under these domains, which the server serves.
        did_web: bool as Flag = default("true");
        /// The server's PLC rotation key; none: one is made and kept sealed.
        rotation_key: Option<SigningKey> as PrivateKey = optional;
        /// A further recovery key for every new account.
        recovery_did_key: Option<DidKey> as PublicKey = optional;
        /// DNS servers for handles; empty: the system's.
        dns_servers: Vec<SocketAddr> as List<DnsServer> = default("");
        /// Age from which a DID document is not used any more.
        "did_cache_max_seconds" did_cache_max: Duration as Seconds = default("86400");
        /// Age from which a DID document is refreshed in the background.
        "did_cache_stale_seconds" did_cache_stale: Duration as Seconds
            = default(DID_CACHE_STALE_SECONDS.min(did_cache_max.as_secs()).to_string());
    }
}

fn own_domain(server: &Server) -> &str {
    if server.is_address() { "" } else { &server.hostname }
}

impl Identity {
    pub(super) fn check(&self, given: &Given, warnings: &mut Vec<Warning>) -> Result<(), ConfigError> {
        if self.did_cache_stale > self.did_cache_max {
            let problem = format!(
                "is {}, which is more than did_cache_max_seconds ({}): refreshing comes before the end",
                self.did_cache_stale.as_secs(),
                self.did_cache_max.as_secs()
            );
            return Err(given.conflict("identity", "did_cache_stale_seconds", problem));
        }
        if self.handle_domains.is_empty() {
            warnings.push(Warning::new("identity.handle_domains", "there is none, so nobody can sign up here"));
        }
        for domain in &self.handle_domains {
            if format!("a.{domain}").parse::<Handle>().is_ok_and(|handle| handle.has_disallowed_tld()) {
                warnings.push(Warning::new(
                    "identity.handle_domains",
                    format!("handles under {domain} are refused by other servers: its last part is reserved"),
                ));
            }
        }
        Ok(())
    }
}
