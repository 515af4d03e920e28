//! Which addresses a guarded request may reach.
//!
//! A URL passes twice: its host when it is a literal ([`Guard::check`], for every redirect anew), and every address
//! that a name resolves to ([`GuardedDns`], inside the connector, so that the address that was checked is the one that
//! is connected to). Both are needed: connectors do not ask the resolver about literals.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, LazyLock},
};

use futures_util::future::BoxFuture;
use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What a request may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// https to public addresses: for what others influence.
    Public,
    /// http as well, and any address: for what the operator set, and for development.
    Anything,
    /// As [`Guard::Public`], but this address counts as public.
    #[cfg(test)]
    PublicAnd(IpAddr),
}

/// Why a URL or an address was not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither https nor, where that is allowed, http.
    #[error("the URL must begin with https://")]
    Scheme,
    /// User name or password in the URL.
    #[error("the URL may not hold a user name or password")]
    Credentials,
    /// The URL has no host.
    #[error("the URL has no host")]
    Host,
    /// The address, or one of those behind the name, is not on the public internet.
    #[error("{0} is not an address on the public internet")]
    Address(IpAddr),
}

impl Guard {
    /// Checks everything about a URL that can be known before its name is resolved.
    pub(super) fn check(self, url: &Url) -> Result<(), Refusal> {
        match (url.scheme(), self) {
            ("https", _) | ("http", Self::Anything) => {}
            _ => return Err(Refusal::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        match url.host() {
            None | Some(Host::Domain("")) => Err(Refusal::Host),
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(ip)) => self.check_address(ip.into()),
            Some(Host::Ipv6(ip)) => self.check_address(ip.into()),
        }
    }

    fn check_address(self, ip: IpAddr) -> Result<(), Refusal> {
        #[cfg(test)]
        if self == Self::PublicAnd(ip) {
            return Ok(());
        }
        if self == Self::Anything || is_global(ip) { Ok(()) } else { Err(Refusal::Address(ip)) }
    }
}

/// Whether an address is an ordinary one of the public internet: none of the special-purpose ranges of the IANA
/// registries, and for IPv6 forms that carry an IPv4 address and are routed by it, not one of those either.
pub(super) fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|net| net.contains(&ip))
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    // Sockets treat a mapped address as the IPv4 address in it.
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_global_v4(mapped);
    }
    // On a network without IPv4, DNS64 gives these for every host that has IPv4 alone, so they cannot all be refused.
    if NAT64.contains(&ip) {
        let [.., a, b, c, d] = ip.octets();
        return is_global_v4(Ipv4Addr::new(a, b, c, d));
    }
    // All that is given out as global unicast so far; loopback, local, multicast and IPv4-compatible lie outside.
    GLOBAL_V6.contains(&ip) && !SPECIAL_V6.iter().any(|net| net.contains(&ip))
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, and multicast.
static SPECIAL_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    [
        ([0, 0, 0, 0], 8),       // this network
        ([10, 0, 0, 0], 8),      // private
        ([100, 64, 0, 0], 10),   // shared (carrier-grade NAT)
        ([127, 0, 0, 0], 8),     // loopback
        ([169, 254, 0, 0], 16),  // link-local; clouds answer for their metadata here
        ([172, 16, 0, 0], 12),   // private
        ([192, 0, 0, 0], 24),    // IETF protocol assignments
        ([192, 0, 2, 0], 24),    // documentation
        ([192, 31, 196, 0], 24), // AS112
        ([192, 52, 193, 0], 24), // AMT
        ([192, 88, 99, 0], 24),  // 6to4 relays
        ([192, 168, 0, 0], 16),  // private
        ([192, 175, 48, 0], 24), // AS112
        ([198, 18, 0, 0], 15),   // benchmarking
        ([198, 51, 100, 0], 24), // documentation
        ([203, 0, 113, 0], 24),  // documentation
        ([224, 0, 0, 0], 4),     // multicast
        ([240, 0, 0, 0], 4),     // reserved, broadcast
    ]
    .into_iter()
    .map(|(octets, length)| Ipv4Net::new_assert(octets.into(), length))
    .collect()
});

/// `2000::/3`.
static GLOBAL_V6: LazyLock<Ipv6Net> = LazyLock::new(|| v6([0x2000, 0, 0], 3));

/// `64:ff9b::/96`, RFC 6052.
static NAT64: LazyLock<Ipv6Net> = LazyLock::new(|| v6([0x64, 0xff9b, 0], 96));

/// What <https://www.iana.org/assignments/iana-ipv6-special-registry> has within [`GLOBAL_V6`].
static SPECIAL_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| {
    vec![
        v6([0x2001, 0, 0], 23),         // IETF protocol assignments: Teredo, benchmarking, ORCHID and more
        v6([0x2001, 0xdb8, 0], 32),     // documentation
        v6([0x2002, 0, 0], 16),         // 6to4: routed by an IPv4 address that anyone may write into it
        v6([0x2620, 0x4f, 0x8000], 48), // AS112
        v6([0x3fff, 0, 0], 20),         // documentation
    ]
});

fn v6([a, b, c]: [u16; 3], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// Names to addresses: the system's resolver, or a test's.
pub(super) trait Lookup: Send + Sync + 'static {
    /// All addresses of a name; the port means nothing.
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver: hosts file, DNS and whatever else the operator set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
    }
}

