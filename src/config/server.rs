//! `[server]`: who this server is, where it listens, where it keeps its data.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use url::{Host, Url};

use super::{
    ConfigError, Warning,
    kinds::{Address, DidText, Directory, HostName, Line, Network, PublicUrl},
    section::section,
    source::Given,
    value::List,
};
use crate::syntax::Did;

section! {
    /// Who this server is, where it listens, where it keeps its data.
    Server = "server" () {
        /// Its own name, without port, lower-cased.
        hostname: String as HostName = required;
        /// The origin under which clients reach it.
        public_url: Url as PublicUrl = default(format!("https://{hostname}"));
        /// Where to listen.
        listen: SocketAddr as Address = default("127.0.0.1:2583");
        /// The directory of everything that is kept.
        data_dir: PathBuf as Directory = default("./data");
        /// The DID that tokens are addressed to.
        service_did: Did as DidText = default(format!("did:web:{hostname}"));
        /// Proxies whose `X-Forwarded-For` is believed.
        trusted_proxies: Vec<IpNet> as List<Network> = default("127.0.0.0/8,::1/128");
        /// The version that `_health` tells.
        version: String as Line = default(env!("CARGO_PKG_VERSION"));
    }
}

impl Server {
    /// Whether the host name is an address.
    pub(super) fn is_address(&self) -> bool {
        self.hostname.parse::<std::net::IpAddr>().is_ok()
    }

    /// # Errors
    /// When clients would send passwords over the network in the clear.
    pub(super) fn check_encrypted(&self, given: &Given) -> Result<(), ConfigError> {
        let on_this_machine = match self.public_url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if self.public_url.scheme() == "https" || on_this_machine {
            return Ok(());
        }
        let problem = format!(
            "is {}, so passwords would go over the network in the clear: https:// is needed, unless the host is localhost \
             or a loopback address",
            self.public_url
        );
        Err(given.conflict("server", "public_url", problem))
    }

    pub(super) fn warn(&self, warnings: &mut Vec<Warning>) {
        if self.is_address() {
            warnings.push(Warning::new(
                "server.hostname",
                "this is an IP address, which serves for trying things out; other servers need a name",
            ));
        }
        if self.public_url.host_str() != Some(&self.hostname) {
            warnings.push(Warning::new(
                "server.public_url",
                format!(
                    "its host is not {}, as server.hostname says; others will look for the server there",
                    self.hostname
                ),
            ));
        }
        if self.service_did.is_web() && self.service_did.identifier() != self.hostname {
            warnings.push(Warning::new(
                "server.service_did",
                format!("this DID is looked up at {}, not at {}", self.service_did.identifier(), self.hostname),
            ));
        }
    }
}
