//! The DID that a name's DNS names: a TXT record `did=…` at `_atproto.<handle>` or `_lexicon.<authority>`.
//! Specs: <https://atproto.com/specs/handle#dns-txt-method>, <https://atproto.com/specs/lexicon#lexicon-publication-and-resolution>.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData},
};

use crate::syntax::{Did, Handle};

/// How long one try at one server may take; there are two within the time of a resolution.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks DNS servers.
#[derive(Clone)]
pub(super) struct TxtResolver(Result<TokioResolver, String>);

impl TxtResolver {
    /// Over these servers, or the system's if there are none. A system without any is no error until it is asked: all
    /// else works without.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        let provider = TokioRuntimeProvider::default();
        let builder = if servers.is_empty() {
            TokioResolver::builder(provider)
        } else {
            let config = ResolverConfig::from_name_servers(servers.iter().map(name_server).collect());
            Ok(TokioResolver::builder_with_config(config, provider))
        };
        let built = builder.and_then(|mut builder| {
            adapt(builder.options_mut());
            builder.build()
        });
        if let Err(cause) = &built {
            tracing::warn!(error = %cause, "DNS cannot be asked for handles: only their websites will be");
        }
        Self(built.map_err(|cause| format!("no DNS server is configured: {cause}")))
    }

    /// The DID that DNS names at `<label>.<domain>`. `None` when it surely names none, or more than one.
    ///
    /// # Errors
    /// One sentence when DNS could not be asked.
    pub(super) async fn did(&self, label: &str, domain: &Handle) -> Result<Option<Did>, String> {
        let resolver = self.0.as_ref().map_err(Clone::clone)?;
        // A domain so long that this is no name any more cannot have a record.
        let Ok(name) = Name::from_ascii(format!("{label}.{domain}.")) else { return Ok(None) };
        let lookup = match resolver.txt_lookup(name).await {
            Ok(lookup) => lookup,
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => return Ok(None),
            Err(cause) => return Err(format!("DNS could not be asked: {cause}")),
        };
        let texts = lookup
            .answers()
            .iter()
            .filter_map(|record| if let RData::TXT(txt) = &record.data { Some(txt.txt_data.concat()) } else { None });
        Ok(only_did(texts))
    }
}

/// The one `did=` among the texts; none if there are several, since then nobody can say which is meant.
fn only_did(texts: impl Iterator<Item = Vec<u8>>) -> Option<Did> {
    let mut values = texts.filter_map(|text| text.strip_prefix(b"did=").map(<[u8]>::to_vec));
    let (first, second) = (values.next()?, values.next());
    if second.is_some() {
        return None;
    }
    std::str::from_utf8(&first).ok()?.trim().parse().ok()
}

fn name_server(server: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.into())
}

fn adapt(options: &mut ResolverOpts) {
    options.timeout = TRY_TIMEOUT;
    options.attempts = 2;
    // Who asks now wants to know now: the cache of handles is the resolver's own.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.edns0 = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Option<String> {
        only_did(texts.iter().map(|text| text.as_bytes().to_vec())).map(String::from)
    }

    #[test]
    fn exactly_one_did_value_is_believed() {
        assert_eq!(of(&["v=spf1 -all", "did=did:web:a.example"]).as_deref(), Some("did:web:a.example"));
        assert_eq!(of(&["did=did:web:a.example", "did=did:web:b.example"]), None);
        assert_eq!(of(&["did=did:web:a.example", "did=did:web:a.example"]), None);
        assert_eq!(of(&["did=nonsense"]), None);
        assert_eq!(of(&["DID=did:web:a.example", "x did=did:web:a.example"]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(only_did([b"did=\xff".to_vec()].into_iter()), None);
    }
}