/// A name that has no address, as far as the resolver knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name {name} could not be resolved: {cause}")]
pub(super) struct NoAddress {
    name: String,
    cause: String,
}

/// The resolver inside the connector: a name with any address that is refused is refused whole, since an answer that
/// mixes public and private addresses is never honest.
#[derive(Clone)]
pub(super) struct GuardedDns {
    guard: Guard,
    lookup: Arc<dyn Lookup>,
}

impl GuardedDns {
    pub(super) fn new(guard: Guard, lookup: Arc<dyn Lookup>) -> Self {
        Self { guard, lookup }
    }
}

impl Resolve for GuardedDns {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard;
        let name = name.as_str().to_owned();
        let found = self.lookup.lookup(name.clone());
        Box::pin(async move {
            let addresses = match found.await {
                Ok(addresses) if addresses.is_empty() => {
                    return Err(NoAddress { name, cause: "it has no address".to_owned() }.into());
                }
                Ok(addresses) => addresses,
                Err(cause) => return Err(NoAddress { name, cause: cause.to_string() }.into()),
            };
            for address in &addresses {
                guard.check_address(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(url: &str) -> Result<(), Refusal> {
        Guard::Public.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn literals_of_private_addresses_are_refused_in_every_notation() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "0",
            "0.0.0.0",
            "10.0.0.1",
            "0xa.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "１２７.０.０.１",
            "①②⑦.0.0.1",
            "127%2e0%2e0%2e1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[0:0:0:0:0:ffff:a00:1]",
            "[fe80::1]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1::808:808]",
            "[2002:7f00:1::]",
            "[2002:a00:1::1]",
            "[2001:0:7f00:1::]",
            "[2001:db8::1]",
            "[100::1]",
            "[3fff::1]",
            "[5f00::1]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[2001:20::1]",
        ] {
            let result = checked(&format!("https://{host}/"));
            assert!(matches!(result, Err(Refusal::Address(_))), "{host}: {result:?}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for host in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "[2606:4700::1111]",
            "[2001:4860:4860::8888]",
            "[64:ff9b::808:808]",
            "[::ffff:8.8.8.8]",
            "[2a00:1450::1]",
            "example.com",
            "localhost",
        ] {
            assert_eq!(checked(&format!("https://{host}/")), Ok(()), "{host}");
        }
    }

    #[test]
    fn every_special_range_is_refused_from_its_first_to_its_last_address() {
        for net in SPECIAL_V4.iter() {
            assert!(!is_global(net.network().into()) && !is_global(net.broadcast().into()), "{net}");
        }
        for net in SPECIAL_V6.iter() {
            assert!(!is_global(net.network().into()) && !is_global(net.broadcast().into()), "{net}");
        }
    }

    #[test]
    fn schemes_other_than_https_are_refused() {
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "gopher://x/",
            "javascript:alert(1)",
            "ws://example.com/",
            "unix:/run/x",
        ] {
            assert_eq!(checked(url), Err(Refusal::Scheme), "{url}");
        }
    }

    #[test]
    fn user_names_and_passwords_are_refused() {
        for url in [
            "https://user@example.com/",
            "https://user:pw@example.com/",
            "https://:pw@example.com/",
            "https://example.com:443@1.1.1.1/",
        ] {
            assert_eq!(checked(url), Err(Refusal::Credentials), "{url}");
        }
    }

    #[test]
    fn what_the_operator_set_may_be_private_and_plain_but_not_another_scheme() {
        let check = |url: &str| Guard::Anything.check(&Url::parse(url).unwrap());
        assert_eq!(check("http://127.0.0.1:2582/"), Ok(()));
        assert_eq!(check("http://localhost:2582/"), Ok(()));
        assert_eq!(check("file:///etc/passwd"), Err(Refusal::Scheme));
        assert_eq!(check("http://user@localhost/"), Err(Refusal::Credentials));
    }

    struct Fixed(Vec<SocketAddr>);

    impl Lookup for Fixed {
        fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let answer = self.0.clone();
            Box::pin(async move { Ok(answer) })
        }
    }

    async fn resolve(guard: Guard, answer: &[&str]) -> Result<usize, String> {
        let answer = answer.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        let dns = GuardedDns::new(guard, Arc::new(Fixed(answer)));
        dns.resolve("name.example".parse().unwrap()).await.map(Iterator::count).map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn a_name_with_one_private_address_among_public_ones_is_refused_whole() {
        assert_eq!(resolve(Guard::Public, &["1.1.1.1", "2606:4700::1111"]).await, Ok(2));
        for bad in ["127.0.0.1", "::1", "10.1.2.3", "::ffff:192.168.0.1", "169.254.169.254"] {
            let refused = resolve(Guard::Public, &["1.1.1.1", bad]).await.unwrap_err();
            assert!(refused.contains("not an address on the public internet"), "{refused}");
        }
        assert_eq!(resolve(Guard::Anything, &["1.1.1.1", "127.0.0.1"]).await, Ok(2));
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_an_error() {
        assert!(resolve(Guard::Anything, &[]).await.unwrap_err().contains("no address"));
    }
}
